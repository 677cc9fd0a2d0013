"""The view of a run: metric, axes, smoothing, zoom and cursor, and how keys change them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from tui_loop.core.plot.axis import AXES, Axis
from tui_loop.core.plot.clip import Shown
from tui_loop.core.plot.scale import Scale
from tui_loop.core.plot.series import column_of, column_start

Range = tuple[int, int]
"""The first and the last place on the x axis of what is shown."""

Layout = Literal["auto", "single", "list", "grid"]
"""`auto`: the list of metrics beside the chart where there is room for it."""

WEIGHTS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99)
_LEAST_SPAN = 2  # places; a narrower range shows nothing more
_LEAST_SHARE = 1e-6  # of the values of a run: floats have few more digits


class ChartView(msgspec.Struct, frozen=True):
    """The settings of a chart.

    `zoom` None is the whole history, `y` None the range of the values in it. Both and `cursor`,
    a step, belong to one run; the other fields hold for all runs of a loop.
    """

    metric: str = "loss"
    x: Axis = "step"
    weight: float = 0.6
    log: bool = False
    clip: bool = True
    overlay: bool = True
    layout: Layout = "auto"
    zoom: Range | None = None
    y: tuple[float, float] | None = None
    cursor: int | None = None

    def shown(self, whole: Range) -> Range:
        """The range to draw of a history that is `whole`."""
        return self.zoom or whole

    def to_json(self) -> dict[str, Any]:
        """The settings to remember for a loop: those that do not belong to one run."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return {name: value for name, value in values.items() if name not in _OF_A_RUN}


_OF_A_RUN = ("zoom", "y", "cursor")


def view_from(stored: object) -> ChartView:
    """The view from `to_json`, with defaults for invalid values."""
    known: dict[str, Any] = {}
    for field in msgspec.structs.fields(ChartView):
        if isinstance(stored, dict) and field.name in stored and field.name not in _OF_A_RUN:
            try:
                known[field.name] = msgspec.convert(stored[field.name], field.type)
            except msgspec.ValidationError:
                continue
    if known.get("weight", 0.0) not in WEIGHTS:
        del known["weight"]
    return ChartView(**known)


def with_choices_of(view: ChartView, choices: ChartView) -> ChartView:
    """`view` of a run with the settings of the loop from `choices`.

    Its zoom belongs to its x axis, and its range of values to the metric and scale.
    """
    keeps_x = view.x == choices.x
    keeps_y = keeps_x and (view.metric, view.log) == (choices.metric, choices.log)
    return msgspec.structs.replace(
        choices,
        zoom=view.zoom if keeps_x else None,
        y=view.y if keeps_y else None,
        cursor=view.cursor,
    )


def without_zoom(view: ChartView) -> ChartView:
    return msgspec.structs.replace(view, zoom=None, y=None)


def without_innermost(view: ChartView) -> ChartView:
    """`view` without the cursor, or if there is none, without the zoom."""
    if view.cursor is not None:
        return msgspec.structs.replace(view, cursor=None)
    return without_zoom(view)


def with_weight(view: ChartView, by: int) -> ChartView:
    """`view` smoothed `by` places more in WEIGHTS, up to either end."""
    nearest = min(range(len(WEIGHTS)), key=lambda place: abs(WEIGHTS[place] - view.weight))
    place = min(max(nearest + by, 0), len(WEIGHTS) - 1)
    return msgspec.structs.replace(view, weight=WEIGHTS[place])


def metric_of(view: ChartView, names: Sequence[str]) -> str:
    """The metric to draw: the chosen one, or the first where a run has no such metric."""
    return view.metric if view.metric in names or not names else names[0]


def with_metric(view: ChartView, metric: str) -> ChartView:
    """`view` of another metric, whose values have a range of their own."""
    if metric == view.metric:
        return view
    return msgspec.structs.replace(view, metric=metric, y=None)


def with_next_metric(view: ChartView, names: Sequence[str], by: int = 1) -> ChartView:
    """`view` of a metric before or after the one that is drawn, in a circle."""
    if not names:
        return view
    place = names.index(metric_of(view, names)) + by
    return with_metric(view, names[place % len(names)])


def axis_of(view: ChartView, available: Sequence[Axis]) -> Axis:
    """The x axis to draw: the chosen one, or steps where a run has no such axis."""
    return view.x if view.x in available else "step"


def next_axis(axis: Axis, available: Sequence[Axis]) -> Axis:
    """The x axis after `axis`, of those that a run has, in a circle."""
    order = [each for each in AXES if each in available]
    return order[(order.index(axis) + 1) % len(order)]


def with_axis(view: ChartView, axis: Axis, old: Sequence[int], new: Sequence[int]) -> ChartView:
    """`view` over another x axis, zoomed on the same points.

    `old` and `new` are the places of the run's points on the two axes.
    """
    zoom = None
    if view.zoom is not None and old:
        first = min(bisect_left(old, view.zoom[0]), len(old) - 1)
        last = max(bisect_right(old, view.zoom[1]) - 1, 0)
        zoom = (new[first], new[last]) if new[last] > new[first] else None
    return msgspec.structs.replace(view, x=axis, zoom=zoom)


def zoomed(
    view: ChartView,
    whole: Range,
    *,
    closer: bool,
    around: int | None = None,
    least: int = _LEAST_SPAN,
) -> ChartView:
    """`view` of half or twice the x axis; what is at place `around` does not move.

    Without `around`, or where it is out of sight, that is the end of what is shown.
    """
    low, high = view.shown(whole)
    span = high - low
    new = max(span // 2, least, _LEAST_SPAN) if closer else span * 2
    if closer and new >= span:
        return view
    if not closer and new >= 0.9 * (whole[1] - whole[0]):  # rounding may leave it slightly smaller
        return msgspec.structs.replace(view, zoom=None)
    anchor = around
    if anchor is None or not low <= anchor <= high:
        anchor = high
    start = anchor - (anchor - low) * new // span if span else low
    start = min(max(start, whole[0]), whole[1] - new)
    return msgspec.structs.replace(view, zoom=(start, start + new))


def zoomed_y(view: ChartView, shown: Shown, *, closer: bool, around: float) -> ChartView:
    """`view` of half or twice the values that are `shown`; `around` does not move.

    As many values as an unzoomed view has, or more, are the unzoomed view again.
    """
    low, high = view.y or (shown.low, shown.high)
    scale = Scale(low, high, view.log)
    if closer:
        around = min(max(around, low), high)
        place = scale.place(around)
        low, high = scale.value(place / 2), scale.value(0.5 + place / 2)
        if not low < high or high / 2 - low / 2 <= _LEAST_SHARE * max(abs(low), abs(high)) / 2:
            return view
        return msgspec.structs.replace(view, y=(low, high))
    place = scale.place(min(max(around, low), high))
    low, high = scale.value(-place), scale.value(2 - place)
    unzoomed = Scale(shown.low, shown.high, view.log)
    if (
        Scale(low, high, view.log).height >= 0.98 * unzoomed.height
    ):  # rounding may leave it slightly smaller
        return msgspec.structs.replace(view, y=None)
    return msgspec.structs.replace(view, y=(low, high))


class Places(msgspec.Struct, frozen=True):
    """Where a cursor can be: on `steps`, whose places are `xs`, of a chart with `columns`.

    There is at least one of each. `whole` is the range of an unzoomed view.
    """

    whole: Range
    steps: Sequence[int]
    xs: Sequence[int]
    columns: int


def with_cursor_moved(view: ChartView, places: Places, by: int) -> ChartView:
    """`view` with the cursor on a logged step at least `by` columns to the right, or left.

    The first move puts the cursor on the last logged step in sight. A zoomed view scrolls to
    keep the cursor in sight.
    """
    low, high = view.shown(places.whole)
    steps, xs, columns = places.steps, places.xs, places.columns
    if view.cursor is None:
        at = max(bisect_left(xs, high + 1) - 1, 0)
    else:
        at = nearest_index(steps, view.cursor)
        column = column_of(xs[at], low, high, columns)
        if high <= low:
            at += by
        elif by > 0:
            at = max(bisect_left(xs, column_start(column + by, low, high, columns)), at + 1)
        else:
            start = column_start(column + by + 1, low, high, columns)
            at = min(bisect_left(xs, start) - 1, at - 1)
        at = min(max(at, 0), len(steps) - 1)
    return _followed(msgspec.structs.replace(view, cursor=steps[at]), xs[at])


def with_cursor_at(view: ChartView, places: Places, column: int) -> ChartView:
    """`view` with the cursor on the logged step nearest to the middle of a column."""
    low, high = view.shown(places.whole)
    at = nearest_index(places.xs, place_at(low, high, places.columns, column))
    return msgspec.structs.replace(view, cursor=places.steps[at])


def place_at(low: int, high: int, columns: int, column: int) -> int:
    """The place in the middle of a column."""
    return low + (2 * column + 1) * (high - low) // (2 * columns)


def nearest_index(places: Sequence[int], place: int) -> int:
    """The index of the place nearest to `place`; `places` are sorted and not empty."""
    at = bisect_left(places, place)
    around = range(max(at - 1, 0), min(at + 1, len(places)))
    return min(around, key=lambda index: abs(places[index] - place))


def _followed(view: ChartView, cursor: int) -> ChartView:
    """`view` scrolled so that the place `cursor` is in sight."""
    if view.zoom is None:
        return view
    low, high = view.zoom
    by = max(cursor - high, 0) + min(cursor - low, 0)
    return msgspec.structs.replace(view, zoom=(low + by, high + by))
