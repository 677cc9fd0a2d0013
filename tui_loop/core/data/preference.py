"""Preference data: a chosen and a rejected answer a row, or answers marked as good or bad.

Fine-tuning here trains on one answer a row, so a rejected one is never trained on, and no hint
names its column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tui_loop.core.data.rows import Mapping, RawRow
from tui_loop.core.errors import BadInput
from tui_loop.core.text.untrusted import one_line

PAIRS = (
    ("chosen", "rejected"),
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
    ("preferred", "dispreferred"),
    ("accepted", "rejected"),
)
"""The columns of the chosen and of the rejected answer."""

REJECTED = frozenset(rejected for _, rejected in PAIRS)
"""Names of columns with the rejected answer."""

MARKS = ("label", "kto_tag")
"""Columns that mark a row's answer as good or bad by true or false (TRL's KTO format)."""

_WORDS = {"true": True, "false": False}


def pair_of(names: Iterable[str]) -> tuple[str, str] | None:
    """Returns the columns of the chosen and of the rejected answer, None without both."""
    by_name = {name.lower(): name for name in names}
    return next(
        ((by_name[good], by_name[bad]) for good, bad in PAIRS if {good, bad} <= by_name.keys()),
        None,
    )


def mark_of(raws: Sequence[RawRow], names: Sequence[str], mapping: Mapping) -> str | None:
    """Returns the column that marks answers as good (true) or bad (false), None without one.

    `names`: the columns of `raws`. Beside a plain text, or where it is the answer itself, such a
    column marks nothing.
    """
    if mapping.shape == "text":
        return None
    for name in MARKS:
        if name not in names or name in mapping.columns.values():
            continue
        values = [raw.values[name] for raw in raws if name in raw.values]
        given = [value for value in values if value is not None and value != ""]
        if given and all(_opinion(value) is not None for value in given):
            return name
    return None


def none_good(mark: str, where: str) -> BadInput:
    """Returns the error for a file in which every answer is marked as bad."""
    return BadInput(
        f"{where}: column {one_line(mark, 40)!r} is false in every row, and answers marked false "
        "are not trained on",
        f"add rows where {one_line(mark, 40)} is true, or remove the column",
    )


def is_good(raw: RawRow, mark: str | None) -> bool:
    """Returns whether a row's answer is not marked as bad."""
    return mark is None or _opinion(raw.values.get(mark)) is not False


def _opinion(value: Any) -> bool | None:
    """Returns the value of a mark; CSV has true and false as text."""
    if isinstance(value, str):
        return _WORDS.get(value.strip().lower())
    return value if isinstance(value, bool) else None
