"""Files that are put back where they vanish, and left alone where they were edited."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tui_loop.core.record.files import FileGuard


def test_a_file_that_is_gone_is_put_back_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "001" / "config.toml"
    path.parent.mkdir()
    path.write_text("a = 1\n")
    kept = FileGuard([path])
    shutil.rmtree(path.parent)
    assert kept.check() == [path]
    assert path.read_text() == "a = 1\n"
    assert kept.check() == []


def test_an_edit_stays_and_is_what_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "decision.toml"
    path.write_text("old")
    kept = FileGuard([path])
    path.write_text("edited")
    os.utime(path, ns=(1, 1))
    assert kept.check() == []
    path.unlink()
    kept.check()
    assert path.read_text() == "edited"


def test_a_file_that_never_was_is_not_made(tmp_path: Path) -> None:
    kept = FileGuard([tmp_path / "loop.toml"])
    assert kept.check() == []
    assert list(tmp_path.iterdir()) == []
