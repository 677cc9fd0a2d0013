"""The logged points of one kind as series, kept up to date while a run continues."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tui_loop.core.plot.axis import TOKENS, Axis, place_of
from tui_loop.core.plot.metrics import drawn_scale
from tui_loop.core.plot.series import Kind, Series, kind_of
from tui_loop.core.plot.smoothing import Means
from tui_loop.core.plot.values import Values
from tui_loop.core.record.points import Point, PointLog

Found = tuple[int, float]
"""A place on the x axis, or a step, and the value there, finite or not."""


class _Metric:
    """The finite values of a metric, times `scale`.

    `rows`: their rows among the points, None while every point has one. `nonfinite`: the rows of
    the other values, with the kind of each. `taken`: the values read so far.
    """

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self.values = Values()
        self.rows: array[int] | None = None
        self.nonfinite: list[tuple[int, Kind]] = []
        self._own = array("d")
        self._taken = 0

    def follow(self, points: PointLog, name: str) -> None:
        """Takes the values of the new points."""
        column = points.column(name)
        fresh = column[self._taken :]
        is_whole = self.rows is None and self._scale == 1 and column.is_dense
        if is_whole and math.isfinite(sum(fresh)):
            self.values.follow(column)
            self._taken = len(column)
            return
        if self.rows is None:
            self.rows = column.rows()[: self._taken]
            self._own = array("d", column[: self._taken])
            self.values.follow(self._own)
        for row, value in zip(column.rows(self._taken), fresh, strict=True):
            if math.isfinite(value):
                self.rows.append(row)
                self._own.append(value * self._scale)
            else:
                self.nonfinite.append((row, kind_of(value)))
        self._taken = len(column)


class Track:
    """The points of one kind, in the order of their steps.

    `guide` is the track of the training points of the same run. A point of another kind that has
    no epoch or tokens of its own is placed between the training points around its step.
    `replaced` counts how often other points took the place of the earlier ones.
    """

    def __init__(self, guide: Track | None = None) -> None:
        self._guide = guide
        self._source: PointLog | None = None
        self._newest: Point | None = None
        self.replaced = 0
        self._forget()

    def _forget(self) -> None:
        self.replaced += 1
        self._counted = 0  # tokens before their counter started again
        self._points = PointLog()
        self._places: dict[Axis, array[int]] = {}
        self._placed: dict[Axis, tuple[int, int, int]] = {}
        self._metrics: dict[str, _Metric] = {}
        self._rows_placed: dict[tuple[Axis, str], tuple[tuple[int, int], array[int]]] = {}
        self._means: dict[str, tuple[Means, Values]] = {}
        self.steps = array("q")
        self.names: dict[str, None] = {}
        self.nonfinite: list[int] = []

    def follow(self, points: Sequence[Point], most: int | None = None) -> bool:
        """Adds the new points among `points`, at most so many; returns whether there are any.

        Points that do not extend the earlier ones replace them: those of another run, or of an
        attempt that started again. A log is known by its memory, a list by its newest point.
        """
        count, known = len(points), len(self)
        continues = count >= known and (not known or self._continues(points, known))
        if continues and count == known:
            return False
        if not continues:
            self._forget()
        start = len(self)
        end = count if most is None else min(count, start + most)
        self._take(points, start, end)
        if isinstance(points, PointLog):
            self._source, self._newest = points, None
        else:
            self._source, self._newest = None, points[end - 1] if end else None
        return True

    def _continues(self, points: Sequence[Point], known: int) -> bool:
        if isinstance(points, PointLog):
            return self._source is not None and points.shares(self._source)
        return points[known - 1] is self._newest

    def __len__(self) -> int:
        """Returns the number of points so far."""
        return len(self._points)

    def _take(self, points: Sequence[Point], start: int, end: int) -> None:
        if isinstance(points, PointLog) and points.shares(self._points if start else points):
            self._points = points.until(end)  # shares its memory
        else:
            for point in points[start:end]:
                self._points.append(point)
        fresh = self._points.steps[start:end]
        self.steps.extend(fresh)
        if any(after < before for before, after in pairwise(self.steps[max(0, start - 1) :])):
            ordered = sorted(self._points, key=lambda point: point.step)
            self._forget()
            self._points, start = PointLog(ordered), 0
            self.steps.extend(self._points.steps)
        self.names.update(dict.fromkeys(self._points.names))
        self.nonfinite += [point.step for point in self._points.nonfinite(start)]
        for name, metric in self._metrics.items():
            metric.follow(self._points, name)

    @property
    def origin(self) -> float | None:
        """The moment at which time is 0: that of the first point."""
        return self._points[0].t if self._points else None

    def has(self, axis: Axis) -> bool:
        """Returns whether the points have different places on an axis of their own."""
        if axis == "step" or not len(self):
            return axis == "step"
        if axis == "tokens":
            return TOKENS in self.names
        first, last = self._points[0], self._points[-1]
        if axis == "epoch":
            return last.epoch is not None
        return place_of("time", last.t - first.t) not in (None, 0)

    def xs(self, axis: Axis) -> Sequence[int]:
        """Returns the places of all points on an axis; they never fall."""
        if axis == "step":
            return self.steps
        if self._placed.get(axis) != self._version:
            xs = self._places.setdefault(axis, array("q"))
            if self._guide is not None:  # new training points may move those between them
                del xs[:]
            self._place_new(axis, xs)
            self._placed[axis] = self._version
        return self._places[axis]

    @property
    def _version(self) -> tuple[int, int, int]:
        """What places depend on: the points so far, and those of the guide."""
        guide = self._guide
        return len(self), len(guide or ()), guide.replaced if guide else 0

    def _place_new(self, axis: Axis, xs: array[int]) -> None:
        """Extends the places of earlier points with those of the new ones.

        The counter of tokens starts again at 0 in some resumed runs: then it continues from where
        it was. A clock that was set back stops until it is at its old time again.
        """
        guide = self._guide
        last = xs[-1] if xs else None
        for row, value in enumerate(self._logged(axis, len(xs)), len(xs)):
            place = place_of(axis, value)
            if place is None:
                place = guide.place(axis, self.steps[row]) if guide else last or 0
            elif axis == "tokens":
                if last is not None and place + self._counted < last:
                    self._counted = last
                place += self._counted
            last = place if last is None else max(place, last)
            xs.append(last)

    def _logged(self, axis: Axis, start: int) -> Iterable[float | None]:
        """What the points from row `start` on logged of an axis, NaN or None for nothing."""
        points, guide = self._points, self._guide
        if axis == "epoch":
            return points.epochs[start : len(self)]
        if axis == "time":
            origin = self.origin if guide is None or guide.origin is None else guide.origin
            return [t - (origin or 0.0) for t in points.times[start : len(self)]]
        if guide is not None:
            return [None] * (len(self) - start)
        counts = points.column(TOKENS)
        if counts.is_dense:
            return counts[start:]
        return [point.values.get(TOKENS) for point in points[start:]]

    def place(self, axis: Axis, step: int) -> int:
        """Returns the place of any step, between those of the points around it."""
        steps, xs = self.steps, self.xs(axis)
        if axis == "step" or not steps:
            return step if axis == "step" else 0
        at = bisect_left(steps, step)
        if at == len(steps) or steps[at] == step or at == 0:
            return xs[min(at, len(xs) - 1)]
        before, after = steps[at - 1], steps[at]
        return xs[at - 1] + (xs[at] - xs[at - 1]) * (step - before) // (after - before)

    def series(self, name: str, axis: Axis = "step") -> Series:
        """Returns the series of a metric over all points so far."""
        if name not in self._metrics:
            self._metrics[name] = _Metric(drawn_scale(name))
            self._metrics[name].follow(self._points, name)
        metric, xs = self._metrics[name], self.xs(axis)
        if metric.rows is None:
            return Series(xs, metric.values)
        nonfinite = [(xs[row], kind) for row, kind in metric.nonfinite]
        return Series(self._places_of(metric.rows, name, axis), metric.values, nonfinite)

    def _places_of(self, rows: Sequence[int], name: str, axis: Axis) -> Sequence[int]:
        """The places of some rows; those that cannot have moved are kept."""
        xs, version = self.xs(axis), self._version[1:]
        known_version, known = self._rows_placed.get((axis, name), (version, array("q")))
        if known_version != version:
            known = array("q")
        known.extend(xs[row] for row in rows[len(known) :])
        self._rows_placed[axis, name] = version, known
        return known

    def smoothed(self, name: str, weight: float, axis: Axis = "step") -> Series:
        """Returns the series of a metric smoothed with `weight`, at the same places."""
        series = self.series(name, axis)
        known = self._means.get(name)
        if known is None or known[0].weight != weight:
            means = Means(self._metrics[name].values, weight)
            known = self._means[name] = means, Values(means)
        return Series(series.xs, known[1])

    def at(self, step: int) -> dict[str, float]:
        """Returns every value that was logged at `step`."""
        values: dict[str, float] = {}
        for index in range(bisect_left(self.steps, step), bisect_right(self.steps, step)):
            values.update(self._points[index].values)
        return values

    def latest(self, name: str, until: int | None = None) -> Found | None:
        """Returns the newest step and value of a metric, finite or not, up to the step `until`."""
        count = len(self) if until is None else bisect_right(self.steps, until)
        column = self._points.until(count).column(name)
        if not len(column):
            return None
        return self.steps[column.row_of(len(column) - 1)], column[-1] * drawn_scale(name)

    def nearest(self, name: str, axis: Axis, x: int) -> Found | None:
        """Returns the place and value, finite or not, of the metric's point nearest to `x`.

        Of two that are equally near it is the earlier one; of several at one place, the newest.
        """
        xs, column = self.xs(axis), self._points.column(name)
        following = len(self._points.until(bisect_right(xs, x)).column(name))
        near = [at for at in (following - 1, following) if 0 <= at < len(column)]
        if not near:
            return None
        at = min(near, key=lambda index: abs(xs[column.row_of(index)] - x))
        return xs[column.row_of(at)], column[at] * drawn_scale(name)
