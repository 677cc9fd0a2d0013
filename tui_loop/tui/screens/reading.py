"""A screen to read: one sheet in a frame, left with esc."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.tui.actions import BY_ID, keys_of
from tui_loop.tui.widgets.bar import Bar, Piece
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.toned import Part

HOMES = {"app": "app", "sheet": "focused"}
"""Whose the actions of a scope are, where they are not the screen's."""


class ReadingScreen(Screen[None]):
    """Shows lines of parts; `y` copies them as text."""

    DEFAULT_CSS = """
    ReadingScreen { background: $background; }
    ReadingScreen > Vertical { border: round $tone-accent; height: 1fr; }
    """
    FOOTER = ("sheet.down", "sheet.page_down", "sheet.bottom", "app.back", "app.help")

    def __init__(self, title: str, lines: Sequence[Sequence[Part]]) -> None:
        super().__init__()
        self._heading = title
        self.sheet = Sheet(lines)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self.sheet
        entitle(box, self._heading)
        yield Bar(id="keys")

    def on_mount(self) -> None:
        self.sheet.focus()
        self.query_one("#keys", Bar).show(footer(self.FOOTER, getattr(self.app, "keys", {})))

    def show(self, title: str, lines: Sequence[Sequence[Part]]) -> None:
        """Replaces the text."""
        entitle(self.query_one(Vertical), title)
        self.sheet.show(lines)

    def action_back(self) -> None:
        self.dismiss()


def footer(ids: Sequence[str], keymap: dict[str, str]) -> list[Piece]:
    """The named actions as pieces of a bar: key, word."""
    pieces = [Piece(" ")]
    for name in ids:
        action = BY_ID[name]
        home = HOMES.get(action.scope, "screen")
        call = f"{home}.{action.method}"
        pieces.append(Piece(keys_of(action, keymap)[0], "accent"))
        pieces.append(Piece(f" {action.short or action.description}  ", "muted", call))
    return pieces
