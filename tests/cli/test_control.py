"""A run in the background, asked for things from the command line, stopped and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Cli
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.shipped import shipped


@pytest.fixture
def project(tmp_path: Path) -> LoopFolder:
    """A loop that has not begun, with a run of thousands of steps before it."""
    for name, rows in (("train.jsonl", 40), ("eval.jsonl", 8)):
        lines = shipped("sample_data", "support-intents", name).read_text().splitlines(True)
        (tmp_path / name).write_text("".join(lines[:rows]))
    defaults = {
        "model": {"id": "tiny"},
        "data": {"train": "train.jsonl", "eval": "eval.jsonl"},
        "training": {"max_steps": 20000, "eval_steps": 0, "save_steps": 0},
        "evaluation": {"base": False},
    }
    return LoopsFolder(tmp_path / "loops").create(
        "long", LoopSettings(metric="none", defaults=defaults)
    )


def is_answer(printed: str, answer: str) -> bool:
    """Whether a command begins with the run's answer, or with what is pending five seconds on."""
    pending = (
        "has not acknowledged the request yet",
        "will pause after the current step or batch",
        "is paused and has not acknowledged the request yet",
    )
    return printed.startswith(tuple(f"long/1 {text}\n" for text in (answer, *pending)))


@pytest.mark.slow
@pytest.mark.train
def test_a_background_run_is_paused_saved_evaluated_stopped_and_resumed_from_a_shell(
    project: LoopFolder, cli: Cli
) -> None:
    folder = project.iteration(1)
    started = json.loads(cli("run", "long", "--why", "try", "--detach", "--json").stdout)
    assert (started["loop"], started["iterations"]) == ("long", [1])
    try:
        assert cli("checkpoint", "long", "--wait").stdout.endswith(
            f"saved a checkpoint at step {read_run(folder).checkpoints[-1].step}\n"
        )
        paused = cli("pause", "long/1", "--wait").stdout
        assert is_answer(paused, "is paused")
        assert paused.endswith("\nlong/1 has paused\n")
        status = json.loads(cli("status", "long", "--json").stdout)["runs"][0]
        assert (status["state"], status["phase"]) == ("paused", "training")
        assert "eval loss" in cli("evaluate", "long", "--wait").stdout
        assert read_run(folder).step <= status["step"] + 1
        assert is_answer(cli("continue", "long", "--wait").stdout, "continues")
        assert "is also running" not in cli("resume", "long/1").stderr
        assert cli("resume", "long/1").returncode == 2
        stopped = cli("stop", "long", "--wait").stdout
        assert is_answer(stopped, "is stopping")
        assert stopped.endswith("\nlong/1 stopped\n")
    finally:
        cli("stop", "long", "--wait")

    assert "resume with tui-loop resume long/1" in cli("status", "long").stdout
    assert "tui-loop resume long/1" in cli("show", "long/1").stdout
    step = read_run(folder).step
    assert read_run(folder).checkpoints[-1].step == step

    rows = (project.root / "train.jsonl").read_text()
    (project.root / "train.jsonl").write_text(rows + rows.splitlines(True)[0])
    changed = cli("resume", "long/1")
    assert changed.returncode == 2
    assert "train.jsonl has changed since long/1 started" in changed.stderr
    assert iteration_of(folder).state == "stopped"
    (project.root / "train.jsonl").write_text(rows)

    resumed = cli("resume", "long/1", "--detach")
    assert resumed.returncode == 0
    assert f"long/1 continues from checkpoint {step}" in resumed.stderr
    assert cli("checkpoint", "long", "--wait").returncode == 0
    assert cli("stop", "long", "--wait").stdout.endswith("long/1 stopped\n")
    run = read_run(folder)
    assert (run.attempt, run.missing) == (2, 0)
    assert [point.step for point in run.metrics] == list(range(1, run.step + 1))
    assert run.step > step


@pytest.mark.train
def test_what_has_finished_or_never_was_cannot_be_resumed(cli: Cli, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(shipped("loops", "support-tiny"), tmp_path / "loops" / "support-tiny")
    place = str(tmp_path / "loops")
    done = cli("--loops", place, "resume", "support-tiny/6")
    assert done.returncode == 2
    assert "is finished; only stopped, failed or interrupted runs can be resumed" in done.stderr
    assert f"tui-loop --loops {place} show support-tiny" in done.stderr
    assert cli("--loops", place, "resume", "support-tiny/66").returncode == 4
    assert cli("--loops", place, "resume", "support-tiny").returncode == 2


@pytest.mark.parametrize("command", ["stop", "pause", "continue", "evaluate", "checkpoint"])
def test_nothing_is_asked_where_nothing_runs(command: str, cli: Cli, tmp_path: Path) -> None:
    LoopsFolder(tmp_path).create("idle", LoopSettings())
    asked = cli("--loops", str(tmp_path), command, "idle")
    assert asked.returncode == 2
    assert "nothing is running" in asked.stderr
    assert cli("--loops", str(tmp_path), command, "other").returncode == 4
