"""When a run evaluates and when it leaves a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.conftest import TinyLoop
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.requests import Request
from tui_loop.engine.journal_callback import JournalCallback

pytestmark = pytest.mark.train

MakeLoop = Callable[..., TinyLoop]


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int, **how: bool) -> None:
    """A stop comes at the very end of `step`, once in the process; by default it saves."""
    stop = Request("s", 0, "stop", **{"save": True, "evaluate": False, **how})
    end, done = JournalCallback.on_step_end, []

    def stops(self: JournalCallback, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step == step and not done:
            done.append(step)
            self._run_control.submit(stop)
        end(self, args, state, control, **more)

    monkeypatch.setattr(JournalCallback, "on_step_end", stops)


def save_before(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """A checkpoint is asked for as in a pause after `step`, once in the process."""
    begin, done = JournalCallback.on_step_begin, []

    def saves(self: JournalCallback, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step == step and not done:
            done.append(state.global_step)
            self.trainer.save_now()
        begin(self, args, state, control, **more)

    monkeypatch.setattr(JournalCallback, "on_step_begin", saves)


@pytest.mark.slow
def test_checkpoints_with_the_evaluations_where_no_other_steps_are_set(
    tiny_loop: MakeLoop,
) -> None:
    loop = tiny_loop(training={"max_steps": 7, "eval_steps": 3})
    loop.run("save_steps=unset")
    run = read_run(loop.loop.iteration(1))
    assert [each.step for each in run.evaluations] == [3, 6, 7]
    assert [each.step for each in run.checkpoints] == [3, 6, 7]


@pytest.mark.slow
def test_an_epoch_at_a_time_the_last_weights_may_be_the_best_too(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop(training={"max_steps": 18, "keep": "best"})  # 8 steps an epoch
    summary = loop.run("eval_steps=unset", "save_steps=unset")
    run = read_run(loop.loop.iteration(1))
    within, kept = run.evaluations[:-1], summary.metrics["weights_step"]
    assert [each.step for each in within] == [8, 16, 18]
    assert [each.step for each in run.checkpoints] == [8, 16, 18]
    assert kept == min(within, key=lambda each: each.values["eval_loss"]).step


@pytest.mark.slow
def test_without_evaluations_no_steps_set_means_no_checkpoint(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop(training={"max_steps": 2, "eval_steps": 0})
    loop.run("save_steps=unset")
    assert read_run(loop.loop.iteration(1)).checkpoints == []


@pytest.mark.slow
def test_steps_between_two_logs_are_not_lost_at_a_stop_or_a_checkpoint(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"max_steps": 16, "eval_steps": 0, "save_steps": 5, "logging_steps": 7}
    whole, loop = tiny_loop(training=settings), tiny_loop(training=settings)
    expected = whole.run()
    stop_after(monkeypatch, 3)
    assert loop.run().state == "stopped"
    summary = loop.run_number(1)
    run, uninterrupted = read_run(loop.loop.iteration(1)), read_run(whole.loop.iteration(1))
    assert [each.step for each in uninterrupted.metrics] == [5, 7, 10, 14, 15, 16]
    assert [each.step for each in run.metrics] == [3, 5, 7, 10, 14, 15, 16]
    assert summary.metrics["train_loss"] == pytest.approx(expected.metrics["train_loss"], abs=1e-5)
    assert run.latest("num_tokens") == uninterrupted.latest("num_tokens")


def test_a_checkpoint_in_a_pause_has_a_log_of_its_step(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_before(monkeypatch, 3)
    loop = tiny_loop(training={"max_steps": 6, "eval_steps": 0, "logging_steps": 10})
    loop.run("save_steps=0")
    run = read_run(loop.loop.iteration(1))
    assert [each.step for each in run.metrics] == [3, 6]
    assert "grad_norm" in run.metrics[0].values
    assert [each.step for each in run.checkpoints] == [3]


@pytest.mark.slow
@pytest.mark.parametrize("evaluate", [False, True])
def test_a_stop_on_the_step_of_an_evaluation_loses_neither_it_nor_the_best_weights(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, evaluate: bool
) -> None:
    settings = {"max_steps": 9, "eval_steps": 3, "keep": "best", "learning_rate": 3e-2}
    whole, loop = tiny_loop(training=settings), tiny_loop(training=settings)
    constant = "lr_scheduler_type=constant"
    expected = whole.run(constant)
    stop_after(monkeypatch, 3, evaluate=evaluate)
    assert loop.run(constant).state == "stopped"
    summary = loop.run_number(1)
    run, uninterrupted = read_run(loop.loop.iteration(1)), read_run(whole.loop.iteration(1))
    for found, wanted in zip(run.evaluations, uninterrupted.evaluations, strict=True):
        assert found.step == wanted.step
        assert found.values["eval_loss"] == pytest.approx(wanted.values["eval_loss"], abs=1e-5)
    assert [each.values["loss"] for each in run.metrics] == pytest.approx(
        [each.values["loss"] for each in uninterrupted.metrics], abs=1e-5
    )
    for name in ("weights_step", "eval_loss", "score"):
        assert summary.metrics[name] == pytest.approx(expected.metrics[name], abs=1e-5)


@pytest.mark.slow
def test_a_resumed_run_has_the_patience_that_it_had(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"max_steps": 40, "eval_steps": 2, "early_stopping_patience": 2}
    whole, loop = tiny_loop(training=settings), tiny_loop(training=settings)
    rate = ("learning_rate=5e-2", "lr_scheduler_type=constant")
    expected = whole.run(*rate)
    assert expected.metrics["steps"] < 40
    last = int(expected.metrics["steps"])
    stop_after(monkeypatch, last - 1, evaluate=True)
    assert loop.run(*rate).state == "stopped"
    assert loop.run_number(1).metrics["steps"] == last
    assert "stopped early" in " ".join(line.text for line in read_run(loop.loop.iteration(1)).lines)


@pytest.mark.slow
def test_a_checkpoint_in_a_pause_between_epochs_is_gone_on_from_exactly(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"max_steps": 12, "eval_steps": 0, "save_steps": 0}  # 8 steps an epoch
    table: dict[str, Any] = {"training": settings, "lora": {"lora_dropout": 0.2}}
    whole, loop = tiny_loop(**table), tiny_loop(**table)
    whole.run()
    save_before(monkeypatch, 8)
    stop_after(monkeypatch, 10, save=False)
    assert loop.run().state == "stopped"
    loop.run_number(1)
    run, uninterrupted = read_run(loop.loop.iteration(1)), read_run(whole.loop.iteration(1))
    assert run.started is not None
    assert run.started.from_step == 8
    assert [each.values["loss"] for each in run.metrics] == pytest.approx(
        [each.values["loss"] for each in uninterrupted.metrics], abs=1e-5
    )
