"""How a run is looked at: metric, scale, smoothing, zoom and cursor, and how keys change them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from tui_loop.core.plot.series import column_of, column_start

Range = tuple[int, int]
"""The first and the last step of what is looked at."""

WEIGHTS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99)
_LEAST_SPAN = 2  # steps; a closer look shows nothing more


class ChartView(msgspec.Struct, frozen=True):
    """What belongs to the eye and not to the run. `zoom` None is the whole history."""

    metric: str = "loss"
    weight: float = 0.6
    log: bool = False
    overlay: bool = True
    zoom: Range | None = None
    cursor: int | None = None

    def shown(self, whole: Range) -> Range:
        """The range to draw of a history that is `whole`."""
        return self.zoom or whole


def with_weight(view: ChartView, by: int) -> ChartView:
    """`view` smoothed `by` places more in WEIGHTS, up to either end."""
    nearest = min(range(len(WEIGHTS)), key=lambda place: abs(WEIGHTS[place] - view.weight))
    place = min(max(nearest + by, 0), len(WEIGHTS) - 1)
    return msgspec.structs.replace(view, weight=WEIGHTS[place])


def metric_of(view: ChartView, names: Sequence[str]) -> str:
    """The metric to draw: the chosen one, or the first where a run has no such metric."""
    return view.metric if view.metric in names or not names else names[0]


def with_next_metric(view: ChartView, names: Sequence[str]) -> ChartView:
    """`view` of the metric after the one that is drawn, round and round."""
    if not names:
        return view
    place = names.index(metric_of(view, names)) + 1
    return msgspec.structs.replace(view, metric=names[place % len(names)])


def zoomed(view: ChartView, whole: Range, *, closer: bool, around: int | None = None) -> ChartView:
    """`view` of half or twice the steps; what is at `around` stays in its place.

    Without `around` that is the cursor if it is in sight, else the end of what is shown.
    """
    low, high = view.shown(whole)
    span = high - low
    new = max(span // 2, _LEAST_SPAN) if closer else span * 2
    if closer and new >= span:
        return view
    if not closer and new >= 0.9 * (whole[1] - whole[0]):  # halves are whole steps: no odd rest
        return msgspec.structs.replace(view, zoom=None)
    anchor = view.cursor if around is None else around
    if anchor is None or not low <= anchor <= high:
        anchor = high
    start = anchor - (anchor - low) * new // span if span else low
    start = min(max(start, whole[0]), whole[1] - new)
    return msgspec.structs.replace(view, zoom=(start, start + new))


def with_cursor_moved(
    view: ChartView, whole: Range, steps: Sequence[int], columns: int, by: int
) -> ChartView:
    """`view` with the cursor on the logged step at least `by` columns on, left where negative.

    The first move puts it on the last logged step in sight. A zoomed view follows the cursor
    where that leaves it.
    """
    if not steps:
        return view
    low, high = view.shown(whole)
    columns = max(columns, 1)
    if view.cursor is None:
        step = steps[max(bisect_left(steps, high + 1) - 1, 0)]
    elif high <= low:
        step = snapped(steps, view.cursor + by)
    else:
        target = column_of(view.cursor, low, high, columns) + by
        if by > 0:
            found = bisect_left(steps, column_start(target, low, high, columns))
            step = steps[min(found, len(steps) - 1)]
        else:
            found = bisect_left(steps, column_start(target + 1, low, high, columns))
            step = steps[max(found - 1, 0)]
    return _followed(msgspec.structs.replace(view, cursor=step))


def with_cursor_at(
    view: ChartView, whole: Range, steps: Sequence[int], columns: int, column: int
) -> ChartView:
    """`view` with the cursor on the logged step nearest to the middle of a column."""
    if not steps or columns < 1:
        return view
    low, high = view.shown(whole)
    return msgspec.structs.replace(view, cursor=snapped(steps, step_at(low, high, columns, column)))


def step_at(low: int, high: int, columns: int, column: int) -> int:
    """The step in the middle of a column."""
    return low + (2 * column + 1) * (high - low) // (2 * columns)


def snapped(steps: Sequence[int], step: int) -> int:
    """The logged step nearest to `step`; `steps` are sorted and not empty."""
    place = bisect_left(steps, step)
    around = steps[max(place - 1, 0) : place + 1]
    return min(around, key=lambda logged: abs(logged - step))


def _followed(view: ChartView) -> ChartView:
    if view.zoom is None or view.cursor is None:
        return view
    low, high = view.zoom
    by = max(view.cursor - high, 0) + min(view.cursor - low, 0)
    return msgspec.structs.replace(view, zoom=(low + by, high + by))
