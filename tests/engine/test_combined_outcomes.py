"""What an iteration stands at after several attempts."""

from __future__ import annotations

from typing import Any

import pytest

from tui_loop.engine.attempts import combined_outcome
from tui_loop.engine.run_context import Outcome


def outcome(saved: int | None = None, **metrics: Any) -> Outcome:
    return Outcome(metrics, has_begun=True, saved_step=saved)


def test_an_attempt_that_did_nothing_leaves_what_there_was() -> None:
    earlier = outcome(weights_step=8)
    assert combined_outcome(Outcome({}), earlier, has_adapter=True) is earlier


@pytest.mark.parametrize(
    ("now", "earlier", "has_adapter", "weights", "adapter"),
    [
        (outcome(13, weights_step=13), outcome(8, weights_step=8), True, 13, None),
        (outcome(weights_step=13), outcome(8, weights_step=8), True, 8, None),
        (outcome(weights_step=13), outcome(8, weights_step=8), False, None, None),
        (outcome(weights_step=13), Outcome(), True, None, None),
        (outcome(weights_step=13, eval_runtime=1.0), outcome(weights_step=8), True, 13, 8),
        (outcome(weights_step=13, eval_runtime=1.0), outcome(weights_step=8), False, 13, None),
        (outcome(weights_step=20), outcome(weights_step=13, adapter_step=8), True, 8, None),
        (outcome(13, weights_step=13, eval_runtime=1.0), Outcome(), True, 13, None),
    ],
)
def test_the_step_of_the_weights_is_that_of_what_is_there(
    now: Outcome, earlier: Outcome, has_adapter: bool, weights: int | None, adapter: int | None
) -> None:
    metrics = combined_outcome(now, earlier, has_adapter=has_adapter).metrics
    assert (metrics["weights_step"], metrics.get("adapter_step")) == (weights, adapter)


@pytest.mark.parametrize(
    ("own", "steps", "from_step", "seconds"),
    [
        (2.0, 9, 0, 2.0),  # all was trained anew
        (2.0, 9, 5, 5.0),
        (None, 5, 5, 3.0),  # nothing was left to train
        (None, 9, 5, None),
    ],
)
def test_the_time_of_training_is_that_of_all_steps(
    own: float | None, steps: int, from_step: int, seconds: float | None
) -> None:
    now = outcome(steps, weights_step=steps, steps=steps, train_runtime=own)
    combined = combined_outcome(
        now, Outcome(), has_adapter=True, from_step=from_step, trained_before=3.0
    )
    assert combined.metrics["train_runtime"] == seconds
