"""What an evaluation generates first: the parent's failures and a spread sample of its passes."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.data.rows import Row
from tui_loop.core.examples.generation_order import (
    AT_MOST,
    LEAST_PASSED,
    FirstRows,
    choose_first_rows,
    first_outputs_text,
)
from tui_loop.core.record.structs import Example


def row(index: int, reference: str = "a") -> Row:
    return Row(str(index), f"prompt {index}", reference, index + 1)


def example(of: Row, passed: bool | None) -> Example:
    return Example(of.id, of.prompt, of.reference, "", None, passed, (), 1.0, 1, 1, False, of.line)


@given(
    st.lists(st.booleans(), min_size=1, max_size=400),
    st.integers(1, 40),
    st.booleans(),
)
def test_only_known_rows_are_chosen_and_never_more_than_half(
    outcomes: list[bool], batch_size: int, by_label: bool
) -> None:
    rows = [row(index, "ab"[index % 2]) for index in range(len(outcomes))]
    parent = [example(each, passed) for each, passed in zip(rows, outcomes, strict=True)]
    look = choose_first_rows(rows, parent, by_label=by_label, batch_size=batch_size)
    if len(rows) <= 4 * batch_size or all(outcomes):
        assert look is None
        return
    assert look is not None
    assert all(not outcomes[index] for index in look.failed)
    assert all(outcomes[index] for index in look.passed)
    assert len(set(look.rows)) == len(look.rows) <= len(rows) / 2
    assert max(len(look.failed), len(look.passed)) <= AT_MOST
    assert len(look.passed) <= max(len(look.failed), LEAST_PASSED)
    assert look == choose_first_rows(rows, parent, by_label=by_label, batch_size=batch_size)


def test_a_sample_has_every_label_in_its_share() -> None:
    rows = [row(index, "rare" if index % 10 == 0 else "often") for index in range(400)]
    look = choose_first_rows(
        rows, [example(each, passed=False) for each in rows], by_label=True, batch_size=8
    )
    assert look is not None
    assert look.passed == ()
    counts = Counter(rows[index].reference for index in look.failed)
    assert counts.total() == AT_MOST
    assert counts["rare"] in (6, 7)


def test_rows_whose_reference_changed_or_that_are_new_are_not_looked_at_first() -> None:
    rows = [row(index) for index in range(40)]
    parent = [example(rows[0], passed=False), example(row(1, "other"), passed=False)]
    look = choose_first_rows(rows, parent, by_label=True, batch_size=2)
    assert look == FirstRows((0,), ())


def test_what_came_of_it_is_told_as_a_subset() -> None:
    look = FirstRows((1, 2, 3), (5, 6))
    told = first_outputs_text(2, look, frozenset({2, 3, 5}))
    assert told == (
        "first outputs: of 3 examples failed by iteration 2, 2 now pass; of 2 passed by "
        "iteration 2, 1 still passes (a subset, not the score)"
    )
    assert first_outputs_text(0, FirstRows((1,), ()), frozenset()) == (
        "first outputs: of 1 example failed by the base, 0 now pass (a subset, not the score)"
    )
