"""Hosts that end, hang, or lose their folder; and what is asked of one that lives."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from tests.faults.kit import Outcome
from tests.faults.runs import (
    Hosted,
    MakeLoop,
    steps_of,
    told,
    weights_are_finite,
)
from tests.waiting import PATIENCE_SECONDS, wait_until
from tui_loop.core.record.checkpoints import next_resumption
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.engine import trainer

pytestmark = [pytest.mark.train, pytest.mark.slow]


LONG: dict[str, Any] = {"max_steps": 3000, "eval_steps": 0}


@pytest.mark.slow
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
        "from tui_loop.engine.trainer import LoopTrainer\n"
        "step = LoopTrainer.training_step\n"
        "def dies(self, *a, **k):\n"
        "    return os._exit(0) if self.state.global_step == 3 else step(self, *a, **k)\n"
        "import tui_loop.engine.trainer\n"
        "tui_loop.engine.trainer.LoopTrainer.training_step = dies\n"
        "host.main(sys.argv[1:])\n"
    )
    subprocess.run([sys.executable, "-c", program, str(loop.loop.path), "1"], check=True)
    assert steps_of(folder) == [1, 2, 3]
    assert next_resumption(folder, read_run(folder)).description.startswith("the start")
    outcome(folder)


@pytest.mark.slow
@pytest.mark.fault(
    "SIGTERM or SIGUSR2 to a run's process",
    group="process",
    state="stopped",
    readable="a checkpoint and the weights of the last step",
)
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGUSR2])
def test_a_termination_saves_a_checkpoint_and_ends_as_stopped(
    tiny_loop: MakeLoop, outcome: Outcome, sent: signal.Signals
) -> None:
    loop = tiny_loop(training=LONG)
    folder = loop.loop.existing(loop.plan())
    command = [sys.executable, "-m", "tui_loop.engine.host", str(loop.loop.path), "1"]
    with folder.output.open("ab") as output:
        host = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    wait_until(lambda: read_run(folder).step >= 3, "step 3")
    host.send_signal(sent)
    assert host.wait(PATIENCE_SECONDS) == 3
    run = read_run(folder)
    assert run.stop_requested
    assert run.checkpoints[-1].step == run.step
    assert next_resumption(folder, run).step == run.step
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
    from tui_loop.engine import run_host as hosting

    monkeypatch.setattr(hosting, "GRACE_SECONDS", 0.5)
    stuck, begun = threading.Event(), threading.Event()
    step = trainer.LoopTrainer.training_step

    def hangs(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == 2:
            begun.set()
            stuck.wait(PATIENCE_SECONDS)
        return step(self, *arguments, **named)

    monkeypatch.setattr(trainer.LoopTrainer, "training_step", hangs)
    loop = tiny_loop()
    hosted = Hosted(loop.loop.existing(loop.plan()))
    assert begun.wait(PATIENCE_SECONDS)
    hosted.host.terminate()
    hosted.ends()
    try:
        assert hosted.host.gave_up
        assert "the run was abandoned" in told(hosted.folder)
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
    wait_until(
        lambda: all(path.exists() for path in texts) and folder.journal.exists(), "the files"
    )
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


def test_what_is_asked_of_a_run_is_done_and_acknowledged_when_it_has_its_effect(
    tiny_loop: MakeLoop,
) -> None:
    loop = tiny_loop(training=LONG)
    hosted = Hosted(loop.loop.existing(loop.plan())).trains()
    hosted.hears(hosted.ask("evaluate"))
    wait_until(lambda: hosted.run.evaluations, "an evaluation")
    hosted.hears(hosted.ask("checkpoint"))
    wait_until(lambda: hosted.run.checkpoints, "a checkpoint")

    hosted.hears(hosted.ask("pause"))
    assert iteration_of(hosted.folder).state == "paused"
    rested = hosted.run.step
    before = len(hosted.run.checkpoints), len(hosted.run.evaluations)
    hosted.hears(hosted.ask("checkpoint"))  # also while it rests
    hosted.hears(hosted.ask("evaluate"))
    wait_until(
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


@pytest.mark.fault(
    "the loop's folder is renamed during a run",
    group="process",
    state="failed",
    readable="every step, under the new name; nothing appears under the old one",
    error="disk",
)
def test_a_run_whose_loop_is_renamed_ends_under_the_new_name(
    tiny_loop: MakeLoop, outcome: Outcome
) -> None:
    loop = tiny_loop(training=LONG)
    hosted = Hosted(loop.loop.existing(loop.plan())).trains(3)
    before, after = loop.loop.path, loop.loop.path.with_name("renamed")
    before.rename(after)
    hosted.ends()
    assert not hosted.host.gave_up
    folder = LoopFolder(after).existing(1)
    iteration = iteration_of(folder)
    assert iteration.error is not None
    assert f"moved to {folder.path}" in iteration.error["message"]
    assert iteration.error["hint"] == "`tui-loop resume renamed/1`"
    assert steps_of(folder)[:3] == [1, 2, 3]
    assert read_run(folder).missing == 0
    assert folder.summary.exists()
    assert not before.exists()
    outcome(folder)
