"""The pane of charts: the large one with the list of metrics beside it, or a grid of small ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from tui_loop.tui.chart import view as views
from tui_loop.tui.chart.curves import ChartRun
from tui_loop.tui.chart.grid import ChartGrid
from tui_loop.tui.chart.metric_list import MetricList
from tui_loop.tui.chart.view import ChartView, Layout
from tui_loop.tui.chart.widget import ChartActions, LossChart
from tui_loop.tui.keys import bindings
from tui_loop.tui.widgets.pane import Pane
from tui_loop.tui.widgets.row_list import RowList


class KeyedChart(LossChart):
    """A chart that is one box of a screen, with its keys and in the app's colours."""

    BINDINGS = bindings("chart")
    DEFAULT_CSS = """
    KeyedChart {
        border: round $frame;
        background: $background;
        border-title-color: $foreground;
        border-title-style: bold;
        border-subtitle-color: $style-muted;
        &:focus { border: round $style-accent; border-title-color: $style-accent; }
        &:nocolor:focus { border-title-style: bold reverse; }
        & > .chart--train { color: $style-train; }
        & > .chart--train-raw { color: $style-train; text-style: dim; }
        & > .chart--eval { color: $style-eval; }
        & > .chart--overlay-1 { color: $style-overlay; }
        & > .chart--overlay-1-raw { color: $style-overlay; text-style: dim; }
        & > .chart--overlay-2 { color: $style-overlay-2; }
        & > .chart--overlay-2-raw { color: $style-overlay-2; text-style: dim; }
        & > .chart--overlay-3 { color: $style-overlay-3; }
        & > .chart--overlay-3-raw { color: $style-overlay-3; text-style: dim; }
        & > .chart--overlay-4 { color: $style-overlay-4; }
        & > .chart--overlay-4-raw { color: $style-overlay-4; text-style: dim; }
        & > .chart--axis { color: $style-muted; }
        & > .chart--muted { color: $style-muted; }
        & > .chart--bad { color: $style-bad; }
    }
    """


WIDE = 90
"""Least cells of a pane with the list of metrics beside the chart; else it is below it."""


class ChartPane(ChartActions, Pane):
    """Shows one metric large, with a list of all, or all of them small."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("chart"), *bindings("list")]
    DEFAULT_CSS = """
    ChartPane {
        border: none;
        layout: horizontal;
        &:focus-within { border: none; }
        & > KeyedChart { width: 1fr; }
        & > MetricList { width: 40; display: none; }
        & > ChartGrid { width: 1fr; display: none; }
        &.-listed > MetricList { display: block; }
        &.-below { layout: vertical; }
        &.-below > MetricList { width: 1fr; height: 8; }
        &.-grid > KeyedChart { display: none; }
        &.-grid > MetricList { display: none; }
        &.-grid > ChartGrid { display: block; }
    }
    """

    scope = "chart"

    class ViewChanged(Message):
        """A setting changed that holds for all runs of the loop: `view.to_json()` has them."""

        def __init__(self, view: ChartView) -> None:
            super().__init__()
            self.view = view

    def __init__(self, *, ascii_only: bool = False, id: str | None = "chart") -> None:
        super().__init__(id=id)
        self._chart = KeyedChart(ascii_only=ascii_only)
        self.list = MetricList(ascii_only=ascii_only)
        self.grid = ChartGrid(self._chart)
        self._choices: dict[str, Any] = self._chart.view.to_json()
        self._layout: Layout = "auto"
        self._returns_to_grid = False

    def compose(self) -> ComposeResult:
        yield self._chart
        yield self.list
        yield self.grid

    @property
    def chart(self) -> LossChart:
        return self._chart

    @property
    def main(self) -> Widget:
        return self.grid if self.is_grid else self._chart

    @property
    def view(self) -> ChartView:
        """The view of the shown run."""
        return self._chart.view

    @property
    def is_grid(self) -> bool:
        return self._layout == "grid"

    @property
    def is_listed(self) -> bool:
        """Whether the list of metrics is beside the chart."""
        return self._layout == "list" or (self._layout == "auto" and self.size.width >= WIDE)

    def show(self, run: ChartRun | None, overlays: Sequence[ChartRun] = ()) -> None:
        """Draws `run` with `overlays` over it, if any of them has changed."""
        self._chart.show(run, overlays)

    def restore(self, view: ChartView) -> None:
        """Restores remembered settings."""
        self._choices = view.to_json()
        self._chart.set_view(views.with_choices_of(self._chart.view, view))
        self._lay_out()

    def show_step(self, key: str, step: int) -> None:
        """Shows a step of a run, shown or not yet, in the large chart."""
        if self.is_grid:
            self.action_toggle_grid()
        self._chart.show_step(key, step)

    def leave_view(self) -> bool:
        """Leaves the cursor, else the zoom, else a chart that was opened from the grid.

        Returns whether there was one of them.
        """
        if self._chart.leave_view():
            return True
        if self._returns_to_grid and not self.is_grid:
            self.action_toggle_grid()
            return True
        return False

    def action_toggle_grid(self) -> None:
        self._returns_to_grid = False
        self._set_layout("auto" if self.is_grid else "grid")

    def action_toggle_list(self) -> None:
        self._set_layout("single" if self.is_listed else "list")

    def action_cursor_left(self) -> None:
        self.grid.move(-1) if self.is_grid else super().action_cursor_left()

    def action_cursor_right(self) -> None:
        self.grid.move(1) if self.is_grid else super().action_cursor_right()

    def action_cursor_far_left(self) -> None:
        self.grid.end(is_last=False) if self.is_grid else super().action_cursor_far_left()

    def action_cursor_far_right(self) -> None:
        self.grid.end(is_last=True) if self.is_grid else super().action_cursor_far_right()

    def action_move(self, step: int) -> None:
        """Goes to the metric above or below."""
        self.grid.move(0, step) if self.is_grid else self.list.action_move(step)

    def action_move_page(self, step: int) -> None:
        self.grid.page(step) if self.is_grid else self.list.action_move_page(step)

    def action_top(self) -> None:
        self.grid.end(is_last=False) if self.is_grid else self.list.action_top()

    def action_bottom(self) -> None:
        self.grid.end(is_last=True) if self.is_grid else self.list.action_bottom()

    def action_open(self) -> None:
        """Opens the chart under the cursor of the grid."""
        if self.is_grid:
            self._open_large()

    def on_resize(self) -> None:
        self._lay_out()

    def on_loss_chart_changed(self, event: LossChart.Changed) -> None:
        event.stop()
        self._lay_out()
        self._show_metrics()
        choices = self._chart.view.to_json()
        if choices != self._choices:
            self._choices = choices
            self.post_message(self.ViewChanged(self._chart.view))

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        if self.list.metric is not None:
            self._chart.choose(self.list.metric)

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self._chart.focus()

    def on_chart_grid_picked(self, event: ChartGrid.Picked) -> None:
        event.stop()
        self._chart.choose(event.metric)
        self._open_large()

    def _open_large(self) -> None:
        self._set_layout("auto")
        self._returns_to_grid = True

    def _set_layout(self, layout: Layout) -> None:
        self._chart.set_view(msgspec.structs.replace(self._chart.view, layout=layout))
        self._lay_out()

    def _lay_out(self) -> None:
        has_focus = self.has_focus_within
        self._layout = self._chart.view.layout
        self.set_class(self.is_grid, "-grid")
        self.set_class(self.is_listed, "-listed")
        self.set_class(self.size.width < WIDE, "-below")
        if (
            has_focus
            and self.app.focused is not self.main
            and (not (self.app.focused is self.list and self.is_listed))
        ):
            self.main.focus()
        if self.is_listed or self.is_grid:
            self.call_after_refresh(self._show_metrics)

    def _show_metrics(self) -> None:
        if self.is_grid:
            self.grid.show()
        elif self.is_listed:
            self.list.show(self._chart.runs.run, self._chart.metric)
