"""A figure with its interval on a scale, as signs of one line: `···├──●──┤··`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from tui_loop.core.stats import Interval

LOG_FROM = 10.0
"""Values that span a larger ratio are laid on a log scale."""

LOG_SPAN = 1e4
"""A scale reaches no further above its lowest value: one run that went astray is not to flatten
all others."""


class Signs(NamedTuple):
    """What a strip is drawn with; `beyond` stands where a value lies above the scale, `ground`
    where there is nothing: a table would take blanks away."""

    low: str
    line: str
    value: str
    high: str
    beyond: str
    ground: str


UNICODE = Signs("├", "─", "●", "┤", "»", "·")
ASCII = Signs("|", "-", "o", "|", ">", ".")


class Scale(msgspec.Struct, frozen=True):
    """From `low` to `high`, with `is_log` by their logs."""

    low: float
    high: float
    is_log: bool = False

    def cell(self, value: float, width: int) -> int:
        """The cell of a value, from 0 on; those beyond the scale have the last one."""
        low, high, told = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, told = math.log(low), math.log(high), math.log(told)
        share = (told - low) / (high - low) if high > low else 0.5
        return round(share * (width - 1))


def scale_of(intervals: Iterable[Interval | None], *, may_be_log: bool = False) -> Scale | None:
    """A scale on which the intervals have room; None without any."""
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
    """The interval on the scale, in exactly `width` signs."""
    low, at, high = (
        scale.cell(value, width) for value in (interval.low, interval.delta, interval.high)
    )
    cells = [signs.ground] * width
    cells[low : high + 1] = signs.line * (high + 1 - low)
    cells[low], cells[high] = signs.low, signs.high
    cells[at] = signs.beyond if interval.delta > scale.high else signs.value
    return "".join(cells)


def ends(scale: Scale, width: int, low: str, high: str, signs: Signs = UNICODE) -> str:
    """A heading for strips: what the ends of the scale stand for, as far apart as they are."""
    room = width - len(low) - len(high) - 2
    middle = " log ".center(room, signs.line) if scale.is_log and room > 6 else signs.line * room
    return f"{low} {middle} {high}" if room > 0 else f"{low} {high}"
