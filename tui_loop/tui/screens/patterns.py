"""Patterns over all loops: the patterns by field above, the iterations of one below."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.patterns.all_patterns import Patterns
from tui_loop.core.patterns.pattern import Pattern, by_field, shown
from tui_loop.core.patterns.trials import Trial
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted
from tui_loop.tui.cells import flat
from tui_loop.tui.keys import bindings
from tui_loop.tui.screens.rows import fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.bar import Bar, key_pieces
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import Cell, RowList, WrappedList
from tui_loop.tui.widgets.search import Searchable
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

WEIGHTS = {"law": ("●", "accent"), "so far": ("○", "muted")}
"""The sign of a law, which holds for more than half of the runs, and of a weaker pattern."""

ROLE, VALUE, OUTCOME, CLAIM = 8, 10, 19, 24
COUNT, LEAST_CLAIM = 9, 10


class PatternList(WrappedList):
    """A heading for each field, then its patterns, whose sentences wrap."""

    def __init__(self) -> None:
        super().__init__("pattern-list")
        self.rows: list[Pattern | str] = []
        self.why_empty: list[str] = []

    @property
    def pattern(self) -> Pattern | None:
        """The pattern under the cursor."""
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
        """Lists patterns; the cursor stays on the same one."""
        fresh: list[Pattern | str] = []
        for field, group in by_field(patterns).items():
            fresh += [field, *group]
        if fresh != self.rows:
            key = self.key_of(self.cursor) if self.rows else None
            self.rows = fresh
            self.rows_changed(key)

    def cells(self, index: int, width: int) -> list[Cell]:
        row = self.rows[index]
        if isinstance(row, str):
            return [([("  ", "")], 2), ([(row, "strong")], width - 2)]
        sign, style = WEIGHTS[row.weight]
        count = f"{row.count} of {row.total} "
        size = max(COUNT, len(count))
        return [
            ([self.pointer(index)], 2),
            ([(f"{sign} ", style)], 2),
            ([(count, "muted")], size),
            ([(flat(row.sentence), "")], width - 4 - size),
        ]


class Behind(msgspec.Struct, frozen=True):
    """An iteration behind a pattern, or one that it is compared with."""

    place: str
    trial: Trial | None
    is_other: bool


class EvidenceList(WrappedList):
    """The iterations behind a pattern; those of the open loop can be selected."""

    def __init__(self, loop: str) -> None:
        super().__init__("evidence-list")
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
        """Lists the iterations behind a pattern, then those they are compared with."""
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
        """Lists rows; the cursor returns to the first one where they changed."""
        if list(rows) != self.rows:
            self.rows = list(rows)
            self.rows_changed()
            self.set_cursor(0, notify=False)

    def cells(self, index: int, width: int) -> list[Cell]:
        row, pattern = self.rows[index], self._pattern
        is_here = row.place.startswith(f"{self._loop}/")
        room = max(16, width - ROLE - VALUE - OUTCOME - CLAIM)
        place_width = min(room, max(len(each.place) for each in self.rows))
        cells: list[Cell] = [
            ([self.pointer(index)], 2),
            ([("against" if row.is_other else "", "muted")], ROLE),
            ([(flat(row.place), "" if is_here else "muted")], place_width),
        ]
        if row.trial is None or pattern is None:
            return cells
        outcome, style = _outcome(row.trial)
        left = width - 2 - ROLE - place_width - 2 - VALUE - 1 - OUTCOME
        return [
            *cells,
            ([("  ", "")], 2),
            ([(flat(shown(row.trial.value(pattern.field))), "strong")], VALUE),
            ([(" ", "")], 1),
            ([(outcome, style)], OUTCOME),
            ([(_claim(row.trial, pattern), "muted")], max(LEAST_CLAIM, left)),
        ]


def pattern_lines(pattern: Pattern) -> list[list[Span]]:
    """Returns a pattern in full."""
    sign, style = WEIGHTS[pattern.weight]
    lines: list[list[Span]] = [[(f"{sign} ", style), (flat(pattern.sentence), "")]]
    if pattern.otherwise:
        lines.append([("  ", ""), (f"but {flat(pattern.otherwise)}", "warn")])
    lines.append([("  ", ""), (pattern.figures, "muted")])
    return lines


def _outcome(trial: Trial) -> tuple[str, str]:
    """Returns how a trial ended, and its style."""
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
    """Returns the claim behind a pattern; it ends in `?` where it is only consistent."""
    against, words = f"{trial.parent}", trial.against_parent
    if pattern.outcome == "no better":
        against, words = "base", trial.against_base
    elif pattern.kind != "direction":
        return ""
    sure = words.removeprefix("consistent with ")
    brief = "no diff" if sure.startswith("no difference") else sure
    with_replicates = ", replicates" if trial.replicates > 1 and against != "base" else ""
    return f"vs {against}: {brief}{'?' if sure != words else ''}{with_replicates}" if words else ""


FOOTER = ("list.open", "patterns.part", "patterns.open", "patterns.copy", "app.back", "app.help")
EMPTY = [
    "No patterns yet. Patterns come from iterations with different settings.",
    "{app.back} goes back. {loop.next} drafts the next iteration, {run.start} runs it.",
]


class PatternsCommands(Protocol):
    """What the screen asks of its controller."""

    def select(self, place: str) -> None:
        """Selects the iteration `loop/N` if it belongs to the open loop."""

    def open_loop(self, place: str) -> None:
        """Opens the loop of the iteration `loop/N` with that iteration selected."""


class PatternsScreen(Searchable, Screen[None]):
    """Two lists; `show` updates them as patterns are found."""

    BINDINGS = bindings("patterns", "search")
    scopes = ("patterns", "list", "search", "app")
    DEFAULT_CSS = """
    PatternsScreen { background: $background; }
    PatternsScreen > Vertical {
        border: round $frame; border-title-style: bold; border-subtitle-color: $style-muted;
    }
    PatternsScreen > Vertical:focus-within {
        border: round $style-accent; border-title-color: $style-accent;
    }
    PatternsScreen > Vertical:nocolor:focus-within { border-title-style: bold reverse; }
    PatternsScreen > #patterns { height: 1fr; }
    PatternsScreen > #behind { height: 1fr; }
    PatternsScreen #pattern-in-full { height: auto; max-height: 6; }
    """

    def __init__(self, controller: PatternsCommands, loop: str) -> None:
        """`loop`: the name of the open loop."""
        super().__init__()
        self.prepare_search("patterns-search")
        self.controller = controller
        self.found = Patterns()
        self.list = PatternList()
        self.sheet = Sheet(id="pattern-in-full", is_note=True)
        self.evidence = EvidenceList(loop)
        self._doing = ""
        self._fault: TuiLoopError | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="patterns"):
            yield self.list
            yield self.field
        with Vertical(id="behind"):
            yield self.sheet
            yield self.evidence
        yield Bar(id="keys")

    def on_mount(self) -> None:
        self.list.focus()
        self.query_one("#keys", Bar).show(key_pieces(FOOTER, getattr(self.app, "keys", {})))
        self._draw()

    def show(self, found: Patterns, *, doing: str = "") -> None:
        """Shows the patterns so far; `doing`: the work in progress."""
        self.found, self._doing, self._fault = found, doing, None
        self.list.why_empty = [doing] if doing else EMPTY
        self.list.refresh()
        if self.is_mounted:  # otherwise on_mount draws it
            self._draw()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why there are no more patterns."""
        self._doing, self._fault = "", fault
        if self.is_mounted:
            self._draw()

    def home_of(self, scope: str) -> Widget:
        """The widget whose methods the actions of a scope are."""
        if scope == "list":
            return self.evidence if self.evidence.has_focus else self.list
        return self

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        if event.rows is self.list:
            self._show_pattern()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        if event.rows is self.list:
            self.evidence.focus()
        elif place := self.evidence.place:
            self.controller.select(place)

    def action_open(self) -> None:
        """Opens the loop of the iteration under the cursor."""
        if place := self.evidence.place:
            self.controller.open_loop(place)

    def action_part(self) -> None:
        """Moves the focus between the patterns and the iterations behind one."""
        (self.list if self.evidence.has_focus else self.evidence).focus()

    def action_copy(self) -> None:
        pattern = self.list.pattern
        if pattern is not None:
            self.app.copy_to_clipboard(_as_text(pattern))
            self.notify("copied: the pattern", markup=False)

    @property
    def searched_list(self) -> RowList:
        return self.list

    def show_titles(self) -> None:
        self._show_pattern()

    def action_back(self) -> None:
        if self.field.is_open or self.search:
            self.field.close()
            self.end_search()
        elif self.evidence.has_focus:
            self.list.focus()
        else:
            self.dismiss()

    def _draw(self) -> None:
        self.list.show(self.found.patterns)
        found = self.found
        read = f"{counted(len(found.trials), 'iteration')} of {counted(found.loops, 'loop')}"
        lost = f" · {found.unread} cannot be read" if found.unread else ""
        entitle(self.query_one("#patterns"), "Patterns", self._doing or f"{read}{lost}")
        self._show_pattern()
        if self._fault is not None:
            self.sheet.show(fault_lines(self._fault, services_of(self).keys))

    def _show_pattern(self) -> None:
        pattern = self.list.pattern
        if pattern is None:
            self.sheet.show([])
            self.evidence.show([])
            entitle(self.query_one("#behind"), "Iterations of the pattern")
            return
        self.sheet.show(pattern_lines(pattern))
        self.evidence.show_of(pattern, self.found)
        if self.search:  # the patterns may have changed
            self.find_matches()
        found = self.search.words(self.list.cursor)
        text = " · ".join(filter(None, (pattern.field, found)))
        entitle(self.query_one("#behind"), "Iterations of the pattern", text)


def _as_text(pattern: Pattern) -> str:
    lines = "\n".join("".join(text for text, _ in line) for line in pattern_lines(pattern))
    return f"{lines}\n{', '.join(pattern.iterations)}"
