"""Where the panes are: one, two or all of them, by terminal, focus and run."""

from __future__ import annotations

from typing import Literal

import msgspec
from textual.geometry import NULL_OFFSET, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

PANES = ("iterations", "config", "chart", "failures", "log")

TWO_PANES, ALL_PANES = (100, 30), (140, 40)
"""The terminal from which on two panes are shown, and all (UX.md)."""

Mode = Literal["one", "two", "all"]

LOG_ROWS = 5
"""Rows of an unfocused log, its frame included; a high terminal gives it more."""
HIGH_ROWS = 50
LEAST_ROWS = 6
"""Rows of a pane that gives way to another one."""
CONFIG_FRAME = 6
"""Rows of a folded config beside its changes: frame, rule, help."""
LEAST_COLUMNS = 36
LIVE_CHART_PERCENT = 36
"""Share of the whole area that the chart has at least while a run is live."""


class PaneState(msgspec.Struct, frozen=True):
    """What the layout depends on, beside the size.

    `focus`: the pane with the keys. `other`: the pane beside the iterations while these have the
    keys. `config_rows`: the rows of a config that is folded to its changes.
    """

    focus: str = "iterations"
    other: str = "chart"
    is_live: bool = False
    is_zoomed: bool = False
    config_rows: int = 0


def mode_of(terminal: Size, *, is_zoomed: bool = False) -> Mode:
    """Returns how many panes a terminal shows."""
    for mode, (width, height) in (("all", ALL_PANES), ("two", TWO_PANES)):
        if terminal.width >= width and terminal.height >= height and not is_zoomed:
            return "all" if mode == "all" else "two"
    return "one"


def pane_regions(size: Size, mode: Mode, state: PaneState) -> dict[str, Region]:
    """Returns the regions of the panes that are shown; `size` is that of the area for panes."""
    width, height = size
    if mode == "one":
        return {state.focus: Region(0, 0, width, height)}
    if mode == "two":
        other = state.other if state.focus == "iterations" else state.focus
        left = width // 2 if state.focus == "iterations" else max(LEAST_COLUMNS, width // 3)
        return {
            "iterations": Region(0, 0, left, height),
            other: Region(left, 0, width - left, height),
        }
    log = LOG_ROWS if height < HIGH_ROWS else 2 * LOG_ROWS
    if state.focus == "log":  # less of it while a run is live: the chart keeps its share
        log = max(log, height * (30 if state.is_live else 40) // 100)
    if state.is_live:
        regions = _live(width, height - log, width * height * LIVE_CHART_PERCENT // 100, state)
    else:
        regions = _idle(width, height - log, state)
    regions["log"] = Region(0, height - log, width, log)
    return regions


def _idle(width: int, height: int, state: PaneState) -> dict[str, Region]:
    """Iterations over the config on the left, the chart over the failures on the right."""
    share = {"iterations": 50, "config": 50, "chart": 42, "failures": 42}.get(state.focus, 47)
    left = width * share // 100
    if state.focus == "config":
        config = height * 62 // 100
    else:
        folded = state.config_rows + CONFIG_FRAME
        config = min(max(folded, LEAST_ROWS), height // 2)
    chart = height * {"chart": 62, "failures": 38}.get(state.focus, 50) // 100
    return {
        "iterations": Region(0, 0, left, height - config),
        "config": Region(0, height - config, left, config),
        "chart": Region(left, 0, width - left, chart),
        "failures": Region(left, chart, width - left, height - chart),
    }


def _live(width: int, height: int, chart_cells: int, state: PaneState) -> dict[str, Region]:
    """The chart has the largest part, at least `chart_cells`; iterations and config beside it."""
    upper = width * {"iterations": 58, "chart": 70}.get(state.focus, 72) // 100
    lower = width * {"config": 45}.get(state.focus, 64) // 100
    share = height * {"failures": 45, "config": 45, "chart": 66}.get(state.focus, 56) // 100
    top = max(share, -(-chart_cells // upper))
    return {
        "chart": Region(0, 0, upper, top),
        "iterations": Region(upper, 0, width - upper, top),
        "failures": Region(0, top, lower, height - top),
        "config": Region(lower, top, width - lower, height - top),
    }


class _AtRegions(Layout):
    """Places each child at the region that its id has."""

    name = "panes"

    def __init__(self) -> None:
        self.regions: dict[str, Region] = {}

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        return [
            WidgetPlacement(region, NULL_OFFSET, Spacing(), child)
            for child in children
            if (region := self.regions.get(child.id or "")) is not None
        ]


class PanesArea(Widget):
    """The part of the workbench between header and footer."""

    DEFAULT_CSS = "PanesArea { width: 1fr; height: 1fr; }"

    def __init__(self, *children: Widget, id: str | None = None) -> None:
        super().__init__(*children, id=id)
        self._at_regions = _AtRegions()
        self._mode: Mode = "one"
        self._state = PaneState()

    @property
    def layout(self) -> Layout:
        return self._at_regions

    def show(self, mode: Mode, state: PaneState) -> None:
        """Lays the panes out anew where something has changed."""
        if (mode, state) != (self._mode, self._state) or not self._at_regions.regions:
            self._mode, self._state = mode, state
            self._lay_out()

    def on_mount(self) -> None:
        self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        regions = pane_regions(self.size, self._mode, self._state) if self.size else {}
        self._at_regions.regions = regions
        for pane in self.children:
            pane.display = pane.id in regions
        self._clear_arrangement_cache()  # Textual keeps it while size and children are the same
        self.refresh(layout=True)
