"""Divergence and training that trains nothing, from logged values alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.divergence import (
    EMPTY_LOGS,
    LEAST_LOGS,
    DivergenceDetector,
    is_far_above,
    lower_rate,
)

VOCABULARY = 1024
UNIFORM_LOSS = math.log(VOCABULARY)


def checked(*losses: float, **more: float | None) -> DivergenceDetector:
    detector = DivergenceDetector(VOCABULARY)
    for step, loss in enumerate(losses, 1):
        detector.check_log(step, {"loss": loss, "grad_norm": 1.0, **more})
    return detector


@pytest.mark.parametrize("name", ["loss", "grad_norm", "entropy"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_watched_value_that_is_not_finite_is_detected_in_that_log(
    name: str, value: float
) -> None:
    detector = checked(2.0, 1.9)
    assert not detector.check_log(3, {"loss": 1.8, "grad_norm": 1.0, "entropy": 1.0, name: value})
    assert detector.event is not None
    assert (detector.event.kind, detector.event.step) == ("diverged", 3)
    assert name in detector.event.reason


def test_other_values_that_are_not_finite_say_nothing() -> None:
    detector = checked(2.0)
    assert detector.check_log(2, {"loss": 1.9, "grad_norm": 1.0, "num_tokens": math.inf})
    assert detector.event is None


def test_a_finite_loss_that_stays_far_up_has_diverged_once_there_are_logs_enough() -> None:
    losses = [3.0] * 10 + [9.0] * 10
    assert checked(*losses[:-1]).event is None
    event = checked(*losses).event
    assert event is not None
    assert (event.kind, event.step) == ("diverged", LEAST_LOGS)
    assert "9" in event.reason


def test_a_run_that_explodes_at_its_second_step_is_compared_with_its_first() -> None:
    event = checked(3.0, *[9.0] * 30).event
    assert event is not None
    assert event.step == LEAST_LOGS


def test_one_that_rises_but_means_something_has_not() -> None:
    assert checked(*[0.5] * 10, *[3.0] * 30).event is None  # below ln(vocabulary): it overfits
    assert checked(*[8.0] * 10, *[11.0] * 30).event is None  # high, but not 1.5 times as high
    assert checked(*[3.0] * 10, *[9.0, 3.0, 3.0] * 9).event is None  # spikes move no median


def test_a_sound_log_is_one_whose_weights_were_worth_keeping() -> None:
    detector = checked(3.0, 2.0)
    assert detector.check_log(3, {"loss": UNIFORM_LOSS - 0.1, "grad_norm": 1.0})
    assert not detector.check_log(4, {"loss": UNIFORM_LOSS + 0.1, "grad_norm": 1.0})
    assert detector.event is None


def test_loss_and_gradient_of_exactly_zero_mean_that_nothing_is_trained() -> None:
    detector = DivergenceDetector(VOCABULARY)
    for step in range(1, EMPTY_LOGS):
        detector.check_log(step, {"loss": 0.0, "grad_norm": 0.0})
    assert detector.event is None
    detector.check_log(EMPTY_LOGS, {"loss": 0.0, "grad_norm": None})
    assert detector.event is not None
    assert (detector.event.kind, detector.event.step) == ("nothing_trained", EMPTY_LOGS)


def test_a_learned_batch_is_not_an_empty_one() -> None:
    detector = DivergenceDetector(VOCABULARY)
    for step in range(1, 20):
        detector.check_log(step, {"loss": 0.0, "grad_norm": 1e-9})
    assert detector.event is None


def test_evaluations_and_the_mean_of_the_run_are_checked_too() -> None:
    detector = checked(2.0)
    detector.check_evaluation(1, 3.0)
    detector.check_end(1, 2.0)
    assert detector.event is None
    detector.check_end(9, math.nan)
    assert detector.event is not None
    assert detector.event.step == 9
    other = checked(2.0)
    other.check_evaluation(4, math.inf)
    assert other.event is not None
    assert other.event.step == 4


@pytest.mark.parametrize("logs", [0, 1, EMPTY_LOGS - 1])
def test_a_run_of_few_logs_trained_nothing_if_all_of_them_are_empty(logs: int) -> None:
    detector = DivergenceDetector(VOCABULARY)
    for step in range(1, logs + 1):
        detector.check_log(step, {"loss": 0.0, "grad_norm": 0.0})
    assert detector.event is None
    detector.check_end(2, 0.0)
    assert detector.event is not None
    assert (detector.event.kind, detector.event.step) == ("nothing_trained", 2)


def test_a_run_whose_last_logs_alone_are_empty_has_trained() -> None:
    detector = checked(2.0)
    detector.check_log(2, {"loss": 0.0, "grad_norm": 0.0})
    detector.check_end(2, 1.0)
    assert detector.event is None


def test_only_the_first_event_counts() -> None:
    detector = checked(2.0, math.nan, math.nan)
    detector.check_evaluation(5, math.nan)
    assert detector.event is not None
    assert detector.event.step == 2


def test_an_evaluation_says_whether_the_weights_are_sound() -> None:
    detector = checked(2.0)
    assert detector.check_evaluation(4, 1.5)
    assert not detector.check_evaluation(5, UNIFORM_LOSS + 1)
    assert detector.event is None
    assert not detector.check_evaluation(6, math.nan)
    assert not detector.check_evaluation(7, 1.5)


@pytest.mark.parametrize(
    ("eval_loss", "base", "is_far"),
    [(2.4, 0.5, False), (2.6, 0.5, True), (9.0, 8.3, False), (17.0, 8.3, True), (3.1, 1.2, False)],
)
def test_a_final_eval_loss_far_above_the_base(eval_loss: float, base: float, is_far: bool) -> None:
    assert is_far_above(eval_loss, base) is is_far


@pytest.mark.parametrize(
    ("rate", "adapter", "lower"),
    [(1e-3, True, 1e-4), (2e-2, True, 2e-3), (1e4, True, 1e-4), (1.0, False, 2e-5)],
)
def test_the_rate_to_try_next_is_one_that_can_be_of_use(
    rate: float, adapter: bool, lower: float
) -> None:
    assert lower_rate(rate, with_adapter=adapter) == lower


@given(st.lists(st.floats(0, UNIFORM_LOSS - 1e-6), min_size=1, max_size=80))
def test_no_loss_below_that_of_a_uniform_guess_ever_looks_diverged(losses: list[float]) -> None:
    event = checked(*losses).event
    assert event is None or event.kind == "nothing_trained"
