"""Series, smoothing and columns: nothing that was logged is lost on the way to a chart."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.plot.series import (
    Series,
    column_of,
    column_start,
    per_column,
    series_of,
)
from tui_loop.core.record.points import Point

MANY = 100_000


def logged(*values: float, name: str = "loss") -> list[Point]:
    return [Point(step, None, {name: value}, 0.0) for step, value in enumerate(values, 1)]


def test_non_finite_points_are_kept_apart_with_their_kind() -> None:
    series = series_of(logged(1.0, math.nan, 2.0, math.inf, -math.inf), "loss")
    assert series == Series([1, 3], [1.0, 2.0], [(2, "nan"), (4, "inf"), (5, "-inf")])


def test_a_point_without_the_metric_is_no_point_of_its_series() -> None:
    assert series_of([*logged(1.0), Point(2, None, {"grad_norm": 1.0}, 0.0)], "loss").xs == [1]


@given(
    st.lists(st.tuples(st.integers(-5, 60), st.floats(-9, 9)), max_size=40).map(sorted),
    st.integers(-5, 60),
    st.integers(0, 60),
    st.integers(1, 25),
)
def test_every_point_in_range_is_within_the_extremes_of_its_own_column(
    points: list[tuple[int, float]], low: int, span: int, columns: int
) -> None:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    high = low + span
    found = per_column(xs, ys, low, high, columns)
    assert len(found) == columns
    expected: dict[int, list[float]] = {}
    for x, y in points:
        if low <= x <= high:
            expected.setdefault(column_of(x, low, high, columns), []).append(y)
    assert {k: pair for k, pair in enumerate(found) if pair} == {
        k: (min(part), max(part)) for k, part in expected.items()
    }


@given(st.integers(-99, 10**30), st.integers(1, 10**30), st.integers(1, 300), st.data())
def test_a_column_starts_at_the_first_step_it_shows(
    low: int, span: int, columns: int, data: st.DataObject
) -> None:
    column = data.draw(st.integers(0, columns - 1))
    start = column_start(column, low, low + span, columns)
    if start < low + span and column_of(start, low, low + span, columns) == column:
        assert start == low or column_of(start - 1, low, low + span, columns) < column


def test_a_spike_of_one_step_among_a_hundred_thousand_is_the_maximum_of_its_column() -> None:
    ys = [1.0] * MANY
    ys[61_803] = 50.0
    found = per_column(range(MANY), ys, 0, MANY - 1, 240)
    column = column_of(61_803, 0, MANY - 1, 240)
    assert found[column] == (1.0, 50.0)
    assert [pair for k, pair in enumerate(found) if k != column] == [(1.0, 1.0)] * 239


def test_each_of_a_hundred_thousand_points_is_visited_once_to_cut_them_into_columns() -> None:
    class Visited(list[float]):
        visits = 0

        def __getitem__(self, at: Any) -> Any:
            found = super().__getitem__(at)
            self.visits += len(found) if isinstance(at, slice) else 1
            return found

    xs, ys = list(range(MANY)), Visited(math.sin(step) for step in range(MANY))
    per_column(xs, ys, 0, MANY - 1, 240)
    assert ys.visits == MANY
