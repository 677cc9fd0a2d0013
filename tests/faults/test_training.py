"""Training that goes wrong: exceptions, divergence, nothing that is trained."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.faults.kit import Outcome
from tests.faults.runs import (
    MakeLoop,
    steps_of,
    told,
    weights_are_finite,
)
from tui_loop.core.record.checkpoints import next_resumption
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.reader import read_run
from tui_loop.engine import last_good_weights, losses, trainer, training
from tui_loop.engine.journal_callback import JournalCallback, _never_raises

pytestmark = pytest.mark.train


@pytest.mark.slow
@pytest.mark.parametrize(
    "event",
    [
        "on_log",
        *(
            pytest.param(event, marks=pytest.mark.slow)
            for event in (
                "on_train_begin",
                "on_step_begin",
                "on_step_end",
                "on_evaluate",
                "on_save",
            )
        ),
    ],
)
@pytest.mark.fault(
    "an exception in a handler of JournalCallback",
    group="training",
    state="finished",
    readable="training continues; the fault is a line of the log",
)
def test_a_fault_in_a_callback_does_not_end_training(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, event: str
) -> None:

    def broken(self: JournalCallback, *_: Any, **__: Any) -> None:
        raise ValueError(f"planted in {event}")

    broken.__name__ = event
    monkeypatch.setattr(JournalCallback, event, _never_raises(broken))
    loop = tiny_loop()
    loop.run()
    folder = loop.loop.iteration(1)
    assert f"{event}: ValueError: planted" in told(folder)
    outcome(folder)


@pytest.mark.slow
@pytest.mark.fault(
    "the journal itself raises in every callback",
    group="training",
    state="finished",
    readable="the weights and the evaluation",
)
def test_a_fault_of_the_sink_does_not_end_training(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    append, raised = Journal.append, []

    def failing(self: Journal, event: Any) -> None:
        if type(event).__name__ in ("MetricsLogged", "CheckpointSaved"):
            raised.append(event)
            raise OSError(5, "planted")
        append(self, event)

    monkeypatch.setattr(Journal, "append", failing)
    loop = tiny_loop()
    summary = loop.run()
    folder = loop.loop.iteration(1)
    assert len(raised) >= 4
    assert summary.metrics["score"] is not None
    assert (folder.adapter / "adapter_model.safetensors").exists()
    outcome(folder)


@pytest.mark.fault(
    "an exception in the training step",
    group="training",
    state="failed",
    error="crashed",
    readable="every step before it; the traceback in output.log",
)
def test_an_exception_in_training_ends_the_run_and_not_its_process(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    step = trainer.LoopTrainer.training_step

    def failing(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == 2:
            raise RuntimeError("planted")
        return step(self, *arguments, **named)

    monkeypatch.setattr(trainer.LoopTrainer, "training_step", failing)
    loop = tiny_loop()
    summary = loop.run()
    folder = loop.loop.iteration(1)
    assert steps_of(folder) == [1, 2]
    assert summary.error is not None
    assert "planted" in summary.error["message"]
    outcome(folder)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["all-linear", "['c_attn']"])
@pytest.mark.fault(
    "a learning rate of 1e4",
    group="training",
    state="failed",
    error="diverged",
    readable="the step, a hint, and the last sound weights",
)
def test_an_absurd_rate_keeps_the_last_sound_weights(
    tiny_loop: MakeLoop, outcome: Outcome, target: str
) -> None:
    loop = tiny_loop()
    summary = loop.run("learning_rate=1e4", f"lora.target_modules={target}", "max_steps=12")
    folder = loop.loop.iteration(1)
    assert summary.error is not None
    assert 1 <= summary.error["step"] < 12
    assert "learning rate" in summary.error["hint"]
    kept = summary.metrics["weights_step"]
    assert 0 <= kept < summary.error["step"]
    assert f"weights of step {kept} are saved" in summary.error["message"]
    assert all(weights_are_finite(folder))
    outcome(folder)


def poison_at(monkeypatch: pytest.MonkeyPatch, step: int, value: float) -> None:
    """Puts a value into one trained weight at a step, once in the process."""
    train_step, done = trainer.LoopTrainer.training_step, []

    def poisoned(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == step and not done:
            done.append(step)
            parameter = next(each for each in self.model.parameters() if each.requires_grad)
            with torch.no_grad():
                parameter.view(-1)[0] = value
        return train_step(self, *arguments, **named)

    monkeypatch.setattr(trainer.LoopTrainer, "training_step", poisoned)


@pytest.mark.slow
@pytest.mark.fault(
    "a weight becomes NaN",
    group="training",
    state="failed",
    error="diverged",
    readable="all steps, the one where it showed, the last sound weights",
)
def test_a_nan_in_a_weight_shows_in_the_very_next_log(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    poison_at(monkeypatch, 5, math.nan)
    loop = tiny_loop(training={"max_steps": 12, "eval_steps": 0})
    summary = loop.run()
    folder = loop.loop.iteration(1)
    assert summary.error is not None
    assert summary.error["step"] == 6
    assert steps_of(folder) == [1, 2, 3, 4, 5, 6]
    assert 0 <= summary.metrics["weights_step"] <= 5
    assert all(weights_are_finite(folder))
    outcome(folder)


@pytest.mark.slow
@pytest.mark.fault(
    "a weight becomes NaN, policy: continue",
    group="training",
    state="failed",
    error="diverged",
    readable="training and evaluation to their end",
)
def test_a_diverged_run_never_ends_as_finished(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    poison_at(monkeypatch, 2, math.nan)
    loop = tiny_loop()
    summary = loop.run("on_divergence=continue", "max_steps=6")
    assert summary.metrics["steps"] == 6
    assert summary.metrics["total"] == 12
    outcome(loop.loop.iteration(1))


@pytest.mark.slow
@pytest.mark.fault(
    "a weight becomes NaN, policy: roll back",
    group="training",
    state="finished",
    readable="each step once, the recovery, the lower rate among the changes",
)
def test_a_rollback_goes_on_from_the_last_good_checkpoint_at_a_tenth_of_the_rate(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    poison_at(monkeypatch, 7, math.nan)
    loop = tiny_loop(training={"max_steps": 12, "eval_steps": 0, "save_steps": 4})
    summary = loop.run("on_divergence=rollback")
    folder = loop.loop.iteration(1)
    run = read_run(folder)
    assert steps_of(folder) == list(range(1, 13))
    assert [each.kind for each in run.recoveries] == ["nonfinite"]
    assert run.started is not None
    assert run.started.from_step == 4
    assert summary.changes["training.learning_rate"] == [5e-3, 5e-4]
    assert folder.read_config().training.learning_rate == 5e-4
    rates = {point.step: point.values["learning_rate"] for point in run.metrics}
    assert rates[5] < 5e-4 < rates[4]
    assert all(math.isfinite(point.values["loss"]) for point in run.metrics)
    outcome(folder)


@pytest.mark.slow
@pytest.mark.fault(
    "a weight becomes NaN between two logs, and an evaluation shows it",
    group="training",
    state="failed",
    error="diverged",
    readable="the evaluations before it, and the weights of the last of them",
)
def test_evaluations_show_up_to_where_a_run_was_sound(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    monkeypatch.setattr(last_good_weights, "SHARE", math.inf)  # every copy is due
    poison_at(monkeypatch, 7, math.nan)
    loop = tiny_loop(training={"max_steps": 12, "save_steps": 0, "logging_steps": 10})
    summary = loop.run()
    folder = loop.loop.iteration(1)
    assert [each.step for each in read_run(folder).evaluations] == [2, 4, 6, 8]
    assert (summary.metrics["sound_step"], summary.metrics["weights_step"]) == (6, 6)
    assert all(weights_are_finite(folder))
    outcome(folder)


def far_above_the_base(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The first so many final evaluations of the process are taken for diverged."""
    answers = iter([True] * times)
    monkeypatch.setattr(training, "_base_loss", lambda run: 0.5)
    monkeypatch.setattr(training, "is_far_above", lambda eval_loss, base: next(answers, False))


@pytest.mark.slow
@pytest.mark.fault(
    "the final eval loss is far above the base's, policy: roll back",
    group="training",
    state="finished",
    readable="each step once; each try from the start, at a lower rate",
)
def test_what_only_the_final_evaluation_shows_is_rolled_back_to_the_start(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    far_above_the_base(monkeypatch, 2)
    loop = tiny_loop(training={"max_steps": 4, "eval_steps": 0, "save_steps": 2})
    summary = loop.run("on_divergence=rollback")
    folder = loop.loop.iteration(1)
    run = read_run(folder)
    assert run.started is not None
    assert (run.attempt, run.started.from_step) == (3, 0)
    assert steps_of(folder) == [1, 2, 3, 4]
    assert summary.changes["training.learning_rate"] == [5e-3, 5e-5]
    outcome(folder)


@pytest.mark.slow
def test_what_only_the_final_evaluation_shows_leaves_nothing_to_go_on_from(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_above_the_base(monkeypatch, 1)
    loop = tiny_loop(training={"max_steps": 2, "eval_steps": 0, "save_steps": 2})
    summary = loop.run()
    folder = loop.loop.iteration(1)
    assert summary.error is not None
    assert summary.error["kind"] == "diverged"
    assert summary.metrics["sound_step"] == 0
    assert next_resumption(folder, read_run(folder)).step == 0


@pytest.mark.slow
@pytest.mark.fault(
    "no token of a batch is trained on",
    group="training",
    state="failed",
    error="data",
    readable="the step, and that nothing is being trained",
)
@pytest.mark.parametrize("steps", [1, 12])
def test_training_nothing_is_as_loud_as_a_divergence(
    steps: int, tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    loss = trainer.LoopTrainer.compute_loss

    def masked(self: Any, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        inputs["labels"] = torch.full_like(inputs["labels"], -100)
        return loss(self, model, inputs, *arguments, **named)

    monkeypatch.setattr(trainer.LoopTrainer, "compute_loss", masked)
    loop = tiny_loop(training={"max_steps": steps, "eval_steps": 0})
    summary = loop.run()
    assert summary.error is not None
    assert "nothing is being trained" in summary.error["message"]
    assert summary.error["step"] == min(steps, 3)
    outcome(loop.loop.iteration(1))


@pytest.mark.slow
@pytest.mark.fault(
    "the loss of a held-out row is NaN",
    group="evaluation",
    state="failed",
    error="diverged",
    readable="every example, and which line it is",
)
def test_a_nan_in_an_eval_row_is_named_by_its_line(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    measure = losses._batch_losses

    def poisoned(model: Any, rows: Any, batch: list[int], pad_id: int) -> list[list[float]]:
        found = measure(model, rows, batch, pad_id)
        return [
            [math.nan] * len(values) if index == 3 and len(rows) == 12 else values
            for index, values in zip(batch, found, strict=True)
        ]

    monkeypatch.setattr(losses, "_batch_losses", poisoned)
    loop = tiny_loop(training={"eval_steps": 0})
    loop.run()
    folder = loop.loop.iteration(1)
    examples = folder.read_examples()
    assert len(examples) == 12
    bad = [each for each in examples if each.loss == "NaN"]
    assert len(bad) == 1
    assert f"line {bad[0].source_line}" in told(folder)
    outcome(folder)


@pytest.mark.fault(
    "fewer rows than a batch, and batches that are not full are left out",
    group="training",
    state="failed",
    error="data",
    readable="that no optimizer step was possible, before any was tried",
)
def test_a_run_without_a_batch_fails_before_it_trains(
    tiny_loop: MakeLoop, outcome: Outcome
) -> None:
    loop = tiny_loop(data={"max_train_rows": 3}, training={"dataloader_drop_last": True})
    summary = loop.run()
    assert summary.error is not None
    assert "3 training rows cannot fill a batch of 4" in summary.error["message"]
    assert "dataloader_drop_last=false" in summary.error["hint"]
    assert summary.metrics["train_loss"] is None
    assert not loop.loop.iteration(1).adapter.exists()
    outcome(loop.loop.iteration(1))


@pytest.mark.slow
@pytest.mark.fault(
    "training ends before its first step",
    group="training",
    state="failed",
    error="data",
    readable="that no optimizer step was made",
)
def test_a_training_that_made_no_step_is_not_finished(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    """Trainer ends so where its sampler has no row for it."""

    def no_rows(self: Any, *_: Any, **__: Any) -> Any:
        return torch.utils.data.SubsetRandomSampler([])

    monkeypatch.setattr(trainer.LoopTrainer, "_get_train_sampler", no_rows)
    loop = tiny_loop(training={"eval_steps": 0})
    summary = loop.run()
    assert summary.error is not None
    assert "made no optimizer step" in summary.error["message"]
    assert summary.metrics["train_loss"] is None
    assert not loop.loop.iteration(1).adapter.exists()
    outcome(loop.loop.iteration(1))
