"""Numbers as people read them: as many digits as they mean, the unit beside them."""

from __future__ import annotations

import math
from typing import Any

from tui_loop.core.codec import number
from tui_loop.core.statistics import Interval
from tui_loop.core.wording import brief_number


def loss(value: Any) -> str:
    """A loss in nats, three decimals; empty where there is none."""
    plain = number(value)
    if plain is None:
        return ""
    return f"{plain:.3f}" if math.isfinite(plain) else str(plain)


def percent(value: Any) -> str:
    """A score in [0, 1] as a percentage."""
    plain = number(value)
    return "" if plain is None else f"{100 * plain:.0f}%"


def points(interval: Interval | None) -> str:
    """A difference of scores in percentage points with half its 95% interval."""
    if interval is None:
        return ""
    return f"{100 * interval.delta:+.0f} ±{100 * interval.half_width:.0f}"


def loss_change(interval: Interval | None) -> str:
    """A difference of losses in nats a token with half its 95% interval: `-0.15 ±0.04`."""
    if interval is None:
        return ""
    digits = 2 if interval.half_width >= 0.01 else 3
    delta = round(interval.delta, digits) + 0.0  # no -0.00
    return f"{delta:+.{digits}f} ±{interval.half_width:.{digits}f}"


def rate(value: Any) -> str:
    """A learning rate, or any small number."""
    plain = number(value)
    return "" if plain is None else brief_number(plain)


def duration(seconds: float | None) -> str:
    """Seconds as `42s`, `3m 05s` or `2h 10m`."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
