"""Stops: heard in every phase, within a step that accumulates, and where a phase hangs."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from peft import PeftModel
from transformers import GPT2LMHeadModel

from tests.faults.kit import Outcome
from tests.faults.runs import Hosted, MakeLoop, steps_of, told
from tests.waiting import PATIENCE_SECONDS, wait_until
from tui_loop.cli.main import main
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.scoring import Scorer
from tui_loop.engine import models, run_iteration, trainer
from tui_loop.engine import run_host as hosting
from tui_loop.engine.run_control import RunControl

pytestmark = pytest.mark.train

HANGS_IN_CHECKING = """
import os, sys
from transformers import GPT2LMHeadModel
from tui_loop.engine import host, run_host
nothing_comes, _ = os.pipe()
def blocks(*_, **__):
    print("blocked", flush=True)
    os.read(nothing_comes, 1)
GPT2LMHeadModel.forward = blocks
run_host.STOP_SECONDS = 1.0
sys.exit(host.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.fault(
    "a stop request, and a phase that hangs (the model's forward pass blocks in `checking`)",
    group="process",
    state="stopped",
    readable="a warning that names the phase; the process has ended and the lock is free",
)
def test_a_run_that_hangs_in_checking_is_ended_by_a_stop(
    tiny_loop: MakeLoop, outcome: Outcome, capfd: pytest.CaptureFixture[str]
) -> None:
    loop = tiny_loop()
    folder = loop.loop.existing(loop.plan())
    command = [sys.executable, "-c", HANGS_IN_CHECKING, str(loop.loop.path), "1"]
    with folder.output.open("ab") as output:
        host = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    wait_until(lambda: "blocked" in folder.output.read_text(), "the hang")
    loops = ["--loops", str(loop.loop.path.parent)]
    assert main([*loops, "stop", loop.loop.name, "--wait"]) == 0
    assert host.wait(PATIENCE_SECONDS) == 3
    assert not psutil.pid_exists(host.pid)
    assert told(folder).endswith(
        "abandoned 1 s after a stop request, while still in phase checking: unsaved work is lost"
    )
    assert main([*loops, "status", loop.loop.name]) == 0
    assert f"{folder} stopped" in capfd.readouterr().out
    with RunLock(folder.lock):  # raises where somebody holds it
        outcome(folder)


class Stuck:
    """Blocks whoever calls it until `free`; `reached` says that somebody has."""

    def __init__(self) -> None:
        self.reached, self._free = threading.Event(), threading.Event()

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.reached.set()
        assert self._free.wait(PATIENCE_SECONDS)

    def free(self) -> None:
        """Lets it go on, and waits until the worker that was left behind has ended."""
        self._free.set()
        for thread in threading.enumerate():
            if thread.name == "run":
                thread.join(PATIENCE_SECONDS)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    monkeypatch.setattr(hosting, "STOP_SECONDS", 0.5)
    made = Stuck()
    yield made
    made.free()


def in_loading(monkeypatch: pytest.MonkeyPatch, stuck: Stuck) -> None:
    monkeypatch.setattr(models, "load_model", stuck)


def in_preparing(monkeypatch: pytest.MonkeyPatch, stuck: Stuck) -> None:
    monkeypatch.setattr(run_iteration, "load_data", stuck)


def in_checking(monkeypatch: pytest.MonkeyPatch, stuck: Stuck) -> None:
    monkeypatch.setattr(GPT2LMHeadModel, "forward", stuck)


def in_training(monkeypatch: pytest.MonkeyPatch, stuck: Stuck) -> None:
    step = trainer.LoopTrainer.training_step

    def blocks(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == 2:
            stuck()
        return step(self, *arguments, **named)

    monkeypatch.setattr(trainer.LoopTrainer, "training_step", blocks)


def in_saving(monkeypatch: pytest.MonkeyPatch, stuck: Stuck) -> None:
    save = PeftModel.save_pretrained

    def blocks(self: Any, folder: str, *arguments: Any, **named: Any) -> Any:
        if folder.endswith(".adapter.tmp"):
            stuck()
        return save(self, folder, *arguments, **named)

    monkeypatch.setattr(PeftModel, "save_pretrained", blocks)


def in_evaluating(monkeypatch: pytest.MonkeyPatch, stuck: Stuck) -> None:
    scorer = Scorer("custom", 1.0, stuck)
    monkeypatch.setattr(run_iteration, "scorer_for", lambda *_, **__: scorer)


@pytest.mark.slow
@pytest.mark.parametrize(
    "hangs", [in_loading, in_preparing, in_checking, in_training, in_saving, in_evaluating]
)
def test_a_stop_ends_a_run_that_hangs_in_any_phase_and_nothing_is_written_afterwards(
    tiny_loop: MakeLoop,
    monkeypatch: pytest.MonkeyPatch,
    stuck: Stuck,
    hangs: Callable[[pytest.MonkeyPatch, Stuck], None],
) -> None:
    hangs(monkeypatch, stuck)
    loop = tiny_loop(training={"eval_steps": 0, "save_steps": 0})
    hosted = Hosted(loop.loop.existing(loop.plan()))
    assert stuck.reached.wait(PATIENCE_SECONDS)
    hosted.ask("stop", save=False)
    hosted.ends()
    phase = hangs.__name__.removeprefix("in_")
    assert hosted.host.gave_up
    assert f"still in phase {phase}:" in told(hosted.folder)
    assert iteration_of(hosted.folder).state == "stopped"
    written = {path: path.stat().st_mtime_ns for path in files_of(hosted.folder)}
    stuck.free()
    assert {path: path.stat().st_mtime_ns for path in files_of(hosted.folder)} == written


def files_of(folder: IterationFolder) -> list[Path]:
    """The files of an iteration, but for what libraries print and a save that was cut off."""
    found = [path for path in folder.path.rglob("*") if path.is_file()]
    return [path for path in found if path != folder.output and ".adapter.tmp" not in path.parts]


@pytest.mark.slow
def test_a_stop_that_wants_the_weights_waits_for_them_to_be_saved(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, stuck: Stuck
) -> None:
    in_saving(monkeypatch, stuck)
    overdue = list[bool]()
    asked = RunControl.is_stop_overdue

    def noted(self: RunControl, seconds: float) -> bool:
        overdue.append(asked(self, seconds))
        return overdue[-1]

    monkeypatch.setattr(RunControl, "is_stop_overdue", noted)
    loop = tiny_loop(training={"eval_steps": 0, "save_steps": 0})
    hosted = Hosted(loop.loop.existing(loop.plan()))
    assert stuck.reached.wait(PATIENCE_SECONDS)
    hosted.hears(hosted.ask("stop", save=True))
    seen = len(overdue)
    wait_until(lambda: len(overdue) > seen + 6, "more than the time that a stop has")
    stuck.free()
    hosted.ends()
    assert not hosted.host.gave_up
    assert not any(overdue)
    assert iteration_of(hosted.folder).state == "stopped"
    assert (hosted.folder.adapter / "adapter_model.safetensors").exists()


ACCUMULATES: dict[str, Any] = {
    "training": {
        "max_steps": 6,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "eval_steps": 0,
        "save_steps": 0,
        "logging_steps": 1,
    },
    "lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1},
}
NAMES = ("loss", "grad_norm", "num_tokens", "mean_token_accuracy")


@pytest.mark.slow
def test_a_stop_within_a_step_drops_its_micro_batches_and_a_resumed_run_is_exact(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiny_loop(**ACCUMULATES)
    expected = whole.run()
    figures = {point.step: point.values for point in read_run(whole.loop.iteration(1)).metrics}

    loop = tiny_loop(**ACCUMULATES)
    folder = loop.loop.existing(loop.plan("training.logging_steps=2"))
    host = hosting.RunHost(folder, runner="thread")
    step, calls = trainer.LoopTrainer.training_step, list[int]()

    def stops(self: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(self.state.global_step)
        if calls.count(3) == 2:  # within the fourth step
            host.control.request_stop(save=True, evaluate=False)
        return step(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.LoopTrainer, "training_step", stops)
        assert host.run() == "stopped"
    assert calls == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    run, stopped = read_run(folder), iteration_of(folder)
    assert [saved.step for saved in run.checkpoints] == [3]
    assert steps_of(folder) == [2, 3]
    for name in NAMES:
        assert run.metrics[-1].values[name] == pytest.approx(figures[3][name], abs=1e-6), name
    assert stopped.metrics["steps"] == 3
    assert stopped.metrics["train_loss"] == pytest.approx(
        sum(figures[number]["loss"] for number in (1, 2, 3)) / 3, abs=1e-5
    )

    resumed = loop.run_number(1)
    assert steps_of(folder) == [2, 3, 4, 6]
    four = read_run(folder).metrics[2].values
    for name in NAMES:
        assert four[name] == pytest.approx(figures[4][name], abs=1e-5), name
    for name in ("train_loss", "eval_loss"):
        assert resumed.metrics[name] == pytest.approx(expected.metrics[name], abs=1e-5), name


def test_a_stop_within_the_first_step_leaves_a_stopped_run_without_weights(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop(**ACCUMULATES)
    folder = loop.loop.existing(loop.plan())
    host = hosting.RunHost(folder, runner="thread")
    step = trainer.LoopTrainer.training_step

    def stops(self: Any, *arguments: Any, **named: Any) -> Any:
        host.control.request_stop(save=True, evaluate=True)
        return step(self, *arguments, **named)

    monkeypatch.setattr(trainer.LoopTrainer, "training_step", stops)
    assert host.run() == "stopped"
    metrics = iteration_of(folder).metrics
    assert (metrics["steps"], metrics["train_loss"]) == (0, None)
    assert read_run(folder).checkpoints == []
    assert not folder.adapter.exists()
