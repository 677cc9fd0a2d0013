"""The checklist: every criterion with its figure, from the record alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Split
from tui_loop.core.stats import wilson
from tui_loop.core.workflow.holdout import (
    Figures,
    HoldoutEvaluation,
    PairedTable,
    record_holdout_evaluation,
)
from tui_loop.core.workflow.readiness import Checklist, Item, checklist

MakeLook = Callable[..., HoldoutEvaluation]
ROWS = 40


def scores(passed: int, *, first: int = 0) -> list[float]:
    """So many of ROWS pass, from row `first` on."""
    return [float(first <= row < first + passed) for row in range(ROWS)]


def wants(loop: LoopFolder, text: str) -> None:
    """Adds a `[ready]` table."""
    loop.settings_file.write_text(f"{loop.settings_file.read_text()}\n[ready]\n{text}\n")


def item(found: Checklist, kind: str) -> Item:
    return next(each for each in found.items if each.kind == kind)


@pytest.fixture
def three(loop: LoopFolder, finished: MakeFinished) -> LoopFolder:
    """The base and three iterations in a line: 2, 20, 30 and 32 of 40 pass."""
    finished(scores(2), base=True)
    for passed, rate in ((20, "1e-4"), (30, "2e-4"), (32, "3e-4")):
        finished(scores(passed), f"learning_rate={rate}")
    return loop


def with_holdout(loop: LoopFolder, number: int, sha256: str = "a" * 64) -> None:
    folder = loop.iteration(number)
    splits = folder.read_splits() | {"holdout": Split("holdout.jsonl", sha256, 100)}
    folder.write_config(folder.read_config(), splits)


def test_all_criteria_met_is_ready(three: LoopFolder) -> None:
    wants(three, "target = 0.75")
    found = checklist(three, 3)
    assert [(each.kind, each.status) for each in found.items] == [
        ("finished", "met"),
        ("iterations", "met"),
        ("target", "met"),
        ("no_regression_parent", "met"),
        ("no_regression_base", "met"),
    ]
    assert found.is_ready
    assert found.verdict == "intents/3 is ready: all 5 criteria are met"
    assert item(found, "iterations").figure == "3 trained and finished"
    assert item(found, "target").figure == (
        "80% (95% interval 65% to 90%), 32 of 40 pass; the interval includes the target of 75%, "
        "so the score itself decides"
    )
    assert (
        item(found, "no_regression_base").figure
        == "30 fixed, 0 broken of 40 examples (p = 1.9e-09)"
    )
    assert "there is no holdout" in found.notices[0]


def test_no_target_is_an_open_item_that_says_how_to_set_one(three: LoopFolder) -> None:
    found = checklist(three, 3)
    target = item(found, "target")
    assert (target.status, target.figure[:13]) == ("open", "no target set")
    assert f"{three.settings_file}: [ready] target = 0.85" in target.todo
    assert not found.is_ready
    assert found.unmet == (target,)


def test_what_is_lacking_has_its_figure(three: LoopFolder) -> None:
    wants(three, "target = 0.9\nmin_iterations = 5")
    found = checklist(three, 3)
    assert item(found, "target").status == "not met"
    assert item(found, "target").todo.startswith(
        "10 points short; see what to change: `tui-loop diagnose intents/"
    )
    assert item(found, "target").figure == "80% (95% interval 65% to 90%), 32 of 40 pass"
    low, high = wilson(32, 40)
    assert item(found, "target").numbers == {"score": 0.8, "target": 0.9, "low": low, "high": high}
    assert item(found, "iterations").numbers == {"finished": 3, "least": 5}
    assert item(found, "iterations").status == "not met"
    assert "run 2 more iterations" in item(found, "iterations").todo


def test_only_a_significant_regression_holds_an_iteration_back(
    three: LoopFolder, finished: MakeFinished
) -> None:
    finished(scores(28), "learning_rate=4e-4", parent=3)
    noise = item(checklist(three, 4), "no_regression_parent")
    assert noise.status == "met"
    assert noise.figure.startswith("0 fixed, 4 broken of 40 examples (p = 0.12)")
    finished(scores(22), "learning_rate=5e-4", parent=3)
    worse = item(checklist(three, 5), "no_regression_parent")
    assert worse.status == "not met"
    assert worse.figure.startswith("significantly worse: 0 fixed, 10 broken")
    assert worse.figure.endswith("but training noise may be the cause (one run of each config)")
    assert worse.todo.endswith("`tui-loop compare intents/3 intents/5`")


def test_worse_than_the_base_is_told_apart_and_may_be_left_out(
    three: LoopFolder, finished: MakeFinished
) -> None:
    wants(three, 'no_regression = ["parent"]')
    kinds = [each.kind for each in checklist(three, 3).items]
    assert "no_regression_base" not in kinds
    assert [each.kind for each in checklist(three, 1).items].count("no_regression_parent") == 1


def test_replicates_may_hold_an_iteration_back_too(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(scores(2), base=True)
    for seed in (1, 2, 3):
        finished(scores(36), "learning_rate=1e-4", f"training.seed={seed}", parent=0)
    for seed in (1, 2, 3):  # each breaks four others
        broken = [float(4 * seed <= row < 4 * seed + 4) for row in range(ROWS)]
        worse = [was - loss for was, loss in zip(scores(36), broken, strict=True)]
        parent = 1 if seed == 1 else 4
        finished(worse, "learning_rate=9e-4", f"training.seed={seed}", parent=parent)
    found = item(checklist(loop, 4), "no_regression_parent")
    assert found.status == "not met"
    assert "the change: worse (runs per config: 3 and 3)" in found.figure
    assert "p = 0.12" in found.figure


def test_graded_scores_are_compared_as_such(loop: LoopFolder, finished: MakeFinished) -> None:
    good, poor = [0.6 + row % 3 / 10 for row in range(ROWS)], [0.4] * ROWS
    finished([0.0] * ROWS, base=True, metrics={"score": 0.0})
    finished(good, metrics={"score": sum(good) / ROWS})
    finished(poor, "learning_rate=1e-4", metrics={"score": 0.4})
    found = item(checklist(loop, 2), "no_regression_parent")
    assert found.status == "not met"
    assert "score -30" in found.figure


def test_without_a_metric_losses_decide(loop: LoopFolder, finished: MakeFinished) -> None:
    text = loop.settings_file.read_text().replace('metric = "label"', 'metric = "none"')
    loop.settings_file.write_text(text)
    wants(loop, "target = 0.4")
    finished([0.0] * 4, base=True)
    finished([0.0] * 4, metrics={"score": None, "passed": None})
    found = item(checklist(loop, 1), "target")
    assert (found.title, found.figure) == ("eval loss at most 0.400", "0.500")
    assert (found.status, found.todo[:10]) == ("not met", "0.100 nats")


@pytest.mark.parametrize(("state", "metrics"), [("failed", {}), ("finished", {"eval_loss": None})])
def test_what_did_not_end_well_is_not_ready(
    loop: LoopFolder, finished: MakeFinished, state: str, metrics: dict[str, Any]
) -> None:
    import msgspec

    folder = finished(scores(30), metrics=metrics)
    summary = folder.read_summary()
    assert summary is not None
    folder.write_summary(msgspec.structs.replace(summary, state=state))
    assert item(checklist(loop, 1), "finished").status == "not met"


def test_an_iteration_without_examples_leaves_the_question_open(
    three: LoopFolder,
) -> None:
    three.iteration(2).examples.unlink()
    found = item(checklist(three, 3), "no_regression_parent")
    assert (found.status, found.figure) == ("open", "intents/2 has no evaluated examples")


def test_the_holdout_is_asked_for_where_there_is_one(three: LoopFolder, look: MakeLook) -> None:
    wants(three, "target = 0.75")
    with_holdout(three, 3)
    found = checklist(three, 3)
    assert item(found, "holdout").status == "open"
    assert found.is_ready_except_holdout
    assert not found.is_ready
    assert found.uses == ()
    record_holdout_evaluation(three, look(iteration=3))
    found = checklist(three, 3)
    assert item(found, "holdout").status == "met"
    assert "compared with the base: 69 fixed, 1 broken" in item(found, "holdout").figure
    assert found.is_ready
    assert found.holdout_use_summary == "1 use of this holdout so far, the first by intents/3"
    assert found.notices == ()


def test_a_holdout_that_says_otherwise_is_not_met(three: LoopFolder, look: MakeLook) -> None:
    with_holdout(three, 3)
    record_holdout_evaluation(three, look(iteration=3, score=0.5, passed=50))
    found = item(checklist(three, 3), "holdout")
    assert found.status == "not met"
    assert found.figure.startswith(
        "the eval set is too optimistic: 80% on the eval set, 50% on the holdout"
    )
    assert "`tui-loop fresh intents`" in found.todo
    worse = look(iteration=3, paired=PairedTable(10, 2, 20, 68), t=1_700_000_900.0)
    record_holdout_evaluation(three, worse)
    assert "compare intents/0 intents/3" in item(checklist(three, 3), "holdout").todo


def test_looks_of_others_are_counted_and_the_third_is_warned_of(
    three: LoopFolder, look: MakeLook
) -> None:
    with_holdout(three, 3)
    for iteration in (1, 2, 2):
        record_holdout_evaluation(three, look(iteration=iteration))
    found = checklist(three, 3)
    assert item(found, "holdout").status == "open"
    assert [each.name for each in found.uses] == ["intents/1", "intents/2", "intents/2"]
    assert found.holdout_use_summary == "3 uses of this holdout so far, the first by intents/1"
    assert "becoming a second eval set" in found.notices[0]
    assert "--set data.holdout=PATH" in found.notices[0]


def test_a_holdout_that_nobody_asks_for_is_no_criterion(three: LoopFolder) -> None:
    wants(three, "holdout = false")
    with_holdout(three, 3)
    assert "holdout" not in [each.kind for each in checklist(three, 3).items]


def test_unknown_noise_leaves_the_holdout_open(three: LoopFolder, look: MakeLook) -> None:
    with_holdout(three, 3)
    record_holdout_evaluation(three, look(iteration=3, eval=Figures()))
    assert item(checklist(three, 3), "holdout").status == "open"


def test_many_iterations_on_one_eval_set_call_for_a_fresh_split(
    three: LoopFolder, finished: MakeFinished
) -> None:
    for index in range(7):
        finished(scores(32), f"learning_rate={4 + index}e-5")
    assert any("`tui-loop fresh intents`" in each for each in checklist(three, 10).notices)


def test_the_base_is_never_ready_and_what_is_not_there_is_told(
    three: LoopFolder, tmp_path: Path
) -> None:
    assert item(checklist(three, 0), "finished").figure == "this is the untouched base"
    with pytest.raises(NotFound):
        checklist(three, 9)
    wants(three, "tagret = 1")
    with pytest.raises(BadInput, match="did you mean target"):
        checklist(three, 3)


def test_the_target_has_the_interval_over_conversations(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    scores = {f"{talk}:{n}": float(talk < 5) for talk in range(10) for n in range(8)}
    conversations = {name: name[0] for name in scores}
    finished(scores, "turns=all", conversations=conversations)
    target = next(each for each in checklist(loop, 1).items if each.kind == "target")
    assert target.numbers["low"] < 0.25
    assert target.numbers["high"] > 0.75
