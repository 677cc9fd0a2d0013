"""The frame of the workbench: where its panes are, and what is seen of it first.

The first frame is drawn before the rest of the app is imported.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen

from tui_loop.core.record.folders import LoopFolder
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.bar import Bar, Piece
from tui_loop.tui.widgets.pane import Pane

PANES = ("iterations", "config", "chart", "failures", "log")
NAMES = ("Iterations", "Config", "Chart", "Failures", "Log")
WIDE, HIGH = 120, 32
"""From this size on, all panes are shown at once."""


class Frame(Screen[None]):
    """Lays its panes out: all at once, or the `current` one."""

    current = PANES[0]
    is_zoomed = False
    takes_keys = False
    """Until all panes are there."""

    DEFAULT_CSS = """
    Frame {
        background: $background;
        & > #panes {
            height: 1fr;
            layout: grid;
            grid-size: 2 3;
            grid-columns: 49fr 51fr;
            grid-rows: 9fr 11fr 7;
            & > #log { column-span: 2; }
        }
        & > #tabs { display: none; }
        &.-single {
            & > #tabs { display: block; }
            & > #panes { layout: vertical; }
            & > #panes > * { display: none; height: 1fr; }
            & > #panes > .-current { display: block; }
        }
    }
    """

    def compose(self) -> ComposeResult:
        yield Bar(id="status")
        yield Bar(id="tabs")
        with Container(id="panes"):
            yield self.first_pane()
        yield Bar(id="keys")

    def first_pane(self) -> Pane:
        """The one pane that the first frame has."""
        pane = Pane(id=PANES[0])
        pane.entitle("1 Iterations")
        return pane

    def name_loop(self, name: str) -> None:
        """Shows the loop's name until there is more to say."""
        self.query_one("#status", Bar).show([Piece(f" {name} ", "strong")])

    def lay_out(self) -> None:
        """Fits the panes to the size of the screen."""
        all_at_once = self.size.width >= WIDE and self.size.height >= HIGH and not self.is_zoomed
        self.set_class(not all_at_once, "-single")
        for pane in self.query("#panes > *"):
            pane.set_class(pane.id == self.current, "-current")
        tabs = [
            Piece(
                f" {number} {name} ", "mark" if pane == self.current else "muted", f"pane('{pane}')"
            )
            for number, (pane, name) in enumerate(zip(PANES, NAMES, strict=True), 1)
        ]
        self.query_one("#tabs", Bar).show(tabs)


class Threshold(Frame):
    """What is seen first of a loop, while the rest is imported."""

    def __init__(self, loop: LoopFolder, number: int | None) -> None:
        super().__init__()
        self._loop, self._number = loop, number

    def on_mount(self) -> None:
        self.name_loop(self._loop.name)
        self.lay_out()
        self.call_after_refresh(self._enter)

    def _enter(self) -> None:
        services_of(self).open_loop(self._loop, self._number)
