"""Lists of examples: those of an iteration, and those that two iterations differ in."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from tui_loop.core.compare.contrast import NO_PAIRS, Contrast
from tui_loop.core.compare.pairing import Paired
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.cause_kinds import Cause, cause_words
from tui_loop.core.examples.history import HistoryPoint, Outcome, Shift
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record.structs import Example
from tui_loop.core.snapshot import Examples
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

OUTCOMES = {
    Outcome.FAILED: ("✗", "bad"),
    Outcome.PASSED: ("✓", "good"),
    Outcome.UNSCORED: ("·", "muted"),
}
SHIFTS = {Shift.FIXED: ("↑", "good"), Shift.BROKEN: ("↓", "bad")}
FLAG = "⚑"
"""The sign of an example with an annotation."""

STRIP = 8
"""Iterations that an example's history shows in a list, the newest ones."""

SHORT_CAUSES: dict[str, str] = {
    Cause.TRUNCATED_OUTPUT: "truncated",
    Cause.PROMPT_TRUNCATED: "prompt cut",
    Cause.SUSPECT_REFERENCE: "suspect ref",
    Cause.NO_END_TOKEN: "no end",
    Cause.WRONG_CONTENT: "wrong",
}
CAUSE, LOSS, SCORE = 17, 7, 6


class ExampleList(RowList):
    """The listed examples; `listed` are rows of the view."""

    def __init__(self) -> None:
        super().__init__(id="example-list")
        self.examples: Examples | None = None
        self.listed: list[int] = []
        self.why_empty: list[str] = []
        self._strip = 0

    @property
    def view(self) -> ExampleView | None:
        """The examples that the list selects from."""
        return self.examples.view if self.examples is not None else None

    @property
    def count(self) -> int:
        return len(self.listed)

    @property
    def row_at_cursor(self) -> int | None:
        """The view's row under the cursor."""
        return self.listed[self.cursor] if 0 <= self.cursor < len(self.listed) else None

    def key_of(self, index: int) -> Hashable:
        view = self.view
        return view.table.ids[self.listed[index]] if view and index < len(self.listed) else None

    def index_of(self, key: Hashable) -> int | None:
        view = self.view
        if view is None or not isinstance(key, str):
            return None
        try:  # fast for 100,000 rows, unlike a loop over them
            return self.listed.index(view.table.ids.index(key))
        except ValueError:
            return None

    def empty(self) -> list[str]:
        return self.why_empty

    def take(self, examples: Examples | None) -> None:
        """Replaces the examples; the caller then sets `listed`."""
        self.examples = examples
        histories = examples.view.histories if examples is not None else None
        numbers = histories.numbers if histories is not None else []
        self._strip = min(STRIP, len(numbers))  # the same for all: columns do not jump

    def at(self, index: int) -> Example | None:
        """The example in row `index`; None where there is none, or it is unreadable."""
        view = self.view
        if view is None or not 0 <= index < len(self.listed):
            return None
        try:
            return view.table[self.listed[index]]
        except (TuiLoopError, OSError):  # the file is missing; the next poll reports it
            return None

    def head(self, width: int) -> list[Span] | None:
        if not self.listed:
            return None
        pair, prompt = self._widths(width)
        named = next(each for each in ("history", "past", "") if len(each) <= self._strip)
        strip = fit(named, self._strip + 1)
        score = fit("score", SCORE, right=True) if self._has_scores else ""
        texts = ["  ", "    ", strip, fit("loss", LOSS, right=True), score, "  "]
        cause = fit("cause", CAUSE)
        return [
            (
                "".join([*texts, cause, fit("wanted → said", pair), "  ", fit("prompt", prompt)]),
                "head",
            )
        ]

    def row(self, index: int, width: int) -> list[Span]:
        example, view = self.at(index), self.view
        if example is None or view is None:
            return []
        at = self.listed[index]
        pair, prompt = self._widths(width)
        said = "" if example.output is None else f" → {answer_of(example.output)}"
        flag = FLAG if view.marks.get(example.id) else " "
        return [
            self.pointer(index),
            OUTCOMES[view.outcome(at)],
            SHIFTS.get(view.shift(at), (" ", "")),
            (flag, "changed"),
            (" ", ""),
            *self._history(view, at),
            (fit(loss_text(view.table.losses[at]), LOSS, right=True), ""),
            (self._score(example), ""),
            ("  ", ""),
            (fit(short_cause(view.causes[at]), CAUSE - 1) + " ", "muted"),
            (fit(flat((example.reference + said).strip(), 400), pair), ""),
            ("  ", ""),
            (fit(flat(example.prompt, 400), prompt), "muted"),
        ]

    @property
    def _number(self) -> int:
        return self.examples.number if self.examples is not None else 0

    @property
    def _has_scores(self) -> bool:
        return self.view is not None and self.view.is_graded

    def _score(self, example: Example) -> str:
        if not self._has_scores:
            return ""
        return fit("" if example.score is None else f"{example.score:.2f}", SCORE, right=True)

    def _history(self, view: ExampleView, row: int) -> list[Span]:
        if view.histories is None or not self._strip:
            return []
        points = view.histories.points(row)
        parts = strip_of([each for each in points if each.number <= self._number], self._strip)
        used = sum(len(text) for text, _ in parts)
        return [*parts, (" " * (self._strip + 1 - used), "")]

    def _widths(self, width: int) -> tuple[int, int]:
        score = SCORE if self._has_scores else 0
        strip = self._strip + 1 if self._strip else 0
        room = max(10, width - 2 - 4 - strip - LOSS - score - 2 - CAUSE - 2)
        pair = min(36, max(14, room // 2))
        return pair, max(0, room - pair)


def strip_of(points: Sequence[HistoryPoint], width: int) -> list[Span]:
    """An example's outcomes over the iterations, oldest first, in at most `width` cells.

    A bar marks a change of its reference.
    """
    parts: list[Span] = []
    for point in points:
        if point.is_new_segment:
            parts.append(("|", "muted"))
        outcome = (
            Outcome.UNSCORED
            if point.passed is None
            else Outcome.PASSED
            if point.passed
            else Outcome.FAILED
        )
        parts.append(OUTCOMES[outcome])
    return parts[-width:] if width else []


def short_cause(causes: Sequence[str]) -> str:
    """The first cause in a few words, with the number of the others: `+1`."""
    if not causes:
        return ""
    more = f" +{len(causes) - 1}" if len(causes) > 1 else ""
    return SHORT_CAUSES.get(causes[0], cause_words(causes[0])) + more


def loss_text(value: float) -> str:
    """A loss in a table: empty where there is none, in words where it is not finite."""
    if math.isnan(value):
        return ""
    return f"{value:.3f}" if math.isfinite(value) else "not fin"


ROOMY = 140
"""The least width of a list with wider columns of texts and causes."""

Sides = tuple[Example, Example]
Causes = tuple[tuple[str, ...], tuple[str, ...]]


class ChangedList(RowList):
    """The rows of `shown`; an example is read when its row is drawn."""

    def __init__(self, contrast: Contrast) -> None:
        super().__init__(id="changed-list")
        self.contrast = contrast
        self.shown: Paired = NO_PAIRS
        self.why_empty: list[str] = []

    def show(self, shown: Paired, why_empty: list[str]) -> None:
        """Lists other examples, from the top."""
        self.shown, self.why_empty = shown, why_empty
        self.rows_changed()
        self.set_cursor(0, notify=False)

    @property
    def count(self) -> int:
        return len(self.shown)

    def key_of(self, index: int) -> Hashable:
        return self.shown.new[index] if index < self.count else None

    def empty(self) -> list[str]:
        return self.why_empty

    def at(self, index: int) -> Sides | None:
        """The example before and after; None where there is none, or it cannot be read."""
        if not 0 <= index < self.count:
            return None
        try:
            old = self.contrast.old.table[self.shown.old[index]]
            return old, self.contrast.new.table[self.shown.new[index]]
        except (TuiLoopError, OSError):  # the file is missing; the next comparison reports it
            return None

    def causes_at(self, index: int) -> Causes:
        """Why it failed before and after; none where it passed."""
        old, new = self.contrast.old.causes, self.contrast.new.causes
        return old[self.shown.old[index]], new[self.shown.new[index]]

    def head(self, width: int) -> list[Span] | None:
        if not self.count:
            return None
        wanted, said, why, prompt = _widths(width)
        a, b = self.contrast.comparison.a, self.contrast.comparison.b
        cells = ["    ", fit("wanted", wanted), fit(f"{a} said", said), fit(f"{b} said", said)]
        return [("".join([*cells, fit(f"why {a} → {b}", why), fit("prompt", prompt)]), "head")]

    def row(self, index: int, width: int) -> list[Span]:
        sides = self.at(index)
        if sides is None:
            return [self.pointer(index), ("cannot be read", "muted")]
        old, new = sides
        wanted, said, why, prompt = _widths(width)
        flag = FLAG if self.contrast.new.marks.get(new.id) else " "
        return [
            self.pointer(index),
            (f"{flag} ", "changed"),
            (_cell(new.reference, wanted), ""),
            (_cell(answer_text(old), said), _style(old)),
            (_cell(answer_text(new), said), _style(new)),
            (_cell(why_words(*self.causes_at(index), is_fixed=bool(new.passed)), why), "muted"),
            (fit(flat(new.prompt, 400), prompt), "muted"),
        ]


def answer_text(example: Example) -> str:
    """Returns the answer in an output, or a word in place of a missing one."""
    if example.output is None:
        return "(none)"
    answer = answer_of(example.output)
    return answer if answer.strip() else "(empty)"


def why_words(before: tuple[str, ...], after: tuple[str, ...], *, is_fixed: bool) -> str:
    """`wrong label → ✓`: the first cause of either, once where it is the same."""
    was, now = (_short(each) for each in (before, after))
    if is_fixed:
        return f"{was} → ✓"
    if not before:
        return f"✓ → {now}"
    return was if was == now else f"{was} → {now}"


def _short(causes: tuple[str, ...]) -> str:
    return SHORT_CAUSES.get(causes[0], cause_words(causes[0])) if causes else "?"


def _style(example: Example) -> str:
    return "good" if example.passed else "bad"


def _cell(text: str, width: int) -> str:
    return fit(flat(text, 400), width - 1) + " "


def _widths(width: int) -> tuple[int, int, int, int]:
    """The widths of the reference, each output, the causes and the prompt."""
    wanted, said, why = (18, 26, 28) if width >= ROOMY else (11, 14, 19)
    return wanted, said, why, max(0, width - 4 - wanted - 2 * said - why)
