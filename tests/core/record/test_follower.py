"""Reading a journal that grows, is torn, garbled, cut or replaced."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.record import codec, follower
from tui_loop.core.record.events import (
    AnyEvent,
    Evaluated,
    LineLogged,
    MetricsLogged,
    PhaseStarted,
    Progressed,
    Recovered,
    RequestSeen,
    RunEnded,
    RunStarted,
    Skipped,
)
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.state import RunState, fold

EVENTS: list[AnyEvent] = [
    RunStarted(loop="a", iteration=1, attempt=1, pid=7, host="h", versions={"trl": "1.16"}),
    PhaseStarted(name="training"),
    MetricsLogged(step=1, epoch=0.1, values={"loss": 1.5, "grad_norm": "NaN"}),
    LineLogged(level="warning", source="trl", text="two\nlines, ünïcode 😀 \u2028"),
    Progressed(phase="training", done=1, total=9),
    Evaluated(step=1, epoch=0.1, values={"eval_loss": 1.25}),
    RequestSeen(id="a", name="stop"),
    RunEnded(state="stopped"),
]


def lines(events: list[Any], start: int = 0) -> bytes:
    stamped = [
        msgspec.structs.replace(event, seq=seq, t=float(seq))
        for seq, event in enumerate(events, start)
    ]
    return codec.to_json_lines(stamped)


def seqs(events: list[AnyEvent]) -> list[int]:
    return [event.seq for event in events]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_every_kind_of_event_comes_back_as_it_was(path: Path) -> None:
    path.write_bytes(lines(EVENTS))
    read = Follower(path).read_all()
    assert [msgspec.structs.replace(event, seq=-1, t=0.0) for event in read] == EVENTS
    assert seqs(read) == list(range(len(EVENTS)))


def test_a_journal_that_is_not_there_yet_has_no_events(path: Path) -> None:
    reader = Follower(path)
    assert reader.read() == []
    path.write_bytes(lines(EVENTS[:1]))
    assert seqs(reader.read()) == [0]
    assert not reader.restarted


def test_each_event_is_given_once(path: Path) -> None:
    reader = Follower(path)
    with path.open("ab", buffering=0) as file:
        for seq, event in enumerate(EVENTS):
            file.write(lines([event], seq))
            assert seqs(reader.read()) == [seq]
            assert reader.read() == []


def test_a_torn_last_line_is_waited_for(path: Path) -> None:
    whole = lines(EVENTS[:2])
    path.write_bytes(whole[:-5])
    reader = Follower(path)
    assert seqs(reader.read()) == [0]
    with path.open("ab") as file:
        file.write(whole[-5:])
    assert seqs(reader.read()) == [1]
    assert reader.bad_lines == 0


def test_a_journal_cut_at_any_byte_gives_exactly_its_whole_lines(path: Path) -> None:
    raw = lines(EVENTS[1:5])
    for cut in range(len(raw) + 1):
        path.write_bytes(raw[:cut])
        reader = Follower(path)
        assert seqs(reader.read_all()) == list(range(raw.count(b"\n", 0, cut))), cut
        assert reader.bad_lines == 0, cut


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"3",
        b'{"event": "phase"}',
        b'{"event": "metrics", "seq": 1, "step": "x", "epoch": 1, "values": {}}',
        b'{"event": 3, "seq": 1}',
        b'{"seq": 1}',
        b"[" * 100_000,
        b'{"event":"phase","seq":1,"t":1.0,"na' + lines(EVENTS[1:2])[:-1],
    ],
    ids=lambda bad: repr(bad[:20]),
)
def test_a_garbled_line_inside_is_counted_and_the_others_are_kept(path: Path, bad: bytes) -> None:
    path.write_bytes(lines(EVENTS[:2]) + bad + b"\n" + lines(EVENTS[3:5], 3))
    reader = Follower(path)
    assert seqs(reader.read_all()) == [0, 1, 3, 4]
    assert reader.bad_lines == 1


def test_blank_lines_are_no_bad_lines(path: Path) -> None:
    path.write_bytes(b"\n" + lines(EVENTS[:1]) + b"\n\n" + lines(EVENTS[1:2], 1))
    reader = Follower(path)
    assert seqs(reader.read_all()) == [0, 1]
    assert reader.bad_lines == 0


def test_events_and_keys_of_later_versions_are_skipped_silently(path: Path) -> None:
    later = json.dumps({"event": "teleported", "seq": 1, "t": 1.0, "where": "mars"}).encode()
    more = json.dumps({"event": "phase", "seq": 2, "t": 2.0, "name": "saving", "mood": 1}).encode()
    path.write_bytes(lines(EVENTS[:1]) + later + b"\n" + more + b"\n")
    reader = Follower(path)
    events = reader.read_all()
    assert [type(event) is Skipped for event in events] == [False, True, False]
    assert reader.bad_lines == 0
    assert fold(RunState(), events).missing == 0  # it is not lost, only not understood


def test_a_replaced_file_is_read_from_its_beginning(path: Path) -> None:
    path.write_bytes(lines(EVENTS[:3]))
    reader = Follower(path)
    reader.read()
    other = path.with_name("other")
    other.write_bytes(lines(EVENTS))
    os.replace(other, path)
    assert seqs(reader.read()) == list(range(len(EVENTS)))
    assert reader.restarted
    assert reader.read() == []
    assert not reader.restarted


def test_a_cut_file_is_read_from_its_beginning(path: Path) -> None:
    path.write_bytes(b"junk\n" + lines(EVENTS[:3]))
    reader = Follower(path)
    reader.read()
    assert reader.bad_lines == 1
    path.write_bytes(lines(EVENTS[:1]))
    assert seqs(reader.read()) == [0]
    assert reader.restarted
    assert reader.bad_lines == 0


@pytest.mark.parametrize("keep_file", [True, False])
def test_a_file_rewritten_to_a_greater_length_is_read_from_its_beginning(
    path: Path, keep_file: bool
) -> None:
    path.write_bytes(lines(EVENTS[:2]))
    reader = Follower(path)
    reader.read()
    if not keep_file:
        path.unlink()  # the new file may get the old one's number
    path.write_bytes(lines([PhaseStarted(name="another run"), *EVENTS]))
    read = reader.read()
    assert seqs(read) == list(range(len(EVENTS) + 1))
    assert reader.restarted


def test_read_all_says_that_it_began_anew(path: Path) -> None:
    path.write_bytes(lines(EVENTS[:3]))
    reader = Follower(path)
    reader.read_all()
    assert not reader.restarted
    path.write_bytes(lines(EVENTS[:2]))
    assert seqs(reader.read_all()) == [0, 1]
    assert reader.restarted


def test_a_long_journal_is_given_in_parts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "CHUNK_BYTES", 300)
    path.write_bytes(lines(EVENTS))
    reader, parts = Follower(path), []
    while part := reader.read():
        parts.append(part)
    assert len(parts) > 1
    assert seqs([event for part in parts for event in part]) == list(range(len(EVENTS)))
    assert seqs(Follower(path).read_all()) == list(range(len(EVENTS)))


def test_a_line_too_long_to_be_an_event_is_counted_and_passed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "CHUNK_BYTES", 300)
    monkeypatch.setattr(follower, "EVENT_BYTES", 600)
    path.write_bytes(lines(EVENTS[:1]) + b"x" * 1000 + b"\n" + lines(EVENTS[1:2], 1))
    reader = Follower(path)
    assert seqs(reader.read_all()) == [0, 1]
    assert reader.bad_lines >= 1


numbers = st.floats() | st.integers(-9, 9).map(float)
any_event = st.one_of(
    st.builds(
        MetricsLogged,
        step=st.integers(0, 9),
        epoch=st.none() | st.floats(0, 9),
        values=st.dictionaries(st.sampled_from(["loss", "lr"]), numbers, max_size=2),
    ),
    st.builds(
        RunStarted,
        loop=st.just("a"),
        iteration=st.just(1),
        attempt=st.integers(1, 3),
        pid=st.just(1),
        host=st.just("h"),
        from_step=st.integers(0, 9),
    ),
    st.builds(LineLogged, level=st.just("info"), source=st.just("s"), text=st.text(max_size=9)),
    st.builds(Progressed, phase=st.just("training"), done=st.integers(0, 9)),
    st.builds(RequestSeen, id=st.just("a"), name=st.sampled_from(["stop", "pause"])),
    st.builds(Recovered, kind=st.just("disk"), message=st.text(max_size=5)),
    st.builds(RunEnded, state=st.sampled_from(["finished", "failed"])),
)


@given(st.lists(any_event, max_size=12), st.lists(st.integers(0, 1500), max_size=8))
def test_any_chunking_of_the_bytes_gives_the_same_state(
    tmp_path_factory: pytest.TempPathFactory, events: list[AnyEvent], cuts: list[int]
) -> None:
    raw = lines(events)
    whole = tmp_path_factory.getbasetemp() / "whole.jsonl"
    whole.write_bytes(raw)
    grown = whole.with_name("grown.jsonl")
    grown.write_bytes(b"")
    reader, state = Follower(grown), RunState()
    bounds = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    with grown.open("ab", buffering=0) as file:
        for start, end in pairwise(bounds):
            file.write(raw[start:end])
            fold(state, reader.read())
            assert not reader.restarted
    at_once = fold(RunState(), Follower(whole).read_all())
    assert repr(state) == repr(at_once)  # NaN is unequal to itself but prints alike
    assert at_once.missing == 0


def test_a_journal_that_is_read_in_parts_gives_the_same_run_also_with_damaged_lines(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = lines(EVENTS)
    path.write_bytes(data + b"\n{broken\n" + lines(EVENTS, len(EVENTS)))
    whole = Follower(path)
    events = whole.read_all()
    monkeypatch.setattr(follower, "CHUNK_BYTES", 200)
    parts = Follower(path)
    assert [event for part in parts.parts() for event in part] == events
    assert (parts.bad_lines, whole.bad_lines) == (1, 1)
    path.write_bytes(data[: data.index(b"\n") + 1])
    assert [(len(part), parts.restarted) for part in parts.parts()] == [(1, True)]
