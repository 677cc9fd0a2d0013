"""`ready`, `close`, `fresh` and `new --target`, read and written without the training stack."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

from tests.cli.test_recorded_loop import LOOP, reader, record
from tests.conftest import CHECKOUT, Cli
from tui_loop.cli.holdout_process import HoldoutCost
from tui_loop.cli.main import main
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.holdout import (
    Figures,
    HoldoutDone,
    HoldoutEvaluation,
    HoldoutFault,
    HoldoutMessage,
    HoldoutProgress,
    PairedTable,
    record_holdout_evaluation,
)

RECORDED = CHECKOUT / "loops" / LOOP
SMALL = ("*.toml", "summary.json", "examples.jsonl", "journal.jsonl")


@pytest.fixture
def review(tmp_path: Path) -> Path:
    """A folder with a copy of the recorded loop, small files alone."""
    for pattern in SMALL:
        for path in RECORDED.rglob(pattern):
            copy = tmp_path / "loops" / LOOP / path.relative_to(RECORDED)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (tmp_path / "loops" / LOOP / "draft.toml").unlink(missing_ok=True)
    return tmp_path


def loop_of(folder: Path) -> LoopFolder:
    return LoopsFolder(folder / "loops").loop(LOOP)


def wants(folder: Path, text: str) -> None:
    path = folder / "loops" / LOOP / "loop.toml"
    path.write_text(f"{path.read_text()}\n[ready]\n{text}\n")


def looked(folder: Path, iteration: int, **more: Any) -> HoldoutEvaluation:
    """Records a look at the holdout that the iterations name."""
    split = loop_of(folder).iteration(iteration).read_splits()["holdout"]
    fields: dict[str, Any] = {
        "t": 1_700_000_000.0,
        "iteration": iteration,
        "sha256": split.sha256,
        "rows": 83,
        "metric": "label",
        "score": 55 / 83,
        "passed": 55,
        "total": 83,
        "loss": 0.5,
        "base": Figures(0.04, 3, 83, 3.1),
        "paired": PairedTable(3, 52, 0, 28),
        "eval": Figures(82 / 117, 82, 117, 0.4),
    }
    return record_holdout_evaluation(loop_of(folder), HoldoutEvaluation(**{**fields, **more}))


def test_the_checklist_needs_no_training_stack(review: Path) -> None:
    wants(review, "target = 0.65")
    told = record("ready", f"{LOOP}/4", "--no-look", folder=review)
    assert told["ready"] is False
    assert {each["kind"]: each["standing"] for each in told["items"]} == {
        "finished": "met",
        "iterations": "met",
        "target": "met",
        "no_regression_parent": "met",
        "no_regression_base": "met",
        "holdout": "open",
    }
    assert (told["look"], told["looks"]) == (None, [])
    text = reader("ready", f"{LOOP}/4", folder=review)
    assert (
        "only the holdout evaluation is missing: tui-loop ready support-intents/4 --look --yes"
        in text.stderr
    )
    assert "✓ met" in text.stdout
    assert "32 fixed, 7 broken of 117" in text.stdout


def test_a_look_without_the_stack_says_which_extra_it_needs(review: Path) -> None:
    done = reader("ready", f"{LOOP}/4", "--look", "--yes", folder=review)
    assert done.returncode == 5
    assert 'pip install "tui-loop[train]"' in done.stderr


def test_looks_that_were_taken_are_shown(review: Path) -> None:
    wants(review, "target = 0.65")
    looked(review, 5, passed=40, score=40 / 83)
    looked(review, 4)
    told = record("ready", f"{LOOP}/4", folder=review)
    assert told["ready"] is True
    assert told["look"]["look"] == 2
    assert [each["iteration"] for each in told["looks"]] == [5, 4]
    text = reader("ready", f"{LOOP}/4", folder=review).stdout
    assert text.startswith("support-intents/4 is ready: all 6 criteria are met")
    assert "compared with the base: 52 fixed, 0 broken, 3 passed by both, 28 by neither" in text
    assert "2 uses of this holdout so far, the first by support-intents/5" in text
    text = reader("ready", f"{LOOP}/5", folder=review).stdout
    assert "the eval set is too optimistic: 70% on the eval set, 48% on the holdout (-22 ±" in text


def test_wrong_criteria_are_told_with_file_and_field(review: Path) -> None:
    wants(review, "target = 85")
    done = reader("ready", f"{LOOP}/4", folder=review)
    assert done.returncode == 2
    assert "loop.toml: ready.target: must be a score from 0 to 1, not 85" in done.stderr


class Looking:
    """A look that goes as a test says."""

    told_next: tuple[HoldoutMessage, ...] = ()
    is_recorded = False

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def messages(self) -> tuple[HoldoutMessage, ...]:
        return self.told_next

    def close(self) -> None:
        pass


@pytest.fixture
def may_look(review: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights are here, and a look is scripted."""
    adapter = review / "loops" / LOOP / "004" / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").touch()
    monkeypatch.setattr("tui_loop.cli.commands.ready.HoldoutProcess", Looking)
    monkeypatch.chdir(review)
    return review


@pytest.mark.train
def test_a_look_is_asked_for_and_refused_where_nobody_can_say_so(
    may_look: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ready", f"{LOOP}/4", "--look"]) == 2
    heard = capsys.readouterr().err
    assert "the first use of this holdout" in heard
    assert "add --yes to confirm, or --no-look" in heard
    monkeypatch.setattr("tui_loop.cli.commands.ready._can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(readline=lambda: "\n"))
    assert main(["ready", f"{LOOP}/4", "--look"]) == 0
    assert capsys.readouterr().out.endswith("the holdout was not evaluated\n")


@pytest.mark.train
def test_when_all_else_is_met_it_asks_by_itself_and_shows_what_came_of_it(
    may_look: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wants(may_look, "target = 0.65")

    def messages(_: object) -> list[HoldoutMessage]:
        return [HoldoutProgress("base", 3, 10), HoldoutDone(looked(may_look, 4))]

    monkeypatch.setattr(Looking, "messages", messages)
    monkeypatch.setattr("tui_loop.cli.commands.ready._can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(readline=lambda: "y\n"))
    assert main(["ready", f"{LOOP}/4"]) == 0
    told = capsys.readouterr().out
    assert "the holdout agrees: all other criteria are met; evaluate the holdout (asks" in told
    before, after = told.split("support-intents/4 is ready")
    assert ("finished and evaluated" in before, "finished and evaluated" in after) == (True, False)
    assert "the holdout agrees" in after


@pytest.mark.train
@pytest.mark.parametrize(("is_input", "code"), [(False, 1), (True, 2)])
def test_a_look_that_came_to_nothing_says_so(
    may_look: Path, capsys: pytest.CaptureFixture[str], is_input: bool, code: int
) -> None:
    Looking.told_next = (HoldoutFault("out of memory", "--set run.device=cpu", is_input),)
    assert main(["ready", f"{LOOP}/4", "--look", "--yes"]) == code
    heard = capsys.readouterr().err
    assert "out of memory; no use of the holdout was counted" in heard
    assert "--set run.device=cpu" in heard


EVALUATED_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from tui_loop.core.record.codec import from_json
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.holdout import HoldoutEvaluation, record_holdout_evaluation

evaluation = from_json(sys.argv[2].encode(), HoldoutEvaluation, "")
record_holdout_evaluation(LoopFolder(Path(sys.argv[1])), evaluation)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_evaluation_that_was_killed_after_it_was_recorded_counts_and_says_so(
    review: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wants(review, "target = 0.65")
    monkeypatch.chdir(review)
    evaluation = looked(review, 4)
    loop_of(review).holdout.unlink()

    def start(loop: LoopFolder, *_: object, log: IO[bytes]) -> subprocess.Popen[bytes]:
        words = [EVALUATED_AND_KILLED, str(loop.path), to_json(evaluation).decode()]
        command = [sys.executable, "-c", *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)

    cost = HoldoutCost(1, 83, ())
    monkeypatch.setattr("tui_loop.cli.holdout_process.holdout_cost", lambda _: cost)
    monkeypatch.setattr("tui_loop.cli.commands.ready.holdout_cost", lambda _: cost)
    monkeypatch.setattr("tui_loop.engine.launch.start_holdout_evaluation", start)
    assert main(["ready", f"{LOOP}/4", "--look", "--yes"]) == 1
    heard = capsys.readouterr().err
    assert "was already recorded and counts as a use of the holdout" in heard
    assert "hint: show the scores: tui-loop ready support-intents/4" in heard
    assert "does not count" not in heard
    assert main(["ready", f"{LOOP}/4", "--no-look", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (len(told["looks"]), told["look"]["score"]) == (1, evaluation.score)


@pytest.mark.train
def test_without_weights_here_a_look_is_refused(review: Path, cli: Cli) -> None:
    done = cli("ready", f"{LOOP}/4", "--look", "--yes", folder=review)
    assert done.returncode == 2
    assert "has no weights on this machine" in done.stderr
    assert not loop_of(review).holdout.exists()


def test_a_closed_loop_is_shown_as_such_and_runs_nothing_until_reopened(
    review: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(review)
    path = loop_of(review).settings_file
    before = path.read_bytes()
    assert main(["close", LOOP, "--why", "good enough\nfor the pilot", "--yes"]) == 0
    assert "closed with iteration 4: good enough" in capsys.readouterr().out
    assert path.read_bytes().startswith(before.rstrip())
    assert json.loads(_out(capsys, "list", "--json"))["loops"][0]["state"] == "closed"
    assert json.loads(_out(capsys, "show", LOOP, "--json"))["closed"]["iteration"] == 4
    assert "closed with iteration 4" in _out(capsys, "show", LOOP)
    assert "closed with iteration 4" in _out(capsys, "status", LOOP)
    for command in (["run", LOOP], ["resume", f"{LOOP}/3"]):
        monkeypatch.setattr("tui_loop.engine.extras.has_train", lambda: True)
        assert main(command) == 2
    heard = capsys.readouterr().err
    assert heard.count("is closed: good enough") + heard.count("is finished") == 2
    assert f"hint: tui-loop close {LOOP} --reopen" in heard
    assert main(["close", LOOP, "--why", "again"]) == 2
    assert main(["close", LOOP, "--reopen"]) == 0
    assert "open again; previously closed with iteration 4" in capsys.readouterr().out
    assert path.read_bytes().rstrip() == before.rstrip()
    assert main(["close", LOOP, "--reopen"]) == 2
    assert main(["close", LOOP]) == 2
    assert main(["close", LOOP, "--why", "x", "--iteration", "9"]) == 4


def _out(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_new_takes_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = CHECKOUT / "sample_data" / "support-intents" / "train.jsonl"
    assert main(["new", "mine", "--data", str(data), "--target", "0.8"]) == 0
    settings = tomllib.loads((tmp_path / "loops" / "mine" / "loop.toml").read_text())
    assert settings["ready"] == {"target": 0.8}
    assert main(["new", "other", "--data", str(data), "--target", "85"]) == 2
    assert not (tmp_path / "loops" / "other").exists()


def test_a_fresh_split_is_drafted_with_its_reason(
    review: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (review / "sample_data").symlink_to(CHECKOUT / "sample_data")
    monkeypatch.chdir(review)
    told = json.loads(_out(capsys, "fresh", LOOP, "--from", "4", "--why", "tuned on", "--json"))
    assert told["changes"]["data.eval"][1] == f"loops/{LOOP}/data/eval-2.jsonl"
    assert (told["parent"], told["why"]) == (4, "tuned on")
    assert main(["fresh", LOOP]) == 2
    assert "there is a draft already" in capsys.readouterr().err
    text = _out(capsys, "fresh", LOOP, "--force", "--seed", "9")
    assert "117 rows drawn from training (seed 9)" in text
    assert "not comparable" in text
    assert f"tui-loop run {LOOP} --draft" in text


def test_a_loop_that_is_not_ready_says_what_is_missing_before_it_is_closed(
    review: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(review)
    path = loop_of(review).settings_file
    before = path.read_bytes()
    assert main(["close", LOOP, "--why", "enough", "--iteration", "1"]) == 2
    heard = capsys.readouterr().err
    assert f"{LOOP}/1 is not ready:" in heard
    assert f"hint: tui-loop close {LOOP} --why '...' --yes" in heard
    assert path.read_bytes() == before
    assert main(["close", LOOP, "--why", "enough", "--iteration", "1", "--yes"]) == 0
    assert f"{LOOP} closed with iteration 1: enough" in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "is_closed"), [("n", False), ("", False), ("y", True)])
def test_on_a_terminal_closing_a_loop_that_is_not_ready_asks(
    review: Path, monkeypatch: pytest.MonkeyPatch, answer: str, is_closed: bool
) -> None:
    monkeypatch.chdir(review)
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "readline", lambda: f"{answer}\n", raising=False)
    assert main(["close", LOOP, "--why", "enough", "--iteration", "1"]) == 0
    assert (loop_of(review).read_settings().closed is not None) is is_closed
