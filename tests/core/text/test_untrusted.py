"""Nothing that a terminal would obey comes through the gate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.text.untrusted import one_line, visible

OBEYED = {
    *(code for code in range(0x20) if chr(code) not in "\n\t"),
    *range(0x7F, 0xA0),
    *(0x061C, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
}
hostile = st.text(
    st.sampled_from(sorted(map(chr, OBEYED))) | st.characters(exclude_categories=()), max_size=80
)


@given(hostile)
def test_no_sign_that_a_terminal_obeys_comes_through(text: str) -> None:
    assert not OBEYED & set(map(ord, visible(text)))
    assert not OBEYED & set(map(ord, one_line(text)))
    assert "\n" not in one_line(text)


def test_every_single_obeyed_sign_is_replaced_by_one_that_can_be_seen() -> None:
    for code in sorted(OBEYED):
        shown = visible(f"a{chr(code)}b")
        assert len(shown) >= 3, hex(code)
        assert shown.isprintable(), hex(code)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("\x9b31m", "<9B>31m"),
        ("\x00\x7f", "␀␡"),
        ("abc\u202etxt.exe", "abc<U+202E>txt.exe"),
        ("\ud83d", "<U+D83D>"),
        ("line\rline", "line␍line"),
    ],
)
def test_what_is_replaced_can_be_told_apart(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=60))
def test_harmless_text_stays_as_it_was(text: str) -> None:
    assert visible(text) == text


def test_newline_and_tab_stay() -> None:
    assert visible("a\n\tb\n") == "a\n\tb\n"


def test_markup_is_left_alone_since_no_parser_gets_it() -> None:
    assert visible("[red]x[/red] [link=file:///]") == "[red]x[/red] [link=file:///]"


@given(hostile, st.integers(0, 30))
def test_the_limit_bounds_what_is_shown(text: str, limit: int) -> None:
    assert len(visible(text, limit)) <= limit
    assert len(one_line(text, limit)) <= limit


def test_a_cut_text_ends_with_an_ellipsis_and_a_fitting_one_does_not() -> None:
    assert visible("abcdef", 4) == "abc…"
    assert visible("abcd", 4) == "abcd"
    assert one_line("ab\n\n cd ef", 6) == "ab cd…"
    assert one_line("  ab\ncd ", 5) == "ab cd"


def test_one_line_finds_the_text_behind_much_white_space() -> None:
    assert one_line("\n" * 1000 + "hello", 10) == "hello"
    assert one_line("a" + " " * 1000 + "b", 10) == "a b"


def test_long_runs_of_combining_signs_are_clamped() -> None:
    zalgo = "e" + "\u0301" * 500 + "x"
    shown = visible(zalgo)
    assert shown.startswith("e\u0301")
    assert shown.endswith("x")
    assert len(shown) <= 8


def test_accents_of_real_writing_stay() -> None:
    assert visible("e\u0323\u0302 a\u0301") == "e\u0323\u0302 a\u0301"
