"""Scales and their ticks."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.plot.scale import Scale, labels, step_ticks, value_ticks


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (0.13, 0.98, ["0.2", "0.4", "0.6", "0.8"]),
        (1, 51, ["10", "20", "30", "40", "50"]),
        (3, 3, ["3"]),
    ],
)
def test_ticks_are_at_round_values(low: float, high: float, wanted: list[str]) -> None:
    assert [text for _, text in value_ticks(Scale(low, high), 6)] == wanted


def test_ticks_of_a_log_scale_are_round_and_few() -> None:
    ticks = value_ticks(Scale(0.08, 9, is_log=True), 6)
    assert [text for _, text in ticks] == ["0.1", "0.2", "0.5", "1", "2", "5"]
    wide = value_ticks(Scale(1e-6, 1e6, is_log=True), 6)
    assert wide[0] == (0.0, "1e-6")
    assert len(wide) == 7


def test_a_value_beyond_an_end_is_at_that_end_on_a_log_scale_too() -> None:
    scale = Scale(0.1, 10.0, is_log=True)
    assert [scale.place(value) for value in (-1.0, 0.0, 1.0, 100.0)] == [0.0, 0.0, 0.5, 1.0]


def test_a_log_scale_gives_each_factor_of_ten_the_same_height() -> None:
    scale = Scale(0.01, 100.0, is_log=True)
    assert [scale.place(value) for value in (0.01, 0.1, 1.0, 10.0, 100.0)] == pytest.approx(
        [0.0, 0.25, 0.5, 0.75, 1.0]
    )


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.9, 1.4, 1.9], ["0.9", "1.4", "1.9"]),
        ([1.12, 1.14, 1.16], ["1.12", "1.14", "1.16"]),
        ([0.0, 20.0, 40.0], ["0", "20", "40"]),
        ([0.0, 2e-5, 4e-5], ["0", "2e-5", "4e-5"]),
        ([0.0, 5e29, 1e30], ["0", "5.0e29", "1.0e30"]),
        ([1.23456], ["1.23"]),
        ([1e30], ["1e30"]),
    ],
)
def test_tick_labels_have_the_digits_that_tell_them_apart(
    values: list[float], texts: list[str]
) -> None:
    assert labels(values) == texts


@given(st.floats(1e-12, 1e12), st.floats(0, 1e12), st.booleans(), st.integers(1, 8))
def test_value_ticks_are_few_and_different_and_lie_on_the_axis(
    low: float, span: float, log: bool, most: int
) -> None:
    ticks = value_ticks(Scale(low, low + span, log), most)
    assert 1 <= len(ticks) <= max(most, 2) + 1
    assert all(0 <= place <= 1 for place, _ in ticks)
    assert [place for place, _ in ticks] == sorted(place for place, _ in ticks)


@given(st.integers(-50, 10**9), st.integers(0, 10**9), st.integers(1, 12))
def test_step_ticks_are_whole_few_and_evenly_spaced(low: int, span: int, most: int) -> None:
    ticks = step_ticks(low, low + span, most)
    assert len(ticks) <= most
    assert all(low <= step <= low + span for step in ticks)
    assert len({after - before for before, after in pairwise(ticks)}) <= 1


@pytest.mark.parametrize("log", [False, True])
def test_a_place_beyond_the_ends_has_a_value_too(log: bool) -> None:
    scale = Scale(0.1, 10.0, log)
    for value in (0.1, 1.0, 10.0):
        assert scale.value(scale.place(value)) == pytest.approx(value)
    assert scale.value(1.5) == pytest.approx(100.0 if log else 14.95)
    assert Scale(-1.7e308, 1.7e308).value(9.0) == sys.float_info.max
