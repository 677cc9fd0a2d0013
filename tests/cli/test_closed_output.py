"""A command whose output nobody reads, or whose streams are closed, ends quietly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tui_loop.core.record.folders import LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder

TUI_LOOP = f"{sys.executable} -m tui_loop"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with more loops than a pipe takes at once."""
    loops = LoopsFolder(tmp_path / "loops")
    for number in range(40):
        loops.create(f"loop-{number}", LoopSettings(goal=f"{number} " * 1000))
    return tmp_path


@pytest.mark.parametrize("words", ["list", "list --json", "show loop-1", "--help", "new --help"])
@pytest.mark.parametrize("ending", ["| true", "| head -c 1 > /dev/null", ">&-"])
def test_it_ends_with_0_and_without_a_word(words: str, ending: str, folder: Path) -> None:
    command = f"set -o pipefail; {TUI_LOOP} {words} {ending}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_stream_is_not_taken_by_the_next_file(folder: Path) -> None:
    command = f"{TUI_LOOP} note loop-1/1 hello >&- 2>&- <&-; {TUI_LOOP} show nope 2>&- >&-"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 4
    assert not (folder / "loops" / "loop-1" / "001").exists()
    settings = (folder / "loops" / "loop-1" / "loop.toml").read_text()
    assert "has no iteration" not in settings
