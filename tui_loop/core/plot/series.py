"""Series of logged metrics for charts: smoothed, and reduced to columns."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from tui_loop.core.record.state import Point

Kind = Literal["nan", "inf", "-inf"]
_NO_BIAS = 1e-20
"""A bias that a float does not show: from then on a mean is the plain moving average."""

Extremes = tuple[float, float]
"""The smallest and the largest value of a chart column."""


class Series(msgspec.Struct):
    """The values of one metric: `values[i]` is at place `xs[i]` of the x axis, a step or another.

    Places never fall, and values are finite. `nonfinite` has the places without a finite value,
    and the kind of each. A series is mutable and belongs to the code that extends it.
    """

    xs: list[int] = []
    values: list[float] = []
    nonfinite: list[tuple[int, Kind]] = []

    def within(self, low: int, high: int) -> Series:
        """Returns the points from place `low` to `high`."""
        xs = self.xs
        if not xs or (low <= xs[0] and xs[-1] <= high):
            return self
        part = slice(bisect_left(xs, low), bisect_right(xs, high))
        return Series(xs[part], self.values[part])

    def positive(self, low: int, high: int) -> Series:
        """Returns the points from place `low` to `high` whose values have a logarithm."""
        near = self.within(low, high)
        if not near.values or min(near.values) > 0:
            return near
        kept = [pair for pair in zip(near.xs, near.values, strict=True) if pair[1] > 0]
        return Series([x for x, _ in kept], [value for _, value in kept])


def series_of(points: Sequence[Point], name: str) -> Series:
    """Returns the series of `name` over the steps of `points`, which must be in their order."""
    return extend(Series(), points, name)


def extend(
    series: Series,
    points: Sequence[Point],
    name: str,
    xs: Sequence[int] | None = None,
    scale: float = 1.0,
) -> Series:
    """Extends `series` in place with the values of `name` in `points`, times `scale`.

    `xs` are the places of the points, by default their steps.
    """
    places: Sequence[int] = [point.step for point in points] if xs is None else xs
    logged = [point.values.get(name, math.nan) for point in points]
    if math.isfinite(sum(logged)):  # nearly always: every point has a finite value
        series.xs.extend(places)
        series.values.extend(logged if scale == 1 else [value * scale for value in logged])
        return series
    add_x, add_value, isfinite = series.xs.append, series.values.append, math.isfinite
    for point, value, x in zip(points, logged, places, strict=True):
        if isfinite(value):
            add_x(x)
            add_value(value * scale)
        elif name in point.values:
            series.nonfinite.append((x, kind_of(value)))
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
    finite = [value for value in values if math.isfinite(value)]
    mean = known[-1] if known else 0.0
    power = weight ** len(known)
    fresh = 1.0 - weight
    biased = 0
    for value in finite:
        if power < _NO_BIAS:
            break
        power *= weight
        gain = fresh / (1.0 - power)
        mean = mean * (1.0 - gain) + value * gain  # a difference of two floats may overflow
        means.append(mean)
        biased += 1
    for value in finite[biased:]:
        mean = mean * weight + value * fresh
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
