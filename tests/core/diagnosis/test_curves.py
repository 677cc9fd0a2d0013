"""A logged value over steps, and the line through it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tui_loop.core.diagnosis.facts import Curve, curve_of, level, trend_of
from tui_loop.core.record.points import Point

SMALL = st.floats(-100, 100).map(lambda value: round(value, 3))


def point(step: int, **values: float) -> Point:
    return Point(step, None, values, 0.0)


def test_of_two_values_at_one_step_the_later_one_stands() -> None:
    points = [point(1, loss=3.0), point(2, loss=2.0), point(2, loss=1.5), point(2, other=9.0)]
    assert curve_of(points, "loss") == Curve((1, 2), (3.0, 1.5))


def test_what_is_not_finite_is_left_out_and_remembered() -> None:
    points = [point(1, loss=3.0), point(2, loss=math.nan), point(3, loss=math.inf)]
    curve = curve_of(points, "loss")
    assert (curve.steps, curve.nonfinite) == ((1,), (2, 3))


def test_parts_of_a_curve_are_shares_of_its_points() -> None:
    curve = Curve(tuple(range(8)), tuple(map(float, range(8))))
    assert curve.part(0.5, 1).steps == (4, 5, 6, 7)
    assert curve.part(0, 0.1).steps == (0,)
    assert Curve().part(0.5, 1).steps == ()
    assert (Curve().lowest, Curve((1, 2, 3), (2.0, 1.0, 1.0)).lowest) == (-1, 1)


@given(st.lists(SMALL, min_size=5, max_size=40).filter(lambda each: len(set(each)) > 1))
def test_a_trend_is_the_least_squares_line_with_its_standard_error(values: list[float]) -> None:
    curve = Curve(tuple(range(10, 10 + 3 * len(values), 3)), tuple(values))
    trend = trend_of(curve)
    assert trend is not None
    line = stats.linregress(curve.steps, curve.values)
    length = curve.steps[-1] - curve.steps[0]
    assert trend.change == pytest.approx(line.slope * length, abs=1e-6)
    assert trend.error == pytest.approx(line.stderr * length, abs=1e-6)
    assert trend.start == pytest.approx(line.intercept + line.slope * curve.steps[0], abs=1e-6)


def test_noise_has_no_trend_and_few_points_have_none_at_all() -> None:
    trend = trend_of(Curve(tuple(range(6)), (1.0, 2.0, 1.0, 2.0, 1.0, 2.0)))
    assert trend is not None
    assert not trend.is_falling
    assert trend.change < 2 * trend.error
    assert trend_of(Curve((1, 2, 3), (3.0, 2.0, 1.0))) is None
    falling = trend_of(Curve(tuple(range(6)), (6.0, 5.1, 4.0, 2.9, 2.0, 1.1)))
    assert falling is not None
    assert falling.is_falling


def test_the_usual_value_is_not_moved_by_a_spike() -> None:
    assert level((1.0, 1.1, 500.0, 0.9, 1.0)) == 1.0
    assert math.isnan(level(()))
