"""Filters and orders of iterations."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tui_loop.core.compare.best import Best, Spread
from tui_loop.core.compare.iteration_order import HIGHEST_FIRST, IterationOrder, in_order
from tui_loop.core.compare.iteration_query import (
    parse_query,
    vocabulary_of_iterations,
    without_unfinished_condition,
)
from tui_loop.core.config.schema import SEED
from tui_loop.core.errors import BadInput
from tui_loop.core.record.run_glance import RunGlance
from tui_loop.core.record.structs import Iteration, Reached, State


def made(number: int, state: State = "finished", rate: float = 1e-4, **more: Any) -> Iteration:
    config = {"training": {"learning_rate": rate}}
    return Iteration(number=number, state=state, config=config, **more)


ITERATIONS = [
    made(0, title="base", metrics={"score": 0.1, "eval_loss": 3.0}, duration_s=5.0),
    made(1, parent=0, title="baseline", metrics={"score": 0.7, "eval_loss": 1.2}, duration_s=60.0),
    made(
        2,
        rate=1e-3,
        parent=1,
        title="learning_rate 1e-4 → 1e-3",
        changes={"training.learning_rate": [1e-4, 1e-3]},
        decision="faster, since the loss was still falling",
        metrics={"score": 0.75, "eval_loss": 1.1, "train_runtime": 40.0},
        duration_s=50.0,
    ),
    made(3, parent=2, changes={SEED: [1, 2]}, metrics={"score": 0.74, "eval_loss": "NaN"}),
    made(4, "stopped", parent=2, reached=Reached(41, 76, 1.15, 40)),
    made(5, "failed", parent=2, error={"kind": "oom"}),
    made(6, "running", parent=2, changes={"lora.r": [8, 16]}),
]
GLANCES = {2: RunGlance(tokens=8000.0)}
BEST = Best((2, 3), Spread(0.745, 0.005, 2), None)


def passing(text: str) -> list[int]:
    query = parse_query(text)
    return [
        each.number
        for each in ITERATIONS
        if query.matches(each, GLANCES.get(each.number, RunGlance()), BEST)
    ]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6]),
        ("state:failed", [5]),
        ("state:failed,stopped", [4, 5]),
        ("is:finished", [0, 1, 2, 3]),
        ("-is:finished", [4, 5, 6]),
        ("is:best", [2, 3]),
        ("is:base", [0]),
        ("is:live", [6]),
        ("is:replicate", [3]),
        ("is:identical", [4, 5]),
        ("is:scored", [0, 1, 2, 3]),
        ("score>70", [2, 3]),
        ("score>=70%", [1, 2, 3]),
        ("loss<1.16", [2, 4]),
        ("lr>=1e-3", [2]),
        ("lr<1e-3 number>0", [1, 3, 4, 5, 6]),
        ("time>55", [1]),
        ("tokens>1e3", [2]),
        ("rate>199", [2]),
        ("steps<50", [4]),
        ("FALLING", [2]),
        ('"still falling"', [2]),
        ("lora.r", [6]),
        ("base", [0, 1]),
        ("is:finished -is:best", [0, 1]),
    ],
)
def test_terms_select_iterations(text: str, numbers: list[int]) -> None:
    assert passing(text) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("state:fialed", "no such state, did you mean failed?"),
        ("is:", "is: has no value"),
        ("scroe>70", "no such term, did you mean score?"),
        ("score>high", "high is not a number"),
        ("score>", "a number is missing"),
        ("sate:failed", "no such term, did you mean state?"),
        ("score>٣", "is not a number"),
    ],
)
def test_a_wrong_term_is_refused_with_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_query(text)
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("typed", "complete"),
    [
        ("state:fai", ""),
        ("state:failed", "state:failed"),
        ("is:best sco", "is:best "),
        ("is:best score>", "is:best "),
        ("is:best score>7", "is:best score>7"),
        ("state:failed,st", ""),
        ("rank", "rank"),
        ("is:best ", "is:best "),
    ],
)
def test_what_is_only_begun_does_not_filter_yet(typed: str, complete: str) -> None:
    assert without_unfinished_condition(typed) == complete


def test_states_that_occur_are_proposed() -> None:
    words = vocabulary_of_iterations(ITERATIONS)
    assert [each.text for each in words.completions("state:f")] == [
        "state:finished",
        "state:failed",
    ]
    assert [each.text for each in words.completions("is:be")] == ["is:best"]
    assert [each.text for each in words.completions("sc")] == ["score>"]


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        (IterationOrder.NUMBER, [0, 1, 2, 3, 4, 5, 6]),
        (IterationOrder.SCORE, [2, 3, 1, 0, 4, 5, 6]),
        (IterationOrder.EVAL_LOSS, [2, 4, 1, 0, 3, 5, 6]),
        (IterationOrder.LEARNING_RATE, [1, 3, 4, 5, 6, 2, 0]),
        (IterationOrder.TIME, [1, 2, 0, 3, 4, 5, 6]),
        (IterationOrder.TOKENS, [2, 0, 1, 3, 4, 5, 6]),
        (IterationOrder.TOKEN_RATE, [2, 0, 1, 3, 4, 5, 6]),
    ],
)
def test_iterations_are_sorted_with_unknown_values_last(
    order: IterationOrder, numbers: list[int]
) -> None:
    assert [each.number for each in in_order(ITERATIONS, order, GLANCES)] == numbers
    turned = [each.number for each in in_order(ITERATIONS, order, GLANCES, is_reversed=True)]
    known = len(turned) - len(_unknown(order))
    assert set(turned[known:]) == _unknown(order), "unknown values stay last"
    assert turned[0] != numbers[0] or known == 1


def _unknown(order: IterationOrder) -> set[int]:
    if order in (IterationOrder.TOKENS, IterationOrder.TOKEN_RATE):
        return {0, 1, 3, 4, 5, 6}
    return {
        IterationOrder.SCORE: {4, 5, 6},
        IterationOrder.EVAL_LOSS: {3, 5, 6},
        IterationOrder.LEARNING_RATE: {0},
        IterationOrder.TIME: {3, 4, 5, 6},
    }.get(order, set())


def test_the_highest_score_and_the_lowest_loss_come_first() -> None:
    assert IterationOrder.SCORE in HIGHEST_FIRST
    assert IterationOrder.EVAL_LOSS not in HIGHEST_FIRST
    first = in_order(ITERATIONS, IterationOrder.SCORE, GLANCES)[0]
    assert msgspec.to_builtins(first)["metrics"]["score"] == 0.75
