"""The search line: what is typed is found in the list or text that has the focus."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Input

from tui_loop.tui.actions import bindings_of
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.text_input import TextInput


class SearchLine(ModalScreen[str | None]):
    """Returns what was searched for, None for esc; calls `changed` with every key."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    SearchLine { align: center bottom; background: $background 0%; }
    SearchLine:ansi { background: ansi_default; }
    SearchLine > Horizontal {
        height: 1; margin-bottom: 1; background: $row-cursor;
        & > Sheet { width: 3; height: 1; background: $row-cursor; }
        & > TextInput { width: 1fr; background: $row-cursor; &:focus { background: $row-cursor; } }
    }
    """

    def __init__(self, changed: Callable[[str], None]) -> None:
        super().__init__()
        self._changed = changed
        self.field = TextInput(
            placeholder="search: enter keeps the match, n and N find the next and previous one"
        )

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Sheet([[("/", "accent")]], is_note=True)
            yield self.field

    def on_mount(self) -> None:
        self.field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._changed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)

    def action_back(self) -> None:
        self.dismiss(None)
