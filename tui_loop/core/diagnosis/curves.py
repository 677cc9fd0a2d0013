"""A logged value over the steps of a run, and what its shape says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median

import msgspec

from tui_loop.core.record.state import Point


class Curve(msgspec.Struct, frozen=True):
    """`values[i]` at `steps[i]`; steps rise, values are finite. `nonfinite`: steps left out."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    nonfinite: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def lowest(self) -> int:
        """The index of the smallest value, the first of equal ones; of an empty curve -1."""
        return min(range(len(self)), key=self.values.__getitem__, default=-1)

    def part(self, start: float, end: float) -> Curve:
        """What lies between two shares of the run, by index: `part(0.5, 1)` is its second half."""
        low, high = math.floor(start * len(self)), math.ceil(end * len(self))
        return Curve(self.steps[low:high], self.values[low:high])


def curve_of(points: Iterable[Point], name: str) -> Curve:
    """The curve of the metric `name`; of two values at one step the later one stands."""
    found: dict[int, float] = {}
    nonfinite: list[int] = []
    for point in points:
        value = point.values.get(name)
        if value is None:
            continue
        if math.isfinite(value):
            found[point.step] = value
        else:
            nonfinite.append(point.step)
    steps = tuple(sorted(found))
    return Curve(steps, tuple(found[step] for step in steps), tuple(nonfinite))


class Trend(msgspec.Struct, frozen=True):
    """A straight line through a part of a curve: `change` over that part, with its standard error.

    `start` and `end` are the line's values there.
    """

    change: float
    error: float
    start: float
    end: float

    @property
    def is_falling(self) -> bool:
        """Beyond two standard errors."""
        return self.change < -2 * self.error


def trend_of(curve: Curve) -> Trend | None:
    """The least-squares line through a curve; None with fewer than four points.

    The standard error is that of independent residuals; neighbouring logs of one run are nearly
    that, since each is of other rows.
    """
    count = len(curve)
    if count < 4 or curve.steps[0] == curve.steps[-1]:
        return None
    mean_x, mean_y = fmean(curve.steps), fmean(curve.values)
    spread = math.fsum((x - mean_x) ** 2 for x in curve.steps)
    slope = (
        math.fsum(
            (x - mean_x) * (y - mean_y) for x, y in zip(curve.steps, curve.values, strict=True)
        )
        / spread
    )
    residuals = [
        y - mean_y - slope * (x - mean_x) for x, y in zip(curve.steps, curve.values, strict=True)
    ]
    variance = math.fsum(each * each for each in residuals) / (count - 2)
    length = curve.steps[-1] - curve.steps[0]
    return Trend(
        change=slope * length,
        error=math.sqrt(variance / spread) * length,
        start=mean_y + slope * (curve.steps[0] - mean_x),
        end=mean_y + slope * (curve.steps[-1] - mean_x),
    )


def level(values: Sequence[float]) -> float:
    """The usual value: the median, which a spike does not move; NaN of nothing."""
    return median(values) if values else math.nan
