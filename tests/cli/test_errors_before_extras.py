"""Without the training stack: what an installation would not fix is told first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.test_recorded_loop import LOOP
from tests.conftest import CHECKOUT
from tui_loop.cli.main import main

SMALL = shutil.ignore_patterns("adapter", "checkpoints", "output.log", "tokens.jsonl", "evals")


@pytest.fixture(autouse=True)
def _base_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded loop with its data, on a machine without the training stack."""
    shutil.copytree(CHECKOUT / "loops" / LOOP, tmp_path / "loops" / LOOP, ignore=SMALL)
    (tmp_path / "sample_data").symlink_to(CHECKOUT / "sample_data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tui_loop.engine.extras.has_train", lambda: False)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["run", LOOP, "--from", "99"], 4, "has no iteration 99"),
        (["run", "nope"], 4, "no loop 'nope'"),
        (["run", LOOP, "--set", "lr=1"], 2, "lr: no such field"),
        (["run", LOOP, "--take", "99"], 2, "--take 99"),
        (["run", LOOP, "--repeat", "0"], 2, "--repeat 0: must be at least 1"),
        (["resume", f"{LOOP}/99"], 4, "has no iteration 99"),
        (["resume", LOOP], 2, "which iteration?"),
        (["resume", f"{LOOP}/4"], 2, "is finished"),
        (["auto", LOOP, "--iterations", "1", "--from", "99"], 4, "has no iteration 99"),
        (
            ["auto", LOOP, "--iterations", "1", "--source", "search", "--range", "lr"],
            2,
            "--range lr: must be FIELD=LOW..HIGH",
        ),
        (["ask", f"{LOOP}/4", "hi", "--against", "99"], 4, "has no iteration 99"),
        (["ask", f"{LOOP}/4", "--id", "nope"], 2, "has no example 'nope'"),
        (["retry", f"{LOOP}/4", "--set", "evaluation.foo=1"], 2, "evaluation.foo: no such field"),
        (["check", LOOP, "--row", "99999"], 2, "--row 99999: there are 405 training rows"),
        (["queue", LOOP, "--run"], 2, "the queue is empty"),
        (["ready", f"{LOOP}/0", "--look", "--yes"], 2, "is the base, not a trained iteration"),
    ],
)
def test_a_wrong_command_is_told_before_the_missing_extra(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    heard = capsys.readouterr().err
    assert told in heard
    assert "extra" not in heard


@pytest.mark.parametrize(
    "words",
    [
        ["run", LOOP],
        ["auto", LOOP, "--iterations", "1"],
        ["ask", f"{LOOP}/4", "hi"],
        ["retry", f"{LOOP}/4"],
        ["check", LOOP, "--row", "1"],
        ["ready", f"{LOOP}/4", "--look", "--yes"],
    ],
)
def test_a_right_command_says_which_extra_it_needs_and_leaves_nothing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path("loops").rglob("*"))
    assert main(words) == 5
    assert 'pip install "tui-loop[train]"' in capsys.readouterr().err
    assert sorted(Path("loops").rglob("*")) == before


def test_ready_is_a_reading_command_where_the_holdout_cannot_be_evaluated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path("loops", LOOP, "loop.toml")
    path.write_text(path.read_text() + "\n[ready]\ntarget = 0.65\n")
    Path("loops", LOOP, "holdout.jsonl").unlink(missing_ok=True)
    monkeypatch.setattr("tui_loop.cli.commands.ready._can_ask", lambda: True)
    assert main(["ready", f"{LOOP}/4"]) == 0
    out, err = capsys.readouterr()
    assert "✓ met" in out
    assert "only the holdout evaluation is missing, and this machine cannot run it: " in err
    assert 'pip install "tui-loop[train]"' in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", f"{LOOP}/１"], "the iteration must be a number"),
        (["run", LOOP, "--from", "１"], "--from: invalid int value"),
        (["check", LOOP, "--row", "٣"], "--row: invalid count value"),
        (["failures", f"{LOOP}/4", "--filter", "loss>１"], "１ is not a number"),
        (["auto", LOOP, "--iterations", "1", "--hours", "２"], "--hours: invalid float value"),
    ],
)
def test_digits_of_other_scripts_are_no_numbers(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert told in capsys.readouterr().err
