"""What fails is counted, and every line lists just the examples that it counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.examples.views import row_of, rows_of, view_of
from tui_loop.core.examples.breakdown import (
    CONFUSIONS,
    Count,
    breakdown_of,
    slice_words,
    term_of,
)
from tui_loop.core.examples.matching import listed
from tui_loop.core.examples.query import parse
from tui_loop.core.examples.view import ExampleView, Order
from tui_loop.core.record.structs import Example

LABELS = ("refund", "card arrival", "top up")
EARLIER = [rows_of("---+-"), rows_of("+--+-"), rows_of("-+-+-")]


def labelled(label: str, fails: int, count: int, said: str, **more: object) -> list[Example]:
    return [
        row_of(
            f"{label}{number}",
            number >= fails,
            reference=label,
            output=said if number < fails else label,
            **more,
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def view() -> ExampleView:
    """Refunds fail 18 of 20, taken for card arrivals; of 60 others 4 fail."""
    rows = [
        *labelled("refund", 18, 20, "card arrival", columns={"source": "web"}),
        *labelled("card arrival", 2, 30, "refund", columns={"source": "mail"}),
        *labelled("top up", 2, 30, "nothing that is a label", columns={"source": "mail"}),
    ]
    return view_of(rows)


def counts(lines: list[Count]) -> dict[str, int]:
    return {line.name: line.count for line in lines}


def test_outcomes_and_what_changed_are_counted() -> None:
    view = view_of(rows_of("+--+."), rows_of("-+-+-"), earlier=EARLIER)
    found = breakdown_of(view)
    assert (found.total, found.against) == (5, 8)
    assert counts(found.outcomes) == {"failed": 2, "passed": 2, "unscored": 1}
    assert counts(found.changes) == {
        "fixed": 1,
        "broken": 1,
        "still failing": 1,
        "flaky": 2,
        "never solved": 2,
    }


def test_without_another_iteration_nothing_has_changed() -> None:
    found = breakdown_of(view_of(rows_of("+-")))
    assert (found.against, found.changes) == (None, [])
    assert [line.before for line in found.causes] == []


def test_where_nothing_is_scored_nothing_has_changed() -> None:
    found = breakdown_of(view_of(rows_of("..."), rows_of("...")))
    assert (counts(found.outcomes), found.changes) == ({"unscored": 3}, [])


def test_causes_are_those_of_failures_beside_the_earlier_ones() -> None:
    rows = [
        row_of("a", False, causes=("empty", "no_end_token")),
        row_of("b", False, causes=("empty",)),
        row_of("c", True, causes=("refusal",)),
    ]
    found = breakdown_of(view_of(rows), earlier_causes=[("empty",), ("near_miss", "empty"), ("x",)])
    assert [(line.name, line.count, line.before, line.term) for line in found.causes] == [
        ("empty", 2, 2, "cause:empty"),
        ("no end token", 1, 0, "cause:no_end_token"),
        ("near miss", 0, 1, "cause:near_miss"),
    ]
    assert [line.before for line in breakdown_of(view_of(rows)).causes] == [None, None]


def test_an_accepted_failure_has_no_cause_any_more() -> None:
    rows = [row_of(name, False, causes=("empty",)) for name in "abcd"]
    view = view_of(rows, marks={"a": "accepted", "b": "ambiguous", "d": "bad_reference"})
    found = breakdown_of(view)
    assert counts(found.causes) == {"empty": 1}
    assert [(line.name, line.term) for line in found.marks] == [
        ("accepted", "is:accepted"),
        ("bad reference", "is:bad_reference"),
        ("ambiguous", "is:ambiguous"),
    ]


def test_labels_stand_by_the_share_that_fails(view: ExampleView) -> None:
    found = breakdown_of(view, LABELS)
    assert [each.name for each in found.labels] == ["refund", "card arrival", "top up"]
    assert [(each.failed, each.total) for each in found.labels] == [(18, 20), (2, 30), (2, 30)]
    assert found.labels[0].low < 0.9 < found.labels[0].high


def test_what_fails_more_than_chance_is_named_with_its_evidence(view: ExampleView) -> None:
    found = breakdown_of(view, LABELS)
    weak = {each.name: each for each in found.weak}
    assert "refund" in weak
    assert "top up" not in weak
    told = slice_words(weak["refund"])
    assert told.startswith("18 of 20 fail, 90% (")
    assert "18 answered card arrival; elsewhere 4 of 60, p = " in told
    assert found.tested > 3


def test_confusions_are_wanted_and_said(view: ExampleView) -> None:
    found = breakdown_of(view, LABELS)
    assert [(line.name, line.count) for line in found.confusions] == [
        ("refund → card arrival", 18),
        ("card arrival → refund", 2),
    ]
    assert found.confusions[0].term == 'label:refund said:"card arrival"'


def test_there_are_not_more_confusions_than_one_reads() -> None:
    rows = [
        row_of(f"{at}{to}", at == to, reference=f"l{at}", output=f"l{to}")
        for at in range(6)
        for to in range(6)
    ]
    found = breakdown_of(view_of(rows), [f"l{at}" for at in range(6)])
    assert len(found.confusions) == CONFUSIONS


def test_every_line_lists_the_examples_that_it_counts(view: ExampleView) -> None:
    mixed = view_of(rows_of("+--+."), rows_of("-+-+-"), earlier=EARLIER, marks={"b": "accepted"})
    for each in (view, mixed):
        found = breakdown_of(each, LABELS)
        for line in (*found.outcomes, *found.changes, *found.marks):
            assert len(listed(each, parse(line.term), Order.FILE)) == line.count, line
        for line in (*found.causes, *found.confusions):
            only_failed = parse(f"is:failed {line.term}")
            assert len(listed(each, only_failed, Order.FILE)) == line.count, line
        for part in (*found.labels, *found.weak):
            if part.kind in ("label", "column"):
                only_failed = parse(f"is:failed {term_of(part)}")
                assert len(listed(each, only_failed, Order.FILE)) == part.failed, part


@given(st.text("+-.", max_size=12), st.text("+-.", max_size=12))
def test_any_outcomes_can_be_counted(now: str, then: str) -> None:
    found = breakdown_of(view_of(rows_of(now), rows_of(then)))
    assert sum(line.count for line in found.outcomes) == found.total == len(now)
    assert all(line.count for line in found.outcomes)
