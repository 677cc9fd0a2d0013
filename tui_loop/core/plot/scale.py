"""The scale of an axis and its ticks: few and round, with as many digits as tell them apart."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence

import msgspec

Tick = tuple[float, str]
"""A tick's place on its axis, from 0 to 1, and its label."""

_ROUND = (1.0, 2.0, 5.0, 10.0)
_DECADES = ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
"""The mantissas of a log axis, the richest choice first."""
_PLAIN_FROM, _PLAIN_TO = 1e-3, 1e5
"""Numbers within are written out, others with an exponent."""


class Scale(msgspec.Struct, frozen=True):
    """Values from `low` to `high` on an axis from 0 to 1, linear or by their logarithm.

    On a log scale `low` and `high` are above 0.
    """

    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Returns the place of `value`, from 0 to 1; a value beyond an end is at that end.

        Everything is in the middle where `low` and `high` are equal.
        """
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        span = high / 2 - low / 2  # of halves: the whole span may exceed the largest float
        return (value / 2 - low / 2) / span if span > 0 else 0.5

    @property
    def height(self) -> float:
        """Half the distance of the ends on the axis: the whole may exceed the largest float."""
        if self.is_log:
            return math.log10(self.high) / 2 - math.log10(self.low) / 2
        return self.high / 2 - self.low / 2

    def value(self, place: float) -> float:
        """Returns the value at a place, which may be beyond 0 and 1; always a finite one."""
        low, high = self.low, self.high
        if self.is_log:
            low, high = math.log10(low), math.log10(high)
        found = low * (1 - place) + high * place
        if self.is_log:
            return 10 ** min(max(found, -307.0), 308.0)
        return min(max(found, -sys.float_info.max), sys.float_info.max)


def value_ticks(scale: Scale, most: int) -> list[Tick]:
    """Returns about `most` ticks of a value axis, one more at the most, lowest first.

    The ends of the scale, with three digits, where fewer than two round values are within.
    """
    if scale.place(scale.low) == scale.place(scale.high):
        return [(0.5, labels([scale.low])[0])]
    values = _log_values(scale, most) if scale.is_log else []
    if len(values) < 2:
        values = _round_values(scale.low, scale.high, max(most, 2))
    if scale.is_log:
        values = [value for value in values if value > 0]
    if len(values) < 2:
        ends = [scale.low, scale.high] if most > 1 else [scale.high]
        return [(scale.place(value), _three(value)) for value in ends]
    apart = values[-1] / values[0] if scale.is_log else 1.0
    texts = labels(values) if apart < 10 else [_log_label(value) for value in values]
    return [(scale.place(value), text) for value, text in zip(values, texts, strict=True)]


def step_ticks(low: int, high: int, most: int) -> list[int]:
    """Returns at most `most` round whole steps from `low` to `high`."""
    if high <= low:
        return [low]
    most = max(most, 1)
    step = 1
    while (high - low) // step >= most:
        step = next(size for size in _whole_sizes(step) if size > step)
    first = -(-low // step) * step
    return list(range(first, high + 1, step))


def labels(values: Sequence[float]) -> list[str]:
    """Returns the texts of evenly spaced values, with as many digits as tell them apart.

    A single value has three significant digits.
    """
    largest = max((abs(value) for value in values), default=0.0)
    if len(values) < 2 or largest == 0:
        return [_three(value) for value in values]
    step = abs(values[1] / 2 - values[0] / 2) * 2
    digit = math.floor(math.log10(step) + 1e-9) if 0 < step < math.inf else 0
    if _PLAIN_FROM <= largest < _PLAIN_TO:
        return [f"{value:.{max(0, -digit)}f}" for value in values]
    digits = max(0, math.floor(math.log10(largest) + 1e-9) - digit)
    return [_exponent(value, digits) for value in values]


def _three(value: float) -> str:
    return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].strip("+"), f"{value:.3g}")


def _log_label(value: float) -> str:
    """A round value of a log axis, with an exponent where it would have many zeros."""
    return f"{value:.2g}" if 0.01 <= value < 10 else _power(value)


def _power(value: float) -> str:
    return f"{value:.0f}" if 10 <= value < _PLAIN_TO else _exponent(value, 1).replace(".0e", "e")


def _exponent(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _whole_sizes(beyond: int) -> list[int]:
    power = 10 ** (len(str(beyond)) - 1)
    return [power, 2 * power, 5 * power, 10 * power]


def _round_values(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, as many as fit."""
    rough = (high / 2 - low / 2) / most * 2
    if not 0 < rough < math.inf:
        return []
    power = 10.0 ** math.floor(math.log10(rough))
    if power == 0:
        return []
    for size in (factor * power for factor in (*_ROUND, 20.0)):
        if not math.isfinite(low / size) or not math.isfinite(high / size):
            continue
        first, last = math.ceil(low / size), math.floor(high / size)
        if last - first < most:
            return [count * size for count in range(first, last + 1)]
    return []


def _log_values(scale: Scale, most: int) -> list[float]:
    """Round values of the decades between the ends, as many as fit."""
    low, high = math.floor(math.log10(scale.low)), math.floor(math.log10(scale.high))
    for mantissas in _DECADES:
        if (high - low) * len(mantissas) > 4 * most:
            continue
        values = [_times_power(mantissa, n) for n in range(low, high + 1) for mantissa in mantissas]
        within = [value for value in values if scale.low <= value <= scale.high]
        if len(within) <= most:
            return within
    every = max(1, -(-(high - low) // max(most, 1)))
    powers = [_times_power(1.0, n) for n in range(low, high + 1) if n % every == 0]
    return [value for value in powers if scale.low <= value <= scale.high]


def _times_power(mantissa: float, power: int) -> float:
    return float(f"{mantissa}e{power}")  # 10.0 ** n is off in the last digit for some n
