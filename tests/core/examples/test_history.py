"""What became of each example over the iterations, told under one reference."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.core.examples.views import outcomes_in, row_of, rows_of
from tui_loop.core.examples.history import (
    FLAKY_FLIPS,
    Histories,
    HistoryPoint,
    Story,
    rows_in,
    share_columns,
)
from tui_loop.core.examples.table import ExampleTable
from tui_loop.core.record.structs import Example


def histories(*iterations: list[Example], unlike: tuple[int, ...] = ()) -> Histories:
    """Over iterations 0, 1 ..., of which the last one is looked at."""
    outcomes = [
        outcomes_in(number, rows, is_alike=number not in unlike)
        for number, rows in enumerate(iterations)
    ]
    return Histories(ExampleTable.of(iterations[-1]), outcomes)


def test_an_example_is_followed_by_its_id_wherever_it_stands() -> None:
    found = histories(rows_of("+-"), [row_of("x"), row_of("b", True)], rows_of("-+"))
    assert [(each.number, each.passed) for each in found.points(1)] == [
        (0, False),
        (1, True),
        (2, True),
    ]
    assert [each.number for each in found.points(0)] == [0, 2]
    assert found.numbers == [0, 1, 2]


def test_another_reference_begins_another_segment() -> None:
    old = [row_of("a", False, reference="old", loss=2.0)]
    found = histories(old, old, [row_of("a", True, loss=0.5)], [row_of("a", False)])
    assert found.points(0) == [
        HistoryPoint(0, False, 2.0),
        HistoryPoint(1, False, 2.0),
        HistoryPoint(2, True, 0.5, is_new_segment=True),
        HistoryPoint(3, False, 0.5),
    ]
    assert found.flips[0] == 1, "outcomes under the old reference do not count"
    assert found.stories == [Story.OTHER]


def test_what_no_iteration_solved_is_told() -> None:
    found = histories(rows_of("--+"), rows_of("--+"), rows_of("-+-"))
    assert found.stories == [Story.NEVER_SOLVED, Story.OTHER, Story.OTHER]


def test_one_failure_alone_says_nothing() -> None:
    assert histories(rows_of("-")).stories == [Story.OTHER]
    assert histories(rows_of("."), rows_of("-")).stories == [Story.OTHER]


def test_what_comes_and_goes_over_trained_iterations_is_flaky() -> None:
    found = histories(rows_of("+++"), rows_of("-+-"), rows_of("+-."), rows_of("-+-"))
    assert list(found.flips) == [FLAKY_FLIPS, FLAKY_FLIPS, 0], "the base is not trained"
    assert found.stories == [Story.FLAKY, Story.FLAKY, Story.OTHER]


def test_iterations_scored_otherwise_have_no_outcome() -> None:
    found = histories(rows_of("-"), rows_of("+"), rows_of("-"), rows_of("-"), unlike=(1,))
    assert [each.passed for each in found.points(0)] == [False, None, False, False]
    assert found.stories == [Story.NEVER_SOLVED]
    assert list(found.flips) == [0]


def test_many_flips_stay_a_count() -> None:
    found = histories(*[rows_of("+" if number % 2 else "-") for number in range(300)])
    assert found.flips[0] == 255


def test_rows_are_found_by_their_ids() -> None:
    outcomes = outcomes_in(1, rows_of("+-+"))
    assert list(rows_in(outcomes, ["a", "b", "c"])) == [0, 1, 2]
    assert list(rows_in(outcomes, ["c", "x", "a"])) == [2, None, 0]


def test_columns_that_are_the_same_are_kept_once() -> None:
    first, second = outcomes_in(1, rows_of("+-")), outcomes_in(2, rows_of("-+"))
    assert second.ids is not first.ids
    shared = share_columns(second, [outcomes_in(0, rows_of("-")), first])
    assert shared == second
    assert shared.ids is first.ids
    assert shared.references is first.references
    assert shared.passed is second.passed
    other = outcomes_in(3, [row_of("a", reference="x"), row_of("b")])
    assert share_columns(other, [first]).references is other.references


@given(st.lists(st.text("+-.", min_size=4, max_size=4), min_size=1, max_size=6))
def test_stories_are_those_of_the_moments(columns: list[str]) -> None:
    found = histories(*map(rows_of, columns))
    for row in range(4):
        moments = [each for each in found.points(row) if each.passed is not None]
        trained = [each.passed for each in moments if each.number]
        flips = sum(a != b for a, b in pairwise(trained))
        assert found.flips[row] == flips
        story = Story.OTHER
        if flips >= FLAKY_FLIPS:
            story = Story.FLAKY
        elif len(moments) > 1 and not any(each.passed for each in moments):
            story = Story.NEVER_SOLVED
        assert found.stories[row] is story
