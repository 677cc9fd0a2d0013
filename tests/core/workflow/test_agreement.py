"""Whether the holdout bears out the eval set: shares, graded scores and losses, each with noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.stats import newcombe
from tui_loop.core.workflow.holdout import (
    Figures,
    HoldoutEvaluation,
    agreement_of,
    figures_of,
    loss_difference,
    mean_error,
    ratio_error,
    read_holdout_evaluations,
    record_holdout_evaluation,
    score_difference,
)

MakeLook = Callable[..., HoldoutEvaluation]


def test_a_small_drop_is_noise_and_a_large_one_says_that_eval_flatters(look: MakeLook) -> None:
    found = agreement_of(look())
    assert found.agrees is True
    assert found.sentence == "80% on the eval set, 78% on the holdout (-2 ±11): within the noise"
    worse = agreement_of(look(score=0.6, passed=60))
    assert worse.agrees is False
    assert worse.sentence.startswith(
        "the eval set is too optimistic: 80% on the eval set, 60% on the holdout (-20 ±12)"
    )


def test_the_change_is_what_a_reader_gets_who_subtracts_what_is_shown(look: MakeLook) -> None:
    told = agreement_of(
        look(score=62 / 83, passed=62, total=83, eval=Figures(74 / 117, 74, 117))
    ).sentence
    assert told.startswith("63% on the eval set, 75% on the holdout (+12 ±")


def test_a_better_holdout_agrees(look: MakeLook) -> None:
    assert agreement_of(look(score=0.99, passed=99)).agrees is True


def test_shares_are_held_against_each_other_as_newcombe_does() -> None:
    one, other = Figures(0.8, 80, 100), Figures(0.6, 30, 50)
    assert score_difference(one, other) == newcombe(80, 100, 30, 50)


def test_graded_scores_go_by_their_standard_errors() -> None:
    one, other = Figures(0.5, 3, 10, score_error=0.03), Figures(0.4, 2, 10, score_error=0.04)
    found = score_difference(one, other)
    assert found is not None
    assert found.delta == pytest.approx(-0.1)
    assert found.half_width == pytest.approx(1.959964 * 0.05)
    assert score_difference(Figures(0.5, 3, 10), other) is None


def test_without_a_metric_losses_are_held_against_each_other(look: MakeLook) -> None:
    bare = {"score": None, "passed": None, "paired": None, "metric": "none"}
    noisy = look(**bare, loss=0.7, eval=Figures(loss=0.6, loss_error=0.05))
    assert agreement_of(noisy).agrees is True
    high = look(**bare, loss=0.9, eval=Figures(loss=0.6, loss_error=0.05))
    assert agreement_of(high).agrees is False
    assert (
        "loss 0.600 on the eval set, 0.900 on the holdout (+0.30 ±0.14)"
        in agreement_of(high).sentence
    )
    lost = look(**bare, loss="NaN", eval=Figures(loss=0.6, loss_error=0.05))
    assert agreement_of(lost).agrees is None
    assert loss_difference(Figures(loss=0.6), Figures(loss=0.7)) is None


def test_the_error_of_a_loss_a_token_is_the_ratio_estimators() -> None:
    rows = [(1.0, 2), (2.0, 4), (0.5, 3), (3.0, 1)]
    tokens = sum(count for _, count in rows)
    mean = sum(value * count for value, count in rows) / tokens
    squares = sum(((value - mean) * count) ** 2 for value, count in rows)
    wanted = math.sqrt(4 / 3 * squares) / tokens
    assert ratio_error(rows) == pytest.approx(wanted)
    assert ratio_error([(1.0, 2)]) is None
    assert ratio_error([(1.0, 2), (math.inf, 2)]) is None
    assert mean_error([1.0, 0.0, 1.0, 0.0]) == pytest.approx(math.sqrt(1 / 3) / 2)
    assert mean_error([1.0]) is None


def test_figures_of_examples_have_their_errors(example: Callable[..., Example]) -> None:
    examples = [example("a", 1.0, loss=0.2), example("b", 0.0, loss=0.6)]
    found = figures_of(examples, 0.5, 1, 0.4)
    assert (found.score, found.passed, found.total, found.loss) == (0.5, 1, 2, 0.4)
    assert found.score_error == pytest.approx(0.5)
    assert found.loss_error == pytest.approx(0.2)


def test_figures_of_answers_have_the_errors_of_their_conversations(
    example: Callable[..., Example],
) -> None:
    outcomes = [1.0, 0.0, 1.0, 1.0]
    alone = [example(f"{at}", score, loss=score) for at, score in enumerate(outcomes)]
    answers = [
        example(f"{at}:{n}", score, loss=score, conversation=f"talk{at}")
        for at, score in enumerate(outcomes)
        for n in range(5)
    ]
    one, many = figures_of(alone, 0.75, 3, 0.75), figures_of(answers, 0.75, 15, 0.75)
    assert one.effective_total is None
    assert many.score_error == pytest.approx(one.score_error)
    assert many.loss_error == pytest.approx(one.loss_error)
    assert many.effective_total is not None
    assert many.effective_total < 4


def test_answers_of_few_conversations_leave_a_larger_difference_within_the_noise(
    look: MakeLook,
) -> None:
    assert agreement_of(look(score=0.6, passed=60)).agrees is False
    few = look(score=0.6, passed=60, effective_total=20.0)
    assert agreement_of(few).agrees is True


@pytest.mark.parametrize("total", [0.0, -1.0, 1e-200, 101.0])
def test_an_effective_number_of_examples_that_cannot_be_is_a_bad_line(
    loop: LoopFolder, look: MakeLook, total: float
) -> None:
    record_holdout_evaluation(loop, look(effective_total=total))
    assert read_holdout_evaluations(loop).bad_lines == 1
