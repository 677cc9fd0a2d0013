"""Rows are named by their own unique ids, else by the hash of their input."""

from __future__ import annotations

import hashlib

from tui_loop.core.data.rows import Row, with_ids


def row(prompt: str, reference: str = "yes") -> Row:
    return Row("", prompt, reference, 1)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def test_an_id_is_twelve_hex_digits_of_the_hash_of_the_input() -> None:
    assert [each.id for each in with_ids([row("a"), row("b")], None)] == [digest("a"), digest("b")]


def test_the_reference_does_not_move_the_id() -> None:
    [one], [other] = with_ids([row("a", "x")], None), with_ids([row("a", "y")], None)
    assert one.id == other.id


def test_the_input_of_plain_text_is_the_text() -> None:
    [only] = with_ids([Row("", "", "some text", 1)], None)
    assert only.id == digest("some text")


def test_repeats_of_an_input_get_a_running_number_in_file_order() -> None:
    rows = with_ids([row("a", "1"), row("b", "2"), row("a", "3"), row("a", "4")], None)
    assert [each.id for each in rows] == [
        digest("a"),
        digest("b"),
        f"{digest('a')}-2",
        f"{digest('a')}-3",
    ]
    assert [each.reference for each in rows] == ["1", "2", "3", "4"]


def test_given_ids_are_taken_as_they_are() -> None:
    assert [each.id for each in with_ids([row("a"), row("a")], ["x", "y"])] == ["x", "y"]
