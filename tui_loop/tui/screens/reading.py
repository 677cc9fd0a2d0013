"""A screen to read: one sheet in a frame, left with esc."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.tui.footer import key_pieces
from tui_loop.tui.messages import Message
from tui_loop.tui.widgets.bar import Bar
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.toned import Part

SEVERITY_STYLES = {"information": "", "warning": "warn", "error": "bad"}


class ReadingScreen(Screen[None]):
    """Shows lines of parts."""

    DEFAULT_CSS = """
    ReadingScreen { background: $background; }
    ReadingScreen > Vertical { border: round $tone-accent; height: 1fr; }
    """
    FOOTER = ("sheet.down", "sheet.page_down", "sheet.bottom", "app.search", "app.back", "app.help")

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
        self.query_one("#keys", Bar).show(key_pieces(self.FOOTER, getattr(self.app, "keys", {})))

    def action_back(self) -> None:
        self.dismiss()


def message_lines(messages: Sequence[Message]) -> list[list[Part]]:
    """Returns the messages of the session, newest first."""
    if not messages:
        return [[("No message so far.", "muted")]]
    return [
        [
            (time.strftime("%H:%M:%S  ", time.localtime(each.t)), "muted"),
            (each.text, SEVERITY_STYLES[each.severity]),
            (f"  ×{each.count}" if each.count > 1 else "", "muted"),
        ]
        for each in reversed(messages)
    ]
