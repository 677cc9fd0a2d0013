"""Which checkpoint is trusted, by what was recorded of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.record.checkpoints import Resumption, next_resumption, resumption_of
from tui_loop.core.record.events import CheckpointSaved, RunEnded
from tui_loop.core.record.files import sha256_of
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.iteration import iteration_from
from tui_loop.core.record.state import RunState
from tui_loop.core.record.structs import Decision
from tui_loop.core.workflow.plan import create_iteration, plan_next


@pytest.fixture
def folder(loop: LoopFolder) -> IterationFolder:
    return create_iteration(loop, plan_next(loop, parent=None, settings=[], why=""), {})


def saved(folder: IterationFolder, step: int, **more: Any) -> CheckpointSaved:
    """Writes a checkpoint of two files and gives what is recorded of it."""
    path = folder.checkpoints / f"checkpoint-{step}"
    path.mkdir(parents=True)
    for name in ("weights", "state"):
        (path / name).write_bytes(f"{name} of {step}".encode())
    files = {
        each.name: {"size": each.stat().st_size, "sha256": sha256_of(each)}
        for each in sorted(path.iterdir())
    }
    return CheckpointSaved(
        **{"step": step, "path": f"checkpoints/{path.name}", "files": files} | more
    )


def test_the_newest_whole_one_is_where_to_go_on(folder: IterationFolder) -> None:
    run = RunState(attempt=1, checkpoints=[saved(folder, 10), saved(folder, 20)])
    assert next_resumption(folder, run) == Resumption(20, "checkpoints/checkpoint-20")
    assert next_resumption(folder, run).description == "checkpoint 20"


def test_without_any_it_is_the_start(folder: IterationFolder) -> None:
    assert (
        next_resumption(folder, RunState(attempt=1)).description
        == "the start: there is no checkpoint"
    )
    assert next_resumption(folder, RunState()).step == 0


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../../../etc", "outside"),
        ("/etc", "outside"),
        ("adapter", "outside"),
        ("checkpoints/../..", "outside"),
        ("checkpoints/checkpoint-99", "is missing"),
    ],
)
def test_a_recorded_path_never_leads_out_of_the_folder(
    folder: IterationFolder, path: str, reason: str
) -> None:
    run = RunState(attempt=1, checkpoints=[saved(folder, 10), saved(folder, 20, path=path)])
    found = next_resumption(folder, run)
    assert found.step == 10
    assert reason in found.description


@pytest.mark.parametrize("name", ["../state", "sub/state", "..", "/etc/passwd"])
def test_a_recorded_file_name_never_leads_out_of_its_checkpoint(
    folder: IterationFolder, name: str
) -> None:
    checkpoint = saved(folder, 20)
    files = {**checkpoint.files, name: {"size": 1, "sha256": "0"}}
    run = RunState(attempt=1, checkpoints=[saved(folder, 10), saved(folder, 21, files=files)])
    assert next_resumption(folder, run).step == 10


def test_a_link_is_no_checkpoint(folder: IterationFolder, tmp_path: Path) -> None:
    checkpoint = saved(folder, 20)
    path = folder.checkpoints / "checkpoint-20"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    run = RunState(attempt=1, checkpoints=[checkpoint])
    assert next_resumption(folder, run).description == "the start: there is no checkpoint"


def test_one_whose_files_were_not_recorded_is_not_trusted(folder: IterationFolder) -> None:
    run = RunState(attempt=1, checkpoints=[saved(folder, 20, files={})])
    assert "not recorded" in next_resumption(folder, run).description


def test_a_diverged_run_goes_on_before_its_weights_went_bad(folder: IterationFolder) -> None:
    error = {"kind": "diverged", "message": "", "hint": "", "step": 25}
    run = RunState(
        attempt=1,
        ended=RunEnded(state="failed", error=error),
        checkpoints=[saved(folder, 10), saved(folder, 20)],
    )
    summary = iteration_from(1, Decision(), {}, run, "failed")
    folder.write_summary(summary)
    start = next_resumption(folder, run)  # nothing says what was sound
    assert (start.step, start.description) == (
        0,
        "the start: there is no checkpoint of sound weights",
    )
    summary.metrics["sound_step"] = 19
    folder.write_summary(summary)
    assert next_resumption(folder, run).step == 10
    assert resumption_of(folder, run, below=20).step == 20
