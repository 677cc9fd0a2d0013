"""The range of values that a chart shows: all of them, or without outliers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_loop.core.plot.scale import Scale
from tui_loop.core.plot.series import Series, per_column
from tui_loop.core.plot.values import Extremes

COLUMNS = 200
"""Values are summed up as the extremes of so many columns, whatever the size of a chart: that is
what an eye sees of them, and it does not depend on how many points a column has."""

FIRST = 0.2
"""The share of a curve's columns that are its first steps. A loss falls steeply in the first fifth
of a run at most; a curve that falls for longer is not flattened, since most of it is the fall."""

TAIL = 0.05
"""The share of the columns after that which may be spikes, at either end of the values."""

ROOM = 0.5
"""How far the range reaches beyond the rest of the columns, as a share of their height, so that
what is cut off is far away."""

FLATTENED = 3.0
"""Outliers are cut off where all values need more than so many times the height of that range:
then the rest would have less than a sixth of the chart."""

NEWEST = 0.05
"""The share of newest columns of each curve, one at least, that are always within: a run that goes
wrong shows it there."""

FEWEST = 40
"""A chart whose curves have fewer columns than this is legible as it is."""


class Shown(msgspec.Struct, frozen=True):
    """A range of values, and whether outliers are beyond it."""

    low: float
    high: float
    is_clipped: bool = False


def shown_range(
    curves: Sequence[Series], low: int, high: int, *, log: bool = False, clip: bool = False
) -> Shown | None:
    """Returns the range of the values of `curves` from place `low` to `high`, None without any.

    With `clip` it leaves out what would flatten the rest: the values of the FIRST columns and
    those of TAIL of the others, if they are farther away than ROOM, and if FLATTENED. On a log
    scale distances are those of logarithms, and only values above 0 count.
    """
    found = [pairs for each in curves if (pairs := _columns(each, low, high, log))]
    if not found:
        return None
    bottom = min(least for pairs in found for least, _ in pairs)
    top = max(most for pairs in found for _, most in pairs)
    if clip and max(map(len, found)) >= FEWEST:
        robust = [_robust(pairs, log) for pairs in found]
        inner = max(min(least for least, _ in robust), bottom)
        outer = min(max(most for _, most in robust), top)
        if 0 < Scale(inner, outer, log).height < Scale(bottom, top, log).height / FLATTENED:
            return Shown(inner, outer, is_clipped=True)
    return Shown(bottom, top)


def outside(series: Series, low: int, high: int, shown: Shown) -> tuple[int, int]:
    """Returns how many values from place `low` to `high` are above and below a range."""
    above = below = 0
    for found in per_column(series.xs, series.values, low, high, 1):
        if found is not None and (found[0] < shown.low or found[1] > shown.high):
            part = series.within(low, high).values
            above = sum(value > shown.high for value in part)
            below = sum(value < shown.low for value in part)
    return above, below


def _columns(series: Series, low: int, high: int, log: bool) -> list[Extremes]:
    series = series.positive(low, high) if log else series
    found = per_column(series.xs, series.values, low, high, COLUMNS)
    return [pair for pair in found if pair is not None]


def _robust(columns: Sequence[Extremes], log: bool) -> Extremes:
    """The range of one curve without its outliers, with ROOM and the newest columns."""
    rest = columns[int(FIRST * len(columns)) :]
    tail = int(TAIL * len(rest))
    least = sorted(pair[0] for pair in rest)[tail]
    most = sorted(pair[1] for pair in rest)[-1 - tail]
    room = ROOM * 2 * Scale(least, most, log).height
    newest = columns[-max(1, int(NEWEST * len(columns))) :]
    return (
        min(_moved(least, -room, log), *(pair[0] for pair in newest)),
        max(_moved(most, room, log), *(pair[1] for pair in newest)),
    )


def _moved(value: float, height: float, log: bool) -> float:
    return value * 10 ** min(height, 300.0) if log else value + height
