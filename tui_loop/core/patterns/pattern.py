"""The pattern: what several trials have in common, how often, and with which weight."""

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
"""A record's larger values count as errors, not as numbers."""

LAW_TRIALS = 3
"""Fewer trials never make a law."""


class Move(msgspec.Struct, frozen=True):
    """The change of a field from `was` to `value`, and its result."""

    was: Any
    value: Any
    result: Result


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that `count` of `total` trials have `outcome`.

    `low` to `high`: the 95% interval of the share. `field`: `group.field`. A threshold covers the
    values from `value` on towards its `side`. A direction covers raising (`up`) or lowering the
    field, in `moves`; where values have no order (side ""), all moves are equal. For the best
    configs, the field is between `value` and `upper`. `iterations`: the trials (`loop/N`) that
    show the pattern. `others`: the trials that they are compared with. `short`: the text for the
    form. `otherwise`: another explanation.
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
        """Returns the field without its group."""
        return self.field.partition(".")[2]

    @property
    def figures(self) -> str:
        """Returns `so far in 3 of 3 (95% interval 44% to 100%)`; one run has no interval."""
        if self.total == 1:
            return f"{self.weight} {how_often(self.count, self.total)}"
        interval = f"95% interval {100 * self.low:.0f}% to {100 * self.high:.0f}%"
        weight = "holds" if self.weight == "law" else self.weight
        return f"{weight} in {self.count} of {self.total} ({interval})"


def by_field(patterns: Iterable[Pattern]) -> dict[str, list[Pattern]]:
    """Groups patterns by field, in order of first appearance."""
    found: dict[str, list[Pattern]] = {}
    for each in patterns:
        found.setdefault(each.field, []).append(each)
    return found


def weight_of(count: int, total: int, configs: int) -> Weight:
    """Returns "law" for at least three trials of two configs with a share surely above one half."""
    is_law = total >= LAW_TRIALS and configs > 1 and wilson(count, total)[0] > 0.5
    return "law" if is_law else "so far"


def how_often(count: int, total: int) -> str:
    """Returns `3 of 3`, or `once` for one of one."""
    return "once" if (count, total) == (1, 1) else f"{count} of {total}"


def shown(value: Any) -> str:
    """Returns a value as the form shows it."""
    plain = isinstance(value, (float, bool)) or value is None
    return brief(value) if plain else as_setting(value)


def as_number(value: Any) -> float | None:
    """Returns a value as a number, None for other types."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < LARGEST else None
