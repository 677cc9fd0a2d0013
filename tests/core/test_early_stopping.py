"""Which evaluations early stopping and the best weights go by."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.config.schema import Training
from tui_loop.core.early_stopping import EvalLosses

LOSSES = st.floats(0, 10) | st.just(math.nan)


def losses_of(every: int | None, *, patience: int = 2, keep: str = "last") -> EvalLosses:
    return EvalLosses(
        Training(eval_steps=every, early_stopping_patience=patience, keep=keep)  # type: ignore[arg-type]
    )


def test_evaluations_without_a_lower_loss_use_up_patience() -> None:
    losses = losses_of(5)
    assert [losses.note(step, None, 1.0 + step) for step in (5, 10)] == [True, False]
    assert not losses.is_out_of_patience
    assert not losses.note(15, None, math.nan)
    assert losses.is_out_of_patience


@given(
    scheduled=st.lists(LOSSES, max_size=8),
    asked=st.lists(st.tuples(st.integers(1, 40).filter(lambda step: step % 5), LOSSES)),
)
def test_evaluations_that_are_asked_for_never_change_patience(
    scheduled: list[float], asked: list[tuple[int, float]]
) -> None:
    alone, with_asked = losses_of(5), losses_of(5)
    for index, loss in enumerate(scheduled, 1):
        alone.note(5 * index, None, loss)
        for step, other in asked:
            if 5 * (index - 1) < step < 5 * index:
                with_asked.note(step, None, other)
        with_asked.note(5 * index, None, loss)
        with_asked.note(5 * index, None, loss)  # asked for again at once
        assert with_asked.stale == alone.stale


def test_one_that_is_asked_for_may_be_the_lowest() -> None:
    losses = losses_of(5)
    assert losses.note(5, None, 2.0)
    assert losses.note(7, None, 1.0)
    assert not losses.note(10, None, 1.5)
    assert losses.stale == 0


@pytest.mark.parametrize(
    ("every", "keep", "step", "epoch", "is_due"),
    [
        (5, "last", 5, 0.3, True),
        (5, "last", 6, 1.0, False),
        (5, "last", 20, 1.0, False),
        (5, "best", 20, 1.0, True),
        (6, "best", 20, 1.0, False),
        (None, "last", 8, 1.0, True),
        (None, "last", 7, 0.875, False),
        (None, "last", 8, None, False),
        (None, "best", 20, 2.5, True),
        (0, "best", 20, 1.0, False),
    ],
)
def test_the_schedule_says_what_is_due(
    every: int | None, keep: str, step: int, epoch: float | None, is_due: bool
) -> None:
    assert losses_of(every, keep=keep).is_due(step, epoch, 20) is is_due


def test_without_the_best_weights_the_next_is_the_lowest_and_patience_stays() -> None:
    losses = losses_of(5)
    for step, loss in [(5, 1.0), (10, 2.0)]:
        losses.note(step, None, loss)
    losses.forget_lowest()
    assert losses.note(15, None, 3.0)
    assert losses.is_out_of_patience
