"""X axes: places, ticks and labels of steps, epochs, tokens and time."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.plot.axis import (
    AXES,
    EPOCH,
    SECOND,
    Axis,
    axis_ticks,
    place_of,
    place_text,
    range_text,
)


@pytest.mark.parametrize(
    ("axis", "low", "high", "labels"),
    [
        ("step", 1, 100, ["20", "40", "60", "80", "100"]),
        ("epoch", 0, 2 * EPOCH, ["0", "0.5", "1", "1.5", "2"]),
        ("tokens", 0, 2_000_000, ["0", "500k", "1M", "1.5M", "2M"]),
        ("tokens", 5_000_000, 5_000_009, ["5000000", "5000002", "5000004", "5000006", "5000008"]),
        ("tokens", 1_200_000, 1_200_400, ["1200k", "1200.1k", "1200.2k", "1200.3k", "1200.4k"]),
        ("time", 0, 25 * SECOND, ["0:00", "0:05", "0:10", "0:15", "0:20", "0:25"]),
        ("time", -30 * SECOND, 30 * SECOND, ["-0:30", "-0:15", "0:00", "0:15", "0:30"]),
        ("time", 0, 6000 * SECOND, ["0:00", "30:00", "1h00m", "1h30m"]),
        ("time", 0, 1000, ["0:00", "0:00.2", "0:00.4", "0:00.6", "0:00.8", "0:01"]),
        ("time", 0, 200_000 * SECOND, ["0:00", "12h00m", "24h00m", "36h00m", "48h00m"]),
    ],
)
def test_ticks_are_round_in_the_unit_of_their_axis(
    axis: Axis, low: int, high: int, labels: list[str]
) -> None:
    assert [label for _, label in axis_ticks(axis, low, high, 6)] == labels


@given(
    st.sampled_from(AXES),
    st.integers(-(10**15), 10**15),
    st.integers(0, 10**15),
    st.integers(1, 12),
)
def test_ticks_are_few_in_order_and_within(axis: Axis, low: int, span: int, most: int) -> None:
    ticks = axis_ticks(axis, low, low + span, most)
    assert len(ticks) <= most
    assert all(low <= place <= low + span for place, _ in ticks)
    assert all(before < after for (before, _), (after, _) in pairwise(ticks))


def test_a_place_in_words_has_its_unit() -> None:
    assert place_text("step", 41) == "step 41"
    assert place_text("epoch", 540_000) == "epoch 0.54"
    assert place_text("tokens", 12_300) == "12,300 tokens"
    assert place_text("time", 65 * SECOND) == "time 1:05"
    assert range_text("step", 51, 100) == "steps 51 to 100"
    assert range_text("time", 5 * SECOND, 4800 * SECOND) == "time 0:05 to 1h20m"


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_epoch_or_number_of_tokens_has_no_place(value: float | None) -> None:
    assert [place_of(axis, value) for axis in AXES] == [None] * len(AXES)
