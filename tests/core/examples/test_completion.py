"""What the term that is being typed in a filter may become."""

from __future__ import annotations

from collections import Counter

import pytest

from tui_loop.core.examples.completion import Vocabulary, names_of, vocabulary_of
from tui_loop.core.examples.query import FIGURES, KEYS, STATES, parse

WORDS = Vocabulary(
    ("is", "cause", "label", "said", "id", "column"),
    FIGURES,
    {
        "is": STATES,
        "cause": ("wrong_label", "truncated_output"),
        "label": ("refund", "card arrival", "Card blocked", "a,b"),
    },
)


@pytest.mark.parametrize(
    ("typed", "texts"),
    [
        ("", []),
        ("is:failed ", []),
        ("ca", ["cause:"]),
        ("is:failed la", ["is:failed label:"]),
        ("l", ["label:", "loss>", "length>"]),
        ("-ca", ["-cause:"]),
        ("is:fai", ["is:failed"]),
        ("cause:", ["cause:wrong_label", "cause:truncated_output"]),
        ("cause:tr", ["cause:truncated_output"]),
        ("label:RE", ["label:refund"]),
        ("label:refund", []),
        ("label:ca", ['label:"card arrival"', 'label:"Card blocked"']),
        ('label:"card a', ['label:"card arrival"']),
        ("label:refund,ca", ['label:refund,"card arrival"', 'label:refund,"Card blocked"']),
        ("label:a", ['label:"a,b"']),
        ("is:failed -label:re", ["is:failed -label:refund"]),
        ("said:re", []),
        ("words w", []),
    ],
)
def test_a_term_is_completed_by_what_occurs(typed: str, texts: list[str]) -> None:
    found = WORDS.completions(typed)
    assert [each.text for each in found] == texts
    assert all(each.rest for each in found)


@pytest.mark.parametrize(
    "typed", ["label:ca", 'label:"card a', "cause:w", "is:f", "label:refund,ca"]
)
def test_what_a_completion_gives_is_a_query(typed: str) -> None:
    for each in WORDS.completions(typed):
        assert parse(each.text).terms


def test_names_that_cannot_be_typed_or_shown_are_not_proposed() -> None:
    counts = Counter({"fine": 1, "often": 9, "": 20, "a\x1b[2J": 9, "two\nlines": 9, "x" * 61: 9})
    assert names_of(counts) == ("often", "fine")


def test_without_examples_the_terms_are_known_all_the_same() -> None:
    words = vocabulary_of(None)
    assert set(words.keys) == set(KEYS)
    assert [each.text for each in words.completions("cau")] == ["cause:"]
    assert words.completions("cause:") == []


@pytest.mark.parametrize(
    ("typed", "complete"),
    [
        ("is:failed label:re", "is:failed "),
        ("is:failed label:refund", "is:failed label:refund"),
        ("label:unknown", "label:unknown"),
        ('label:"card', ""),
        ("words", "words"),
        ("label:", "label:"),
    ],
)
def test_the_start_of_a_value_does_not_filter_yet(typed: str, complete: str) -> None:
    assert WORDS.without_unfinished_value(typed) == complete
