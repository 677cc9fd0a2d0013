"""A run that would only do again what another one did is no second measurement."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tui_loop.cli.output import Output
from tui_loop.cli.run_process import create_runs
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.structs import State
from tui_loop.core.workflow.plan import create_iteration, plan_next

OUT = Output(as_json=False)


@pytest.fixture
def loop(tmp_path: Path) -> LoopFolder:
    rows = [{"prompt": f"which of {n}?", "completion": "one"} for n in range(40)]
    for name, of_name in (("train", rows[:20]), ("eval", rows[20:])):
        text = "".join(json.dumps(row) + "\n" for row in of_name)
        (tmp_path / f"{name}.jsonl").write_text(text)
    data = {"train": "train.jsonl", "eval": "eval.jsonl"}
    defaults = {"data": data, "model": {"id": "tiny"}, "evaluation": {"base": False}}
    return LoopsFolder(tmp_path / "loops").create("mine", LoopSettings(defaults=defaults))


def ended(folder: IterationFolder, state: State) -> None:
    summary = iteration_of(folder)
    folder.write_summary(type(summary)(number=summary.number, state=state, config=summary.config))


def next_of(loop: LoopFolder, *settings: str, repeat: int | None = None) -> list[int]:
    plan = plan_next(loop, parent=None, settings=list(settings), why="")
    folders = create_runs(loop, plan, OUT, repeat=repeat, is_attended=True)
    return [each.number for each in folders]


def first(loop: LoopFolder) -> IterationFolder:
    return create_iteration(loop, plan_next(loop, parent=None, settings=[], why=""), {})


@pytest.mark.parametrize("state", ["finished", "queued"])
def test_a_copy_of_what_finished_or_is_to_run_is_refused(loop: LoopFolder, state: State) -> None:
    folder = first(loop)
    if state == "finished":
        ended(folder, state)
    with pytest.raises(BadInput, match="nothing differs from mine/1") as caught:
        next_of(loop)
    assert "--repeat 1" in caught.value.hint
    assert loop.numbers() == [1]


def test_a_repeat_of_one_runs_under_another_seed(loop: LoopFolder) -> None:
    ended(first(loop), "finished")
    assert next_of(loop, repeat=1) == [2]
    (change,) = loop.iteration(2).read_decision().changes
    assert change.field == "training.seed"


def test_a_repeat_of_one_with_a_change_keeps_the_seed(loop: LoopFolder) -> None:
    ended(first(loop), "finished")
    assert next_of(loop, "r=4", repeat=1) == [2]
    assert [each.field for each in loop.iteration(2).read_decision().changes] == ["lora.r"]


def test_what_failed_may_be_tried_again_as_it_was(loop: LoopFolder) -> None:
    ended(first(loop), "failed")
    assert next_of(loop) == [2]
