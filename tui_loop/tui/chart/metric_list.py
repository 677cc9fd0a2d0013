"""The list of a run's metrics beside the large chart: latest value and recent course of each."""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

from tui_loop.core.plot.metrics import metric_label, metric_text
from tui_loop.core.plot.sparkline import sparkline
from tui_loop.tui.cells import fit
from tui_loop.tui.chart.curves import Curves
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.toned import Part

SYSTEM = "system"
VALUE_WIDTH, SPARK_WIDTH = 8, 6


class MetricRow(msgspec.Struct, frozen=True):
    """A metric with its latest value, or a heading, which has no metric."""

    metric: str | None
    label: str
    value: str = ""
    course: str = ""
    is_finite: bool = True


class MetricList(RowList):
    """Rows of metrics; the cursor is on the one that the large chart draws."""

    DEFAULT_CSS = """
    MetricList {
        border: round $frame;
        border-title-color: $foreground;
        border-title-style: bold;
        &:focus { border: round $tone-accent; border-title-color: $tone-accent; }
        &:nocolor:focus { border-title-style: bold reverse; }
    }
    """

    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__(id="metrics")
        self.border_title = "Metrics"
        self._ascii_only = ascii_only
        self._rows: list[MetricRow] = []
        self._known: dict[str, tuple[object, str]] = {}

    def show(self, curves: Curves, metric: str) -> None:
        """Shows the metrics of a run, with the cursor on `metric`."""
        rows = self._rows_of(curves)
        if rows != self._rows or metric != self.metric:
            self._rows = rows
            self.rows_changed(metric)

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

    def row(self, index: int, width: int) -> list[Part]:
        row = self._rows[index]
        if row.metric is None:
            return [(f"  {row.label}", "head")]
        room = width - 2 - 1 - VALUE_WIDTH - 1 - SPARK_WIDTH
        tone = "strong" if index == self.cursor else ""
        return [
            self.pointer(index),
            (fit(row.label, room), tone),
            (" " + fit(row.value, VALUE_WIDTH, right=True), "" if row.is_finite else "bad"),
            (f" {row.course}", "train"),
        ]

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
            course = self._course(curves, metric)
            rows.append(MetricRow(metric, metric_label(metric), value, course, is_finite))
        return rows

    def _course(self, curves: Curves, metric: str) -> str:
        """The sparkline of a metric, drawn anew only if the metric has new points."""
        curve = curves.drawn(metric, "step", 0.0)
        series = curve.line if curve.line.xs else curve.points
        version = len(series.xs), curves.version
        if self._known.get(metric, (None, ""))[0] != version:
            drawn = sparkline(series, SPARK_WIDTH, ascii_only=self._ascii_only)
            self._known[metric] = version, drawn
        return self._known[metric][1]
