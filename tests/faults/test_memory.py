"""Out of memory, and a device that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.faults.kit import Outcome
from tests.faults.runs import (
    Hosted,
    MakeLoop,
    steps_of,
)
from tui_loop.core.record.reader import read_run
from tui_loop.engine import losses, trainer

pytestmark = pytest.mark.train


def out_of_memory(at: Callable[[Any], bool]) -> Callable[..., Any]:
    """A `compute_loss` that runs out of memory where `at` says so of the trainer and its batch."""
    loss = trainer.LoopTrainer.compute_loss

    def failing(self: Any, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        if at((self, inputs)):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return loss(self, model, inputs, *arguments, **named)

    return failing


@pytest.mark.slow
@pytest.mark.fault(
    "out of memory in training",
    group="memory",
    state="finished",
    readable="each step once; the smaller batch among the changes, its effective size the same",
)
def test_training_out_of_memory_goes_on_with_a_smaller_batch_from_the_same_weights(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    loop = tiny_loop(lora={"r": 4, "lora_alpha": 8, "lora_dropout": 0.0})
    whole = loop.run("per_device_train_batch_size=4")
    monkeypatch.setattr(
        trainer.LoopTrainer,
        "compute_loss",
        out_of_memory(lambda seen: len(seen[1]["input_ids"]) > 1 and seen[0].state.global_step > 1),
    )
    summary = loop.run("per_device_train_batch_size=4", parent=1)
    folder = loop.loop.iteration(2)
    run = read_run(folder)
    assert summary.attempts == 3  # 4 rows at once, then 2, then 1
    assert [each.kind for each in run.recoveries] == ["oom", "oom"]
    assert summary.changes == {
        "training.per_device_train_batch_size": [4, 1],
        "training.gradient_accumulation_steps": [1, 4],
    }
    assert steps_of(folder) == [1, 2, 3, 4]
    assert [point.values["loss"] for point in run.metrics] == pytest.approx(
        [point.values["loss"] for point in read_run(loop.loop.iteration(1)).metrics], abs=1e-5
    )
    assert summary.metrics["eval_loss"] == pytest.approx(whole.metrics["eval_loss"], abs=1e-5)
    outcome(folder)


@pytest.mark.slow
@pytest.mark.fault(
    "out of memory with one row at a time",
    group="memory",
    state="failed",
    error="oom",
    readable="what is left to change, with figures",
)
def test_where_nothing_is_left_to_shrink_the_error_says_what_else_is(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    monkeypatch.setattr(trainer.LoopTrainer, "compute_loss", out_of_memory(lambda _: True))
    loop = tiny_loop()
    summary = loop.run()
    assert summary.error is not None
    assert "CUDA out of memory" in summary.error["message"]
    for knob in ("activation_checkpointing", "lora.r=2", "quantization=4bit", "GiB"):
        assert knob in summary.error["hint"]
    assert summary.attempts == 3
    outcome(loop.loop.iteration(1))


@pytest.mark.slow
@pytest.mark.fault(
    "out of memory in evaluation",
    group="memory",
    state="finished",
    readable="every example; the smaller evaluation batch, and training's as it was",
)
def test_evaluation_out_of_memory_never_shrinks_training(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    loop = tiny_loop()
    whole = loop.run()
    measure = losses._batch_losses

    def failing(model: Any, rows: Any, batch: list[int], pad_id: int) -> list[list[float]]:
        if len(batch) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB")
        return measure(model, rows, batch, pad_id)

    monkeypatch.setattr(losses, "_batch_losses", failing)
    summary = loop.run("batch_size=12", parent=1)
    folder = loop.loop.iteration(2)
    assert summary.attempts == 1
    assert summary.changes == {"evaluation.batch_size": [16, 3]}
    assert summary.metrics["eval_loss"] == pytest.approx(whole.metrics["eval_loss"], abs=1e-5)
    assert summary.metrics["score"] == whole.metrics["score"]
    assert {each.kind for each in read_run(folder).recoveries} == {"oom"}
    outcome(folder)


@pytest.mark.fault(
    "a CUDA fault",
    group="memory",
    state="failed",
    error="crashed",
    readable="that this process can no longer use the GPU, and what to do",
)
def test_a_device_fault_is_distinguished_from_other_crashes(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    def faulty(*_: Any, **__: Any) -> Any:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(trainer.LoopTrainer, "training_step", faulty)
    loop = tiny_loop()
    hosted = Hosted(loop.loop.existing(loop.plan()))
    hosted.ends()
    assert hosted.host.has_device_fault
    summary = hosted.folder.read_summary()
    assert summary is not None
    assert summary.error is not None
    assert "in a new process: `tui-loop resume" in summary.error["hint"]
    outcome(hosted.folder)
