"""Held-out examples as a browser shows them: outcome, what changed, filter, sort, search."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from tui_loop.core.codec import number
from tui_loop.core.records import Example


class Outcome(StrEnum):
    """How an example came out; `unscored` where the metric is none."""

    FAILED = "failed"
    PASSED = "passed"
    UNSCORED = "unscored"


class Shift(StrEnum):
    """What happened to an example's outcome against another iteration."""

    FIXED = "fixed"
    BROKEN = "broken"
    STILL_FAILED = "still failing"
    STILL_PASSED = "still passing"
    UNKNOWN = ""


class Filter(StrEnum):
    """Which examples are listed."""

    FAILED = "failed"
    PASSED = "passed"
    FIXED = "fixed"
    BROKEN = "broken"
    ALL = "all"


class Order(StrEnum):
    """How they are sorted; the worst, the highest or the longest first."""

    LOSS = "loss"
    SCORE = "score"
    FILE = "file order"
    LENGTH = "length"


class Choice(msgspec.Struct, frozen=True):
    """What a browser shows of an iteration's examples."""

    filter: Filter = Filter.FAILED
    order: Order = Order.LOSS
    search: str = ""
    is_reversed: bool = False


def outcome_of(example: Example) -> Outcome:
    """The outcome of an example."""
    if example.passed is None:
        return Outcome.UNSCORED
    return Outcome.PASSED if example.passed else Outcome.FAILED


def shifts(old: Sequence[Example], new: Sequence[Example]) -> list[Shift]:
    """For each of `new`, what happened against `old`; unknown where the two cannot be compared."""
    before = {row.id: row for row in old}
    return [_shift(before.get(row.id), row) for row in new]


def chosen(examples: Sequence[Example], changed: Sequence[Shift], choice: Choice) -> list[int]:
    """Positions of the examples that `choice` lists, in its order.

    Where nothing is scored, the filters for failed and passed let everything through.
    """
    scored = any(row.passed is not None for row in examples)
    words = choice.search.casefold()
    found = [
        index
        for index, row in enumerate(examples)
        if _is_listed(row, changed[index] if changed else Shift.UNKNOWN, choice.filter, scored)
        and (not words or _has(row, words))
    ]
    key = _KEYS[choice.order]
    if key is not None:
        found.sort(key=lambda index: key(examples[index]))
    return found[::-1] if choice.is_reversed else found


def loss_of(example: Example) -> float:
    """The loss as a number; a non-finite or missing one counts as infinite."""
    value = number(example.loss)
    return math.inf if value is None or math.isnan(value) else value


def _shift(old: Example | None, new: Example) -> Shift:
    if old is None or old.reference != new.reference or old.passed is None or new.passed is None:
        return Shift.UNKNOWN
    if old.passed:
        return Shift.STILL_PASSED if new.passed else Shift.BROKEN
    return Shift.FIXED if new.passed else Shift.STILL_FAILED


def _is_listed(row: Example, shift: Shift, wanted: Filter, scored: bool) -> bool:
    match wanted:
        case Filter.FAILED:
            return row.passed is False or not scored
        case Filter.PASSED:
            return row.passed is True or not scored
        case Filter.FIXED:
            return shift is Shift.FIXED
        case Filter.BROKEN:
            return shift is Shift.BROKEN
        case Filter.ALL:
            return True


def _has(row: Example, words: str) -> bool:
    texts = (row.prompt, row.reference, row.output or "", row.id)
    return any(words in text.casefold() for text in texts)


_KEYS: dict[Order, Callable[[Example], Any] | None] = {
    Order.LOSS: lambda row: -loss_of(row),
    Order.SCORE: lambda row: (row.score if row.score is not None else 2.0, -loss_of(row)),
    Order.FILE: None,
    Order.LENGTH: lambda row: -len(row.prompt),
}
