"""Two evaluations held against each other, example by example, with the causes of both."""

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
    taken,
)
from tui_loop.core.examples.cause_kinds import Cause, cause_words
from tui_loop.core.examples.history import outcomes_of
from tui_loop.core.examples.table import FAILED
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.structs import Iteration

NOBODY = Paired([], [])


class CauseCount(msgspec.Struct, frozen=True):
    """How many of the compared examples failed for a cause, before and after."""

    name: str
    before: int
    after: int

    @property
    def words(self) -> str:
        """As a person reads it."""
        return cause_words(self.name)

    @property
    def change(self) -> str:
        """`-25`; empty where there is none."""
        return f"{self.after - self.before:+}" if self.after != self.before else ""


class Contrast(msgspec.Struct, frozen=True):
    """B against A: `old` and `new` are their examples, the rest rows of both.

    `causes`: those of the compared examples, the one that is most frequent now first; a failure
    counts for each of its causes.
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
    """The contrast of two iterations, the older one first in each pair."""
    old, new = (
        outcomes_of(each.number, view.table) for each, view in zip(iterations, views, strict=True)
    )
    scored = NOBODY
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
    outcomes = taken(view.table.passed, rows)
    causes = taken(view.causes, rows)
    return (each for each, outcome in zip(causes, outcomes, strict=True) if outcome == FAILED)


def _mix(old: Iterable[Sequence[str]], new: Iterable[Sequence[str]]) -> list[CauseCount]:
    before, after = (Counter(chain.from_iterable(each)) for each in (old, new))
    names = [each.value for each in Cause]
    names += sorted({*before, *after} - {*names})  # of another version
    counts = [CauseCount(name, before[name], after[name]) for name in names]
    found = [each for each in counts if each.before or each.after]
    return sorted(found, key=lambda each: (-each.after, -each.before))
