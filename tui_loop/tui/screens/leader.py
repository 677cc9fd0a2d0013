"""The menu of a leader key: the commands behind it, each with the key that comes next."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui_loop.tui.actions import SCOPES, Action, bindings_of
from tui_loop.tui.cells import fit
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.toned import Part

COLUMN = 52
"""Cells that a command with its key needs at least."""
FRAME = 6
"""Cells of the frame, the blanks beside the text, and a scroll bar."""


class LeaderMenu(ModalScreen[str]):
    """Returns the id of the chosen action, "" for esc or another key."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    LeaderMenu { align: center bottom; background: $background 0%; }
    LeaderMenu:ansi { background: ansi_default; }
    LeaderMenu > Vertical {
        width: 100%; height: auto; max-height: 100%;
        border: round $tone-accent; background: $background;
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
        if event.key == "escape":
            return
        event.stop()
        chosen = {key: action.id for key, action in reversed(self._commands)}
        self.dismiss(chosen.get(event.character or event.key, ""))

    def action_back(self) -> None:
        self.dismiss("")

    def _draw(self) -> None:
        room = max(1, self.app.size.width - FRAME)
        columns = max(1, room // COLUMN)
        lines = self._lines(room // columns, columns)
        if len(lines) + 2 > self.app.size.height:  # the commands matter more than their headings
            lines = [line for line in lines if not _is_heading(line)]
        self.sheet.show(lines)
        self.sheet.styles.height = len(lines)

    def _lines(self, room: int, columns: int) -> list[list[Part]]:
        """The commands of each scope under its heading; `room`: the cells of a column."""
        lines: list[list[Part]] = []
        for scope in dict.fromkeys(action.scope for _, action in self._commands):
            mine = [(key, action) for key, action in self._commands if action.scope == scope]
            lines.append([(SCOPES[scope], "strong")])
            rows = -(-len(mine) // columns)
            for row in range(rows):
                parts: list[Part] = []
                for key, action in mine[row::rows]:
                    parts.append((f"  {key} ", "accent"))
                    parts.append((fit(action.description, room - 3 - len(key)), ""))
                lines.append(parts)
        return lines


def _is_heading(line: Sequence[Part]) -> bool:
    return line[0][1] == "strong"
