"""The frame of the workbench: header, panes, footer; and the loading screen that has only this.

The first frame is drawn before the rest of the app is imported.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import Screen

from tui_loop.core.record.folders import LoopFolder
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.bar import Bar, Piece
from tui_loop.tui.widgets.pane import Pane
from tui_loop.tui.workbench.layout import PANES, PanesArea, PaneState, mode_of

NAMES = ("Iterations", "Config", "Chart", "Failures", "Log")


class Frame(Screen[None]):
    """Lays its panes out: one, two or all of them."""

    takes_keys = False
    """Whether all panes are mounted."""

    DEFAULT_CSS = "Frame { background: $background; }"

    def compose(self) -> ComposeResult:
        yield Bar(id="status")
        yield Bar(id="tabs")
        with PanesArea(id="panes"):
            yield self.first_pane()
        yield Bar(id="keys")

    @property
    def pane_state(self) -> PaneState:
        """Returns what the layout depends on."""
        return PaneState()

    def first_pane(self) -> Pane:
        """Returns the one pane that the first frame has."""
        pane = Pane(id=PANES[0])
        pane.entitle("1 Iterations")
        return pane

    def show_name(self, name: str) -> None:
        """Shows the loop's name until a snapshot is there."""
        self.query_one("#status", Bar).show([Piece(f" {name} ", "strong")])

    def lay_out(self) -> None:
        """Fits the panes to the size of the terminal."""
        state = self.pane_state
        mode = mode_of(self.size, is_zoomed=state.is_zoomed)
        tabs = self.query_one("#tabs", Bar)
        tabs.display = mode != "all"
        self.query_one(PanesArea).show(mode, state)
        tabs.show(
            [
                Piece(
                    f" {number} {name} ",
                    "mark" if pane == state.focus else "muted",
                    f"pane('{pane}')",
                )
                for number, (pane, name) in enumerate(zip(PANES, NAMES, strict=True), 1)
            ]
        )


class LoadingScreen(Frame):
    """What is shown of a loop while the rest of the app is imported."""

    def __init__(self, loop: LoopFolder, number: int | None) -> None:
        super().__init__()
        self._loop, self._number = loop, number

    def on_mount(self) -> None:
        self.show_name(self._loop.name)
        self.lay_out()
        self.call_after_refresh(self._open)

    def _open(self) -> None:
        services_of(self).open_loop(self._loop, self._number)
