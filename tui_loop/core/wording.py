"""Config values and changes in few characters, the same in every table, title and report."""

from __future__ import annotations

import math
from typing import Any


def brief(value: Any) -> str:
    """A config value: `unset`, `on`, `off`, `1e-4`, `c_attn,c_proj`."""
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
    """A number with at most three digits; small and large ones as people write rates: 2.5e-5."""
    if not math.isfinite(value) or value == 0 or 0.01 < abs(value) < 1e6:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.6g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
