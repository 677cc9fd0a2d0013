"""Which inputs are the same but for their writing, and which nearly are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.preflight import near_duplicates
from tui_loop.core.preflight.near_duplicates import overlap_of
from tui_loop.core.text.words import words_of

WORDS = [
    *("card", "parcel", "refund", "login", "late", "lost", "broken", "please", "again"),
    *("today", "order", "money", "address", "why"),
]


def jaccard(left: str, right: str) -> float:
    a, b = set(words_of(left)), set(words_of(right))
    return len(a & b) / len(a | b)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Where is my parcel?", "  where IS my\n parcel "),
        ("I've lost it!", "i ve lost it"),
        ("Straße gesperrt", "STRASSE gesperrt"),
        ("我的包裹在哪里?", "我的包裹在哪里"),
        ("what is 12 + 7?", "What is 12+7"),
    ],
)
def test_case_white_space_and_punctuation_do_not_count(left: str, right: str) -> None:
    assert words_of(left) == words_of(right)
    assert overlap_of([left], [right]).same == {0: 0}


@pytest.mark.parametrize(
    ("training", "held"),
    [
        ("where is my parcel now", "where is my parcel now please"),
        ("where is my pracel, it was promised", "where is my parcel, it was promised"),
        (
            "the courier left the box at the wrong door on monday evening again",
            "the courier left the box at the wrong gate on monday evening again",
        ),
        ("我的包裹在哪里为什么还没有到", "我的包裹在哪里为什么还没到"),
    ],
)
def test_a_word_more_or_other_or_misspelt_is_nearly_the_same(training: str, held: str) -> None:
    overlap = overlap_of(["something else entirely here", training], [held])
    assert (overlap.same, overlap.near) == ({}, {0: 1})


@pytest.mark.parametrize(
    ("training", "held"),
    [
        ("what is the sum of 12 and 7, tell me", "what is the sum of 12 and 8, tell me"),
        ("what is the value of 12 + 7 please", "what is the value of 12 - 7 please"),
        ("what is the value of 7 - 12 please", "what is the value of 12 - 7 please"),
        ("where is my parcel", "where is my refund"),
        ("refund", "refunds"),
        ("", "where is my parcel"),
    ],
)
def test_other_numbers_or_another_matter_are_not(training: str, held: str) -> None:
    overlap = overlap_of([training], [held])
    assert (overlap.same, overlap.near) == ({}, {})


def test_a_row_that_is_one_held_out_row_may_nearly_be_another() -> None:
    held = ["where is my parcel now", "where is my parcel now please"]
    overlap = overlap_of(["Where is my parcel now?"], held)
    assert (overlap.same, overlap.near) == ({0: 0}, {1: 0})


def test_the_words_of_a_template_make_nothing_alike() -> None:
    template = "Classify the following message of a customer into one of the known intents: {}"
    held = [template.format(f"{a} {b} {c}") for a in WORDS for b in WORDS[:3] for c in WORDS[9:12]]
    assert overlap_of([template.format("weather umbrella sunshine")], held).near == {}
    assert overlap_of([template.format("money, refund, card")], held).near == {8: 0, 20: 0}


@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=3, max_size=12), min_size=2, max_size=14))
def test_no_pair_that_is_alike_enough_is_missed(rows: list[list[str]]) -> None:
    texts = [" ".join(row) for row in rows]
    half = len(texts) // 2
    training, held = texts[:half], texts[half:]
    overlap = overlap_of(training, held)
    for index, text in enumerate(held):
        same = [each for each in training if each == text]
        alike = [
            each
            for each in training
            if jaccard(each, text) >= 0.8
            and min(len(set(each.split())), len(set(text.split()))) > 2
        ]
        assert (index in overlap.same) == bool(same)
        if alike:
            assert index in overlap.same or index in overlap.near


def test_long_and_short_inputs_are_found_alike() -> None:
    rng = random.Random(3)
    names = [f"{a}{b}{c}" for a in WORDS for b in WORDS for c in "xyz"]
    for size in (4, 9, 24, 28, 31, 36, 40, 90, 200):
        words = rng.sample(names, size)
        longer = [*words, *rng.sample(WORDS, max(1, min(14, size // 12)))]
        for training, held in ((words, longer), (longer, words)):
            overlap = overlap_of([" ".join(training)], [" ".join(held)])
            assert overlap.near == {0: 0}, size


def test_a_search_that_would_take_too_long_says_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(5)
    texts = [" ".join(rng.sample(WORDS, 6)) for _ in range(400)]
    assert overlap_of(texts[:200], texts[200:]).searched == 200
    monkeypatch.setattr(near_duplicates, "MAX_COMPARISONS", 2000)
    cut = overlap_of(texts[:200], texts[200:])
    assert 0 < cut.searched < 200
