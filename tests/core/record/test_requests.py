"""What is asked of a live run reaches the attempt it was meant for, once."""

from __future__ import annotations

from pathlib import Path

from tui_loop.core.record.requests import RequestReader, append_request, request_ids


def test_a_request_is_read_once_as_it_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    reader = RequestReader(path, 1)
    assert reader.read() == []
    asked = [
        append_request(path, 1, "stop", save=False, evaluate=True),
        append_request(path, 1, "checkpoint", save=True, evaluate=False),
    ]
    assert reader.read() == asked
    assert [(each.name, each.save, each.evaluate) for each in asked] == [
        ("stop", False, True),
        ("checkpoint", True, False),
    ]
    assert reader.read() == []
    assert asked[0].id != asked[1].id


def test_requests_of_other_attempts_are_void(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    append_request(path, 1, "stop", save=True, evaluate=True)
    mine = append_request(path, 2, "pause", save=True, evaluate=True)
    append_request(path, 3, "stop", save=True, evaluate=True)
    assert RequestReader(path, 2).read() == [mine]


def test_what_is_named_is_heard_whatever_attempt_it_was_meant_for(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    assert request_ids(path) == frozenset()
    append_request(path, 1, "stop", save=True, evaluate=True)
    before = request_ids(path)
    late = append_request(path, 1, "pause", save=True, evaluate=True)
    mine = append_request(path, 2, "checkpoint", save=True, evaluate=True)
    reader = RequestReader(path, 2, request_ids(path) - before)
    assert reader.read() == [late, mine]
    append_request(path, 1, "stop", save=True, evaluate=True)
    assert reader.read() == []


def test_broken_and_unknown_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_bytes(
        b'not json\n\xff\n[1]\n{"id": "a", "attempt": 1, "name": "explode"}\n\n'
        b'{"id": "b", "attempt": 1, "name": "stop", "later": true}\n'
    )
    assert [request.id for request in RequestReader(path, 1).read()] == ["b"]


def test_a_torn_line_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    asked = append_request(path, 1, "stop", save=True, evaluate=True)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    reader = RequestReader(path, 1)
    assert reader.read() == []
    path.write_bytes(whole)
    assert reader.read() == [asked]


def test_a_request_behind_a_torn_line_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b'{"id": "torn", "att')
    asked = append_request(path, 1, "stop", save=True, evaluate=True)
    assert RequestReader(path, 1).read() == [asked]
