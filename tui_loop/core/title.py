"""What an iteration is called in a table."""

from __future__ import annotations

from typing import Any

from tui_loop.core.config.schema import SEED
from tui_loop.core.text.figures import brief
from tui_loop.core.text.untrusted import one_line

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
