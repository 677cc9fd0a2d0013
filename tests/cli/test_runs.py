"""Runs as a user starts them: a process of their own, watched from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import POSITIVE, Cli
from tests.waiting import PATIENCE_SECONDS, wait_until
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.plan import create_base

pytestmark = pytest.mark.train


@pytest.mark.slow
def test_the_classic_two_iteration_script(cli: Cli, tmp_path: Path) -> None:
    """Four texts, four held out, LoRA on c_attn, one epoch; then half the learning rate, since the
    eval loss is above the train loss: which on four rows says nothing, as the diagnosis knows."""
    (tmp_path / "train.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in POSITIVE)
    )
    (tmp_path / "eval.jsonl").write_text(
        "".join(
            json.dumps({"text": text}) + "\n"
            for text in [
                "Classify: positive. The product is a joy to use.",
                "Classify: negative. The product is a waste of money.",
                "Classify: positive. The product fits well and looks fine.",
                "Classify: negative. The product fell apart in a week.",
            ]
        )
    )
    created = cli(
        "new",
        "classic",
        "--data",
        "train.jsonl",
        "--eval",
        "eval.jsonl",
        "--model",
        "tiny",
        *(
            word
            for setting in (
                "lora.r=8",
                "lora_alpha=16",
                "lora_dropout=0.05",
                "target_modules=['c_attn']",
                "num_train_epochs=1",
                "per_device_train_batch_size=2",
                "training.max_length=128",
                "learning_rate=2e-4",
            )
            for word in ("--set", setting)
        ),
    )
    assert created.returncode == 0, created.stderr
    first = cli("run", "classic", "--why", "a baseline")
    diagnosis = json.loads(cli("diagnose", "classic/1", "--json").stdout)
    second = cli("run", "classic", "--set", "learning_rate=1e-4", "--why", "halve the rate")
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr

    iterations = json.loads(cli("show", "classic", "--json").stdout)["iterations"]
    assert [each["state"] for each in iterations] == ["finished"] * 3
    assert iterations[2]["changes"] == {"training.learning_rate": [2e-4, 1e-4]}
    table = cli("show", "classic").stdout.splitlines()
    for iteration, rate, why in ((1, "2e-4", "a baseline"), (2, "1e-4", "halve the rate")):
        line = next(line for line in table if line.startswith(str(iteration)))
        metrics = iterations[iteration]["metrics"]
        assert metrics["steps"] == 2
        for word in (rate, f"{metrics['train_loss']:.3f}", f"{metrics['eval_loss']:.3f}", why):
            assert word in line

    findings = {each["kind"]: each for each in diagnosis["findings"]}
    assert findings["underfitting"]["message"].startswith("the run ended after 2 steps")
    gap = findings["generalisation_gap"]
    assert gap["severity"] == "note"
    assert gap["figures"]["eval_loss"] > gap["figures"]["train_loss"]
    for words in (
        "over 4 held-out rows the difference (",
        "may be chance, and is no reason to change the learning rate",
        "so the run learned little and did not cause the gap",
    ):
        assert words in gap["message"]
    assert not any("training.learning_rate" in each["changes"] for each in diagnosis["suggestions"])


@pytest.mark.slow
def test_the_demo_goes_once_round_the_loop(cli: Cli, tmp_path: Path) -> None:
    done = cli("demo", "--headless", "--json", "--dir", "d")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    base, first, second = shown["iterations"]
    assert [each["number"] for each in shown["iterations"]] == [0, 1, 2]
    assert first["decision"]
    assert second["decision"]
    assert second["changes"]["training.learning_rate"] == [5e-4, 2e-3]
    assert base["metrics"]["score"] + 0.3 < second["metrics"]["score"]
    again = cli("--loops", "d/loops", "show", shown["name"], "--json")
    assert json.loads(again.stdout) == shown
    assert (tmp_path / "d" / ".gitignore").read_text().endswith("\n*\n")
    for number in ("000", "001", "002"):  # whatever libraries printed went to a file
        assert (tmp_path / "d" / "loops" / shown["name"] / number / "output.log").exists()


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tui_loop", *arguments],
        cwd=folder,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


def until_training(folder: Path) -> None:
    journal = folder / "loops" / "long" / "001" / "journal.jsonl"
    wait_until(
        lambda: journal.exists() and '"event":"metrics"' in journal.read_text(),
        "a step of training",
    )


@pytest.fixture
def long_loop(cli: Cli, tmp_path: Path) -> Path:
    rows = [{"prompt": f"say {n}", "completion": f"word {n % 5}"} for n in range(40)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert (
        cli(
            "new",
            "long",
            "--data",
            "rows.jsonl",
            "--set",
            "max_steps=100000",
            "--set",
            "evaluation.base=false",
            "--set",
            "eval_steps=0",
        ).returncode
        == 0
    )
    return tmp_path


@pytest.mark.slow
def test_a_run_is_stopped_from_another_terminal_and_says_so(cli: Cli, long_loop: Path) -> None:
    process = start(long_loop, "run", "long", "--why", "to be stopped")
    until_training(long_loop)
    status = json.loads(cli("status", "--json").stdout)["runs"][0]
    assert (status["state"], status["phase"]) == ("running", "training")
    assert status["total"] == 100000
    stopped = cli("stop", "long", "--wait")
    assert stopped.returncode == 0, stopped.stderr
    assert "long/1 stopped" in stopped.stdout
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 3
    one = json.loads(cli("show", "long/1", "--json").stdout)
    assert one["state"] == "stopped"
    assert one["parent"] is None  # no base was asked for
    assert (long_loop / "loops" / "long" / "001" / "adapter").is_dir()
    assert cli("stop", "long").returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, marks=pytest.mark.slow),
    ],
)
def test_a_signal_to_the_command_stops_the_run_and_saves(long_loop: Path, sent: int) -> None:
    process = start(long_loop, "run", "long", "--why", "to be interrupted")
    until_training(long_loop)
    process.send_signal(sent)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 3, output
    assert "stopping after saving the weights" in output
    assert (long_loop / "loops" / "long" / "001" / "adapter").is_dir()


@pytest.mark.slow
def test_a_base_that_another_run_measures_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    rows = [{"prompt": f"say {n}", "completion": "word"} for n in range(8)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli("new", "mine", "--data", "rows.jsonl").returncode == 0
    loop = LoopsFolder(tmp_path / "loops").loop("mine")
    base = create_base(loop, loop.default_config(), {})
    before = base.config.read_text()
    with RunLock(base.lock):
        done = cli("run", "mine", "--why", "too early")
    assert done.returncode == 2
    assert "another run is evaluating the base" in done.stderr
    assert base.config.read_text() == before
    assert loop.numbers() == [0]


@pytest.mark.slow
def test_a_killed_run_is_interrupted_never_running(cli: Cli, long_loop: Path) -> None:
    process = start(long_loop, "run", "long", "--why", "to be killed")
    until_training(long_loop)
    lock = json.loads((long_loop / "loops" / "long" / "001" / "run.lock").read_text())
    os.kill(lock["pid"], signal.SIGKILL)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert json.loads(cli("show", "long/1", "--json").stdout)["state"] == "interrupted"
    assert "interrupted" in cli("status", "long").stdout
