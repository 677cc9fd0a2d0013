"""`diagnose` and `run --take`: what is wrong, what to change, and taking it."""

from __future__ import annotations

import csv
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from tui_loop.core.shipped import shipped

WEIGHTS = shutil.ignore_patterns("adapter", "checkpoints", "output.log", "*.lock")


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A copy of the recorded loop on the tiny base, and its data."""
    loop = tmp_path / "loops" / "support-tiny"
    shutil.copytree(shipped("loops", "support-tiny"), loop, ignore=WEIGHTS)
    (tmp_path / "sample_data").symlink_to(shipped("sample_data"))
    return loop


def record(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_findings_and_suggestions_are_printed_with_how_to_take_one(
    cli: Cli, recorded: Path
) -> None:
    done = cli("diagnose", "support-tiny/4", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    for words in (
        "support-tiny/4 num_train_epochs 4 → 8: finished, score 62%, eval loss 0.736, ",
        "◐ overfitting: the eval loss rose after step 102 of 408",
        "  but: ",
        "suggestions, best first:",
        " 1. num_train_epochs 8 → 2 (overfitting)",
        "     expects eval loss 0.51 to 0.65 (now 0.74)",
        "     high confidence: the lowest eval loss of the run was 0.562, at step 102",
        "apply suggestion 1: tui-loop run support-tiny --from 4 --take 1",
    ):
        assert words in done.stdout
    assert list(recorded.glob("*/diagnosis.json")) == []  # reading writes nothing


def test_the_record_has_the_same(cli: Cli, recorded: Path) -> None:
    found = record(cli("diagnose", "support-tiny/4", "--json"))
    assert found["number"] == 4
    assert found["findings"][0]["kind"] == "overfitting"
    assert found["findings"][0]["figures"]["step"] == 102
    first = found["suggestions"][0]
    assert first["changes"] == {"training.num_train_epochs": [8.0, 2.0]}
    assert first["expects"] == {
        "metric": "eval_loss",
        "was": 0.736,
        "low": 0.505,
        "high": 0.649,
    } | {"was": first["expects"]["was"]}
    assert found["verdict"] is None


def test_a_diagnosis_is_written_on_request(cli: Cli, recorded: Path) -> None:
    before = (recorded / "004" / "summary.json").read_bytes()
    found = record(cli("diagnose", "support-tiny/4", "--write", "--json"))
    assert json.loads((recorded / "004" / "diagnosis.json").read_bytes()) == found
    assert (recorded / "004" / "summary.json").read_bytes() == before


def test_the_base_and_a_missing_iteration_are_answered(cli: Cli, recorded: Path) -> None:
    base = cli("diagnose", "support-tiny/0")
    assert (
        "the base model before training; the other iterations are compared with it" in base.stdout
    )
    missing = cli("diagnose", "support-tiny/99")
    assert (missing.returncode, missing.stdout) == (4, "")
    which = cli("diagnose", "support-tiny")
    assert which.returncode == 2
    assert "which iteration?" in which.stderr


@pytest.mark.train
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--from", "4", "--take", "99"], "--take 99: support-tiny/4 has 3 suggestions"),
        (["--from", "4", "--take", "0"], "--take 0: support-tiny/4 has 3 suggestions"),
        (["--take", "1", "--draft"], "--take and --draft"),
        (["--from", "99", "--take", "1"], "no iteration 99"),
    ],
)
def test_what_cannot_be_taken_is_refused_before_anything_is_created(
    cli: Cli, recorded: Path, words: list[str], problem: str
) -> None:
    before = sorted(path.name for path in recorded.iterdir())
    done = cli("run", "support-tiny", *words)
    assert done.returncode in (2, 4)
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in recorded.iterdir()) == before


@pytest.mark.train
def test_advice_on_data_is_no_config_to_take(cli: Cli, recorded: Path) -> None:
    found = record(cli("diagnose", "support-tiny/5", "--json"))["suggestions"]
    number = next(n for n, each in enumerate(found, 1) if not each["changes"])
    done = cli("run", "support-tiny", "--from", "5", "--take", str(number))
    assert done.returncode == 2
    assert (
        f"--take {number}: this suggestion changes no config field: {found[number - 1]['action']}"
        in done.stderr
    )


@pytest.mark.slow
@pytest.mark.train
def test_what_is_taken_is_kept_with_its_prediction_and_judged(cli: Cli, recorded: Path) -> None:
    done = cli("run", "support-tiny", "--from", "4", "--take", "1", "--why", "as advised", "--json")
    assert done.returncode == 0, done.stderr
    [iteration] = json.loads(done.stdout)["iterations"]
    folder = recorded / f"{iteration['number']:03d}"
    decision = tomllib.loads((folder / "decision.toml").read_text())
    assert decision["suggestion"] == "overfitting/fewer_epochs"
    assert decision["why"] == "as advised; the eval loss was lowest at step 102"
    assert decision["predicted"]["metric"] == "eval_loss"
    assert iteration["changes"]["training.num_train_epochs"] == [8.0, 2.0]
    diagnosis = json.loads((folder / "diagnosis.json").read_bytes())
    assert diagnosis["verdict"]["suggestion"] == "overfitting/fewer_epochs"
    assert iteration["verdict"] == diagnosis["verdict"]["word"]
    assert "expected eval loss 0.505 to 0.649" in diagnosis["verdict"]["sentence"]
    with (recorded / "ledger.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[-1]
    assert row["suggestion"] == "overfitting/fewer_epochs"
    assert row["predicted"] == "eval_loss 0.505 to 0.649"
    assert row["verdict"] == iteration["verdict"]
