"""The writer: in order, whole, never raising, whatever the disk does."""

from __future__ import annotations

import json
import os
import queue
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.kit import Outcome
from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.errors import BadInput
from tui_loop.core.record import journal as journal_module
from tui_loop.core.record.events import (
    AnyEvent,
    CheckpointSaved,
    LineLogged,
    MetricsLogged,
    Recovered,
    RunEnded,
)
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.state import RunState, fold


def metrics(step: int) -> MetricsLogged:
    return MetricsLogged(step=step, epoch=None, values={"loss": 1.0 / (step + 1)})


def read(path: Path) -> list[AnyEvent]:
    """The journal's events; fails on a bad line."""
    reader = Follower(path)
    events = reader.read_all()
    assert reader.bad_lines == 0
    return events


def seqs(path: Path) -> list[int]:
    return [event.seq for event in read(path)]


@contextmanager
def full_disk(path: Path, room: int = 0) -> Iterator[None]:
    """No file of this process can grow beyond `room` more bytes than `path` has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path)
    yield made
    made.close()


def test_events_are_on_disk_in_order_with_gapless_seq_when_append_returns(
    path: Path, journal: Journal
) -> None:
    for step in range(20):
        journal.append(metrics(step))
        assert seqs(path) == list(range(step + 1))
    assert [event.step for event in read(path) if isinstance(event, MetricsLogged)] == [*range(20)]


def test_every_event_has_the_time_it_was_appended(path: Path, journal: Journal) -> None:
    journal.append(metrics(0))
    [event] = read(path)
    assert abs(event.t - path.stat().st_mtime) < 60


def test_numbers_that_are_not_finite_and_odd_text_are_written_as_valid_json(
    path: Path, journal: Journal
) -> None:
    journal.append(MetricsLogged(step=1, epoch=1.0, values={"loss": float("nan"), "lr": 0.1}))
    journal.append(LineLogged(level="info", source="s\udc80", text="a\ud800\nb"))
    first, second = map(json.loads, path.read_text("utf-8").splitlines())
    assert first["values"] == {"loss": "NaN", "lr": 0.1}
    assert (second["source"], second["text"]) == ("s\ufffd", "a\ufffd\nb")


@given(st.text(st.characters(exclude_categories=()), max_size=20), st.floats())
@settings(max_examples=25)
def test_any_text_and_any_number_is_one_readable_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, value: float
) -> None:
    path = tmp_path_factory.mktemp("any") / "journal.jsonl"
    journal = Journal(path)
    journal.append(LineLogged(level="info", source=text, text=text))
    journal.append(MetricsLogged(step=1, epoch=value, values={"loss": value}))
    journal.append(CheckpointSaved(step=1, path=text, files={text: {"size": 1}}))
    journal.append(RunEnded(state="failed", error={"kind": "crashed", "message": text}))
    journal.close()
    assert seqs(path) == [0, 1, 2, 3]


def test_an_event_that_cannot_be_spelled_is_replaced_by_a_line_that_says_so(
    path: Path, journal: Journal
) -> None:
    journal.append(Recovered(kind="oom", message="m", changes={"what": object()}))
    journal.append(MetricsLogged(step=1, epoch=0.1, values={"a\ud800": 1.0}))
    journal.append(metrics(2))
    first, _, last = read(path)
    assert isinstance(first, LineLogged)
    assert "Recovered" in first.text
    assert isinstance(last, MetricsLogged)
    assert seqs(path) == [0, 1, 2]


def test_threads_may_append_at_once(path: Path, journal: Journal) -> None:
    threads = [
        threading.Thread(target=lambda: [journal.append(metrics(n)) for n in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seqs(path) == list(range(200))


def test_a_new_journal_on_an_old_file_goes_on_with_the_next_seq(path: Path) -> None:
    for attempt in range(3):
        journal = Journal(path)
        journal.append(metrics(attempt))
        journal.append(metrics(attempt))
        journal.close()
    assert seqs(path) == list(range(6))


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_the_beginning_of_an_event_that_a_crash_left_makes_no_bad_line(
    path: Path, cut: int
) -> None:
    journal = Journal(path)
    for step in range(3):
        journal.append(metrics(step))
    journal.close()
    path.write_bytes(path.read_bytes()[:-cut])
    journal = Journal(path)
    journal.append(metrics(9))
    journal.close()
    reader = Follower(path)
    events = reader.read_all()
    whole = 3 if cut == 1 else 2  # without its newline the last line is still whole
    assert [event.seq for event in events] == [*range(whole), whole]
    assert reader.bad_lines == 0
    last = events[-1]
    assert isinstance(last, MetricsLogged)
    assert last.step == 9


def test_a_file_of_junk_does_not_keep_a_journal_from_beginning(path: Path) -> None:
    path.write_bytes(b'\xff\xfe\n[1]\n{"seq": null}\n{"seq": "x"}\nhalf')
    journal = Journal(path)
    journal.append(metrics(1))
    journal.close()
    reader = Follower(path)
    assert len(reader.read_all()) == 1
    assert reader.bad_lines == 5


@pytest.mark.parametrize("room", [0, 1, 30, 100])
def test_a_full_disk_never_raises_and_loses_nothing_when_there_is_room_again(
    path: Path, journal: Journal, room: int
) -> None:
    journal.append(metrics(0))
    assert not journal.failing
    with full_disk(path, room):
        for step in range(1, 6):
            journal.append(metrics(step))
        assert journal.failing
        assert set(seqs(path)) <= {0, 1}, "what is there is not damaged"
    journal.append(metrics(6))
    assert not journal.failing
    told = read(path)
    assert [event.seq for event in told] == list(range(8))
    # the last step comes before it or after: the syncer may have found the room first
    [recovery] = [event for event in told[-2:] if isinstance(event, Recovered)]
    assert recovery.kind == "disk"
    assert recovery.changes["waited"] == (4 if room == 100 else 5)
    assert recovery.changes["lost"] == 0


def test_what_waits_is_written_at_the_end_at_the_latest(path: Path) -> None:
    journal = Journal(path)
    journal.append(metrics(0))
    with full_disk(path, 10):
        journal.append(metrics(1))
    journal.close()
    assert seqs(path) == [0, 1, 2]
    assert isinstance(read(path)[-1], Recovered)


def test_what_waits_is_bounded_and_a_dropped_line_damages_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "PENDING_LINES", 3)
    journal = Journal(path)
    journal.append(metrics(0))
    with full_disk(path, 10):  # the first line that does not fit is written in part
        for step in range(1, 10):
            journal.append(metrics(step))
    journal.close()
    there = read(path)
    assert [event.seq for event in there] == [0, 1, 8, 9, 10]
    gap = there[-1]
    assert isinstance(gap, Recovered)
    assert (gap.changes["waited"], gap.changes["lost"]) == (3, 6)
    assert "3 lines delayed, 6 lines lost" in gap.message
    assert fold(RunState(), there).missing == 6


@pytest.mark.fault(
    "a device that takes nothing", group="disk", state="-", readable="what was there before"
)
def test_a_device_that_takes_nothing_never_raises(outcome: Outcome) -> None:
    journal = Journal(Path("/dev/full"))
    journal.append(RunEnded(state="finished"))
    assert journal.failing
    journal.close()
    outcome.checked()


def test_a_screen_is_told_of_a_full_disk_and_of_its_end_from_another_thread(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SYNC_SECONDS", 0.01)
    told: queue.Queue[tuple[str, str]] = queue.Queue()
    journal = Journal(path, lambda text: told.put((text, threading.current_thread().name)))
    journal.append(metrics(0))
    with full_disk(path):
        journal.append(metrics(1))
        assert told.get(timeout=PATIENCE_SECONDS) == ("disk full: 1 line waits", "journal")
        journal.append(metrics(2))
        assert told.get(timeout=PATIENCE_SECONDS) == ("disk full: 2 lines wait", "journal")
    assert told.get(timeout=PATIENCE_SECONDS) == ("", "journal")
    journal.close()
    assert told.empty()


def test_a_run_that_ends_on_a_full_disk_says_how_much_was_never_written(path: Path) -> None:
    told: list[str] = []
    journal = Journal(path, told.append)
    journal.append(metrics(0))
    with full_disk(path):
        journal.append(metrics(1))
        journal.append(RunEnded(state="finished"))
        journal.close()
    assert told[-1] == "disk full: 2 lines never written"
    assert seqs(path) == [0]


def test_an_append_after_the_end_touches_no_other_file(path: Path, tmp_path: Path) -> None:
    journal = Journal(path)
    journal.append(metrics(0))
    journal.close()
    with (tmp_path / "victim").open("wb") as victim:  # gets the number that was free
        journal.append(metrics(1))
        assert os.fstat(victim.fileno()).st_size == 0
    journal.close()
    assert seqs(path) == [0]


def test_a_journal_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(BadInput, match=r"journal\.jsonl: cannot be written: Is a directory"):
        Journal(tmp_path / "journal.jsonl")
