"""Series of logged metrics for charts: smoothed, and reduced to columns."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from tui_loop.core.record.state import Point

Kind = Literal["nan", "inf", "-inf"]
Extremes = tuple[float, float]
"""The smallest and the largest value of a chart column."""

_FIRST = ("loss", "score", "mean_token_accuracy", "entropy", "grad_norm", "learning_rate")
_LAST = ("num_tokens",)
_EVALUATED = "eval_"


class Series(msgspec.Struct):
    """The values of one metric: `values[i]` was logged at `steps[i]`.

    Steps never fall, and values are finite. `nonfinite` has the steps without a finite value, and
    the kind of each. A series is mutable and belongs to the code that extends it.
    """

    steps: list[int] = []
    values: list[float] = []
    nonfinite: list[tuple[int, Kind]] = []


def series_of(points: Iterable[Point], name: str) -> Series:
    """Returns the series of the metric `name` in `points`, which must be in the order of steps."""
    return extend(Series(), points, name)


def extend(series: Series, points: Iterable[Point], name: str) -> Series:
    """Extends `series` in place with the values of the metric `name` in `points`."""
    add_step, add_value, isfinite = series.steps.append, series.values.append, math.isfinite
    for point in points:
        value = point.values.get(name)
        if value is None:
            continue
        if isfinite(value):
            add_step(point.step)
            add_value(value)
        else:
            series.nonfinite.append((point.step, kind_of(value)))
    return series


def kind_of(value: float) -> Kind:
    """Returns the name of a non-finite value."""
    if math.isnan(value):
        return "nan"
    return "inf" if value > 0 else "-inf"


def smoothed(values: Iterable[float], weight: float, known: Sequence[float] = ()) -> list[float]:
    """Returns the debiased exponential moving average of `values`: one mean per finite value.

    `weight` in [0, 1) is the share that a mean keeps of the previous mean; 0 does not smooth.
    `known` are the means of the values before these, so that a growing series continues.

    Source: the bias correction of Kingma and Ba, "Adam", 2015, section 3, which TensorBoard's
    scalar charts use too. With m(t) = w m(t-1) + (1-w) x(t) from m(0) = 0, the mean is
    m(t) / (1 - w^t). Written without m, it is s(t) = s(t-1) + g (x(t) - s(t-1)) with
    g = (1-w) / (1 - w^t).
    """
    means: list[float] = []
    mean = known[-1] if known else 0.0
    power = weight ** len(known)
    fresh = 1.0 - weight
    for value in values:
        if not math.isfinite(value):
            continue
        power *= weight
        gain = fresh / (1.0 - power)
        mean = mean * (1.0 - gain) + value * gain  # a difference of two floats may overflow
        means.append(mean)
    return means


def column_start(column: int, low: int, high: int, columns: int) -> int:
    """Returns the smallest step of a chart column, where `columns` share the steps low to high."""
    return low - (-(high - low) * column) // columns


def column_of(step: int, low: int, high: int, columns: int) -> int:
    """Returns the column of `step`.

    The last one includes `high`. Steps outside are extrapolated.
    """
    if high <= low:
        return columns // 2
    return columns - 1 if step == high else (step - low) * columns // (high - low)


def per_column(
    xs: Sequence[int], ys: Sequence[float], low: int, high: int, columns: int
) -> list[Extremes | None]:
    """Returns the true minimum and maximum of each of `columns` columns from step `low` to `high`.

    `xs` must be sorted and `ys` finite. A column without a point is None. Points outside the range
    are in no column. The cost is two binary searches per column and one pass over the values.
    """
    found: list[Extremes | None] = [None] * columns
    if not columns:
        return found
    if high <= low:
        cuts = {columns // 2: (bisect_left(xs, low), bisect_right(xs, high))}
    else:
        starts = [bisect_left(xs, column_start(k, low, high, columns)) for k in range(columns)]
        ends = [*starts[1:], bisect_right(xs, high)]
        cuts = dict(enumerate(zip(starts, ends, strict=True)))
    for column, (start, end) in cuts.items():
        if end - start == 1:
            found[column] = (ys[start], ys[start])
        elif end > start:
            part = ys[start:end]
            found[column] = (min(part), max(part))
    return found


def metric_names(logged: Iterable[str], evaluated: Iterable[str]) -> list[str]:
    """Returns the metrics that can be drawn, from the names in training logs and in evaluations.

    The loss comes first. `eval_x` belongs to `x` and is not a separate metric. The score is one,
    although only evaluations have it.
    """
    names = {*logged, *(name.removeprefix(_EVALUATED) for name in evaluated)}
    known = [name for name in _FIRST if name in names]
    rest = sorted(names.difference(_FIRST, _LAST))
    return [*known, *rest, *(name for name in _LAST if name in names)]


def evaluated_name(metric: str, evaluated: Iterable[str]) -> str | None:
    """Returns the name of `metric` in evaluations: `eval_loss` for `loss`, else its own."""
    names = set(evaluated)
    return next((name for name in (_EVALUATED + metric, metric) if name in names), None)


class Track:
    """The logged points of one kind and their series, updated while a run continues."""

    def __init__(self) -> None:
        self._newest: Point | None = None
        self._forget()

    def _forget(self) -> None:
        self._points: list[Point] = []
        self._series: dict[str, Series] = {}
        self._taken: dict[str, int] = {}
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
        goes_on = count >= known and (not known or points[known - 1] is self._newest)
        if goes_on and count == known:
            return False
        if not goes_on:
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

    def series(self, name: str) -> Series:
        """Returns the series of a metric over all points so far."""
        series = self._series.setdefault(name, Series())
        taken = self._taken.get(name, 0)
        if taken < len(self._points):
            extend(series, self._points[taken:], name)
            self._taken[name] = len(self._points)
        return series

    def smoothed(self, name: str, weight: float) -> Series:
        """Returns the series of a metric smoothed with `weight`, on the same steps."""
        series = self.series(name)
        known_weight, means = self._means.get(name, (weight, []))
        if known_weight != weight:
            means = []
        means.extend(smoothed(series.values[len(means) :], weight, means))
        self._means[name] = (weight, means)
        return Series(series.steps, means)

    def at(self, step: int) -> dict[str, float]:
        """Returns every value that was logged at `step`."""
        values: dict[str, float] = {}
        for index in range(bisect_left(self.steps, step), bisect_right(self.steps, step)):
            values.update(self._points[index].values)
        return values

    def latest(self, name: str, until: int | None = None) -> tuple[int, float] | None:
        """Returns the newest step and value of a metric, finite or not, up to the step `until`."""
        count = len(self._points) if until is None else bisect_right(self.steps, until)
        for index in range(count - 1, -1, -1):
            point = self._points[index]
            if name in point.values:
                return point.step, point.values[name]
        return None
