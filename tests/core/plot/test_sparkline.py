"""Sparklines: the recent course of a metric in a few cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.plot.series import Series
from tui_loop.core.plot.sparkline import sparkline


def test_the_newest_quarter_is_drawn_so_the_first_steps_do_not_flatten_it() -> None:
    values = [99.0] * 10 + [float(step) for step in range(110)]
    line = Series(list(range(120)), values)
    assert sparkline(line, 8) == "▁▂▃▄▅▆▇█"
    assert sparkline(line, 4, ascii_only=True) == "_.-^"


def test_a_cell_without_a_point_shows_the_value_before() -> None:
    assert sparkline(Series([0, 95, 100], [5.0, 1.0, 2.0]), 4) == "███▁"
    assert sparkline(Series([], []), 4) == "    "


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0, 2.0]])
def test_a_constant_is_a_level_line(values: list[float]) -> None:
    assert len(set(sparkline(Series(list(range(len(values))), values), 6))) == 1


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=40),
    st.integers(1, 12),
    st.booleans(),
)
def test_any_values_fill_exactly_their_cells(
    values: list[float], width: int, ascii_only: bool
) -> None:
    line = sparkline(Series(list(range(len(values))), values), width, ascii_only=ascii_only)
    assert len(line) == width
    assert not ascii_only or line.isascii()
