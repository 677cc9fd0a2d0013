"""Patterns of users and configs: bad ones are refused, endless searches are given up."""

from __future__ import annotations

import pytest

from tui_loop.core.errors import BadInput
from tui_loop.core.text.limited_regex import LONGEST, SearchTime, compiled

WITHOUT_END = r"(a|aa)+$"
TEXT = "a" * 80 + "!"


@pytest.mark.parametrize(
    ("pattern", "start"),
    [
        ("(", "it is not a valid regular expression: missing )"),
        ("*", "it is not a valid regular expression: nothing to repeat"),
        ("a{99999999999999}", "it is not a valid regular expression: repeat count too big"),
        ("(?V0)(?V1)a", "it is not a valid regular expression: VERSION0 and VERSION1"),
        ("(" * 20_000 + ")" * 20_000, "it is nested too deeply"),
    ],
    ids=["open", "star", "count", "versions", "deep"],
)
def test_what_is_no_regular_expression_is_bad_input(pattern: str, start: str) -> None:
    with pytest.raises(BadInput) as caught:
        compiled(pattern, "it", "correct it")
    assert caught.value.message.startswith(start)
    assert caught.value.hint == "correct it"


def test_a_pattern_that_would_take_long_to_compile_is_refused() -> None:
    with pytest.raises(BadInput, match="it has 100,001 characters; the limit is 100,000"):
        compiled("a" * (LONGEST + 1), "it", "")


def test_a_search_finds_what_is_anywhere_or_the_whole() -> None:
    time, pattern = SearchTime(1.0), compiled("b+", "it", "")
    assert time.found(pattern, "abbc", "it")
    assert not time.found(pattern, "abbc", "it", whole=True)
    assert time.found(pattern, "bb", "it", whole=True)
    assert not time.found(pattern, "ac", "it")


def test_a_search_without_end_is_given_up_and_named() -> None:
    with pytest.raises(BadInput, match=r"^it takes too long$") as caught:
        SearchTime(0.05).found(compiled(WITHOUT_END, "it", ""), TEXT, "it")
    assert "avoid repeats within repeats" in caught.value.hint


def test_all_searches_share_their_time_and_each_text_adds_to_it() -> None:
    quick, time = compiled("a", "it", ""), SearchTime(0.05)
    with pytest.raises(BadInput):
        time.found(compiled(WITHOUT_END, "it", ""), TEXT, "it")
    with pytest.raises(BadInput):
        time.found(quick, TEXT, "it")
    assert SearchTime(0.0, per_text=10.0).found(quick, TEXT, "it")
