"""Splits are seeded, repeatable, in file order, and never put one input on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.data.row_store import RowStore, RowView, view_of
from tui_loop.core.data.rows import Row
from tui_loop.core.data.split import sample, split_evaluation
from tui_loop.core.errors import BadInput


def stored(rows: Sequence[Row]) -> RowView:
    """The rows in a store, which gives them ids of its own."""
    store = RowStore()
    for place, row in enumerate(rows):
        store.append(row, place)
    store.ids = [row.id for row in rows]
    return view_of([store])


ROWS = [Row(f"id{n}", f"prompt {n}", "yes", n + 1) for n in range(40)]


def test_a_sample_is_repeatable_moves_with_its_seed_and_keeps_file_order() -> None:
    one, again, other = sample(ROWS, 10, 0), sample(ROWS, 10, 0), sample(ROWS, 10, 1)
    assert one == again
    assert one != other
    assert len(one) == len(other) == 10
    assert [row.line for row in one] == sorted(row.line for row in one)


@pytest.mark.parametrize("limit", [None, 40, 41])
def test_a_cap_that_does_not_bite_takes_all_rows(limit: int | None) -> None:
    assert sample(ROWS, limit, 0) == ROWS


def test_a_held_out_part_is_repeatable_and_moves_with_its_seed() -> None:
    one, again, other = (
        [list(side) for side in split_evaluation(stored(ROWS), 0.2, seed, "d")]
        for seed in (0, 0, 1)
    )
    assert one == again
    assert one[1] != other[1]
    assert (len(one[0]), len(one[1])) == (32, 8)


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=2).filter(lambda all_: len(set(all_)) > 1),
    st.floats(0.001, 0.999),
    st.integers(0, 5),
)
def test_every_row_is_on_one_side_in_file_order_and_repeats_stay_together(
    prompts: list[str], fraction: float, seed: int
) -> None:
    rows = [Row(f"{n}", prompt, "yes", n + 1) for n, prompt in enumerate(prompts)]
    train, held = map(list, split_evaluation(stored(rows), fraction, seed, "d"))
    assert train
    assert held
    assert not {row.prompt for row in train} & {row.prompt for row in held}
    assert sorted([*train, *held], key=lambda row: row.line) == rows
    for side in (train, held):
        assert side == sorted(side, key=lambda row: row.line)


def test_one_distinct_input_cannot_be_split() -> None:
    with pytest.raises(BadInput, match=r"^d\.jsonl: has 1 distinct row") as caught:
        split_evaluation(stored([ROWS[0], ROWS[0]]), 0.5, 0, "d.jsonl")
    assert "--eval" in caught.value.hint
