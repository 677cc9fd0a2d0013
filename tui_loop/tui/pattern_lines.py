"""Patterns and the iterations behind them as rows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from tui_loop.core.patterns.all_patterns import Patterns
from tui_loop.core.patterns.pattern import Pattern, by_field, shown
from tui_loop.core.patterns.trials import Trial
from tui_loop.core.text import figures
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.toned import Part

WEIGHTS = {"law": ("●", "accent"), "so far": ("○", "muted")}
"""The sign of what holds for more than half of the runs, as sure as can be, and of the rest."""

ROLE, VALUE, CAME, CLAIM = 8, 10, 19, 24


class PatternList(RowList):
    """A heading a field, then its patterns."""

    def __init__(self) -> None:
        super().__init__(id="pattern-list")
        self.rows: list[Pattern | str] = []
        self.why_empty: list[str] = []

    @property
    def pattern(self) -> Pattern | None:
        """The one under the cursor."""
        row = self.rows[self.cursor] if self.cursor < len(self.rows) else None
        return row if isinstance(row, Pattern) else None

    @property
    def count(self) -> int:
        return len(self.rows)

    def key_of(self, index: int) -> Hashable:
        row = self.rows[index] if index < len(self.rows) else ""
        if isinstance(row, str):
            return row
        return row.kind, row.field, row.base, row.is_lora, row.outcome, row.side

    def is_selectable(self, index: int) -> bool:
        return isinstance(self.rows[index], Pattern)

    def empty(self) -> list[str]:
        return self.why_empty

    def show(self, patterns: Sequence[Pattern]) -> None:
        """Lists them, the cursor on the one that it was on."""
        fresh: list[Pattern | str] = []
        for field, group in by_field(patterns).items():
            fresh += [field, *group]
        if fresh != self.rows:
            key = self.key_of(self.cursor) if self.rows else None
            self.rows = fresh
            self.rows_changed(key)

    def row(self, index: int, width: int) -> list[Part]:
        row = self.rows[index]
        if isinstance(row, str):
            return [("  ", ""), (row, "strong")]
        sign, tone = WEIGHTS[row.weight]
        return [
            self.pointer(index),
            (f"{sign} ", tone),
            (fit(f"{row.count} of {row.total}", 9), "muted"),
            (flat(row.sentence), ""),
        ]


class Behind(msgspec.Struct, frozen=True):
    """An iteration behind a pattern, or one that it is held against."""

    place: str
    trial: Trial | None
    is_other: bool


class EvidenceList(RowList):
    """The iterations behind a pattern; those of the loop that is open can be gone to."""

    def __init__(self, loop: str) -> None:
        super().__init__(id="evidence-list")
        self.rows: list[Behind] = []
        self._loop = loop
        self._pattern: Pattern | None = None

    @property
    def place(self) -> str:
        """`loop/N` under the cursor."""
        return self.rows[self.cursor].place if self.cursor < len(self.rows) else ""

    @property
    def count(self) -> int:
        return len(self.rows)

    def show_of(self, pattern: Pattern, found: Patterns) -> None:
        """Lists what a pattern rests on, then what it is held against."""
        self._pattern = pattern
        by_place = {each.place: each for each in found.trials}
        self.show(
            [
                Behind(place, by_place.get(place), is_other)
                for places, is_other in ((pattern.iterations, False), (pattern.others, True))
                for place in places
            ]
        )

    def show(self, rows: Sequence[Behind]) -> None:
        """Lists these, from the first one on where they are others than before."""
        if list(rows) != self.rows:
            self.rows = list(rows)
            self.rows_changed()
            self.set_cursor(0, tell=False)

    def row(self, index: int, width: int) -> list[Part]:
        row, pattern = self.rows[index], self._pattern
        is_here = row.place.startswith(f"{self._loop}/")
        room = max(16, width - ROLE - VALUE - CAME - CLAIM)
        place_width = min(room, max(len(each.place) for each in self.rows))
        parts = [
            self.pointer(index),
            (fit("against" if row.is_other else "", ROLE), "muted"),
            (fit(flat(_tail(row.place, place_width)), place_width), "" if is_here else "muted"),
        ]
        if row.trial is None or pattern is None:
            return parts
        came, tone = _came(row.trial)
        return [
            *parts,
            (f"  {fit(flat(shown(row.trial.value(pattern.field))), VALUE)} ", "strong"),
            (fit(came, CAME), tone),
            (_claim(row.trial, pattern), "muted"),
        ]


def pattern_lines(pattern: Pattern) -> list[list[Part]]:
    """A pattern in full."""
    sign, tone = WEIGHTS[pattern.weight]
    lines: list[list[Part]] = [[(f"{sign} ", tone), (flat(pattern.sentence), "")]]
    if pattern.otherwise:
        lines.append([("  ", ""), (f"but {flat(pattern.otherwise)}", "warn")])
    lines.append([("  ", ""), (pattern.figures, "muted")])
    return lines


def _tail(place: str, width: int) -> str:
    """The end of a long place, which names the loop."""
    return place if len(place) <= width else f"…{place[-width + 1 :]}"


def _came(trial: Trial) -> tuple[str, str]:
    """What came of a trial."""
    if trial.ended == "diverged":
        return "✗ diverged", "bad"
    if trial.ended == "oom":
        return "✗ out of memory", "bad"
    if trial.ended != "finished":
        return trial.ended, "muted"
    if trial.score is None:
        has_loss = trial.eval_loss is not None
        return f"loss {figures.loss(trial.eval_loss)}" if has_loss else "finished", ""
    gain = f", {100 * trial.gain:+.0f} on base" if trial.gain is not None else ""
    return f"{figures.percent(trial.score)}{gain}", ""


def _claim(trial: Trial, pattern: Pattern) -> str:
    """The claim that a pattern rests on; one that is only consistent ends in `?`."""
    against, words = f"{trial.parent}", trial.against_parent
    if pattern.outcome == "no better":
        against, words = "base", trial.against_base
    elif pattern.kind != "direction":
        return ""
    sure = words.removeprefix("consistent with ")
    brief = "no diff" if sure.startswith("no difference") else sure
    with_replicates = ", replicates" if trial.replicates > 1 and against != "base" else ""
    return f"vs {against}: {brief}{'?' if sure != words else ''}{with_replicates}" if words else ""
