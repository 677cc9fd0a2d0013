"""A log of points is what a list of them would be, in a tenth of its memory."""

from __future__ import annotations

import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.record.points import STEP_LIMIT, Point, PointLog

NAMES = ("loss", "grad_norm", "learning_rate")
VALUES = st.dictionaries(st.sampled_from(NAMES), st.floats(allow_nan=False), max_size=3)
EPOCHS = st.none() | st.floats(0, 9)
POINTS = st.lists(st.builds(Point, st.integers(0, 99), EPOCHS, VALUES, st.floats(0, 1e10)))


@given(POINTS)
def test_a_log_has_its_points(points: list[Point]) -> None:
    log = PointLog(points)
    assert list(log) == points
    assert log == points
    assert [log[at] for at in range(len(log))] == points
    assert log[-3:] == points[-3:]
    assert log[::2] == points[::2]
    assert list(reversed(log)) == points[::-1]


@given(POINTS)
def test_a_column_has_the_values_of_a_metric_with_their_rows(points: list[Point]) -> None:
    log = PointLog(points)
    for name in NAMES:
        column = log.column(name)
        rows = [row for row, point in enumerate(points) if name in point.values]
        values = [points[row].values[name] for row in rows]
        assert list(column) == values
        assert [column[at] for at in range(len(column))] == values
        assert list(column[1:-1]) == values[1:-1]
        assert list(column.rows(1)) == rows[1:]
        assert [column.row_of(at) for at in range(len(column))] == rows
        assert column.is_dense == (len(rows) == len(points))
    assert set(log.names) == {name for point in points for name in point.values}


@given(POINTS, POINTS)
def test_an_earlier_state_stays_as_it_was_while_the_log_grows(
    points: list[Point], more: list[Point]
) -> None:
    log = PointLog(points)
    earlier, half = log.until(), log.until(len(points) // 2)
    columns = {name: earlier.column(name) for name in NAMES}
    for point in more:
        log.append(point)
    assert list(log) == [*points, *more]
    assert list(earlier) == points
    assert list(half) == points[: len(points) // 2]
    assert earlier.shares(log)
    for name, column in columns.items():
        assert list(column) == [point.values[name] for point in points if name in point.values]
        assert list(earlier.column(name)) == list(column)


def test_points_with_a_value_that_is_not_finite_are_found() -> None:
    values = [1.0, math.nan, 1.7e308, 1.7e308, -math.inf]
    log = PointLog(
        Point(step, None, {"a": 0.0, "b": value}, 0.0) for step, value in enumerate(values)
    )
    assert [point.step for point in log.nonfinite()] == [1, 4]
    assert [point.step for point in log.nonfinite(2)] == [4]
    assert log.nonfinite(5) == []


def test_a_step_that_no_run_reaches_is_counted_as_the_limit() -> None:
    assert [point.step for point in PointLog([Point(10**40, None, {}, 0.0)])] == [STEP_LIMIT]


def test_an_index_outside_is_refused() -> None:
    with pytest.raises(IndexError):
        PointLog()[0]
    with pytest.raises(IndexError):
        PointLog([Point(1, None, {"loss": 1.0}, 0.0)]).column("loss")[1]


def test_a_point_of_seven_values_takes_about_80_bytes() -> None:
    count = 20_000
    tracemalloc.start()
    log = PointLog(
        Point(step, 0.5, {f"metric_{at}": step / 7 for at in range(7)}, 1.0 * step)
        for step in range(count)
    )
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(log) < 100
