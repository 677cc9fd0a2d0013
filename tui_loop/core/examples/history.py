"""The history of each example: its outcomes over the iterations of a loop.

Outcomes are comparable only under the same reference, so a changed reference starts a new segment.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from tui_loop.core.clusters import Clusters
from tui_loop.core.examples.table import FAILED, PASSED, UNSCORED, ExampleTable


class Outcome(StrEnum):
    """The outcome of an example, `unscored` where the metric is none."""

    FAILED = "failed"
    PASSED = "passed"
    UNSCORED = "unscored"


class Shift(StrEnum):
    """How an example's outcome changed from another iteration."""

    FIXED = "fixed"
    BROKEN = "broken"
    STILL_FAILED = "still-failing"
    STILL_PASSED = "still-passing"
    UNKNOWN = ""


class Story(StrEnum):
    """The pattern of an example's outcomes over the iterations."""

    NEVER_SOLVED = "never-solved"
    FLAKY = "flaky"
    OTHER = ""


FLAKY_FLIPS = 2
"""The least number of changes over the trained iterations for an example to be flaky."""


class Outcomes(msgspec.Struct, frozen=True):
    """The outcomes of one iteration, by row. `losses` and `scores` are NaN where missing.

    `is_alike`: they were scored in the same way as the iteration on screen. `clusters`: the number
    of each row's group, None where no group has several rows. `unit`: what a group has in common.
    """

    number: int
    ids: list[str]
    references: list[str]
    passed: bytearray
    losses: array[float]
    scores: array[float]
    supervised_tokens: array[int]
    is_alike: bool = True
    clusters: Clusters | None = None
    unit: str = ""


class HistoryPoint(msgspec.Struct, frozen=True):
    """An example in one iteration.

    `passed`: None where the example was not scored in the same way. `is_new_segment`: the
    reference differs from that of the previous point.
    """

    number: int
    passed: bool | None
    loss: float
    is_new_segment: bool = False


def outcomes_of(number: int, table: ExampleTable, *, is_alike: bool = True) -> Outcomes:
    """Returns the columns of a table that histories need, without its rows."""
    return Outcomes(
        number,
        table.ids,
        table.references,
        table.passed,
        table.losses,
        table.scores,
        table.supervised_tokens,
        is_alike=is_alike,
        clusters=table.clusters,
        unit=table.unit,
    )


def share_columns(fresh: Outcomes, known: Iterable[Outcomes]) -> Outcomes:
    """Returns the outcomes with equal columns of others in place of their own, to save memory."""
    for other in known:
        if other.ids == fresh.ids:
            shared = {
                name: getattr(other, name)
                for name in ("ids", "references", "supervised_tokens", "clusters")
                if getattr(other, name) == getattr(fresh, name)
            }
            return msgspec.structs.replace(fresh, **shared)
    return fresh


def rows_in(outcomes: Outcomes, ids: Sequence[str]) -> Sequence[int | None]:
    """Returns for each of `ids` its row in `outcomes`, None where missing."""
    if outcomes.ids == ids:
        return range(len(ids))
    rows = {name: row for row, name in enumerate(outcomes.ids)}
    return [rows.get(name) for name in ids]


class Histories:
    """The histories of a table's examples over `outcomes`, in the order of iterations."""

    def __init__(self, table: ExampleTable, outcomes: Iterable[Outcomes]) -> None:
        self._table = table
        self._outcomes = list(outcomes)
        self._rows = [rows_in(each, table.ids) for each in self._outcomes]
        self.numbers = [each.number for each in self._outcomes]
        self.flips = bytearray(len(table))
        self.stories: list[Story] = [Story.OTHER] * len(table)
        self._summarize()

    def points(self, row: int) -> list[HistoryPoint]:
        """Returns the history of the example in a row."""
        found: list[HistoryPoint] = []
        reference: str | None = None
        for outcomes, rows in zip(self._outcomes, self._rows, strict=True):
            at = rows[row]
            if at is None:
                continue
            outcome = outcomes.passed[at] if outcomes.is_alike else UNSCORED
            passed = None if outcome == UNSCORED else outcome == PASSED
            changed = reference is not None and outcomes.references[at] != reference
            reference = outcomes.references[at]
            found.append(HistoryPoint(outcomes.number, passed, outcomes.losses[at], changed))
        return found

    def _summarize(self) -> None:
        columns = [
            self._marks(outcomes, rows)
            for outcomes, rows in zip(self._outcomes, self._rows, strict=True)
        ]
        trained = [number > 0 for number in self.numbers]
        known: dict[tuple[int, ...], tuple[int, Story]] = {}  # many rows share the same outcomes
        for row, marks in enumerate(zip(*columns, strict=True)):
            found = known.get(marks)
            if found is None:
                found = known[marks] = _summary(marks, trained)
            self.flips[row], self.stories[row] = found

    def _marks(self, outcomes: Outcomes, rows: Sequence[int | None]) -> bytes:
        """Returns outcomes in the table's order, unscored where the reference differed."""
        if not outcomes.is_alike:
            return bytes([UNSCORED]) * len(self._table)
        if isinstance(rows, range) and outcomes.references == self._table.references:
            return bytes(outcomes.passed)
        references, had = self._table.references, outcomes.references
        return bytes(
            UNSCORED if at is None or had[at] != references[row] else outcomes.passed[at]
            for row, at in enumerate(rows)
        )


def _summary(marks: Sequence[int], trained: Sequence[bool]) -> tuple[int, Story]:
    """Returns the number of flips of one example, and its story."""
    known = failed = flips = 0
    last = UNSCORED
    for mark, is_trained in zip(marks, trained, strict=True):
        if mark == UNSCORED:
            continue
        known += 1
        failed += mark == FAILED
        if is_trained:
            flips += last not in (UNSCORED, mark)
            last = mark
    if flips >= FLAKY_FLIPS:
        return min(flips, 255), Story.FLAKY  # 255 is the most that a bytearray holds
    is_unsolved = known >= 2 and failed == known
    return flips, Story.NEVER_SOLVED if is_unsolved else Story.OTHER
