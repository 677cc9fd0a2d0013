"""Folders that are moved while a run writes into them are noticed, and are not made again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.waiting import wait_until
from tui_loop.core.record import journal as journal_module
from tui_loop.core.record import lock as lock_module
from tui_loop.core.record.events import LineLogged
from tui_loop.core.record.files import FileGuard
from tui_loop.core.record.folder_place import FolderPlace
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import LockWatcher, RunLock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "loops" / "chat" / "001"
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_folder_is_followed_whichever_of_its_parents_is_renamed(folder: Path, level: int) -> None:
    place = FolderPlace(folder)
    assert place.moved_to is None
    renamed = [folder, *folder.parents][level]
    renamed.rename(renamed.with_name("other"))
    moved = place.moved_to
    assert moved is not None
    assert moved.is_dir()
    assert "other" in moved.parts
    renamed.mkdir(parents=True)
    assert place.moved_to == moved, "another folder took its name"


def test_a_removed_folder_has_no_new_place(folder: Path) -> None:
    place = FolderPlace(folder)
    shutil.rmtree(folder)
    assert place.moved_to is None
    folder.mkdir()
    assert place.moved_to is None


def test_a_journal_and_its_lock_go_along_with_their_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((journal_module, "SYNC_SECONDS"), (lock_module, "CHECK_SECONDS")):
        monkeypatch.setattr(module, name, 0.001)
    monkeypatch.setattr(lock_module, "HEARTBEAT_SECONDS", 0.001)
    moved = folder.with_name("moved")
    guarded = folder / "config.toml"
    guarded.write_text("a = 1\n")
    with RunLock(folder / "run.lock"):
        journal, guard = Journal(folder / "journal.jsonl"), FileGuard([guarded])
        journal.append(LineLogged(level="info", source="a", text="before"))
        folder.rename(moved)
        journal.append(LineLogged(level="info", source="a", text="after"))
        assert guard.check() == []
        os.utime(moved / "run.lock", (1.0, 1.0))
        wait_until(lambda: (moved / "run.lock").stat().st_mtime > 1.0, "a beat")
        assert LockWatcher(moved / "run.lock").poll() == "alive"
        journal.close()
    lines = (moved / "journal.jsonl").read_text().splitlines()
    assert [("before" in line, "after" in line) for line in lines] == [(True, False), (False, True)]
    assert not folder.exists()
