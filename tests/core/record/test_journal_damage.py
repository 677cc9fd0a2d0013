"""A journal whose file is replaced, removed, cut or overwritten under its writer."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.core.record.test_journal import full_disk, metrics
from tests.faults.kit import Outcome
from tui_loop.core.record import journal as journal_module
from tui_loop.core.record import written_bytes
from tui_loop.core.record.events import AnyEvent, LineLogged, MetricsLogged, PhaseStarted
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.state import RunState, fold


def read(path: Path) -> list[AnyEvent]:
    """The journal's events; fails on a bad line or a gap."""
    reader = Follower(path)
    events = reader.read_all()
    assert reader.bad_lines == 0
    assert [event.seq for event in events] == list(range(len(events)))
    return events


def steps(path: Path) -> list[int]:
    return [event.step for event in read(path) if isinstance(event, MetricsLogged)]


def notes(path: Path) -> list[str]:
    return [event.text for event in read(path) if isinstance(event, LineLogged)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def journal(path: Path) -> Journal:
    """A journal whose file has the lines of an earlier attempt and of this one, 0 to 5."""
    earlier = Journal(path)
    for step in range(3):
        earlier.append(metrics(step))
    earlier.close()
    journal = Journal(path)
    for step in range(3, 6):
        journal.append(metrics(step))
    return journal


@pytest.mark.fault(
    "the journal is replaced under the writer (git checkout, an editor's rename)",
    group="journal",
    state="-",
    readable="every event, earlier attempts' too",
)
def test_a_replaced_file_is_written_anew_with_everything(
    path: Path, journal: Journal, outcome: Outcome
) -> None:
    other = path.with_name("other")
    other.write_bytes(b"an older state\n")
    os.replace(other, path)
    journal.append(PhaseStarted(name="saving"))
    journal.append(metrics(6))
    journal.close()
    assert steps(path) == list(range(7))
    assert os.listdir(path.parent) == [path.name]
    [note] = notes(path)
    assert "was replaced" in note
    outcome.checked()


@pytest.mark.fault(
    "the journal's whole folder is removed under the writer",
    group="journal",
    state="-",
    readable="every event",
)
def test_a_removed_file_is_written_anew_with_everything_and_its_folder(
    tmp_path: Path, outcome: Outcome
) -> None:
    path = tmp_path / "loop" / "001" / "journal.jsonl"
    path.parent.mkdir(parents=True)
    journal = Journal(path)
    journal.append(metrics(0))
    path.unlink()
    path.parent.rmdir()
    path.parent.parent.rmdir()
    journal.append(metrics(1))
    journal.close()
    assert steps(path) == [0, 1]
    outcome.checked()


@pytest.mark.fault(
    "the journal is cut in place under the writer (> journal.jsonl)",
    group="journal",
    state="-",
    readable="every event, earlier attempts' too",
)
@pytest.mark.parametrize("left", [0, 1, 100, -1])
def test_a_file_cut_in_place_is_written_anew_with_everything(
    path: Path, journal: Journal, left: int, outcome: Outcome
) -> None:
    os.truncate(path, left if left >= 0 else path.stat().st_size - 1)
    for step in range(6, 9):
        journal.append(metrics(step))
    journal.close()
    assert steps(path) == list(range(9))
    [note] = notes(path)
    assert "was cut" in note
    outcome.checked()


@pytest.mark.fault(
    "an editor truncates the journal and writes other text into it",
    group="journal",
    state="-",
    readable="every event, earlier attempts' too",
)
@pytest.mark.parametrize("length", [-10, 0, 500])
def test_a_file_overwritten_in_place_is_written_anew_with_everything(
    path: Path, journal: Journal, length: int, outcome: Outcome
) -> None:
    path.write_bytes(b"x" * (path.stat().st_size + length))
    journal.append(metrics(6))
    journal.close()
    assert steps(path) == list(range(7))
    outcome.checked()


def test_bytes_garbled_far_before_the_end_are_put_right_when_the_run_ends(
    path: Path, journal: Journal
) -> None:
    with path.open("r+b") as file:
        file.seek(20)
        file.write(b"\xff\xfe")
    journal.append(metrics(6))
    journal.close()
    assert steps(path) == list(range(7))


def test_what_others_add_stays_and_spoils_no_line_of_the_writers(
    path: Path, journal: Journal
) -> None:
    with path.open("ab") as file:
        file.write(b"a note without an end")
    journal.append(metrics(6))
    journal.append(metrics(7))
    journal.close()
    reader = Follower(path)
    events = reader.read_all()
    assert [event.seq for event in events] == list(range(8))
    assert reader.bad_lines == 1
    assert b"a note without an end\n" in path.read_bytes()


@pytest.mark.parametrize("room", [0, 10])
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_rebuild_without_room_is_tried_again_and_holds_on_to_no_files(
    path: Path, journal: Journal, room: int, is_cut: bool
) -> None:
    os.truncate(path, 0) if is_cut else path.unlink()
    open_before = len(os.listdir("/proc/self/fd"))
    with full_disk(Path(os.devnull), room):
        for step in range(6, 9):
            journal.append(metrics(step))
            journal._maintain()
        with journal._maintenance_lock:  # the writer's own thread is not at it
            assert not list(path.parent.glob(".*"))
            assert len(os.listdir("/proc/self/fd")) == open_before
    journal.close()
    assert steps(path) == list(range(9))


def test_lines_appended_while_the_file_is_written_anew_come_behind_it(
    path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilt = journal_module._rebuilt

    def slowly(where: Path, content: bytes) -> int:
        journal.append(metrics(6))  # does not wait for the disk
        return rebuilt(where, content)

    monkeypatch.setattr(journal_module, "_rebuilt", slowly)
    path.unlink()
    journal.close()
    assert steps(path) == list(range(7))


def test_a_sync_that_failed_is_made_good_by_a_new_file(
    path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal._maintain()
    number = path.stat().st_ino

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    told: list[str] = []
    journal._on_trouble = told.append
    with monkeypatch.context() as failing:
        failing.setattr(os, "fdatasync", fail)
        journal.append(metrics(6))
        journal._maintain()
    assert told == ["disk: Input/output error"]
    journal.close()
    assert told[-1] == ""
    assert steps(path) == list(range(7))
    assert path.stat().st_ino != number


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer keeps a few lines only."""
    monkeypatch.setattr(written_bytes, "KNOWN_BYTES", 400)


@pytest.mark.usefixtures("small_memory")
def test_a_replaced_file_longer_than_memory_is_copied_from_the_old_one(
    path: Path, journal: Journal
) -> None:
    for step in range(6, 20):
        journal.append(metrics(step))
    assert not journal._written.is_whole
    path.unlink()
    journal.close()
    assert steps(path) == list(range(20))


@pytest.mark.usefixtures("small_memory")
def test_a_cut_file_longer_than_memory_has_its_newest_lines_and_counts_the_others(
    path: Path, journal: Journal
) -> None:
    for step in range(6, 20):
        journal.append(metrics(step))
    os.truncate(path, 0)
    journal.close()
    reader = Follower(path)
    events = reader.read_all()
    assert reader.bad_lines == 0
    first = events[0].seq
    assert 0 < first < 20
    assert [event.seq for event in events] == list(range(first, 21))
    assert fold(RunState(), events).missing == first


@pytest.mark.usefixtures("small_memory")
def test_a_file_longer_than_memory_goes_on_with_the_next_seq(path: Path, journal: Journal) -> None:
    journal.close()
    again = Journal(path)
    again.append(metrics(6))
    again.close()
    assert steps(path) == list(range(7))
