"""Prompts over the footer: the menu of a leader key, and the search line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui_loop.tui.actions import SCOPES, Action
from tui_loop.tui.cells import fit
from tui_loop.tui.keys import bindings_of
from tui_loop.tui.widgets.field import TextInput
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

COLUMN, LEAST_COLUMN = 36, 18
"""Cells that a command with its key has; on a low terminal it may have fewer, for more columns."""


class LeaderMenu(ModalScreen[str]):
    """Returns the id of the chosen action, "" for esc or another key."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    LeaderMenu { align: center bottom; background: $background 0%; }
    LeaderMenu:ansi { background: ansi_default; }
    LeaderMenu > Vertical {
        width: 100%; height: auto; max-height: 100%;
        border: round $style-accent; background: $background;
        & > Sheet { height: auto; padding: 0 1; }
    }
    """

    def __init__(self, prefix: str, commands: Sequence[tuple[str, Action]]) -> None:
        """`commands`: the key of each action, those of the nearest scope first."""
        super().__init__()
        self._prefix, self._commands = prefix, commands
        self.sheet = Sheet()
        self.sheet.can_focus = False

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self.sheet
        entitle(box, f"{self._prefix} ...", "the next key runs a command · esc closes the menu")

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def on_key(self, event: events.Key) -> None:
        event.stop()  # esc closes it even where the user has given "back" another key
        chosen = {key: action.id for key, action in reversed(self._commands)}
        by_name = chosen.get(event.key, "")  # a sign that the help shows by its name: "comma"
        self.dismiss(chosen.get(event.character or "", by_name))

    def action_back(self) -> None:
        self.dismiss("")

    def _draw(self) -> None:
        width = self.app.size.width - 5  # the frame, a blank at each side, a scrollbar
        room = self.app.size.height - 2
        for columns in range(min(4, max(1, width // COLUMN)), max(2, width // LEAST_COLUMN + 1)):
            lines = self._lines(columns, width // columns)
            if len(lines) <= room:
                break
        self.sheet.show(lines)
        self.sheet.styles.height = len(lines)

    def _lines(self, columns: int, room: int) -> list[list[Span]]:
        """The commands of each scope under its heading; `room`: the cells of a column."""
        lines: list[list[Span]] = []
        for scope in dict.fromkeys(action.scope for _, action in self._commands):
            mine = [(key, action) for key, action in self._commands if action.scope == scope]
            lines.append([(SCOPES[scope], "strong")])
            rows = -(-len(mine) // columns)
            for row in range(rows):
                parts: list[Span] = []
                for key, action in mine[row::rows]:
                    parts.append((f"  {key} ", "accent"))
                    parts.append((fit(action.description, room - 4 - len(key)) + " ", ""))
                lines.append(parts)
        return lines


class SearchLine(ModalScreen[str | None]):
    """Returns the search text, None for esc; calls `changed` after every key."""

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
            placeholder="search: enter keeps the match, {app.next_match} and {app.previous_match} "
            "find the next and previous one"
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
