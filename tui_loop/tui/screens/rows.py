"""A screen with a note and a list above, and the row under the cursor in full below."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.core.errors import TuiLoopError
from tui_loop.tui.cells import flat
from tui_loop.tui.keys import bindings, in_keys
from tui_loop.tui.widgets.bar import Bar, key_pieces
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.search import Searchable
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span


class RowsScreen(Searchable, Screen[None]):
    """A subclass provides the list and the lines of a row."""

    BINDINGS = bindings("search")

    DEFAULT_CSS = """
    RowsScreen { background: $background; }
    RowsScreen > Vertical { border: round $frame; border-subtitle-color: $style-muted; }
    RowsScreen > Vertical:focus-within {
        border: round $style-accent; border-title-color: $style-accent;
    }
    RowsScreen > Vertical:nocolor:focus-within { border-title-style: bold reverse; }
    RowsScreen > #found { height: 4fr; }
    RowsScreen > #shown { height: 3fr; }
    RowsScreen #rows-head { height: auto; max-height: 5; }
    """
    FOOTER: Sequence[str] = ()

    def __init__(self, title: str, rows: RowList, id: str | None = None) -> None:
        super().__init__(id=id)
        self.prepare_search("rows-search")
        self._heading = title
        self.list = rows
        self.head = Sheet(id="rows-head", is_note=True)
        self.sheet = Sheet(id="row-in-full")

    def compose(self) -> ComposeResult:
        with Vertical(id="found"):
            yield self.head
            yield self.list
            yield self.field
        with Vertical(id="shown"):
            yield self.sheet
        yield Bar(id="keys")

    def on_mount(self) -> None:
        entitle(self.query_one("#found"), self._heading)
        self.list.focus()
        self.query_one("#keys", Bar).show(key_pieces(self.FOOTER, getattr(self.app, "keys", {})))
        self.draw()

    def draw(self) -> None:
        """Redraws everything."""
        raise NotImplementedError

    def row_lines(self) -> tuple[str, list[list[Span]]]:
        """The title and the lines of the row under the cursor."""
        raise NotImplementedError

    @property
    def searched_list(self) -> RowList:
        return self.list

    def show_titles(self) -> None:
        self.show_row(keep_place=True)

    def show_row(self, *, keep_place: bool = False) -> None:
        """Shows the row under the cursor in full."""
        title, lines = self.row_lines() if self.list.count else ("", [])
        if self.search:  # the rows may have changed
            self.find_matches()
        entitle(self.query_one("#shown"), title, self.search.words(self.list.cursor))
        self.sheet.show(lines, keep_place=keep_place)

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self.show_row()

    def action_read(self) -> None:
        """Moves the focus between the list and the row in full."""
        (self.list if self.sheet.has_focus else self.sheet).focus()

    def action_back(self) -> None:
        if self.field.is_open or self.search:
            self.field.close()
            self.end_search()
        elif self.sheet.has_focus:
            self.list.focus()
        else:
            self.dismiss()


def fault_lines(fault: TuiLoopError, keymap: dict[str, str]) -> list[list[Span]]:
    """Returns the message of an error, and its hint."""
    lines: list[list[Span]] = [[("✗ ", "bad"), (flat(fault.message, 600), "bad")]]
    if fault.hint:
        lines.append([("  ", ""), (flat(in_keys(fault.hint, keymap), 300), "muted")])
    return lines
