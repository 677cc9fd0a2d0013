"""A data file that was edited between two iterations shows in what changed."""

from __future__ import annotations

import json
from pathlib import Path

from tui_loop.core.data.loading import load_data
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.workflow.plan import create_iterations, plan_next, with_data_changes


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    path.write_text(
        "".join(json.dumps({"prompt": ask, "completion": say}) + "\n" for ask, say in rows)
    )


def next_iteration(loop: LoopFolder, *settings: str) -> IterationFolder:
    plan = plan_next(loop, parent=None, settings=list(settings), why="")
    data = load_data(plan.config, loop.root)
    (folder,) = create_iterations(loop, [with_data_changes(loop, plan, data)], data)
    return folder


def test_edited_rows_are_counted_in_the_changes_of_the_next_iteration(tmp_path: Path) -> None:
    train, held = tmp_path / "train.jsonl", tmp_path / "eval.jsonl"
    write(train, [("a", "x"), ("b", "y"), ("c", "z")])
    write(held, [("d", "x"), ("e", "y")])
    loop = LoopsFolder(tmp_path / "loops").create(
        "mine",
        LoopSettings(
            defaults={
                "data": {"train": "train.jsonl", "eval": "eval.jsonl"},
                "evaluation": {"base": False},
            }
        ),
    )
    first = next_iteration(loop)
    same = next_iteration(loop)
    write(train, [("a", "x"), ("b", "better"), ("n", "new"), ("m", "new")])
    edited = next_iteration(loop, "learning_rate=1e-3")

    assert iteration_of(first).changes == {}
    assert iteration_of(same).changes == {}
    assert iteration_of(edited).changes == {
        "training.learning_rate": [1e-4, 1e-3],
        "data.train": {"rows_added": 2, "rows_removed": 1, "rows_changed": 1},
    }
    assert iteration_of(edited).title == "learning_rate 1e-4 → 1e-3, +1"
    assert len(list((loop.path / "rows").iterdir())) == 3  # two of train, one of eval
