"""The range of values: outliers that would flatten the rest are left out, the newest never."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.plot.clip import Shown, outside, shown_range
from tui_loop.core.plot.series import Series


def series(values: list[float]) -> Series:
    return Series(list(range(1, len(values) + 1)), values)


def ranged(values: list[float], **more: bool) -> Shown:
    shown = shown_range([series(values)], 1, len(values), clip=True, **more)
    assert shown is not None
    return shown


def test_the_first_steps_of_a_run_do_not_flatten_the_rest() -> None:
    values = [12.0, 9.0, 7.0] + [1.0 + step % 5 / 10 for step in range(97)]
    shown = ranged(values)
    assert shown.is_clipped
    assert (shown.low, shown.high) == pytest.approx((1.0, 1.6))
    assert outside(series(values), 1, 100, shown) == (3, 0)
    assert shown_range([series(values)], 1, 100) == Shown(1.0, 12.0)


def test_a_loss_that_falls_through_the_whole_run_is_shown_whole() -> None:
    values = [3.0 * math.exp(-step / 60) + 0.2 for step in range(100)]
    assert ranged(values) == Shown(min(values), max(values))


def test_a_spike_is_left_out_and_a_run_that_goes_wrong_at_its_end_is_not() -> None:
    calm = [1.0 + step % 5 / 10 for step in range(100)]
    spiked = [*calm[:50], 40.0, *calm[51:]]
    assert ranged(spiked).high < 2
    wrong = [*calm[:99], 40.0]
    assert ranged(wrong) == Shown(1.0, 40.0)


def test_a_few_points_are_all_shown() -> None:
    assert ranged([50.0, *[1.0, 1.1] * 10]) == Shown(1.0, 50.0)


def test_on_a_log_scale_distances_are_those_of_logarithms() -> None:
    values = [12.0, 9.0, 7.0, -1.0] + [1.0 + step % 5 / 10 for step in range(96)]
    assert ranged(values, log=True).high < 12
    even = [10.0 ** (4 - step / 25) for step in range(100)]
    assert ranged(even, log=True) == Shown(even[-1], even[0])


def test_nothing_in_sight_has_no_range() -> None:
    assert shown_range([Series()], 1, 9, clip=True) is None
    assert shown_range([series([-1.0, 0.0])], 1, 2, log=True) is None


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.lists(numbers, min_size=1, max_size=80), min_size=1, max_size=3), st.booleans())
def test_the_newest_value_of_every_curve_is_within_and_no_data_breaks_it(
    curves: list[list[float]], log: bool
) -> None:
    shown = shown_range([series(each) for each in curves], 1, 80, log=log, clip=True)
    newest = [each[-1] for each in curves if not log or each[-1] > 0]
    if shown is not None:
        assert math.isfinite(shown.low)
        assert all(shown.low <= value <= shown.high for value in newest)
    if shown is not None and not shown.is_clipped and not log:
        assert all(outside(series(each), 1, 80, shown) == (0, 0) for each in curves)
