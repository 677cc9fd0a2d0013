"""When a run evaluates and when it leaves a checkpoint."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.conftest import TinyLoop
from tui_loop.core.reader import read_run

pytestmark = pytest.mark.train

MakeLoop = Callable[..., TinyLoop]


def test_checkpoints_with_the_evaluations_where_no_other_steps_are_set(
    tiny_loop: MakeLoop,
) -> None:
    loop = tiny_loop(training={"max_steps": 7, "eval_steps": 3})
    loop.run("save_steps=unset")
    run = read_run(loop.loop.iteration(1))
    assert [each.step for each in run.evaluations] == [3, 6, 7]
    assert [each.step for each in run.checkpoints] == [3, 6, 7]


def test_an_epoch_at_a_time_the_last_weights_may_be_the_best_too(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop(training={"max_steps": 18, "keep": "best"})  # 8 steps an epoch
    summary = loop.run("eval_steps=unset", "save_steps=unset")
    run = read_run(loop.loop.iteration(1))
    within, kept = run.evaluations[:-1], summary.metrics["weights_step"]
    assert [each.step for each in within] == [8, 16, 18]
    assert [each.step for each in run.checkpoints] == [8, 16, 18]
    assert kept == min(within, key=lambda each: each.values["eval_loss"]).step


def test_without_evaluations_no_steps_set_means_no_checkpoint(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop(training={"max_steps": 2, "eval_steps": 0})
    loop.run("save_steps=unset")
    assert read_run(loop.loop.iteration(1)).checkpoints == []
