"""A view says how each example came out, and against another iteration what became of it."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from tests.core.examples.views import names, row_of, rows_of, view_of
from tui_loop.core.examples import view as viewing
from tui_loop.core.examples.history import Outcome, Shift
from tui_loop.core.examples.view import Order, sorted_rows


def test_an_example_has_passed_failed_or_neither() -> None:
    view = view_of(rows_of("+-."))
    assert [view.outcome(row) for row in range(3)] == [
        Outcome.PASSED,
        Outcome.FAILED,
        Outcome.UNSCORED,
    ]
    assert view.shift(0) is Shift.UNKNOWN
    assert view.loss_changes is None


def test_outcomes_are_held_against_the_other_iteration_by_id() -> None:
    before = rows_of("+--+.")[::-1]
    view = view_of([*rows_of("-+-++"), row_of("new", False)], before)
    assert view.shifts == [
        Shift.BROKEN,
        Shift.FIXED,
        Shift.STILL_FAILED,
        Shift.STILL_PASSED,
        Shift.UNKNOWN,
        Shift.UNKNOWN,
    ]


def test_under_another_reference_nothing_is_held_against_each_other() -> None:
    before = [row_of("a", False, reference="no", loss=9.0), row_of("b", False, loss=2.0)]
    view = view_of([row_of("a"), row_of("b", loss=0.5)], before)
    assert view.shifts == [Shift.UNKNOWN, Shift.FIXED]
    assert view.loss_changes is not None
    assert math.isnan(view.loss_changes[0])
    assert view.loss_changes[1] == -1.5


def test_scored_by_another_metric_only_losses_are_held_against_each_other() -> None:
    view = view_of(rows_of("+", loss=1.0), rows_of("-", loss=3.0), is_alike=False)
    assert view.shifts == [Shift.UNKNOWN]
    assert view.loss_changes is not None
    assert list(view.loss_changes) == [-2.0]


def test_the_worst_the_longest_and_what_changed_most_come_first() -> None:
    figures: list[dict[str, Any]] = [
        {"loss": 1.0, "score": 0.5, "prompt": "xx"},
        {"loss": 3.0, "score": 0.5, "prompt": "x"},
        {"loss": None, "score": None, "prompt": "xxx"},
        {"loss": "Infinity", "score": 1.0, "prompt": "xx"},
        {"loss": 1.0, "score": 0.0, "prompt": ""},
    ]
    rows = [row_of(name, **more) for name, more in zip("abcde", figures, strict=True)]
    losses = {"a": 0.0, "b": 2.9, "d": 1.0, "e": 2.0}
    before = [row_of(name, loss=value) for name, value in losses.items()]
    earlier = [[row_of("e", passed)] for passed in (True, True, False)]
    view = view_of(rows, before, earlier=earlier)
    for order, wanted in (
        (Order.LOSS, "cdbae"),
        (Order.SCORE, "ebadc"),
        (Order.CHANGE, "dabec"),
        (Order.FLIPS, "ecdba"),
        (Order.LENGTH, "cadbe"),
        (Order.FILE, "abcde"),
    ):
        assert names(view, view.in_order(order)) == wanted, order
        assert view.in_order(order) == view.in_order(order)


@pytest.mark.parametrize("order", [Order.CHANGE, Order.FLIPS])
def test_without_another_iteration_the_loss_decides(order: Order) -> None:
    view = view_of([row_of("a", loss=1.0), row_of("b", loss=2.0)])
    assert names(view, view.in_order(order)) == "ba"


def test_what_people_said_changes_outcomes_and_leaves_the_record_alone() -> None:
    marks = {"a": "accepted", "b": "bad_reference", "c": "ambiguous"}
    view = view_of(rows_of("---+"), rows_of("----"), marks=marks)
    assert [view.outcome(row) for row in range(4)] == [
        Outcome.PASSED,
        Outcome.UNSCORED,
        Outcome.UNSCORED,
        Outcome.PASSED,
    ]
    assert [row.passed for row in view.annotated_examples()] == [True, None, None, True]
    assert [row.passed for row in view.table] == [False, False, False, True]
    assert view.shifts[0] is Shift.STILL_FAILED, "shifts are those of the record"


def test_nobody_having_said_anything_the_rows_are_those_of_the_table() -> None:
    view = view_of(rows_of("+-"))
    assert view.annotated_examples() is view.table


def test_causes_are_the_records_own_unless_others_are_given() -> None:
    rows = rows_of("-", causes=("empty",))
    assert view_of(rows).causes == [("empty",)]
    assert view_of(rows, causes=[("refusal",)]).causes == [("refusal",)]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95])
@pytest.mark.parametrize("reverse", [False, True])
def test_rows_are_sorted_in_slices_as_at_once(
    count: int, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "SLICE", 10)
    draw = random.Random(count)
    rows, keys = list(range(count)), [float(draw.randrange(5)) for _ in range(count)]
    draw.shuffle(rows)
    expected = sorted(rows, key=keys.__getitem__, reverse=reverse)
    assert sorted_rows(rows, keys.__getitem__, reverse=reverse) == expected
