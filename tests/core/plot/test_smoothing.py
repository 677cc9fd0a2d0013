"""Smoothing: a debiased moving average, the same at once, in pieces, and read in parts."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.plot.smoothing import Means, smoothed
from tui_loop.core.plot.values import BLOCK


def test_smoothing_is_the_moving_average_divided_by_its_bias() -> None:
    values, weight = [3.0, 1.0, 2.0, 8.0, 0.5], 0.6
    average, expected = 0.0, []
    for count, value in enumerate(values, 1):
        average = weight * average + (1 - weight) * value
        expected.append(average / (1 - weight**count))
    assert smoothed(values, weight) == pytest.approx(expected)


def test_smoothing_with_no_weight_changes_nothing_and_non_finite_values_are_skipped() -> None:
    assert smoothed([1.0, math.nan, 2.0, math.inf], 0.0) == [1.0, 2.0]
    assert smoothed([1.0, math.nan, 1.0], 0.9) == pytest.approx([1.0, 1.0])


@given(st.lists(st.floats(-1e300, 1e300), max_size=30), st.integers(0, 30), st.floats(0, 0.99))
def test_a_series_that_grows_is_smoothed_as_if_it_came_at_once(
    values: list[float], cut: int, weight: float
) -> None:
    whole = smoothed(values, weight)
    known = smoothed(values[:cut], weight)
    assert [
        *known,
        *smoothed(values[cut:], weight, known[-1] if known else 0.0, len(known)),
    ] == pytest.approx(whole)


@pytest.mark.parametrize("weight", [0.0, 0.6, 0.99])
def test_any_part_of_the_means_is_that_of_all_of_them(weight: float) -> None:
    draw = random.Random(1)
    values = [draw.random() for _ in range(3 * BLOCK + 5)]
    whole = smoothed(values, weight)
    for _ in range(20):
        means = Means(values, weight)
        for _ in range(5):
            start, end = sorted(draw.sample(range(len(values) + 1), 2))
            assert list(means[start:end]) == pytest.approx(whole[start:end], rel=1e-12)
        assert means[start] == pytest.approx(whole[start], rel=1e-12)
    assert list(means) == pytest.approx(whole, rel=1e-12)
    assert list(means[5:5]) == []
