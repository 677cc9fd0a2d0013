"""Hints from patterns on a value of a field while it is typed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tui_loop.core.patterns.directions import short_text
from tui_loop.core.patterns.pattern import (
    SHORT_WORDS,
    Move,
    Pattern,
    as_number,
    by_field,
    how_often,
    shown,
)


class Hint(msgspec.Struct, frozen=True):
    """A short text; `is_warning` where the value did harm before, with `brief` as a summary."""

    text: str = ""
    is_warning: bool = False
    brief: str = ""


NO_HINT = Hint()
MAX_PATTERNS = 2
"""The most patterns in a hint, the most serious first."""


class Hints:
    """The patterns on one base, by field."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._by_field = by_field(patterns)

    def of(self, field: str, value: Any, was: Any = None) -> Hint:
        """Returns the hint on `group.field` changed from `was` to `value`, empty without one."""
        known = self._by_field.get(field, [])
        beyond = [each for each in known if each.kind == "threshold" and _is_beyond(each, value)]
        parts = [each.short for each in beyond]
        if not parts:
            parts = [_of_direction(each, was, value) for each in known if each.kind == "direction"]
            parts += [each.short for each in known if each.kind == "best"]
        return Hint(
            " · ".join([each for each in parts if each][:MAX_PATTERNS]),
            bool(beyond),
            _brief(beyond[0]) if beyond else "",
        )


NO_HINTS = Hints(())


def hints_for(patterns: Iterable[Pattern], base: str, *, is_lora: bool = True) -> Hints:
    """Returns the hints for configs on `base`, from trials on it with the same kind of tuning."""
    return Hints(each for each in patterns if each.base == base and each.is_lora == is_lora)


def _is_beyond(pattern: Pattern, value: Any) -> bool:
    number, edge = as_number(value), as_number(pattern.value)
    if number is None or edge is None:
        return False
    return number >= edge if pattern.side == "up" else number <= edge


def _brief(pattern: Pattern) -> str:
    """Returns `diverged 3 of 3`."""
    return f"{SHORT_WORDS[pattern.outcome]} {how_often(pattern.count, pattern.total)}"


def _of_direction(pattern: Pattern, was: Any, value: Any) -> str:
    """Returns the results of overlapping changes, "" without any."""
    moves = [each for each in pattern.moves if _overlaps(each, was, value)]
    return short_text(pattern.side, moves) if moves else ""


def _overlaps(move: Move, was: Any, value: Any) -> bool:
    """Returns whether a change from `was` to `value` overlaps an earlier one in its direction."""
    ends = [as_number(each) for each in (move.was, move.value, was, value)]
    if None in ends:
        return (shown(was), shown(value)) == (shown(move.was), shown(move.value)) and was != value
    low, high, before, after = (each or 0.0 for each in ends)
    if (high > low) != (after > before) or before == after:
        return False
    return max(min(low, high), min(before, after)) < min(max(low, high), max(before, after))
