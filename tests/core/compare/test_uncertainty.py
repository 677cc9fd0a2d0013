"""Intervals over examples, and how they are drawn."""

from __future__ import annotations

import math
import random
from array import array

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui_loop.core.compare.uncertainty import loss_interval, score_interval
from tui_loop.core.examples.history import Outcomes
from tui_loop.core.plot.scale import Scale
from tui_loop.core.plot.strip import ASCII, UNICODE, ends, scale_of, strip
from tui_loop.core.record.structs import Iteration
from tui_loop.core.stats import Interval

WIDTH = 21


def outcomes(losses: list[float], tokens: list[int], scores: list[float] | None = None) -> Outcomes:
    count = len(losses)
    return Outcomes(
        1,
        [f"id{row}" for row in range(count)],
        ["yes"] * count,
        bytearray(count),
        array("d", losses),
        array("d", scores or [math.nan] * count),
        array("q", tokens),
    )


def iteration(**metrics: object) -> Iteration:
    return Iteration(number=1, state="finished", title="a try", metrics=dict(metrics))


def test_the_interval_of_the_loss_covers_the_true_one_about_as_often_as_it_says() -> None:
    rng, covered = random.Random(3), 0
    for _ in range(400):
        tokens = [rng.choice((1, 2, 8)) for _ in range(60)]
        losses = [rng.expovariate(1 / (0.5 + 0.1 * size)) for size in tokens]
        total = sum(size * loss for size, loss in zip(tokens, losses, strict=True)) / sum(tokens)
        found = loss_interval(iteration(eval_loss=total), outcomes(losses, tokens))
        assert found is not None
        truth = sum(size * (0.5 + 0.1 * size) for size in (1, 2, 8)) / 11
        covered += found.low <= truth <= found.high
    assert 0.89 <= covered / 400 <= 0.97  # skewed losses: a little below 95%


def test_scores_between_0_and_1_have_the_interval_of_their_mean() -> None:
    scores = [0.2, 0.4, 0.6, 0.8] * 5
    found = score_interval(
        iteration(score=0.5, passed=0, total=20), outcomes([1.0] * 20, [1] * 20, scores)
    )
    assert found is not None
    assert (found.low, found.high) == (
        pytest.approx(0.3926, abs=1e-3),
        pytest.approx(0.6074, abs=1e-3),
    )


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ([], None),
        ([1.0], None),
        ([1.0, math.nan], None),
        ([1.0, math.inf], None),
        ([1.0, 1.0], 0.0),
    ],
)
def test_where_nothing_tells_the_noise_the_figure_stands_alone(
    losses: list[float], told: float | None
) -> None:
    found = loss_interval(iteration(eval_loss=1.0), outcomes(losses, [1] * len(losses)))
    assert found is not None
    assert found.half_width == (told or 0.0)
    assert loss_interval(iteration(eval_loss="NaN"), None) is None
    assert score_interval(iteration(score=None), None) is None


def test_a_strip_stands_where_its_figures_are() -> None:
    scale = Scale(0.0, 1.0)
    assert strip(Interval(0.5, 0.3, 0.7), scale, WIDTH) == "······├───●───┤······"
    assert strip(Interval(0.0, 0.0, 0.1), scale, WIDTH, ASCII) == "o-|.................."
    assert strip(Interval(1.0, 1.0, 1.0), scale, WIDTH) == "····················●"
    assert ends(scale, WIDTH, "0%", "100%") == "0% ───────────── 100%"


def test_losses_that_span_much_are_laid_on_a_log_scale_that_no_wild_one_flattens() -> None:
    values = [Interval(value, value, value) for value in (0.5, 1.0, 9.0, 1e9)]
    scale = scale_of(values, may_be_log=True)
    assert scale is not None
    assert scale.is_log
    assert scale.high == pytest.approx(5000)
    assert strip(values[-1], scale, WIDTH)[-1] == UNICODE.beyond
    assert " log " in ends(scale, WIDTH, "0.5", "5000")
    assert scale_of([None]) is None


@example([Interval(1.0, 0.0, 1.0), Interval(5e-324, 0.0, 1.0)], 3, True)
@given(
    st.lists(
        st.tuples(*[st.floats(-1e12, 1e12)] * 3).map(
            lambda three: Interval(*sorted(three)[1::-1], max(three))
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(3, 40),
    st.booleans(),
)
def test_a_strip_is_as_wide_as_asked_and_shows_its_figure(
    intervals: list[Interval], width: int, may_be_log: bool
) -> None:
    scale = scale_of(intervals, may_be_log=may_be_log)
    assert scale is not None
    for each in intervals:
        drawn = strip(each, scale, width)
        assert len(drawn) == width
        assert sum(drawn.count(sign) for sign in (UNICODE.value, UNICODE.beyond)) == 1
