"""Chooses the rows for which an evaluation generates outputs first, for quick feedback.

These are rows that the parent failed, and a sample of those that it passed. The subset is chosen by
outcome, so its pass rate is not a score.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import msgspec

from tui_loop.core.data.rows import Row
from tui_loop.core.record.structs import Example
from tui_loop.core.text.figures import counted

AT_MOST = 64
"""The most rows of either kind."""
LEAST_PASSED = 16
"""Passed rows to include even where fewer failed."""
LEAST_BATCHES = 4
"""With at most this many batches, a part would take nearly as long as all rows."""
_SEED = 0


class FirstRows(msgspec.Struct, frozen=True):
    """Indices of the rows that come first: those that the parent failed, and those it passed."""

    failed: tuple[int, ...]
    passed: tuple[int, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        return (*self.failed, *self.passed)


def choose_first_rows(
    rows: Sequence[Row], parent: Iterable[Example], *, by_label: bool, batch_size: int
) -> FirstRows | None:
    """Chooses the first rows, given the parent's examples; None where that saves no time.

    Never more than a quarter of the rows of either kind. Samples are seeded and stratified: by
    reference where these are labels, else by the prompt's length.
    """
    if len(rows) <= LEAST_BATCHES * batch_size:
        return None
    outcomes = {(each.id, each.reference): each.passed for each in parent}
    known = [outcomes.get((row.id, row.reference)) for row in rows]
    failed = [index for index, passed in enumerate(known) if passed is False]
    passed = [index for index, is_so in enumerate(known) if is_so]
    if not failed:
        return None
    limit = min(AT_MOST, len(rows) // 4)
    return FirstRows(
        _sample(rows, failed, limit, by_label=by_label),
        _sample(rows, passed, min(limit, max(len(failed), LEAST_PASSED)), by_label=by_label),
    )


def first_outputs_text(parent: int, first: FirstRows, passing: frozenset[int]) -> str:
    """Returns the result as a log message; `passing`: the indices that pass now."""
    name = "the base" if parent == 0 else f"iteration {parent}"
    fixed = len(passing & set(first.failed))
    failed = counted(len(first.failed), "example")
    text = f"of {failed} failed by {name}, {fixed} now {_pass(fixed)}"
    if first.passed:
        still = len(passing & set(first.passed))
        text += f"; of {len(first.passed)} passed by {name}, {still} still {_pass(still)}"
    return f"first outputs: {text} (a subset, not the score)"


def _pass(count: int) -> str:
    return "passes" if count == 1 else "pass"


def _sample(
    rows: Sequence[Row], indices: Sequence[int], limit: int, *, by_label: bool
) -> tuple[int, ...]:
    """At most `limit` of `indices`, spread evenly over the strata (a systematic sample)."""
    if len(indices) <= limit:
        return tuple(indices)
    mixed = list(indices)
    random.Random(_SEED).shuffle(mixed)
    if by_label:
        mixed.sort(key=lambda index: rows[index].reference)
    else:
        mixed.sort(key=lambda index: len(rows[index].input_text))
    return tuple(sorted(mixed[place * len(mixed) // limit] for place in range(limit)))
