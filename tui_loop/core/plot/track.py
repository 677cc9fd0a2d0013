"""The logged points of one kind as series, kept up to date while a run continues."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from tui_loop.core.plot.axis import TOKENS, Axis, place_of
from tui_loop.core.plot.metrics import drawn_scale
from tui_loop.core.plot.series import Series, extend, smoothed
from tui_loop.core.record.state import Point

Found = tuple[int, float]
"""A place on the x axis, or a step, and the value there, finite or not."""


class Track:
    """The points of one kind, in the order of their steps.

    `guide` is the track of the training points of the same run. A point of another kind that has
    no epoch or tokens of its own is placed between the training points around its step.
    `replaced` counts how often other points took the place of the earlier ones.
    """

    def __init__(self, guide: Track | None = None) -> None:
        self._guide = guide
        self._newest: Point | None = None
        self.replaced = 0
        self._forget()

    def _forget(self) -> None:
        self.replaced += 1
        self._counted = 0  # tokens before their counter started again
        self._points: list[Point] = []
        self._places: dict[Axis, list[int]] = {}
        self._placed: dict[Axis, tuple[int, int, int]] = {}
        self._series: dict[tuple[Axis, str], Series] = {}
        self._taken: dict[tuple[Axis, str], tuple[int, int, int]] = {}
        self._means: dict[str, tuple[float, list[float]]] = {}
        self.steps: list[int] = []
        self.names: dict[str, None] = {}
        self.nonfinite: list[int] = []

    def follow(self, points: Sequence[Point], most: int | None = None) -> bool:
        """Adds the new points among `points`, at most so many; returns whether there are any.

        Points that do not extend the earlier ones replace them: those of another run, or of an
        attempt that started again. The identity of the newest point distinguishes the two cases.
        """
        count, known = len(points), len(self._points)
        continues = count >= known and (not known or points[known - 1] is self._newest)
        if continues and count == known:
            return False
        if not continues:
            self._forget()
        start = len(self._points)
        end = count if most is None else min(count, start + most)
        self._take(points[start:end])
        self._newest = points[end - 1] if end else None
        return True

    def __len__(self) -> int:
        """Returns the number of points so far."""
        return len(self._points)

    def _take(self, fresh: Sequence[Point]) -> None:
        steps = [point.step for point in fresh]
        beyond = self.steps[-1:] + steps
        if any(after < before for before, after in pairwise(beyond)):
            fresh = sorted([*self._points, *fresh], key=lambda point: point.step)
            steps = [point.step for point in fresh]
            self._forget()
        self._points.extend(fresh)
        self.steps.extend(steps)
        for point in fresh:
            values = point.values.values()
            if not point.values.keys() <= self.names.keys():
                self.names.update(dict.fromkeys(point.values))
            # One sum is cheaper than a check of each value, but finite values may sum to infinity.
            if not math.isfinite(sum(values)) and not all(map(math.isfinite, values)):
                self.nonfinite.append(point.step)

    @property
    def origin(self) -> float | None:
        """The moment at which time is 0: that of the first point."""
        return self._points[0].t if self._points else None

    def has(self, axis: Axis) -> bool:
        """Returns whether the points have different places on an axis of their own."""
        if axis == "step" or not self._points:
            return axis == "step"
        first, last = self._points[0], self._points[-1]
        if axis == "epoch":
            return last.epoch is not None
        if axis == "tokens":
            return TOKENS in self.names
        return place_of("time", last.t - first.t) not in (None, 0)

    def xs(self, axis: Axis) -> list[int]:
        """Returns the places of all points on an axis; they never fall."""
        if axis == "step":
            return self.steps
        if self._placed.get(axis) != self._version:
            xs = self._places.setdefault(axis, [])
            if self._guide is not None:  # new training points may move those between them
                xs.clear()
            self._place_new(axis, xs)
            self._placed[axis] = self._version
        return self._places[axis]

    @property
    def _version(self) -> tuple[int, int, int]:
        """What places depend on: the points so far, and those of the guide."""
        guide = self._guide
        return len(self._points), len(guide or ()), guide.replaced if guide else 0

    def _place_new(self, axis: Axis, xs: list[int]) -> None:
        """Extends the places of earlier points with those of the new ones.

        The counter of tokens starts again at 0 in some resumed runs: then it continues from where
        it was. A clock that was set back stops until it is at its old time again.
        """
        guide = self._guide
        origin = self.origin if guide is None or guide.origin is None else guide.origin
        last = xs[-1] if xs else None
        for point in self._points[len(xs) :]:
            place = self._own(axis, point, origin or 0.0)
            if place is None:
                place = guide.place(axis, point.step) if guide else last or 0
            elif axis == "tokens":
                if last is not None and place + self._counted < last:
                    self._counted = last
                place += self._counted
            last = place if last is None else max(place, last)
            xs.append(last)

    def _own(self, axis: Axis, point: Point, origin: float) -> int | None:
        if axis == "time":
            return place_of(axis, point.t - origin)
        if axis == "tokens":
            return place_of(axis, point.values.get(TOKENS)) if self._guide is None else None
        return place_of(axis, point.epoch)

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
        key = axis, name
        if self._taken.get(key) != self._version:
            series = self._series.setdefault(key, Series())
            taken = self._taken.get(key, (0,))[0]
            if self._guide is not None and axis != "step":
                series = self._series[key] = Series()
                taken = 0
            xs = self.xs(axis)
            fresh = (self._points[taken:], xs[taken:]) if taken else (self._points, xs)
            extend(series, fresh[0], name, fresh[1], drawn_scale(name))
            self._taken[key] = self._version
        return self._series[key]

    def smoothed(self, name: str, weight: float, axis: Axis = "step") -> Series:
        """Returns the series of a metric smoothed with `weight`, at the same places."""
        series = self.series(name, axis)
        known_weight, means = self._means.get(name, (weight, []))
        if known_weight != weight:
            means = []
        means.extend(smoothed(series.values[len(means) :], weight, means))
        self._means[name] = (weight, means)
        return Series(series.xs, means)

    def at(self, step: int) -> dict[str, float]:
        """Returns every value that was logged at `step`."""
        values: dict[str, float] = {}
        for index in range(bisect_left(self.steps, step), bisect_right(self.steps, step)):
            values.update(self._points[index].values)
        return values

    def latest(self, name: str, until: int | None = None) -> Found | None:
        """Returns the newest step and value of a metric, finite or not, up to the step `until`."""
        count = len(self._points) if until is None else bisect_right(self.steps, until)
        for index in range(count - 1, -1, -1):
            point = self._points[index]
            if name in point.values:
                return point.step, point.values[name] * drawn_scale(name)
        return None

    def nearest(self, name: str, axis: Axis, x: int) -> Found | None:
        """Returns the place and value, finite or not, of the metric's point nearest to `x`.

        Of two that are equally near it is the earlier one; of several at one place, the newest.
        """
        xs, points = self.xs(axis), self._points
        if name not in self.names:
            return None
        middle = bisect_right(xs, x)
        before = next((at for at in range(middle - 1, -1, -1) if name in points[at].values), None)
        after = next((at for at in range(middle, len(xs)) if name in points[at].values), None)
        near = [at for at in (before, after) if at is not None]
        at = min(near, key=lambda index: abs(xs[index] - x))
        return xs[at], points[at].values[name] * drawn_scale(name)
