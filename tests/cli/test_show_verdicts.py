"""`show` says what was predicted and what became of it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.core.conftest import _example, _summary
from tui_loop.cli.main import main
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.plan import create_iteration, plan_next

COUNT = 60
NAME = "judged"


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopFolder:
    """Two iterations: the second was a suggestion that came true."""
    monkeypatch.chdir(tmp_path)
    settings = LoopSettings(metric="label", defaults={"data": {"train": "train.jsonl"}})
    loop = LoopsFolder(tmp_path / "loops").create(NAME, settings)
    for passed, fields in ((20, {}), (50, {"suggestion": "underfitting/more_epochs"})):
        changes = ["num_train_epochs=6"] if fields else []
        plan = plan_next(loop, parent=1 if fields else None, settings=changes, why="a try")
        predicted = {"metric": "score", "was": 1 / 3, "low": 0.6, "high": 0.9}
        if fields:
            plan = msgspec.structs.replace(plan, **fields, predicted=predicted)
        folder = create_iteration(loop, plan, {})
        examples = [_example(f"id{row}", float(row < passed)) for row in range(COUNT)]
        folder.write_examples(examples, [])
        summary = _summary(folder, examples, {})
        verdict = "consistent" if fields else None
        folder.write_summary(msgspec.structs.replace(summary, verdict=verdict))
    return loop


def test_a_verdict_has_a_column_where_there_is_one(
    loop: LoopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", NAME]) == 0
    head, first, second = capsys.readouterr().out.splitlines()[2:5]
    assert head.index("verdict") < head.index("state") < head.index("decision")
    assert second[head.index("verdict") :].startswith("✓ expected  finished  a try")
    assert first[head.index("verdict") :].startswith(" " * 12 + "finished")
    summary = loop.iteration(2).read_summary()
    assert summary is not None
    loop.iteration(2).write_summary(msgspec.structs.replace(summary, verdict=None))
    assert main(["show", NAME]) == 0
    assert "verdict" not in capsys.readouterr().out


def test_an_iteration_tells_the_suggestion_the_prediction_and_the_verdict(
    loop: LoopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", f"{NAME}/2"]) == 0
    told = capsys.readouterr().out
    assert "suggested by: the diagnosis (more epochs, after underfitting)\n" in told
    assert "prediction: score 60% to 90% (was 33%)\n" in told
    assert "verdict: ✓ consistent: expected score 60% to 90% (was 33%), measured 83%" in told
    assert "one run of each config" in told
    assert main(["show", f"{NAME}/1"]) == 0
    told = capsys.readouterr().out
    assert not any(word in told for word in ("suggestion", "prediction", "verdict"))


def test_a_verdict_that_cannot_be_derived_any_more_is_told_as_it_was_recorded(
    loop: LoopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    loop.iteration(2).examples.unlink()
    assert main(["show", f"{NAME}/2"]) == 0
    assert "verdict: ✓ consistent with the prediction\n" in capsys.readouterr().out


def test_the_records_have_the_shape_that_they_had(
    loop: LoopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", NAME, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["iterations"]
    assert (first["verdict"], second["verdict"]) == (None, "consistent")
    assert "suggestion" not in second
