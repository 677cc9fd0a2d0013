"""Disks that are full, fail, stall or may not be written."""

from __future__ import annotations

import errno
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.conftest import MakeFinished
from tests.faults.conftest import FullDisk, begin, step
from tests.faults.kit import Outcome
from tests.waiting import PATIENCE_SECONDS
from tui_loop.cli.main import main
from tui_loop.core.errors import BadInput
from tui_loop.core.record import journal as journal_module
from tui_loop.core.record.events import Recovered, RunEnded
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.ledger import write_ledger
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.reader import IterationReader, iterations_of, read_run
from tui_loop.core.snapshot import LoopPoller, SnapshotRequest
from tui_loop.core.workflow.closing import close_loop
from tui_loop.core.workflow.holdout import HoldoutEvaluation, record_holdout_evaluation
from tui_loop.core.workflow.queue import QueuedDraft, add
from tui_loop.core.workflow.run_end import record_diagnosis
from tui_loop.tui.workbench.header import status_line


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode != 0:
        pytest.skip("only root may mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def steps(folder: IterationFolder) -> list[int]:
    return [point.step for point in read_run(folder).metrics]


@pytest.mark.fault(
    "the disk is full for a while during a run",
    group="disk",
    state="finished",
    readable="every step; a recovery event says how long nothing could be written",
)
def test_a_disk_that_was_full_for_a_while_cost_nothing(
    queued: IterationFolder, full_disk: FullDisk, outcome: Outcome
) -> None:
    with RunLock(queued.lock) as lock:
        journal = begin(Journal(queued.journal, lock.report_trouble))
        with full_disk(queued.journal.stat().st_size + 30):
            for number in range(1, 6):
                journal.append(step(number))
            assert steps(queued) == []
        for number in range(6, 9):
            journal.append(step(number))
        journal.append(RunEnded(state="finished"))
        journal.close()
    assert steps(queued) == list(range(1, 9))
    state = read_run(queued)
    assert state.missing == 0
    [gap] = state.recoveries
    assert gap.kind == "disk"
    assert "disk full: no writes for" in gap.message
    assert "5 lines delayed" in gap.message
    outcome(queued)


@pytest.mark.fault(
    "the disk is full, and somebody looks",
    group="disk",
    state="running",
    readable="in the status line and in status --json that lines wait; every step later on",
)
def test_a_full_disk_shows_in_the_status_and_the_run_continues(
    queued: IterationFolder,
    full_disk: FullDisk,
    outcome: Outcome,
    capsys: pytest.CaptureFixture[str],
) -> None:
    observer = LoopPoller(queued.loop)

    def pieces() -> list[tuple[str, str]]:
        _, right = status_line(observer.poll(SnapshotRequest()), time.time())
        return [(piece.text.strip(), piece.style) for piece in right]

    with RunLock(queued.lock) as lock:
        told: queue.Queue[str] = queue.Queue()

        def tell(text: str) -> None:
            lock.report_trouble(text)
            told.put(text)

        journal = begin(Journal(queued.journal, tell))
        for number in range(1, 9):  # beyond the lock's size, which is written on the full disk
            journal.append(step(number))
        assert "bad" not in dict(pieces()).values()
        with full_disk(queued.journal.stat().st_size):
            journal.append(step(9))
            assert told.get(timeout=PATIENCE_SECONDS) == "disk full: 1 line waits"
            assert pieces()[0] == ("disk full: 1 line waits", "bad")
            outcome(queued)
            assert main(["--loops", str(queued.loop.path.parent), "status", "--json"]) == 0
            [record] = json.loads(capsys.readouterr().out)["runs"]
            assert (record["state"], record["trouble"]) == ("running", "disk full: 1 line waits")
            journal.append(step(10))
            assert steps(queued) == list(range(1, 9))
        while told.get(timeout=PATIENCE_SECONDS):
            pass
        assert "bad" not in dict(pieces()).values()
        journal.append(step(11))
        journal.close()
    assert steps(queued) == list(range(1, 12))


@pytest.mark.fault(
    "the disk is full when a run ends",
    group="disk",
    state="interrupted",
    readable="every step up to then, and how many lines were never written",
)
def test_a_run_that_ends_on_a_full_disk_is_told_as_cut_short(
    queued: IterationFolder,
    full_disk: FullDisk,
    outcome: Outcome,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with RunLock(queued.lock) as lock:
        journal = begin(Journal(queued.journal, lock.report_trouble))
        for number in range(1, 9):  # beyond the lock's size, which is written on the full disk
            journal.append(step(number))
        with full_disk(queued.journal.stat().st_size):
            journal.append(step(9))
            journal.append(RunEnded(state="finished"))
            journal.close()
    assert steps(queued) == list(range(1, 9))
    view = IterationReader(queued).view()
    assert view.trouble == "disk full: 2 lines never written"
    assert main(["--loops", str(queued.loop.path.parent), "status"]) == 0
    assert "interrupted  disk full: 2 lines never written" in capsys.readouterr().out
    outcome(queued)


@pytest.mark.fault(
    "the disk has room for the end of the journal, and none for the summary",
    group="disk",
    state="finished",
    readable="state, steps and error by the journal",
)
def test_an_iteration_without_a_summary_is_what_its_journal_says(
    queued: IterationFolder, finished: MakeFinished, full_disk: FullDisk, outcome: Outcome
) -> None:
    summary = finished([1, 0]).read_summary()
    assert summary is not None
    journal = begin(Journal(queued.journal))
    journal.append(step(1))
    journal.append(RunEnded(state="finished"))
    journal.close()
    with full_disk(100), pytest.raises(OSError, match="too large"):
        queued.write_summary(summary)
    assert not [path for path in queued.path.iterdir() if path.name.startswith(".")]
    assert steps(queued) == [1]
    outcome(queued)


def _write_config(folder: IterationFolder) -> None:
    folder.write_config(folder.read_config(), {}, {"device": "x" * 9999})


def _write_summary(folder: IterationFolder) -> None:
    summary = folder.read_summary()
    assert summary is not None
    folder.write_summary(msgspec.structs.replace(summary, decision="x" * 9999))


LOOK = HoldoutEvaluation(1.0, 1, "c" * 64, 2, "label", 0.5, 1, 2, 1.0)
WRITERS: dict[str, Callable[[IterationFolder], Any]] = {
    "config": _write_config,
    "summary": _write_summary,
    "examples": lambda folder: folder.write_examples(folder.read_examples() * 99, []),
    "notes": lambda folder: folder.add_note("x" * 9999),
    "ledger": lambda folder: write_ledger(folder.loop),
    "diagnosis": record_diagnosis,
    "queue": lambda folder: add(folder.loop, QueuedDraft(1, "x" * 9999)),
    "a look": lambda folder: record_holdout_evaluation(folder.loop, LOOK),
    "the end of the loop": lambda folder: close_loop(folder.loop, "x" * 9999, 1),
    "an evaluation": lambda folder: write_atomically(folder.path / "evals.jsonl", b"x" * 9999),
}


@pytest.mark.fault(
    "the disk is full when any other file of the record is written",
    group="disk",
    state="finished",
    readable="the old file, whole; nothing lies beside it",
)
@pytest.mark.parametrize("name", WRITERS)
def test_no_file_of_the_record_is_damaged_by_a_full_disk(
    finished: MakeFinished, full_disk: FullDisk, name: str, outcome: Outcome
) -> None:
    folder = finished([1, 0])
    write_ledger(folder.loop)
    folder.add_note("mine")
    add(folder.loop, QueuedDraft(1, "mine"))
    record_holdout_evaluation(folder.loop, LOOK)

    def content() -> dict[str, bytes]:
        files = [path for path in folder.loop.path.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    before = content()
    with full_disk(20), pytest.raises(OSError, match="too large"):
        WRITERS[name](folder)
    assert content() == before
    outcome(folder)


@pytest.mark.fault(
    "a real disk of 64 KB fills up under a run and is emptied again",
    group="disk",
    state="finished",
    readable="every step, the lock's word of it while it lasts",
)
def test_a_real_full_disk(
    queued: IterationFolder, small_disk: Path, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SYNC_SECONDS", 0.05)
    loop = LoopFolder(small_disk / "intents")
    subprocess.run(["cp", "-r", str(queued.loop.path), str(loop.path)], check=True)
    folder = loop.iteration(1)
    told: queue.Queue[str] = queue.Queue()
    with RunLock(folder.lock) as lock:

        def tell(text: str) -> None:
            lock.report_trouble(text)
            told.put(text)

        journal = begin(Journal(folder.journal, tell))
        ballast = small_disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(b"x" * 200_000)
        number = 0
        while not journal.failing:
            number += 1
            journal.append(step(number))
        assert told.get(timeout=PATIENCE_SECONDS).startswith("disk full: ")
        reader = IterationReader(folder)
        assert reader.view().trouble.startswith("disk full: ")
        with pytest.raises(OSError, match="No space"):
            write_atomically(folder.notes, "x" * 9999)
        assert not list(folder.path.glob(".*"))
        ballast.unlink()
        journal.append(RunEnded(state="finished"))
        journal.close()
    assert steps(folder) == list(range(1, number + 1))
    state = read_run(folder)
    assert state.missing == 0
    assert [type(each) for each in state.recoveries] == [Recovered]
    outcome(folder)


@pytest.mark.fault(
    "a disk that holds up every sync",
    group="disk",
    state="running",
    readable="every event; training does not wait",
)
def test_a_disk_that_stalls_holds_up_no_append(
    queued: IterationFolder, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, go_on = threading.Event(), threading.Event()

    def stall(descriptor: int) -> None:
        stalled.set()
        assert go_on.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(os, "fdatasync", stall)
    with RunLock(queued.lock):
        journal = begin(Journal(queued.journal))
        assert stalled.wait(PATIENCE_SECONDS)
        for number in range(1, 101):
            journal.append(step(number))
        assert steps(queued) == list(range(1, 101))
        outcome(queued)
        go_on.set()
        journal.close()


@pytest.mark.fault(
    "a failing disk refuses to write",
    group="disk",
    state="running",
    readable="what was written before, and the disk's own words in the status line",
)
def test_a_failing_disk_is_named(
    queued: IterationFolder, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunLock(queued.lock) as lock:
        journal = begin(Journal(queued.journal, lock.report_trouble))
        journal.append(step(1))
        write = os.write

        def fail(descriptor: int, data: bytes) -> int:
            if descriptor == journal._descriptor:
                raise OSError(errno.EIO, "Input/output error")
            return write(descriptor, data)

        with monkeypatch.context() as failing:
            failing.setattr(os, "write", fail)
            for number in range(2, 5):
                journal.append(step(number))
            journal._maintain()
            view = IterationReader(queued).view()
            assert view.trouble == "disk: Input/output error: 3 lines wait"
            assert steps(queued) == [1]
            outcome(queued)
        journal.close()
    assert steps(queued) == [1, 2, 3, 4]


@pytest.mark.fault(
    "the loop's folder may only be read",
    group="disk",
    state="finished",
    readable="everything; a run refuses with one clear error",
)
def test_a_read_only_folder_is_read_and_refuses_a_run(
    finished: MakeFinished, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions do not stop root, so that the refusal is the system call's own."""
    folder = finished([1, 0])
    begin(Journal(folder.journal)).close()
    opened = os.open

    def refuse(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BadInput, match=r"run\.lock: cannot be written: Read-only file system"):
        RunLock(folder.lock).__enter__()
    with pytest.raises(BadInput, match=r"journal\.jsonl: cannot be written: Read-only"):
        Journal(folder.journal)
    assert [each.state for each in iterations_of(folder.loop)] == ["finished"]
    assert [each.id for each in folder.read_examples()] == ["id0", "id1"]
    assert read_run(folder).attempt == 1
    outcome(folder)
