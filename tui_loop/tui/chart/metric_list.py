"""The list of metrics beside the large chart, each with its latest value and a sparkline."""

from __future__ import annotations

import time
from collections.abc import Hashable

import msgspec
from textual import events
from textual.timer import Timer

from tui_loop.core.plot.metrics import metric_label, metric_text
from tui_loop.core.plot.sparkline import sparkline
from tui_loop.tui.cells import fit
from tui_loop.tui.chart.curves import Curves
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

TURN_SECONDS = 0.015
"""Longest time to draw sparklines at once (at least one), so that keys are not delayed."""

SYSTEM = "system"
VALUE_WIDTH, SPARK_WIDTH = 8, 6


class MetricRow(msgspec.Struct, frozen=True):
    """A metric with its latest value, or a heading, which has no metric."""

    metric: str | None
    label: str
    value: str = ""
    spark: str = ""
    is_finite: bool = True


class MetricList(RowList):
    """Rows of metrics; the cursor is on the one that the large chart draws."""

    DEFAULT_CSS = """
    MetricList {
        border: round $frame;
        border-title-color: $foreground;
        border-title-style: bold;
        &:focus { border: round $style-accent; border-title-color: $style-accent; }
        &:nocolor:focus { border-title-style: bold reverse; }
    }
    """

    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__(id="metrics")
        self.border_title = "Metrics"
        self._ascii_only = ascii_only
        self._rows: list[MetricRow] = []
        self._curves: Curves | None = None
        self._turn: Timer | None = None
        self._known: dict[str, tuple[object, str]] = {}

    def show(self, curves: Curves, metric: str) -> None:
        """Shows the metrics of a run, with the cursor on `metric`."""
        self._curves = curves
        rows = self._rows_of(curves)
        if rows != self._rows or metric != self.metric:
            self._rows = rows
            self.rows_changed(metric)
        if self._turn is None and not curves.is_behind:
            self._turn = self.set_timer(0.001, self._draw_some)

    @property
    def metric(self) -> str | None:
        """The metric under the cursor."""
        return self._rows[self.cursor].metric if self.cursor < len(self._rows) else None

    @property
    def count(self) -> int:
        return len(self._rows)

    def key_of(self, index: int) -> Hashable:
        return self._rows[index].metric

    def is_selectable(self, index: int) -> bool:
        return index < len(self._rows) and self._rows[index].metric is not None

    def row(self, index: int, width: int) -> list[Span]:
        row = self._rows[index]
        if row.metric is None:
            return [(f"  {row.label}", "head")]
        room = width - 2 - 1 - VALUE_WIDTH - 1 - SPARK_WIDTH
        style = "strong" if index == self.cursor else ""
        return [
            self.pointer(index),
            (fit(row.label, room), style),
            (" " + fit(row.value, VALUE_WIDTH, right=True), "" if row.is_finite else "bad"),
            (f" {row.spark}", "train"),
        ]

    def on_click(self, event: events.Click) -> None:
        """Selects the row under the mouse; unlike other lists, this one has a border of its own."""
        event.prevent_default()
        offset = event.get_content_offset(self)
        index = -1 if offset is None else offset.y + round(self.scroll_y)
        if self.is_selectable(index) and index >= 0:
            self.set_cursor(index)

    def empty(self) -> list[str]:
        return ["Metrics appear here when the run logs its first step."]

    def _rows_of(self, curves: Curves) -> list[MetricRow]:
        rows: list[MetricRow] = []
        for metric in curves.names():
            if curves.is_system(metric) and not any(row.metric is None for row in rows):
                rows.append(MetricRow(None, SYSTEM))
            found = curves.latest(metric)
            value = metric_text(metric, found[1]) if found else ""
            is_finite = found is None or abs(found[1]) < float("inf")
            spark = self._known.get(metric, (None, ""))[1] or " " * SPARK_WIDTH
            rows.append(MetricRow(metric, metric_label(metric), value, spark, is_finite))
        return rows

    def _draw_some(self) -> None:
        """Draws sparklines of metrics that have new points, until the time is over."""
        self._turn = None
        curves, ends = self._curves, time.monotonic() + TURN_SECONDS
        if curves is None or curves.is_behind:
            return
        for index, row in enumerate(self._rows):
            if row.metric is None:
                continue
            curve = curves.drawn(row.metric, "step", 0.0)
            series = curve.line if curve.line.xs else curve.points
            version = len(series.xs), curves.version
            if self._known.get(row.metric, (None, ""))[0] != version:
                drawn = sparkline(series, SPARK_WIDTH, ascii_only=self._ascii_only)
                self._known[row.metric] = version, drawn
                self._rows[index] = msgspec.structs.replace(row, spark=drawn)
                self._refresh_row(index)
            if time.monotonic() > ends:
                self._turn = self.set_timer(0.001, self._draw_some)
                return
