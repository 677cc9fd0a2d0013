"""Rates that other loops on the same base learned of."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tui_loop.core.diagnosis.advice.learning_rate import raise_learning_rate
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.experience import Lessons, lessons_of, rate_in
from tui_loop.core.diagnosis.findings import Finding, Suggestion
from tui_loop.core.patterns.all_patterns import PatternsReader
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader

MakeFinished = Callable[..., IterationFolder]
TOO_LOW = Finding("learning_rate_too_low", "warning", "the steps are too small")


@pytest.fixture
def beside(loops: LoopsFolder, loop: LoopFolder, finished: MakeFinished) -> LoopFolder:
    """A loop beside one with a base, a good run at 2e-3 and a diverged one at 5e-2."""
    finished([0.0, 0.0, 0.0], base=True)
    finished([1.0, 1.0, 0.0], "learning_rate=2e-3")
    blown_up = finished([], "learning_rate=5e-2")
    summary = blown_up.read_summary()
    assert summary is not None
    error = {"kind": "diverged", "message": "diverged", "hint": "", "step": 2}
    blown_up.write_summary(msgspec.structs.replace(summary, state="failed", error=error))
    return loops.create("other", LoopSettings(defaults={"data": {"train": "train.jsonl"}}))


def lessons_beside(loop: LoopFolder, base: str, *, is_lora: bool) -> Lessons:
    patterns = PatternsReader(LoopsFolder(loop.path.parent)).poll()
    return lessons_of(patterns.trials, loop.name, base, is_lora=is_lora)


def test_the_best_and_the_worst_of_other_loops_are_known(beside: LoopFolder) -> None:
    lessons = lessons_beside(beside, "tiny", is_lora=True)
    assert lessons.best is not None
    assert (lessons.best.place, rate_in(lessons.best)) == ("intents/1", 2e-3)
    bad = lessons.lowest_bad(above=1e-3)
    assert bad is not None
    assert bad.place == "intents/2"
    assert lessons.lowest_bad(above=0.1) is None


def test_another_base_and_full_fine_tuning_teach_nothing(beside: LoopFolder) -> None:
    assert lessons_beside(beside, "smollm2", is_lora=True).best is None
    assert lessons_beside(beside, "tiny", is_lora=False).best is None


def test_a_loop_learns_nothing_from_itself(loop: LoopFolder, beside: LoopFolder) -> None:
    assert lessons_beside(loop, "tiny", is_lora=True).best is None


def test_a_rate_that_is_too_low_goes_where_another_loop_did_well(
    loop: LoopFolder, beside: LoopFolder
) -> None:
    source = loop.iteration(1)
    target = beside.iteration(1)
    target.path.mkdir()
    for path in source.path.iterdir():
        text = path.read_text().replace("0.002", "0.000001")
        (target.path / path.name).write_text(text)
    case = Diagnoser(LoopReader(beside)).facts(1)
    [found] = list(raise_learning_rate(case, TOO_LOW))
    assert found.changes == {"training.learning_rate": (1e-6, 2e-3)}
    assert "intents/1 reached a score of 67% at a learning rate of 2e-3 on this" in found.why
    assert found.confidence == "high"


def test_how_such_changes_went_stands_beside_a_suggestion(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    better = [1.0] * 30 + [0.0] * 10
    finished([0.0] * 40, base=True)
    finished([1.0] * 10 + [0.0] * 30)
    finished(better, "lora.r=32", parent=1)
    finished(better, "lora.r=64", parent=2)
    lessons = lessons_beside(loop, "tiny", is_lora=True)
    raised = lessons.went("lora.r", 16, 32)
    assert (len(raised.changes), raised.count("helped"), raised.count("same")) == (2, 1, 1)
    assert lessons.went("lora.r", 32, 16).changes == ()
    assert lessons.went("training.optim", "adamw_torch", "sgd").changes == ()


def test_a_replicate_is_suggested_of_this_config_and_then_of_the_other(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0] * 20 + [0.0] * 20)
    finished([1.0] * 17 + [0.0] * 6 + [1.0] * 9 + [0.0] * 8, "learning_rate=2e-4", parent=1)

    def replicate() -> Suggestion:
        found = Diagnoser(LoopReader(loop)).diagnose(2).suggestions
        return next(each for each in found if each.kind == "replicate")

    assert replicate().changes == {"training.seed": (42, 43)}
    finished([1.0] * 26 + [0.0] * 14, "seed=43", parent=2)
    assert replicate().changes == {}
    assert replicate().action == (
        "run iteration 1 again with a different seed (tui-loop run intents --from 1 --set seed=43)"
    )
    finished([1.0] * 20 + [0.0] * 20, "seed=43", parent=1)
    kinds = [each.kind for each in Diagnoser(LoopReader(loop)).diagnose(2).suggestions]
    assert "replicate" not in kinds
