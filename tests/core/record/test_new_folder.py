"""Folders that appear completely or not at all, and what killed creations leave."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tui_loop.core.errors import BadInput
from tui_loop.core.record import loops_folder
from tui_loop.core.record.folders import LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.new_folder import new_folder, remove_leftovers

KILLED = """
import os, signal, sys
from pathlib import Path
from tui_loop.core.record.new_folder import new_folder

with new_folder(Path(sys.argv[1])) as folder:
    (folder / "loop.toml").write_text("schema = 1")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def temporary_names(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".")]


def test_a_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a") as folder:
        (folder / "file").write_text("text")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "file").read_text() == "text"
    assert os.listdir(tmp_path) == ["a"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with new_folder(tmp_path / "a") as folder:
            (folder / "file").write_text("text")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        fill()
    assert os.listdir(tmp_path) == []


def test_an_empty_folder_is_replaced_and_one_with_content_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with new_folder(tmp_path / "a") as folder:
        (folder / "mine").touch()
    with pytest.raises(FileExistsError), new_folder(tmp_path / "a") as folder:
        (folder / "theirs").touch()
    assert os.listdir(tmp_path / "a") == ["mine"]
    assert temporary_names(tmp_path) == []


def test_what_a_killed_process_left_is_passed_over_and_removed_by_the_next_creation(
    loops: LoopsFolder,
) -> None:
    loops.path.mkdir()
    done = subprocess.run([sys.executable, "-c", KILLED, str(loops.path / "mine")], check=False)
    assert done.returncode == -9
    [leftover] = temporary_names(loops.path)
    assert (loops.path / leftover / "loop.toml").exists()
    scan = loops.scan()
    assert (scan.loops, scan.refused) == ((), ())
    loops.create("mine", LoopSettings(goal="again"))
    assert loops.loop("mine").read_settings().goal == "again"
    assert temporary_names(loops.path) == [".gitignore"]


def test_a_folder_that_is_being_filled_is_not_removed(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a") as folder:
        remove_leftovers(tmp_path)
        with new_folder(tmp_path / "b"):
            pass
        assert folder.is_dir()
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_full_disk_does_not_block_the_name_of_a_loop(
    loops: LoopsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops.create("other", LoopSettings())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(loops_folder, "write_atomically", full)
        with pytest.raises(OSError, match="No space"):
            loops.create("mine", LoopSettings())
    assert sorted(os.listdir(loops.path)) == [".gitignore", "other"]
    loops.create("mine", LoopSettings())


def test_a_folder_without_settings_and_iterations_is_taken_over(loops: LoopsFolder) -> None:
    data = loops.path / "mine" / "data" / "rows.jsonl"
    data.parent.mkdir(parents=True)
    data.write_text("{}\n")
    (loops.path / "empty").mkdir()
    for name in ("mine", "empty"):
        loops.create(name, LoopSettings(goal=name))
    assert data.read_text() == "{}\n"
    assert [loop.read_settings().goal for loop in loops.loops()] == ["empty", "mine"]


@pytest.mark.parametrize("content", ["001", "file", "link"])
def test_any_other_folder_keeps_its_name(loops: LoopsFolder, content: str) -> None:
    place = loops.path / "mine"
    loops.path.mkdir()
    if content == "001":
        (place / "001").mkdir(parents=True)
    elif content == "file":
        place.touch()
    else:
        place.symlink_to(loops.path.parent)
    with pytest.raises(BadInput, match="mine: already exists"):
        loops.create("mine", LoopSettings())
