"""`auto`: what it is asked for, and a loop that goes by itself on the tiny base."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT, Cli
from tui_loop.cli import autopilot_runner
from tui_loop.cli.autopilot_runner import first_step
from tui_loop.cli.main import main
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.shipped import shipped
from tui_loop.core.workflow.unattended import unattended

NAME = "self"


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopFolder:
    """A loop on a few rows of the sample data that starts at a rate at which nothing moves."""
    monkeypatch.chdir(tmp_path)
    data = shipped("sample_data", "support-intents")
    defaults: dict[str, dict[str, Any]] = {
        "model": {"id": "tiny"},
        "data": {
            "train": str(data / "train.jsonl"),
            "eval": str(data / "eval.jsonl"),
            "prompt_template": "Message: {prompt}\nIntent:",
            "max_train_rows": 96,
            "max_eval_rows": 24,
        },
        "lora": {"r": 8, "lora_alpha": 16},
        "training": {
            "learning_rate": 1e-6,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 8,
            "max_length": 64,
            "eval_steps": 12,
        },
        "evaluation": {"max_new_tokens": 6, "max_length": 64},
    }
    settings = LoopSettings(metric="label", defaults=defaults)
    return LoopsFolder(tmp_path / "loops").create(NAME, settings)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("--iterations", "0"), 2),
        (("--iterations", "2", "--hours", "0"), 2),
        (("--iterations", "2", "--hours", "nan"), 2),
        (("--iterations", "2", "--repeat", "0"), 2),
        (("--iterations", "2", "--range", "learning_rate=1..2"), 2),
        (("--iterations", "2", "--source", "guess"), 2),
        pytest.param(("--iterations", "2", "--from", "7"), 4, marks=pytest.mark.train),
        pytest.param(
            ("--iterations", "2", "--source", "search", "--range", "learning_rate=2..1"),
            2,
            marks=pytest.mark.train,
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(
    loop: LoopFolder, words: tuple[str, ...], code: int
) -> None:
    assert main(["auto", NAME, *words]) == code
    assert loop.numbers() == []


@pytest.mark.train
def test_two_cannot_go_through_one_loop(
    loop: LoopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with unattended(loop):
        assert main(["auto", NAME, "--iterations", "1"]) == 2
    assert "already runs the queue or auto" in capsys.readouterr().err
    assert loop.numbers() == []


def test_what_it_would_do_first_is_told_without_doing_it(
    loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert first_step(loop, None)[0].startswith("first from the defaults: baseline, because no")
    recorded = LoopsFolder(CHECKOUT / "loops").loop("support-tiny")
    before = recorded.numbers()
    first, *_ = first_step(recorded, 1)
    assert first.startswith("first from iteration 1: ")
    assert ", because " in first
    assert recorded.numbers() == before
    monkeypatch.setattr(autopilot_runner, "ready_reason", lambda *_: "it meets every criterion")
    with pytest.raises(BadInput, match="auto would stop at once: it meets every criterion"):
        first_step(recorded, 1)


def test_between_two_runs_a_stop_ends_it(
    loop: LoopFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stop", NAME]) == 2
    ended: list[int] = []
    monkeypatch.setattr(
        "tui_loop.core.workflow.unattended.os.kill", lambda pid, _: ended.append(pid)
    )
    with unattended(loop, "auto"):
        assert main(["stop", NAME]) == 0
        assert (
            f"no run is live; the background process {os.getpid()} will end"
            in capsys.readouterr().out
        )
        assert main(["queue", NAME, "--add", "--set", "lora.r=4"]) == 0
        assert (
            "the queue waits because auto is running; stop auto: tui-loop stop self"
            in capsys.readouterr().out
        )
    assert ended == [os.getpid()]


@pytest.mark.slow
@pytest.mark.train
def test_from_a_bad_start_it_finds_a_better_config_and_says_why(loop: LoopFolder, cli: Cli) -> None:
    done = cli("auto", NAME, "--iterations", "2", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    first, second = told["steps"]
    assert (first["numbers"], second["numbers"]) == ([1], [2])
    assert second["parent"] == 1
    assert second["changes"]["training.learning_rate"][1] > 1e-6
    assert second["suggestion"].endswith("learning_rate")
    assert second["why"]
    assert second["eval_loss"] < first["eval_loss"]
    assert told["best"] == 2
    assert told["stopped"]["kind"] == "budget"
    decision = loop.iteration(2).read_decision()
    assert (decision.why, decision.suggestion) == (second["why"], second["suggestion"])
    assert "2 of 2: iteration 2 from iteration 1: learning_rate" in done.stderr
    assert "auto stopped (budget)" in loop.iteration(2).read_notes()
    assert second["why"][1:40] in loop.iteration(2).read_notes()
