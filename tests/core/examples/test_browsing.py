"""Examples listed, sorted, searched, and held against another iteration's."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tui_loop.core.examples.browsing import (
    Choice,
    Filter,
    Order,
    Outcome,
    Shift,
    chosen,
    outcome_of,
    shifts,
)
from tui_loop.core.records import Example

Make = Callable[..., Example]


@pytest.fixture
def rows(example: Make) -> list[Example]:
    return [
        example("a", 0.0, loss=1.0, prompt="Where is my parcel?"),
        example("b", 1.0, loss=0.1, prompt="thanks"),
        example("c", 0.0, loss="NaN", prompt="PARCEL again, and a long one"),
        example("d", 0.0, loss=3.0, prompt="refund", output="a Parcel"),
    ]


def ids(rows: list[Example], changed: list[Shift], choice: Choice) -> str:
    return "".join(rows[index].id for index in chosen(rows, changed, choice))


def test_failures_come_worst_first_and_one_without_a_finite_loss_before_all(
    rows: list[Example],
) -> None:
    assert ids(rows, [], Choice()) == "cda"
    assert ids(rows, [], Choice(is_reversed=True)) == "adc"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(Filter.ALL, Order.FILE), "abcd"),
        (Choice(Filter.PASSED), "b"),
        (Choice(Filter.ALL, Order.SCORE), "cdab"),
        (Choice(Filter.ALL, Order.LENGTH), "cabd"),
        (Choice(Filter.ALL, Order.FILE, search="parcel"), "acd"),
        (Choice(Filter.FAILED, search="nowhere"), ""),
    ],
)
def test_filter_order_and_search(rows: list[Example], choice: Choice, expected: str) -> None:
    assert ids(rows, [], choice) == expected


def test_where_nothing_is_scored_everything_is_listed_by_loss(example: Make) -> None:
    rows = [example("a", None, loss=0.5), example("b", None, loss=2.0)]
    assert outcome_of(rows[0]) is Outcome.UNSCORED
    assert ids(rows, [], Choice()) == "ba"
    assert ids(rows, [], Choice(Filter.FIXED)) == ""


def test_what_changed_against_another_iteration(example: Make) -> None:
    old = [
        example("fixed", 0.0),
        example("broken", 1.0),
        example("bad", 0.0),
        example("good", 1.0),
        example("other", 0.0, reference="no"),
    ]
    new = [
        example("fixed", 1.0),
        example("broken", 0.0),
        example("bad", 0.0),
        example("good", 1.0),
        example("other", 1.0),
        example("new", 0.0),
    ]
    found = shifts(old, new)
    assert found == [
        Shift.FIXED,
        Shift.BROKEN,
        Shift.STILL_FAILED,
        Shift.STILL_PASSED,
        Shift.UNKNOWN,
        Shift.UNKNOWN,
    ]
    assert [new[i].id for i in chosen(new, found, Choice(Filter.FIXED))] == ["fixed"]
    assert [new[i].id for i in chosen(new, found, Choice(Filter.BROKEN))] == ["broken"]


def test_a_loss_that_is_missing_or_no_number_counts_as_infinite(example: Make) -> None:
    rows = [example(str(n), 0.0, loss=loss) for n, loss in enumerate((None, "Infinity", 5.0))]
    assert chosen(rows, [], Choice()) == [0, 1, 2]
    assert math.isfinite(float(str(rows[2].loss)))
