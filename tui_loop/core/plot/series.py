"""Series of logged metrics for charts: smoothed, and reduced to columns."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from tui_loop.core.plot.values import Extremes, extremes_of
from tui_loop.core.record.points import Point

Kind = Literal["nan", "inf", "-inf"]


class Series(msgspec.Struct, eq=False):
    """The values of one metric: `values[i]` is at place `xs[i]` of the x axis, a step or another.

    Places never fall, and values are finite. `nonfinite` has the places without a finite value,
    and the kind of each. A series of a live run grows at its end.
    """

    xs: Sequence[int] = ()
    values: Sequence[float] = ()
    nonfinite: list[tuple[int, Kind]] = []

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Series):
            return NotImplemented
        return (list(self.xs), list(self.values), self.nonfinite) == (
            list(other.xs),
            list(other.values),
            other.nonfinite,
        )

    __hash__ = None  # type: ignore[assignment]

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
        if not near.values or extremes_of(near.values)[0] > 0:
            return near
        kept = [pair for pair in zip(near.xs, near.values, strict=True) if pair[1] > 0]
        return Series([x for x, _ in kept], [value for _, value in kept])


def series_of(points: Iterable[Point], name: str) -> Series:
    """Returns the series of `name` over the steps of `points`, which must be in their order."""
    xs, values, nonfinite = [], [], []
    for point in points:
        value = point.values.get(name)
        if value is None:
            continue
        if math.isfinite(value):
            xs.append(point.step)
            values.append(value)
        else:
            nonfinite.append((point.step, kind_of(value)))
    return Series(xs, values, nonfinite)


def kind_of(value: float) -> Kind:
    """Returns the name of a non-finite value."""
    if math.isnan(value):
        return "nan"
    return "inf" if value > 0 else "-inf"


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
    are in no column. The cost is two binary searches per column, and some blocks of values.
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
            found[column] = extremes_of(ys, start, end)
    return found
