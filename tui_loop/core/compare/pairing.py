"""Pairs the examples of two evaluations, and selects those that can be compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain, compress, repeat
from operator import eq
from typing import TypeVar

import msgspec

from tui_loop.core.examples.history import Outcomes, rows_in
from tui_loop.core.examples.table import FAILED, PASSED

T = TypeVar("T")
Rows = Sequence[int]

LARGEST_LOSS = 1e100
"""No model has such a loss; a higher one, from a damaged record, could overflow a sum."""


class Paired(msgspec.Struct, frozen=True):
    """Examples as rows of the older and of the newer evaluation, in the newer one's order."""

    old: Rows
    new: Rows

    def __len__(self) -> int:
        return len(self.new)

    def where(self, keeps: Iterable[bool]) -> Paired:
        """Returns the pairs for which `keeps` is true."""
        marks = bytes(keeps)
        if all(marks):
            return self
        return Paired(list(compress(self.old, marks)), list(compress(self.new, marks)))


def values_at(values: Sequence[T], rows: Rows) -> Sequence[T]:
    """Returns the values in `rows`."""
    if rows == range(len(values)):
        return values
    return [values[row] for row in rows]


def shared_rows(old: Outcomes, new: Outcomes) -> Paired:
    """Returns the examples that both have with the same reference."""
    rows = rows_in(old, new.ids)
    if isinstance(rows, range):
        both = Paired(rows, rows)
        if old.references is new.references:
            return both
    else:
        found = [(row, at) for at, row in enumerate(rows) if row is not None]
        both = Paired([row for row, _ in found], [at for _, at in found])
    return both.where(
        map(eq, values_at(old.references, both.old), values_at(new.references, both.new))
    )


def scored_rows(old: Outcomes, new: Outcomes, shared: Paired) -> Paired:
    """Returns the shared examples with a score in both."""
    before, after = values_at(old.scores, shared.old), values_at(new.scores, shared.new)
    if not any(map(math.isnan, chain(before, after))):
        return shared
    return shared.where(
        not (math.isnan(one) or math.isnan(other)) for one, other in zip(before, after, strict=True)
    )


def lossy_rows(old: Outcomes, new: Outcomes, shared: Paired) -> Paired:
    """Returns the shared examples with comparable losses: finite, over equally many tokens."""
    before, after = values_at(old.losses, shared.old), values_at(new.losses, shared.new)
    alike = with_same_tokens(old, new, shared)
    if are_finite(before) and are_finite(after):
        return shared.where(alike)
    return shared.where(
        is_alike and abs(one) < LARGEST_LOSS and abs(other) < LARGEST_LOSS
        for is_alike, one, other in zip(alike, before, after, strict=True)
    )


def with_same_tokens(old: Outcomes, new: Outcomes, shared: Paired) -> Iterable[bool]:
    """Yields for each shared example whether its loss is over the same number of tokens in both."""
    if old.supervised_tokens is new.supervised_tokens and shared.old == shared.new:
        return repeat(True, len(shared))
    tokens = (
        values_at(old.supervised_tokens, shared.old),
        values_at(new.supervised_tokens, shared.new),
    )
    return map(eq, *tokens)


def changed_rows(old: Outcomes, new: Outcomes, scored: Paired) -> tuple[Paired, Paired]:
    """Returns the fixed and the broken examples."""
    before, after = values_at(old.passed, scored.old), values_at(new.passed, scored.new)
    return (
        scored.where(now == PASSED != was for was, now in zip(before, after, strict=True)),
        scored.where(was == PASSED != now for was, now in zip(before, after, strict=True)),
    )


def failing_rows(old: Outcomes, new: Outcomes, scored: Paired) -> Paired:
    """Returns the examples that failed in both."""
    before, after = values_at(old.passed, scored.old), values_at(new.passed, scored.new)
    return scored.where(was == now == FAILED for was, now in zip(before, after, strict=True))


def are_finite(losses: Sequence[float]) -> bool:
    """Returns whether all losses can be summed."""
    return max(map(abs, losses), default=0.0) < LARGEST_LOSS and not any(map(math.isnan, losses))
