"""Divergence and training that trains nothing, from logged values alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.divergence import (
    EMPTY_LOGS,
    LEAST_LOGS,
    TrainingWatch,
    is_far_above,
    lower_rate,
)

VOCABULARY = 1024
BLIND = math.log(VOCABULARY)


def watched(*losses: float, **more: float | None) -> TrainingWatch:
    watch = TrainingWatch(VOCABULARY)
    for step, loss in enumerate(losses, 1):
        watch.look(step, {"loss": loss, "grad_norm": 1.0, **more})
    return watch


@pytest.mark.parametrize("name", ["loss", "grad_norm", "entropy"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_witness_that_is_not_finite_is_seen_in_its_very_log(name: str, value: float) -> None:
    watch = watched(2.0, 1.9)
    assert not watch.look(3, {"loss": 1.8, "grad_norm": 1.0, "entropy": 1.0, name: value})
    assert watch.seen is not None
    assert (watch.seen.kind, watch.seen.step) == ("diverged", 3)
    assert name in watch.seen.reason


def test_other_values_that_are_not_finite_say_nothing() -> None:
    watch = watched(2.0)
    assert watch.look(2, {"loss": 1.9, "grad_norm": 1.0, "num_tokens": math.inf})
    assert watch.seen is None


def test_a_finite_loss_that_stays_far_up_has_diverged_once_there_are_logs_enough() -> None:
    losses = [3.0] * 10 + [9.0] * 10
    assert watched(*losses[:-1]).seen is None
    seen = watched(*losses).seen
    assert seen is not None
    assert (seen.kind, seen.step) == ("diverged", LEAST_LOGS)
    assert "9" in seen.reason


def test_a_run_that_explodes_at_its_second_step_is_held_against_its_first() -> None:
    seen = watched(3.0, *[9.0] * 30).seen
    assert seen is not None
    assert seen.step == LEAST_LOGS


def test_one_that_rises_but_means_something_has_not() -> None:
    assert watched(*[0.5] * 10, *[3.0] * 30).seen is None  # below ln(vocabulary): it overfits
    assert watched(*[8.0] * 10, *[11.0] * 30).seen is None  # high, but not 1.5 times as high
    assert watched(*[3.0] * 10, *[9.0, 3.0, 3.0] * 9).seen is None  # spikes move no median


def test_a_sound_log_is_one_whose_weights_were_worth_keeping() -> None:
    watch = watched(3.0, 2.0)
    assert watch.look(3, {"loss": BLIND - 0.1, "grad_norm": 1.0})
    assert not watch.look(4, {"loss": BLIND + 0.1, "grad_norm": 1.0})
    assert watch.seen is None


def test_loss_and_gradient_of_exactly_zero_mean_that_nothing_is_trained() -> None:
    watch = TrainingWatch(VOCABULARY)
    for step in range(1, EMPTY_LOGS):
        watch.look(step, {"loss": 0.0, "grad_norm": 0.0})
    assert watch.seen is None
    watch.look(EMPTY_LOGS, {"loss": 0.0, "grad_norm": None})
    assert watch.seen is not None
    assert (watch.seen.kind, watch.seen.step) == ("nothing_trained", EMPTY_LOGS)


def test_a_learned_batch_is_not_an_empty_one() -> None:
    watch = TrainingWatch(VOCABULARY)
    for step in range(1, 20):
        watch.look(step, {"loss": 0.0, "grad_norm": 1e-9})
    assert watch.seen is None


def test_evaluations_and_the_mean_of_the_run_are_witnesses_too() -> None:
    watch = watched(2.0)
    watch.look_at_evaluation(1, 3.0)
    watch.look_at_end(1, 2.0)
    assert watch.seen is None
    watch.look_at_end(9, math.nan)
    assert watch.seen is not None
    assert watch.seen.step == 9
    other = watched(2.0)
    other.look_at_evaluation(4, math.inf)
    assert other.seen is not None
    assert other.seen.step == 4


@pytest.mark.parametrize("logs", [0, 1, EMPTY_LOGS - 1])
def test_a_run_of_few_logs_trained_nothing_if_all_of_them_are_empty(logs: int) -> None:
    watch = TrainingWatch(VOCABULARY)
    for step in range(1, logs + 1):
        watch.look(step, {"loss": 0.0, "grad_norm": 0.0})
    assert watch.seen is None
    watch.look_at_end(2, 0.0)
    assert watch.seen is not None
    assert (watch.seen.kind, watch.seen.step) == ("nothing_trained", 2)


def test_a_run_whose_last_logs_alone_are_empty_has_trained() -> None:
    watch = watched(2.0)
    watch.look(2, {"loss": 0.0, "grad_norm": 0.0})
    watch.look_at_end(2, 1.0)
    assert watch.seen is None


def test_only_the_first_sighting_counts() -> None:
    watch = watched(2.0, math.nan, math.nan)
    watch.look_at_evaluation(5, math.nan)
    assert watch.seen is not None
    assert watch.seen.step == 2


def test_an_evaluation_says_whether_the_weights_are_sound() -> None:
    watch = watched(2.0)
    assert watch.look_at_evaluation(4, 1.5)
    assert not watch.look_at_evaluation(5, BLIND + 1)
    assert watch.seen is None
    assert not watch.look_at_evaluation(6, math.nan)
    assert not watch.look_at_evaluation(7, 1.5)


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


@given(st.lists(st.floats(0, BLIND - 1e-6), min_size=1, max_size=80))
def test_no_loss_below_that_of_blind_guessing_ever_looks_diverged(losses: list[float]) -> None:
    seen = watched(*losses).seen
    assert seen is None or seen.kind == "nothing_trained"
