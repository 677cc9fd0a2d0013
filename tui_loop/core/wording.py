"""Config values and changes in few characters, the same in every table, title and report."""

from __future__ import annotations

import math
from typing import Any

from tui_loop.core.text import one_line

SEED = "training.seed"
TITLE_VALUE_LENGTH = 32


def title_of(number: int, parent: int | None, changes: dict[str, Any]) -> str:
    """What an iteration is called in a table: its changes in short."""
    if number == 0:
        return "base"
    unchanged = "baseline" if parent in (None, 0) else f"{parent} again"
    if not changes:
        return unchanged
    if list(changes) == [SEED]:
        return f"{unchanged}, seed {brief(_pair(changes[SEED])[1])}"
    (name, value), *rest = changes.items()
    more = f", +{len(rest)}" if rest else ""
    if isinstance(value, dict):
        signs = (("+", "rows_added"), ("-", "rows_removed"), ("~", "rows_changed"))
        counts = " ".join(f"{sign}{value[key]}" for sign, key in signs if value.get(key))
        return f"{name} {counts} rows{more}"
    before, after = (one_line(brief(each), TITLE_VALUE_LENGTH) for each in _pair(value))
    return f"{name.partition('.')[2]} {before} → {after}{more}"


def _pair(value: Any) -> tuple[Any, Any]:
    """(old, new); a record that was edited by hand may have something else there."""
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return value[0], value[1]
    return None, value


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
