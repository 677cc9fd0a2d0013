"""Compares two evaluations example by example, with the causes of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec

from tui_loop.core.compare.comparison import Comparison, scored_alike
from tui_loop.core.compare.pairing import (
    Paired,
    Rows,
    changed_rows,
    failing_rows,
    scored_rows,
    shared_rows,
    values_at,
)
from tui_loop.core.examples.cause_kinds import Cause, cause_words
from tui_loop.core.examples.history import outcomes_of
from tui_loop.core.examples.table import FAILED
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.structs import Iteration

NO_PAIRS = Paired([], [])


class CauseCount(msgspec.Struct, frozen=True):
    """The number of compared examples with a cause of failure, before and after."""

    name: str
    before: int
    after: int

    @property
    def words(self) -> str:
        """Returns the name for people."""
        return cause_words(self.name)

    @property
    def change(self) -> str:
        """Returns the difference as `-25`, "" for 0."""
        return f"{self.after - self.before:+}" if self.after != self.before else ""


class Contrast(msgspec.Struct, frozen=True):
    """The comparison of B with A: `old` and `new` are their examples, the pairs are rows of both.

    `causes`: counts over the compared examples, the most frequent in B first; a failure counts for
    each of its causes.
    """

    comparison: Comparison
    old: ExampleView
    new: ExampleView
    fixed: Paired
    broken: Paired
    failing: Paired
    causes: list[CauseCount]


def contrast_of(
    comparison: Comparison,
    iterations: tuple[Iteration, Iteration],
    views: tuple[ExampleView, ExampleView],
) -> Contrast:
    """Returns the contrast of two iterations, the older one first in each pair."""
    old, new = (
        outcomes_of(each.number, view.table) for each, view in zip(iterations, views, strict=True)
    )
    scored = NO_PAIRS
    if scored_alike(*iterations):
        scored = scored_rows(old, new, shared_rows(old, new))
    fixed, broken = changed_rows(old, new, scored)
    return Contrast(
        comparison=comparison,
        old=views[0],
        new=views[1],
        fixed=fixed,
        broken=broken,
        failing=failing_rows(old, new, scored),
        causes=_mix(_causes(views[0], scored.old), _causes(views[1], scored.new)),
    )


def _causes(view: ExampleView, rows: Rows) -> Iterable[Sequence[str]]:
    outcomes = values_at(view.table.passed, rows)
    causes = values_at(view.causes, rows)
    return (each for each, outcome in zip(causes, outcomes, strict=True) if outcome == FAILED)


def _mix(old: Iterable[Sequence[str]], new: Iterable[Sequence[str]]) -> list[CauseCount]:
    before, after = (Counter(chain.from_iterable(each)) for each in (old, new))
    names = [each.value for each in Cause]
    names += sorted({*before, *after} - {*names})  # of another version
    counts = [CauseCount(name, before[name], after[name]) for name in names]
    found = [each for each in counts if each.before or each.after]
    return sorted(found, key=lambda each: (-each.after, -each.before))
