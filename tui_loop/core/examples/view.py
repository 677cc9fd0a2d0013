"""The examples of an evaluation with outcomes, history and annotations, for lists."""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from heapq import merge

import msgspec

from tui_loop.core.examples.history import Histories, Outcome, Outcomes, Shift, Story, rows_in
from tui_loop.core.examples.query import Term
from tui_loop.core.examples.table import FAILED, PASSED, UNSCORED, ExampleTable
from tui_loop.core.record.structs import Example


class Order(StrEnum):
    """The sort orders of examples; the worst, longest or most changed come first."""

    LOSS = "loss"
    SCORE = "score"
    CHANGE = "change of loss"
    FLIPS = "flips"
    LENGTH = "length"
    FILE = "file order"


OUTCOMES = {FAILED: Outcome.FAILED, PASSED: Outcome.PASSED, UNSCORED: Outcome.UNSCORED}
_SHIFTS = {
    (FAILED, PASSED): Shift.FIXED,
    (PASSED, FAILED): Shift.BROKEN,
    (FAILED, FAILED): Shift.STILL_FAILED,
    (PASSED, PASSED): Shift.STILL_PASSED,
}


class ExampleView:
    """A frozen view of a table, the iteration it is compared with, and derived columns.

    `causes`: by row, by default the recorded ones. `marks`: annotations by id (`accepted`,
    `bad_reference`, `ambiguous`). `passed`: the outcomes with annotations applied: accepted outputs
    passed, and the other two kinds are not counted.
    """

    def __init__(
        self,
        table: ExampleTable,
        *,
        against: Outcomes | None = None,
        histories: Histories | None = None,
        causes: Sequence[tuple[str, ...]] | None = None,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        self.table = table
        self.against = against
        self.histories = histories
        self.causes = table.causes if causes is None else causes
        self.marks = marks or {}
        self.passed = _annotated_outcomes(table, self.marks)
        self.is_scored = table.is_scored
        self.is_graded = table.is_graded
        rows = rows_in(against, table.ids) if against is not None else []
        self.shifts = _shifts(table, against, rows) if against is not None else []
        self.loss_changes = _loss_changes(table, against, rows) if against is not None else None
        self.match_cache: dict[tuple[Term, ...], bytes] = {}
        self._orders: dict[Order, list[int]] = {}
        self._ranks: dict[Order, array[int]] = {}

    def __len__(self) -> int:
        return len(self.table)

    def outcome(self, row: int) -> Outcome:
        """Returns the outcome of a row."""
        return OUTCOMES[self.passed[row]]

    def shift(self, row: int) -> Shift:
        """Returns how the outcome of a row changed from the other iteration."""
        return self.shifts[row] if self.shifts else Shift.UNKNOWN

    def story(self, row: int) -> Story:
        """Returns the pattern of a row's outcomes over the iterations."""
        return self.histories.stories[row] if self.histories is not None else Story.OTHER

    def annotated_examples(self) -> Sequence[Example]:
        """Returns whole examples with annotations applied; uncounted ones have no outcome."""
        if not self.marks:
            return self.table
        values = {UNSCORED: None, PASSED: True, FAILED: False}
        return [
            msgspec.structs.replace(row, passed=values[self.passed[at]])
            if row.id in self.marks
            else row
            for at, row in enumerate(self.table)
        ]

    def in_order(self, order: Order) -> Sequence[int]:
        """Returns all rows, sorted stably."""
        if order is Order.FILE:
            return range(len(self))
        if order not in self._orders:
            self._orders[order] = self._sorted(order)
        return self._orders[order]

    def rank(self, order: Order) -> Sequence[int]:
        """Returns for each row its place in an order."""
        if order is Order.FILE:
            return range(len(self))
        if order not in self._ranks:
            ranks = array("L", bytes(len(self) * array("L").itemsize))
            for place, row in enumerate(self.in_order(order)):
                ranks[row] = place
            self._ranks[order] = ranks
        return self._ranks[order]

    def _sorted(self, order: Order) -> list[int]:
        table = self.table
        if order is Order.LOSS:
            losses = table.losses.tolist()
            if math.isnan(sum(losses)):
                losses = [math.inf if math.isnan(value) else value for value in losses]
            return sorted_rows(range(len(self)), losses.__getitem__, reverse=True)
        by_loss = list(self.in_order(Order.LOSS))
        if order is Order.SCORE:
            scores = [2.0 if math.isnan(value) else value for value in table.scores]
            return sorted_rows(by_loss, scores.__getitem__)
        if order is Order.LENGTH:
            return sorted_rows(range(len(self)), table.prompt_lengths.__getitem__, reverse=True)
        if order is Order.FLIPS and self.histories is not None:
            return sorted_rows(by_loss, self.histories.flips.__getitem__, reverse=True)
        if order is Order.CHANGE and self.loss_changes is not None:
            changes = [-math.inf if math.isnan(each) else each for each in self.loss_changes]
            return sorted_rows(by_loss, changes.__getitem__, reverse=True)
        return by_loss


SLICE = 20_000
"""Rows that one C call may go through: the other threads wait for its end."""


def sorted_rows(
    rows: Sequence[int], key: Callable[[int], float], *, reverse: bool = False
) -> list[int]:
    """Sorts like `sorted`, stably, but lets other threads have their turns in between."""
    runs = [
        sorted(rows[at : at + SLICE], key=key, reverse=reverse) for at in range(0, len(rows), SLICE)
    ]
    if len(runs) < 2:
        return runs[0] if runs else []
    return list(merge(*runs, key=key, reverse=reverse))


def _annotated_outcomes(table: ExampleTable, marks: Mapping[str, str]) -> bytearray:
    """Returns the outcomes with annotations applied."""
    if not marks:
        return table.passed
    passed = bytearray(table.passed)
    for row, name in enumerate(table.ids):
        if name in marks:
            passed[row] = PASSED if marks[name] == "accepted" else UNSCORED
    return passed


def _is_same(table: ExampleTable, old: Outcomes, rows: Sequence[int | None]) -> bool:
    """Returns whether both have the same examples in the same order, as in most loops."""
    return isinstance(rows, range) and old.references == table.references


def _shifts(table: ExampleTable, old: Outcomes, rows: Sequence[int | None]) -> list[Shift]:
    if not old.is_alike:
        return [Shift.UNKNOWN] * len(table)
    if _is_same(table, old, rows):
        pairs = zip(old.passed, table.passed, strict=True)
        return [_SHIFTS.get(pair, Shift.UNKNOWN) for pair in pairs]
    return [
        _SHIFTS.get((old.passed[at], now), Shift.UNKNOWN)
        if at is not None and old.references[at] == reference
        else Shift.UNKNOWN
        for at, now, reference in zip(rows, table.passed, table.references, strict=True)
    ]


def _loss_changes(table: ExampleTable, old: Outcomes, rows: Sequence[int | None]) -> array[float]:
    """Returns new loss minus old loss; NaN where one is missing or the reference differed."""
    if _is_same(table, old, rows):
        return array("d", map(operator.sub, table.losses, old.losses))
    return array(
        "d",
        (
            now - old.losses[at] if at is not None and old.references[at] == reference else math.nan
            for at, now, reference in zip(rows, table.losses, table.references, strict=True)
        ),
    )
