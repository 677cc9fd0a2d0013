"""Draws a value with its interval on a scale, as characters of one line: `···├──●──┤··`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tui_loop.core.plot.scale import Scale
from tui_loop.core.stats import Interval

LOG_FROM = 10.0
"""Values whose largest ratio is above this get a log scale."""

LOG_SPAN = 1e4
"""The largest ratio of the ends of a log scale: one extreme run must not flatten all others."""


class Signs(NamedTuple):
    """The characters of a strip.

    `beyond` marks a value above the scale. `ground` fills the rest; it is not a blank, since a
    table strips blanks.
    """

    low: str
    line: str
    value: str
    high: str
    beyond: str
    ground: str


UNICODE = Signs("├", "─", "●", "┤", "»", "·")
ASCII = Signs("|", "-", "o", "|", ">", ".")


def scale_of(intervals: Iterable[Interval | None], *, may_be_log: bool = False) -> Scale | None:
    """Returns a scale with room for the intervals, None without any interval."""
    known = [each for each in intervals if each is not None]
    if not known:
        return None
    low, high = min(each.low for each in known), max(each.high for each in known)
    values = [each.delta for each in known]
    if may_be_log and min(values) > 0 and max(values) > LOG_FROM * min(values):
        low = max(low, min(values) / 2) or min(values)  # half of the smallest float is 0
        return Scale(low, min(high, low * LOG_SPAN), is_log=True)
    return Scale(low, high)


def strip(interval: Interval, scale: Scale, width: int, signs: Signs = UNICODE) -> str:
    """Returns the interval on the scale, in exactly `width` characters."""
    low, at, high = (
        round(scale.place(value) * (width - 1))
        for value in (interval.low, interval.delta, interval.high)
    )
    cells = [signs.ground] * width
    cells[low : high + 1] = signs.line * (high + 1 - low)
    cells[low], cells[high] = signs.low, signs.high
    cells[at] = signs.beyond if interval.delta > scale.high else signs.value
    return "".join(cells)


def ends(scale: Scale, width: int, low: str, high: str, signs: Signs = UNICODE) -> str:
    """Returns a heading for strips: the values at the two ends of the scale, `width` apart."""
    room = width - len(low) - len(high) - 2
    middle = " log ".center(room, signs.line) if scale.is_log and room > 6 else signs.line * room
    return f"{low} {middle} {high}" if room > 0 else f"{low} {high}"
