"""Following a run on the command line shows each event once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tui_loop.cli.follow import RunFollower
from tui_loop.cli.output import Output
from tui_loop.core.record.events import PhaseStarted, RunEnded, RunStarted
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import RunLock


def test_the_phase_before_the_start_is_not_shown_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = IterationFolder(tmp_path / "a" / "001", LoopFolder(tmp_path / "a"), 1)
    folder.path.mkdir(parents=True)
    with RunLock(folder.lock) as lock:
        journal = Journal(folder.journal, lock.report_trouble)
        journal.append(PhaseStarted(name="checking"))  # by the gate, which was followed before
        journal.append(RunStarted(loop="a", iteration=1, attempt=1, pid=1, host="h"))
        journal.append(PhaseStarted(name="loading"))
        journal.append(RunEnded(state="finished"))
        journal.close()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        RunFollower(process, Output(as_json=False)).follow(folder, 1)
    assert capsys.readouterr().out.splitlines() == ["a/1 started", "a/1 loading"]
