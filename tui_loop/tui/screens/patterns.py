"""Patterns over all loops: the patterns by field above, the iterations of one below."""

from __future__ import annotations

from typing import Protocol

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.patterns.all_patterns import Patterns
from tui_loop.core.patterns.pattern import Pattern
from tui_loop.core.text.figures import counted
from tui_loop.tui.actions import bindings
from tui_loop.tui.footer import key_pieces
from tui_loop.tui.pattern_lines import EvidenceList, PatternList, pattern_lines
from tui_loop.tui.screens.rows import fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.bar import Bar
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.searching import Searchable
from tui_loop.tui.widgets.sheet import Sheet

FOOTER = ("list.open", "patterns.part", "patterns.open", "patterns.copy", "app.back", "app.help")
EMPTY = [
    "No patterns yet. They need iterations that differ in their settings.",
    "esc goes back. i drafts the next iteration, r runs it.",
]


class PatternsCommands(Protocol):
    """What the screen asks of its controller."""

    def select(self, place: str) -> None:
        """Selects the iteration `loop/N`, if it is one of the loop that is open."""

    def open_loop(self, place: str) -> None:
        """Opens the loop of the iteration `loop/N` on it."""


class PatternsScreen(Searchable, Screen[None]):
    """Two lists; `show` brings the patterns as they are found."""

    BINDINGS = bindings("patterns", "search")
    scopes = ("patterns", "list", "search", "app")
    DEFAULT_CSS = """
    PatternsScreen { background: $background; }
    PatternsScreen > Vertical {
        border: round $frame; border-title-style: bold; border-subtitle-color: $tone-muted;
    }
    PatternsScreen > Vertical:focus-within {
        border: round $tone-accent; border-title-color: $tone-accent;
    }
    PatternsScreen > Vertical:nocolor:focus-within { border-title-style: bold reverse; }
    PatternsScreen > #patterns { height: 1fr; }
    PatternsScreen > #behind { height: 1fr; }
    PatternsScreen #pattern-in-full { height: auto; max-height: 6; }
    """

    def __init__(self, controller: PatternsCommands, loop: str) -> None:
        """`loop`: the name of the loop that is open."""
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
        """Shows what is known by now; `doing`: what is being done for more."""
        self.found, self._doing, self._fault = found, doing, None
        self.list.why_empty = [doing] if doing else EMPTY
        self.list.refresh()
        if self.is_mounted:  # else it is drawn once it is
            self._draw()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Says why there is nothing more."""
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
        """From the patterns to the iterations behind one, and back."""
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
        if self.search:  # the patterns may be others by now
            self.find_matches()
        found = self.search.words(self.list.cursor)
        text = " · ".join(filter(None, (pattern.field, found)))
        entitle(self.query_one("#behind"), "Iterations of the pattern", text)


def _as_text(pattern: Pattern) -> str:
    lines = "\n".join("".join(text for text, _ in line) for line in pattern_lines(pattern))
    return f"{lines}\n{', '.join(pattern.iterations)}"
