"""`ask`, `retry` and `suspects`: what they refuse, and what they show without the stack."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.test_recorded_loop import LOOP, reader, record
from tests.conftest import CHECKOUT, Cli
from tui_loop.cli.backend import AppBackend
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import TrainingRow

LOOPS = ("--loops", str(CHECKOUT / "loops"))


@pytest.fixture
def review(tmp_path: Path) -> Path:
    """A loop of one iteration with measured training rows, and the file that they are from."""
    rows = [
        {"prompt": "where is my parcel", "completion": "shipping"},
        {"prompt": "I want my money back", "completion": "refund"},
        {"prompt": "where is my parcel", "completion": "refund"},
        {"prompt": "I want my money back", "completion": "refund"},
        {"prompt": "cannot log in", "completion": "login"},
    ]
    data = tmp_path / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "eval.jsonl").write_text(json.dumps(rows[4]) + "\n")
    loop = LoopFolder(tmp_path / "loops" / "mine")
    folder = loop.iteration(1)
    folder.path.mkdir(parents=True)
    loop.settings_file.write_text('metric = "label"\n')
    folder.config.write_text(
        'schema = 1\n[data]\ntrain = "train.jsonl"\neval = "eval.jsonl"\n'
        '[evaluation]\nmetric = "label"\n'
    )
    losses = [0.1, 0.2, 3.5, 0.2, 0.01]
    folder.write_training_rows(
        TrainingRow(str(n), row["prompt"], row["completion"], losses[n], 2, n + 1, 5)
        for n, row in enumerate(rows)
    )
    return tmp_path


def test_suspects_are_told_with_their_lines_and_what_contradicts_them(review: Path) -> None:
    told = record("suspects", "mine/1", folder=review)
    assert told["suspects"][0]["source_line"] == 3
    assert told["suspects"][0]["conflicts"] == [{"line": 1, "reference": "shipping"}]
    assert told["suspects"][1]["repeats"] == [4]
    assert {each["kind"] for each in told["findings"]} == {
        "conflicting_labels",
        "duplicate_rows",
        "leakage_exact",
    }
    assert (told["measured"], told["of"], told["median_loss"]) == (5, 5, 0.2)
    plain = reader("suspects", "mine/1", "-n", "1", folder=review).stdout
    assert "5 of 5 training rows" in plain
    assert "line 1: shipping" in plain
    assert "cannot log in" not in plain.splitlines()[2]


def test_the_app_gets_suspects_with_the_rows_that_the_findings_name(review: Path) -> None:
    found = AppBackend(allow_code=False).suspects(LoopFolder(review / "loops" / "mine"), 1)
    assert [each.row.source_line for each in found.suspects] == [3, 2, 4, 1, 5]
    assert found.rows["", 3].reference == "refund"
    assert set(found.rows) == {("", line) for line in range(1, 6)}
    assert found.files.paths == {"": review / "train.jsonl"}


def test_suspects_without_the_data_are_told_from_the_record_alone(review: Path) -> None:
    (review / "train.jsonl").unlink()
    told = record("suspects", "mine/1", folder=review)
    assert len(told["suspects"]) == 5
    assert told["file"] is None
    assert "not on this machine" in told["notices"][0]
    (review / "loops/mine/001/training.jsonl").unlink()
    done = reader("suspects", "mine/1", folder=review)
    assert done.returncode == 2
    assert "no losses of training rows were recorded" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ask", f"{LOOP}/3"], "PROMPT"),
        (["ask", f"{LOOP}/3", "hello", "--id", "x"], "--id"),
        (["ask", f"{LOOP}/3", " "], "empty"),
        (["ask", f"{LOOP}/3", "--id", "nobody"], "no example"),
        (["ask", f"{LOOP}/3", "hello", "--set", "lora.r=2"], "has no effect here"),
        (["ask", f"{LOOP}/3", "hello", "--set", "max_new_tokens=0"], "max_new_tokens"),
        (["retry", f"{LOOP}/3", "--set", "evaluation.metric=contains"], "has no effect here"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_a_model_is_loaded(
    words: list[str], said: str, cli: Cli
) -> None:
    done = cli(*LOOPS, *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_asking_without_the_stack_names_the_extra(review: Path) -> None:
    done = reader("ask", "mine/1", "hello", folder=review)
    assert done.returncode == 5
    assert "tui-loop[train]" in done.stderr


@pytest.mark.slow
@pytest.mark.train
def test_a_recorded_iteration_without_weights_is_left_out_and_the_base_answers(
    cli: Cli, tmp_path: Path
) -> None:
    shutil.copytree(
        CHECKOUT / "loops/support-tiny",
        tmp_path / "loops/support-tiny",
        ignore=shutil.ignore_patterns("adapter", "checkpoints"),
    )
    done = cli("ask", "support-tiny/1", "--json", "where is my parcel")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [each["iteration"] for each in told["answers"]] == [0]
    assert [each["iteration"] for each in told["left_out"]] == [1]
    assert "no weights on this machine" in done.stderr
    retried = cli("retry", "support-tiny/1")
    assert retried.returncode == 2
    assert "no weights on this machine" in retried.stderr
