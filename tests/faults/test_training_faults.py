"""Training that goes wrong: exceptions, divergence, memory, checkpoints, and going on after it.

Real runs on the tiny base; what cannot be had otherwise is put into the model or the bridge.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.conftest import TinyLoop, tiny_loop
from tests.faults.kit import Outcome
from tui_loop.core.checkpoints import where_to_go_on
from tui_loop.core.journal import Journal
from tui_loop.core.reader import iteration_of, read_run
from tui_loop.core.requests import RequestName, ask
from tui_loop.core.state import RunState
from tui_loop.core.store import IterationFolder
from tui_loop.engine import losses, training
from tui_loop.engine.bridge import Bridge
from tui_loop.engine.host import RunHost

__all__ = ["tiny_loop"]

pytestmark = pytest.mark.train

MakeLoop = Callable[..., TinyLoop]
PATIENCE_SECONDS = 60
LONG: dict[str, Any] = {"max_steps": 3000, "eval_steps": 0}


def until(condition: Callable[[], object], what: str) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends, f"never came: {what}"
        threading.Event().wait(0.02)


class Hosted:
    """A run in a thread of this process."""

    def __init__(self, folder: IterationFolder) -> None:
        self.folder = folder
        self.host = RunHost(folder, runner="thread")
        self.thread = threading.Thread(target=self.host.run)
        self.thread.start()

    @property
    def run(self) -> RunState:
        return read_run(self.folder)

    def trains(self, steps: int = 1) -> Hosted:
        until(lambda: self.run.step >= steps, f"step {steps}")
        return self

    def ask(self, name: RequestName, *, save: bool = True, evaluate: bool = False) -> str:
        return ask(self.folder.requests, self.run.attempt, name, save=save, evaluate=evaluate).id

    def hears(self, request: str) -> None:
        until(lambda: any(seen.id == request for seen in self.run.requests), "an answer")

    def ends(self) -> None:
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()


def steps_of(folder: IterationFolder) -> list[int]:
    return [point.step for point in read_run(folder).metrics]


def told(folder: IterationFolder) -> str:
    return " | ".join(line.text for line in read_run(folder).lines)


@pytest.mark.parametrize(
    "event", ["on_train_begin", "on_step_begin", "on_step_end", "on_log", "on_evaluate", "on_save"]
)
@pytest.mark.fault(
    "an exception in a callback of the bridge",
    group="training",
    state="finished",
    readable="training goes on; the fault is a line of the log",
)
def test_a_fault_in_a_callback_does_not_end_training(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, event: str
) -> None:
    from tui_loop.engine.bridge import _never_raises

    def broken(self: Bridge, *_: Any, **__: Any) -> None:
        raise ValueError(f"planted in {event}")

    broken.__name__ = event
    monkeypatch.setattr(Bridge, event, _never_raises(broken))
    loop = tiny_loop()
    loop.run()
    folder = loop.loop.iteration(1)
    assert f"{event}: ValueError: planted" in told(folder)
    outcome(folder)


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
    step = training.LoopTrainer.training_step

    def failing(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == 2:
            raise RuntimeError("planted")
        return step(self, *arguments, **named)

    monkeypatch.setattr(training.LoopTrainer, "training_step", failing)
    loop = tiny_loop()
    summary = loop.run()
    folder = loop.loop.iteration(1)
    assert steps_of(folder) == [1, 2]
    assert summary.error is not None
    assert "planted" in summary.error["message"]
    outcome(folder)


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
    assert f"weights of step {kept} are kept" in summary.error["message"]
    assert all(weights_are_finite(folder))
    outcome(folder)


def weights_are_finite(folder: IterationFolder) -> list[bool]:
    from safetensors.torch import load_file

    saved = load_file(folder.adapter / "adapter_model.safetensors")
    assert saved
    return [bool(torch.isfinite(each).all()) for each in saved.values()]


def poison_at(monkeypatch: pytest.MonkeyPatch, step: int, value: float) -> None:
    """Puts a value into one trained weight at a step, once in the process."""
    train_step, done = training.LoopTrainer.training_step, []

    def poisoned(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == step and not done:
            done.append(step)
            parameter = next(each for each in self.model.parameters() if each.requires_grad)
            with torch.no_grad():
                parameter.view(-1)[0] = value
        return train_step(self, *arguments, **named)

    monkeypatch.setattr(training.LoopTrainer, "training_step", poisoned)


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


@pytest.mark.fault(
    "no token of a batch is trained on",
    group="training",
    state="failed",
    error="data",
    readable="the step, and that nothing is being trained",
)
def test_training_nothing_is_as_loud_as_a_divergence(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    loss = training.LoopTrainer.compute_loss

    def masked(self: Any, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        inputs["labels"] = torch.full_like(inputs["labels"], -100)
        return loss(self, model, inputs, *arguments, **named)

    monkeypatch.setattr(training.LoopTrainer, "compute_loss", masked)
    loop = tiny_loop(training={"max_steps": 12, "eval_steps": 0})
    summary = loop.run()
    assert summary.error is not None
    assert "nothing is being trained" in summary.error["message"]
    assert summary.error["step"] == 3
    outcome(loop.loop.iteration(1))


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


def out_of_memory(at: Callable[[Any], bool]) -> Callable[..., Any]:
    """A `compute_loss` that runs out of memory where `at` says so of the trainer and its batch."""
    loss = training.LoopTrainer.compute_loss

    def failing(self: Any, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        if at((self, inputs)):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return loss(self, model, inputs, *arguments, **named)

    return failing


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
        training.LoopTrainer,
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
    monkeypatch.setattr(training.LoopTrainer, "compute_loss", out_of_memory(lambda _: True))
    loop = tiny_loop()
    summary = loop.run()
    assert summary.error is not None
    assert "CUDA out of memory" in summary.error["message"]
    for knob in ("activation_checkpointing", "lora.r=2", "quantization=4bit", "GiB"):
        assert knob in summary.error["hint"]
    assert summary.attempts == 3
    outcome(loop.loop.iteration(1))


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


def kill_in(loop: TinyLoop, ready: Callable[[RunState], object]) -> IterationFolder:
    """Begins the next iteration in a process of its own and kills that when `ready`."""
    folder = loop.loop.existing(loop.plan())
    command = [sys.executable, "-m", "tui_loop.engine.host", str(loop.loop.path), "1"]
    with folder.output.open("ab") as output:
        host = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        until(lambda: ready(read_run(folder)), "the moment to kill it")
    finally:
        os.kill(host.pid, signal.SIGKILL)
        host.wait()
    return folder


RESUMED: dict[str, Any] = {
    "training": {
        "max_steps": 60,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "eval_steps": 15,
        "save_steps": 8,
        "keep": "best",
    },
    "lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1},
}


@pytest.mark.fault(
    "a run's process is killed with SIGKILL, then resumed",
    group="checkpoints",
    state="finished",
    readable="each step once, with the losses of a run that was not killed",
)
def test_a_resumed_run_equals_one_that_was_never_interrupted(
    tiny_loop: MakeLoop, outcome: Outcome
) -> None:
    whole = tiny_loop(**RESUMED)
    expected = whole.run()
    loop = tiny_loop(**RESUMED)
    folder = kill_in(loop, lambda run: run.step >= 20)
    assert iteration_of(folder).state == "interrupted"
    summary = loop.run_number(1)
    run, uninterrupted = read_run(folder), read_run(whole.loop.iteration(1))
    assert run.attempt == 2
    assert run.started is not None
    assert run.started.from_step in (16, 24, 32, 40)
    assert steps_of(folder) == list(range(1, 61))
    for name in ("loss", "grad_norm", "learning_rate", "num_tokens"):
        assert [point.values[name] for point in run.metrics] == pytest.approx(
            [point.values[name] for point in uninterrupted.metrics], abs=1e-5
        )
    assert [each.step for each in run.evaluations] == [
        each.step for each in uninterrupted.evaluations
    ]
    assert [each.values["eval_loss"] for each in run.evaluations] == pytest.approx(
        [each.values["eval_loss"] for each in uninterrupted.evaluations], abs=1e-5
    )
    for name in ("train_loss", "eval_loss", "score", "weights_step"):
        assert summary.metrics[name] == pytest.approx(expected.metrics[name], abs=1e-5)
    assert sorted(folder.evals.iterdir())[0].name == "15.jsonl"
    outcome(folder)


def _torn(files: dict[str, Path]) -> list[tuple[str, Callable[[], object], str]]:
    """Ways for a checkpoint to be no longer whole: (name, what tears it, what is said)."""
    cuts = [
        (name, lambda path=path: os.truncate(path, path.stat().st_size // 2), "is cut short")
        for name, path in files.items()
    ]
    first = next(iter(files.values()))
    return [
        *cuts,
        ("gone", first.unlink, "is missing"),
        ("another", (first.parent / "adapter_model.bin").touch, "was not written with"),
        ("flipped", lambda: _flip(files["adapter_model.safetensors"]), "is not as it was written"),
    ]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.fault(
    "a file of the newest checkpoint is torn, each in turn",
    group="checkpoints",
    state="-",
    readable="the checkpoint before it is used, and why not the newer one is said",
)
def test_a_torn_checkpoint_is_passed_over_for_the_one_before(
    tiny_loop: MakeLoop, outcome: Outcome, tmp_path: Path
) -> None:
    loop = tiny_loop(training={"max_steps": 8, "save_steps": 4, "eval_steps": 0})
    loop.run()
    folder = loop.loop.iteration(1)
    run = read_run(folder)
    newest = folder.checkpoints / "checkpoint-8"
    assert where_to_go_on(folder, run).step == 8
    kept = {path.name: path.read_bytes() for path in newest.iterdir()}
    assert {"adapter_model.safetensors", "optimizer.pt", "trainer_state.json"} <= set(kept)
    for name, tear, reason in _torn({name: newest / name for name in kept}):
        tear()
        found = where_to_go_on(folder, run)
        assert (found.step, found.path) == (4, "checkpoints/checkpoint-4"), name
        assert reason in found.told
        for path in newest.iterdir():
            path.unlink()
        for each, data in kept.items():
            (newest / each).write_bytes(data)
    assert where_to_go_on(folder, run).step == 8
    outcome.checked()


@pytest.mark.fault(
    "the run's process ends with os._exit",
    group="process",
    state="interrupted",
    readable="every step up to then; resume goes on",
)
def test_a_process_that_vanishes_leaves_an_interrupted_run(
    tiny_loop: MakeLoop, outcome: Outcome
) -> None:
    loop = tiny_loop(training=LONG)
    folder = loop.loop.existing(loop.plan())
    program = (
        "import os, sys\n"
        "from tui_loop.engine import host\n"
        "from tui_loop.engine.training import LoopTrainer\n"
        "step = LoopTrainer.training_step\n"
        "def dies(self, *a, **k):\n"
        "    return os._exit(0) if self.state.global_step == 3 else step(self, *a, **k)\n"
        "import tui_loop.engine.training\n"
        "tui_loop.engine.training.LoopTrainer.training_step = dies\n"
        "host.main(sys.argv[1:])\n"
    )
    subprocess.run([sys.executable, "-c", program, str(loop.loop.path), "1"], check=True)
    assert steps_of(folder) == [1, 2, 3]
    assert where_to_go_on(folder, read_run(folder)).told.startswith("the start")
    outcome(folder)


@pytest.mark.fault(
    "SIGTERM to a run's process",
    group="process",
    state="stopped",
    readable="a checkpoint and the weights of the last step",
)
def test_a_termination_saves_a_checkpoint_and_ends_as_stopped(
    tiny_loop: MakeLoop, outcome: Outcome
) -> None:
    loop = tiny_loop(training=LONG)
    folder = loop.loop.existing(loop.plan())
    command = [sys.executable, "-m", "tui_loop.engine.host", str(loop.loop.path), "1"]
    with folder.output.open("ab") as output:
        host = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    until(lambda: read_run(folder).step >= 3, "step 3")
    host.terminate()
    assert host.wait(PATIENCE_SECONDS) == 3
    run = read_run(folder)
    assert run.stop_requested
    assert run.checkpoints[-1].step == run.step
    assert where_to_go_on(folder, run).step == run.step
    assert all(weights_are_finite(folder))
    outcome(folder)


@pytest.mark.fault(
    "a termination, and a step that never ends",
    group="process",
    state="stopped",
    readable="every step before it, within the grace",
)
def test_a_worker_that_does_not_end_is_left_behind_after_the_grace(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    from tui_loop.engine import host as hosting

    monkeypatch.setattr(hosting, "GRACE_SECONDS", 0.5)
    stuck, begun = threading.Event(), threading.Event()
    step = training.LoopTrainer.training_step

    def hangs(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == 2:
            begun.set()
            stuck.wait(PATIENCE_SECONDS)
        return step(self, *arguments, **named)

    monkeypatch.setattr(training.LoopTrainer, "training_step", hangs)
    loop = tiny_loop()
    hosted = Hosted(loop.loop.existing(loop.plan()))
    assert begun.wait(PATIENCE_SECONDS)
    hosted.host.terminate()
    hosted.ends()
    try:
        assert hosted.host.gave_up
        assert "given up" in told(hosted.folder)
        assert steps_of(hosted.folder) == [1, 2]
        outcome(hosted.folder)
    finally:
        stuck.set()


@pytest.mark.fault(
    "the loop's folder is taken away during a run, as by git clean -fdx",
    group="journal",
    state="stopped",
    readable="every step; config, decision and the loop's settings are put back",
)
def test_a_folder_that_is_taken_away_during_a_run_is_put_back(
    tiny_loop: MakeLoop, outcome: Outcome
) -> None:
    loop = tiny_loop(training=LONG)
    hosted = Hosted(loop.loop.existing(loop.plan())).trains(3)
    folder = hosted.folder
    texts = {
        path: path.read_bytes()
        for path in (folder.config, folder.decision, loop.loop.settings_file)
    }
    shutil.rmtree(loop.loop.path, ignore_errors=True)  # files may come back meanwhile
    until(lambda: all(path.exists() for path in texts) and folder.journal.exists(), "the files")
    assert {path: path.read_bytes() for path in texts} == texts
    hosted.trains(len(steps_of(folder)) + 3)
    hosted.hears(hosted.ask("stop"))
    hosted.ends()
    steps = steps_of(folder)
    assert steps == list(range(1, len(steps) + 1))
    assert read_run(folder).missing == 0
    summary = folder.read_summary()
    assert summary is not None
    assert summary.decision == "a test"
    assert (folder.adapter / "adapter_model.safetensors").exists()
    outcome(folder)


@pytest.mark.fault(
    "a CUDA fault",
    group="memory",
    state="failed",
    error="crashed",
    readable="that this process can use the GPU no more, and what to do",
)
def test_a_fault_of_the_device_is_told_from_other_crashes(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    def faulty(*_: Any, **__: Any) -> Any:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(training.LoopTrainer, "training_step", faulty)
    loop = tiny_loop()
    hosted = Hosted(loop.loop.existing(loop.plan()))
    hosted.ends()
    assert hosted.host.has_device_fault
    summary = hosted.folder.read_summary()
    assert summary is not None
    assert summary.error is not None
    assert "in a new one: tui-loop resume" in summary.error["hint"]
    outcome(hosted.folder)


def test_what_is_asked_of_a_run_is_done_and_acknowledged_when_it_has_its_effect(
    tiny_loop: MakeLoop,
) -> None:
    loop = tiny_loop(training=LONG)
    hosted = Hosted(loop.loop.existing(loop.plan())).trains()
    hosted.hears(hosted.ask("evaluate"))
    until(lambda: hosted.run.evaluations, "an evaluation")
    hosted.hears(hosted.ask("checkpoint"))
    until(lambda: hosted.run.checkpoints, "a checkpoint")

    hosted.hears(hosted.ask("pause"))
    assert iteration_of(hosted.folder).state == "paused"
    rested = hosted.run.step
    before = len(hosted.run.checkpoints), len(hosted.run.evaluations)
    hosted.hears(hosted.ask("checkpoint"))  # also while it rests
    hosted.hears(hosted.ask("evaluate"))
    until(
        lambda: (len(hosted.run.checkpoints), len(hosted.run.evaluations)) > before,
        "a checkpoint and an evaluation in the pause",
    )
    assert hosted.run.step == rested
    hosted.hears(hosted.ask("continue"))
    hosted.trains(rested + 2)
    assert iteration_of(hosted.folder).state == "running"

    hosted.hears(hosted.ask("pause"))
    hosted.ask("stop")
    hosted.ends()
    run = hosted.run
    assert iteration_of(hosted.folder).state == "stopped"
    assert run.checkpoints[-1].step == run.step
    names = [line["name"] for line in map(json.loads, requests_in(hosted.folder))]
    assert names == [
        "evaluate",
        "checkpoint",
        "pause",
        "checkpoint",
        "evaluate",
        "continue",
        "pause",
        "stop",
    ]


def requests_in(folder: IterationFolder) -> list[str]:
    return folder.requests.read_text().splitlines()
