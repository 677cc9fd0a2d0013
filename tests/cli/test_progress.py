"""`tui-loop progress` on the recorded loops: figures with their noise, and what would decide."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.cli.test_recorded_loop import record
from tests.conftest import CHECKOUT
from tui_loop.cli.main import main

LOOPS = ("--loops", str(CHECKOUT / "loops"))


def test_it_needs_no_training_stack_and_says_what_is_best_by_how_much() -> None:
    told = record("progress", "support-intents", folder=CHECKOUT)
    assert told["best"] == 4
    assert [each["config"] for each in told["points"]] == [0, 1, 2, 3, 4, 4, 2]
    (pair,) = told["pairs"]
    assert (pair["a"], pair["b"], pair["claim"], pair["reach"]) == (2, 4, "better", None)
    assert told["noise"]["freedom"] == 2
    base = told["points"][0]
    assert base["score"]["low"] < base["score"]["delta"] < base["score"]["high"]
    assert base["loss"]["low"] < base["loss"]["delta"] < base["loss"]["high"]


def test_people_see_bars_on_one_scale_and_the_commands_that_would_decide(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*LOOPS, "progress", "support-tiny"]) == 0
    told = capsys.readouterr().out
    head, base, _, best, *_ = told.splitlines()
    assert "0% ──" in head
    assert " log " in head
    assert "0%  ●┤····" in base
    assert "├───●──┤" in best
    assert best.split()[:2] == ["2", "★"]
    assert (
        "more runs cannot decide which is better: the gap is within the noise of 117 examples"
        in told
    )
    assert f"tui-loop --loops {CHECKOUT}/loops run support-tiny --from 1 --repeat 1" in told
    assert "iterations 2, 6 have the same config: score 66% (sd 2.4 points over 2 runs)" in told


def test_bars_are_plain_where_the_output_has_no_other_signs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main([*LOOPS, "progress", "support-tiny"]) == 0
    sys.stdout.flush()
    assert b"|---o--|" in raw.getvalue()


def test_a_loop_without_iterations_says_how_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loops" / "young").mkdir(parents=True)
    (tmp_path / "loops" / "young" / "loop.toml").write_text('schema = 1\nmetric = "label"\n')
    assert main(["progress", "young"]) == 0
    assert "no iterations yet; begin with tui-loop run young" in capsys.readouterr().out
    assert main(["progress", "young", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["points"] == []
    assert main(["progress", "gone"]) == 4
