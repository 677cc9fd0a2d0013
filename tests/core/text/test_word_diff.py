"""The word diff of a reference and an output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.work import calls_of
from tui_loop.core.text.similarity import MOST_WORDS, Piece, word_diff

texts = st.text(alphabet="ab .,\n\u00e9\u9000\u6b3e\x1b", max_size=40) | st.text(max_size=40)


def spelled(pieces: list[Piece]) -> str:
    """A diff on one line: [-missing-] and {+extra+}."""
    marks = {"same": "{}", "missing": "[-{}-]", "extra": "{{+{}+}}"}
    return "".join(marks[piece.kind].format(piece.text) for piece in pieces)


@pytest.mark.parametrize(
    ("reference", "output", "expected"),
    [
        ("", "", ""),
        ("refund", "refund", "refund"),
        ("refund", "cancel", "[-refund-]{+cancel+}"),
        ("refund", "", "[-refund-]"),
        ("", "refund", "{+refund+}"),
        (
            "We sent it on Monday.",
            "We sent it on Friday!",
            "We sent it on [-Monday.-]{+Friday!+}",
        ),
        ("the red car", "the blue bus", "the [-red car-]{+blue bus+}"),
        ("a b c d", "a c d", "a [-b -]c d"),
        ("a c d", "a b c d", "a {+b +}c d"),
        ("say yes", "I say: yes, sir", "{+I +}say{+:+} yes{+, sir+}"),
        ("退款申请", "退货申请", "退[-款-]{+货+}申请"),
        ("one\ntwo", "one two", "one[-\n-]{+ +}two"),
    ],
)
def test_what_differs_is_shown_word_by_word(reference: str, output: str, expected: str) -> None:
    assert spelled(word_diff(reference, output)) == expected


@given(texts, texts)
def test_the_pieces_make_up_both_texts(reference: str, output: str) -> None:
    pieces = word_diff(reference, output)
    assert "".join(each.text for each in pieces if each.kind != "extra") == reference
    assert "".join(each.text for each in pieces if each.kind != "missing") == output
    assert all(each.text for each in pieces)


@given(texts)
def test_equal_texts_have_no_difference(text: str) -> None:
    assert [piece.kind for piece in word_diff(text, text)] == ["same"] * bool(text)


def test_a_long_text_is_compared_whole_between_its_equal_ends() -> None:
    middle = " ".join(f"word{n}" for n in range(MOST_WORDS))
    pieces = word_diff(f"start {middle} end", f"start {middle.upper()} end")
    assert [piece.kind for piece in pieces] == ["same", "missing", "extra", "same"]
    assert pieces[1].text == middle


def test_the_work_for_texts_of_two_words_in_other_orders_grows_no_faster_than_they_do() -> None:
    def work(words: int) -> int:
        left = " ".join("ab"[(n * n // 7) % 2] for n in range(words))
        right = " ".join("ab"[(n * 5 // 3) % 2] for n in range(words))
        return calls_of(lambda: word_diff(left, right))

    assert work(900) < 3 * work(450)
