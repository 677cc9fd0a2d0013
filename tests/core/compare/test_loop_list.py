"""The loops in one line each, whatever state their folders are in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tui_loop.core.compare.loop_list import LoopEntry, LoopsReader
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow import queue
from tui_loop.core.workflow.queue import QueuedDraft


def test_a_loop_has_its_goal_state_and_best(
    loop: LoopFolder, finished: Callable[..., object]
) -> None:
    finished([0.0, 0.0], base=True)
    finished([1.0, 0.0])
    entry = LoopsReader(LoopsFolder(loop.path.parent)).poll()[0]
    assert (entry.name, entry.state, entry.iterations) == (loop.name, "idle", 1)
    assert entry.goal == loop.read_settings().goal
    assert entry.best == 1
    assert entry.updated_at.year > 2000


def test_a_look_that_finds_nothing_new_is_equal_and_one_that_does_is_not(
    loops: LoopsFolder,
) -> None:
    loops.create("one", LoopSettings(goal="first"))
    reader = LoopsReader(loops)
    before = reader.poll()
    assert reader.poll() == before
    loops.create("two", LoopSettings())
    assert [entry.name for entry in reader.poll()] == ["one", "two"]
    (loops.path / "one" / "loop.toml").write_text('schema = 1\ngoal = "second one"\n')
    assert reader.poll()[0].goal == "second one"


def test_what_cannot_be_read_is_listed_with_what_is_wrong(loops: LoopsFolder) -> None:
    loops.create("good", LoopSettings())
    for name, text in (("bad", "goal = [[["), ("e\x1b[31m", "schema = 1\n")):
        (loops.path / name).mkdir()
        (loops.path / name / "loop.toml").write_text(text)
    (loops.path / "no-loop").mkdir()
    (loops.path / "file").write_text("x")
    entries = {entry.name: entry for entry in LoopsReader(loops).poll()}
    assert set(entries) == {"good", "bad", "e\x1b[31m"}
    assert "loop.toml" in entries["bad"].problem
    assert "cannot be a loop's name" in entries["e\x1b[31m"].problem
    assert entries["good"].problem == ""
    states = {name: entry.state for name, entry in entries.items()}
    assert states == {"good": "new", "bad": "unreadable", "e\x1b[31m": "unreadable"}


def test_a_folder_that_is_not_open_to_us_is_listed_as_such(
    loops: LoopsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops.create("locked", LoopSettings())
    real = os.stat

    def refused(path: object, **more: object) -> os.stat_result:
        if str(path).endswith("locked/loop.toml"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", refused)
    found = LoopsReader(loops).poll()
    monkeypatch.undo()
    assert found == (LoopEntry("locked", problem=f"{loops.path / 'locked'}: Permission denied"),)


def test_a_file_from_the_far_future_is_listed(loops: LoopsFolder) -> None:
    loop = loops.create("late", LoopSettings())
    os.utime(loop.settings_file, (1e12, 1e12))
    assert LoopsReader(loops).poll()[0].updated_at.year > 2400


def test_no_folder_is_no_loops_and_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    assert LoopsReader(LoopsFolder(tmp_path / "none")).poll() == ()
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="Not a directory"):
        LoopsReader(LoopsFolder(tmp_path / "file")).poll()


def test_a_loop_is_idle_after_a_run_that_failed_and_queued_with_drafts(
    loop: LoopFolder, finished: Callable[..., IterationFolder]
) -> None:
    folder = finished([1.0, 0.0])
    summary = folder.read_summary()
    assert summary is not None
    folder.write_summary(msgspec.structs.replace(summary, state="failed"))
    reader = LoopsReader(LoopsFolder(loop.path.parent))
    entry = reader.poll()[0]
    assert (entry.state, entry.state_words, entry.last_run) == ("idle", "idle", "failed")
    queue.add(loop, QueuedDraft(1, "more", {"lora.r": 4}), QueuedDraft(1, "less", {"lora.r": 2}))
    entry = reader.poll()[0]
    assert (entry.state, entry.state_words, entry.queued) == ("queued", "2 queued", 2)


@pytest.mark.parametrize(
    ("phase", "words"),
    [("training", "training"), ("preparing", "loading"), ("", "starting")],
)
def test_a_live_loop_says_what_its_run_is_doing(phase: str, words: str) -> None:
    assert LoopEntry("a", state="running", phase=phase).state_words == words
    assert LoopEntry("a", state="paused", phase=phase).state_words == "paused"
