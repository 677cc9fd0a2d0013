"""Which columns a list shows: rows with a box each, which space ticks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui_loop.tui.actions import bindings, bindings_of
from tui_loop.tui.cells import fit
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.toned import Part

Choosable = tuple[str, str]
"""(name, words)"""

NAME = 14
"""Cells of a column's name."""


class _Boxes(RowList):
    def __init__(self, columns: Sequence[Choosable], ticked: Sequence[str]) -> None:
        super().__init__(id="column-boxes")
        self.columns, self.ticked = list(columns), set(ticked)

    @property
    def count(self) -> int:
        return len(self.columns)

    def row(self, index: int, width: int) -> list[Part]:
        name, words = self.columns[index]
        box = ("■ ", "accent") if name in self.ticked else ("□ ", "muted")
        return [self.pointer(index), box, (fit(name, NAME), ""), (words, "muted")]


class ColumnsScreen(ModalScreen[None]):
    """Calls `changed` with a name and whether its column is shown, at every tick."""

    BINDINGS = [*bindings("columns"), *bindings_of("app.back")]
    scopes = ("columns", "list", "app")
    DEFAULT_CSS = """
    ColumnsScreen { align: center middle; background: $background 40%; }
    ColumnsScreen:ansi { background: ansi_default; }
    ColumnsScreen > Vertical {
        width: 60; max-width: 100%; height: auto; max-height: 100%;
        border: round $tone-accent; background: $background; padding: 0 1;
    }
    """

    def __init__(
        self,
        columns: Sequence[Choosable],
        ticked: Sequence[str],
        changed: Callable[[str, bool], None],
    ) -> None:
        super().__init__()
        self.list = _Boxes(columns, ticked)
        self._changed = changed

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            self.list.styles.height = self.list.count
            self.list.styles.max_height = "100%"
            yield self.list
        entitle(box, "Columns", "space shows or hides one · enter or esc closes")

    def on_mount(self) -> None:
        self.list.focus()

    def home_of(self, scope: str) -> RowList | ColumnsScreen:
        """The widget whose methods the actions of a scope are."""
        return self.list if scope == "list" else self

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.dismiss()

    def action_tick(self) -> None:
        """Shows or hides the column under the cursor."""
        name = self.list.columns[self.list.cursor][0]
        is_shown = name not in self.list.ticked
        self.list.ticked ^= {name}
        self.list.refresh()
        self._changed(name, is_shown)

    def action_back(self) -> None:
        self.dismiss()
