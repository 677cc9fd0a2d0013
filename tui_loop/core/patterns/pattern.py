"""A pattern: what several trials show together, how often, and how much that weighs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from tui_loop.core.config.fields import as_setting
from tui_loop.core.stats import wilson
from tui_loop.core.text.figures import brief

Kind = Literal["threshold", "direction", "best"]
Outcome = Literal["diverged", "no better", "oom", "helped", "best"]
Side = Literal["up", "down", ""]
Weight = Literal["law", "so far"]
Result = Literal["helped", "same", "worse"]

SHORT_WORDS: dict[Outcome, str] = {
    "diverged": "diverged",
    "oom": "out of memory",
    "no better": "no better than the base",
    "helped": "helped",
    "best": "the best",
}

LARGEST = 1e15
"""Beyond this, a value in a record is an accident."""

LAW_TRIALS = 3
"""Fewer trials are never called a law."""


class Move(msgspec.Struct, frozen=True):
    """A field changed from `was` to `value`, and what that did."""

    was: Any
    value: Any
    result: Result


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """`count` of `total` trials show `outcome`; `low` to `high` is the share's 95% interval.

    `field`: `group.field`. A threshold is about values from `value` on to its `side`; a direction
    about raising (`up`) or lowering the field, each of its `moves`; where values have no order
    (side ""), all moves are the same. Of the best, the field lies between `value` and `upper`.
    `iterations` (`loop/N`) show it, `others` are what they are held against. `short` is for the
    form. `otherwise`: what else could explain it.
    """

    kind: Kind
    outcome: Outcome
    field: str
    base: str
    is_lora: bool
    sentence: str
    short: str
    count: int
    total: int
    low: float
    high: float
    weight: Weight
    side: Side = ""
    value: Any = None
    upper: Any = None
    moves: tuple[Move, ...] = ()
    iterations: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    with_replicates: int = 0
    otherwise: str = ""

    @property
    def label(self) -> str:
        """The field without its group."""
        return self.field.partition(".")[2]

    @property
    def figures(self) -> str:
        """`so far 3 of 3, 95% interval 44% to 100%`; a single run has none worth telling."""
        if self.total == 1:
            return f"{self.weight} {how_often(self.count, self.total)}"
        interval = f"95% interval {100 * self.low:.0f}% to {100 * self.high:.0f}%"
        return f"{self.weight} {self.count} of {self.total}, {interval}"


def by_field(patterns: Iterable[Pattern]) -> dict[str, list[Pattern]]:
    """Patterns by the field that they are about, in the order in which fields come first."""
    found: dict[str, list[Pattern]] = {}
    for each in patterns:
        found.setdefault(each.field, []).append(each)
    return found


def weighed(count: int, total: int, configs: int) -> Weight:
    """A law: three trials or more, of two configs or more, and surely more than half of them."""
    is_law = total >= LAW_TRIALS and configs > 1 and wilson(count, total)[0] > 0.5
    return "law" if is_law else "so far"


def how_often(count: int, total: int) -> str:
    """`3 of 3`; one of one is `once`."""
    return "once" if (count, total) == (1, 1) else f"{count} of {total}"


def shown(value: Any) -> str:
    """A value as the form has it."""
    plain = isinstance(value, (float, bool)) or value is None
    return brief(value) if plain else as_setting(value)


def as_number(value: Any) -> float | None:
    """A value that can be ordered; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < LARGEST else None
