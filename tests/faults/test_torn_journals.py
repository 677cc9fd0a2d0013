"""Journals cut and garbled in every place: what stands whole is read, and writing goes on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.record.test_follower import any_event, lines
from tests.faults.conftest import begin, step
from tests.faults.kit import Outcome
from tui_loop.core.record.events import AnyEvent, RunEnded
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.state import RunState, fold


class Read(msgspec.Struct):
    """What a follower makes of a file."""

    seqs: list[int]
    bad_lines: int
    missing: int


def read(path: Path) -> Read:
    reader = Follower(path)
    events = reader.read_all()
    state = fold(RunState(), events)
    return Read([event.seq for event in events], reader.bad_lines, state.missing)


def go_on(path: Path, events: int = 2) -> None:
    """Another writer opens the file and appends."""
    journal = Journal(path)
    for number in range(events):
        journal.append(step(number))
    journal.close()


@pytest.mark.slow
@pytest.mark.fault(
    "the journal ends within a line, at every byte",
    group="journal",
    state="-",
    readable="every whole line; the next attempt goes on without a gap",
)
def test_a_journal_cut_at_any_byte_is_gone_on_with(tmp_path: Path, outcome: Outcome) -> None:
    path = tmp_path / "journal.jsonl"
    journal = begin(Journal(path))
    journal.append(step(1))
    journal.append(RunEnded(state="stopped"))
    journal.close()
    raw = path.read_bytes()
    for cut in range(len(raw) + 1):
        path.write_bytes(raw[:cut])
        whole = raw.count(b"\n", 0, cut)
        assert read(path) == Read(list(range(whole)), 0, 0), cut
        go_on(path)
        is_whole_without_end = cut < len(raw) and raw[cut : cut + 1] == b"\n"
        whole += is_whole_without_end
        assert read(path) == Read(list(range(whole + 2)), 0, 0), cut
    outcome.checked()


@pytest.mark.fault(
    "a run's journal is torn at any byte and its process is gone",
    group="journal",
    state="interrupted",
    readable="every whole line",
)
def test_a_run_with_a_torn_journal_is_interrupted(
    queued: IterationFolder, outcome: Outcome
) -> None:
    journal = begin(Journal(queued.journal))
    journal.append(step(1))
    first = queued.journal.read_bytes().index(b"\n") + 1
    journal.close()
    raw = queued.journal.read_bytes()
    for cut in range(first, len(raw) + 1, 7):
        queued.journal.write_bytes(raw[:cut])
        outcome(queued)


@pytest.mark.slow
@pytest.mark.fault(
    "any byte of the journal is another one",
    group="journal",
    state="-",
    readable="every other line; bad lines are counted; the next attempt goes on",
)
def test_any_garbled_byte_costs_no_more_than_its_lines(tmp_path: Path, outcome: Outcome) -> None:
    path = tmp_path / "journal.jsonl"

    @given(
        st.lists(any_event, min_size=1, max_size=6),
        st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=3),
    )
    @settings(max_examples=150)
    def check(events: list[AnyEvent], flips: list[tuple[int, int]]) -> None:
        raw = lines(events)
        garbled = bytearray(raw)
        for place, value in flips:
            garbled[place % len(raw)] = value
        path.write_bytes(garbled)
        before = read(path)  # and nothing raises
        intact = set(raw.splitlines()) & set(bytes(garbled).split(b"\n")[:-1])
        whole = {seq for seq, line in enumerate(raw.splitlines()) if line in intact}
        assert whole <= set(before.seqs)
        go_on(path)
        after = read(path)
        assert after.seqs[-1] == after.seqs[-2] + 1
        assert set(before.seqs) <= set(after.seqs)
        assert after.bad_lines - before.bad_lines <= 1, "a torn end, ended"

    check()
    outcome.checked()


@pytest.mark.fault(
    "the file system gives the journal in any pieces, with junk between",
    group="journal",
    state="-",
    readable="the same state as of the whole file at once",
)
def test_any_chunking_of_any_bytes_gives_what_the_whole_gives(
    tmp_path: Path, outcome: Outcome
) -> None:
    path, whole = tmp_path / "grown.jsonl", tmp_path / "whole.jsonl"

    @given(
        st.lists(any_event, max_size=6),
        st.lists(st.binary(max_size=20), max_size=3),
        st.lists(st.integers(0, 900), max_size=6),
    )
    @example([], [b"\n\n\r\x00", b"\xff"], [1])
    @settings(max_examples=100)
    def check(events: list[AnyEvent], junk: list[bytes], cuts: list[int]) -> None:
        parts = [lines([event], seq) for seq, event in enumerate(events)]
        for place, each in enumerate(junk):
            parts.insert(place * 2 % (len(parts) + 1), each + b"\n")
        raw = b"".join(parts)
        whole.write_bytes(raw)
        path.write_bytes(b"")
        reader, state = Follower(path), RunState()
        bounds = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
        with path.open("ab", buffering=0) as file:
            for start, end in pairwise(bounds):
                file.write(raw[start:end])
                fold(state, reader.read())
        at_once = Follower(whole)
        assert repr(state) == repr(fold(RunState(), at_once.read_all()))
        assert reader.bad_lines == at_once.bad_lines

    check()
    outcome.checked()
