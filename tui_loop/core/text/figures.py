"""Formats numbers, counts and config values, the same everywhere."""

from __future__ import annotations

import math
from typing import Any

from tui_loop.core.clusters import CONVERSATION
from tui_loop.core.record.codec import number
from tui_loop.core.stats import Interval


def loss(value: Any) -> str:
    """Formats a loss in nats with three decimals, "" for None."""
    plain = number(value)
    if plain is None:
        return ""
    return f"{plain:.3f}" if math.isfinite(plain) else str(plain)


def percent(value: Any) -> str:
    """Formats a score in [0, 1] as a percentage."""
    plain = number(value)
    return "" if plain is None else f"{100 * plain:.0f}%"


def points(interval: Interval | None) -> str:
    """Formats a difference of scores in percentage points, ± half its 95% interval."""
    if interval is None:
        return ""
    return f"{100 * interval.delta:+.0f} ±{100 * interval.margin:.0f}"


def loss_change(interval: Interval | None) -> str:
    """Formats a difference of losses in nats per token, ± as `points`: `-0.15 ±0.04`."""
    if interval is None:
        return ""
    digits = 2 if interval.margin >= 0.01 else 3
    delta = round(interval.delta, digits) + 0.0  # no -0.00
    return f"{delta:+.{digits}f} ±{interval.margin:.{digits}f}"


def examples(count: int, groups: int = 0, unit: str = "") -> str:
    """Returns `117 examples`, with groups `60 answers of 20 conversations`."""
    if not groups:
        return f"{count} examples"
    return f"{count} {'answers' if unit == CONVERSATION else 'examples'} of {counted(groups, unit)}"


def changes(fixed: int, broken: int, groups: int = 0, unit: str = "") -> str:
    """Returns `12 fixed, 5 broken`, with the groups in which examples changed, if any."""
    text = f"{fixed} fixed, {broken} broken"
    if not groups:
        return text
    what = "answers in" if unit == CONVERSATION else "examples of"
    return f"{text} {what} {counted(groups, unit)}"


def rate(value: Any) -> str:
    """Formats a learning rate, or any small number."""
    plain = number(value)
    return "" if plain is None else brief_number(plain)


def duration(seconds: float | None) -> str:
    """Formats seconds as `42s`, `3m 05s` or `2h 10m`."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def silence(seconds: float) -> str:
    """Formats a time without a sign of life as `75 s`, `3m 05s` or `2h 10m`."""
    return f"{round(seconds)} s" if seconds < 120 else duration(seconds)


def brief(value: Any) -> str:
    """Formats a config value: `unset`, `on`, `off`, `1e-4`, `c_attn,c_proj`."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return brief_number(value)
    if isinstance(value, list):
        return ",".join(brief(item) for item in value)
    return str(value)


def brief_number(value: float) -> str:
    """Formats a number with at most three digits; small and large ones as 2.5e-5."""
    if not math.isfinite(value) or value == 0 or 0.01 < abs(value) < 1e6:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.6g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def of_all(count: int, total: int, what: str) -> str:
    """Returns `12 of 100,000 training rows (0.012%)`."""
    return f"{count:,} of {total:,} {what} ({share(count, total)})"


def share(count: float, total: float) -> str:
    """Formats a share in percent with enough digits that a small one is not shown as 0."""
    percent = 100 * count / total if total else 0.0
    if percent in (0.0, 100.0) or 10 <= percent < 99.5:
        return f"{percent:.0f}%"
    if percent >= 99.5:
        return f"{min(percent, 99.9):.1f}%"
    return f"{percent:.2g}%" if percent >= 0.01 else "below 0.01%"


def counted(count: int, one: str, many: str = "") -> str:
    """Returns `1 row`, `2 rows`, `1,234 rows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
