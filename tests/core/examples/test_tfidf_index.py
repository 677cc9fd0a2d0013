"""The nearest training examples; that there is nothing similar is an answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import CHECKOUT
from tests.work import calls_of
from tui_loop.core.data.files.reading import read_file
from tui_loop.core.data.rows import Row
from tui_loop.core.examples.tfidf_index import NOTHING, SIMILAR, TrainingIndex

SUPPORT = CHECKOUT / "sample_data" / "support-intents"


def rows_of(*pairs: tuple[str, str]) -> list[Row]:
    return [Row(str(line), prompt, said, line) for line, (prompt, said) in enumerate(pairs, 1)]


def support(name: str) -> list[Row]:
    raw = read_file(SUPPORT / f"{name}.jsonl").splits[""]
    return [
        Row(str(each.line), each.values["prompt"], each.values["completion"], each.line)
        for each in raw
    ]


CARDS = rows_of(
    ("my card has not arrived yet", "arrival"),
    ("when will my new card arrive", "arrival"),
    ("where is the card you sent", "arrival"),
    ("has the card been sent", "arrival"),
    ("I want to cancel the transfer", "cancel"),
    ("please cancel my transfer", "cancel"),
    ("stop the transfer I made today", "cancel"),
    ("how do I cancel a payment", "cancel"),
    ("what is the exchange rate today", "rate"),
    ("which exchange rate do you use", "rate"),
    ("is your exchange rate a good one", "rate"),
    ("tell me the rate for euros", "rate"),
)


def test_the_same_words_have_similarity_one_whatever_their_writing() -> None:
    best = TrainingIndex(CARDS).nearest("PLEASE, cancel my transfer!!", 1)[0]
    assert best.row.prompt == "please cancel my transfer"
    assert best.similarity == pytest.approx(1.0)


def test_the_nearest_come_first_and_a_slip_of_the_pen_is_no_other_word() -> None:
    found = TrainingIndex(CARDS).nearest("canceling my trasnfer", 3)
    assert found[0].row.prompt == "please cancel my transfer"
    similarities = [each.similarity for each in found]
    assert similarities == sorted(similarities, reverse=True)
    assert 0.2 < similarities[0] < 1.0


def test_of_one_label_the_nearest_is_told_apart_from_the_nearest_of_all() -> None:
    index = TrainingIndex(CARDS)
    answer = index.answer("please cancel my new card transfer", "arrival")
    assert not answer.is_new
    assert answer.neighbours[0].row.reference == "cancel"
    assert answer.same is not None
    assert answer.same.row.prompt == "when will my new card arrive"
    assert (
        'its label is "cancel"; the nearest row labelled "arrival" has similarity 0.' in answer.text
    )


def test_an_input_that_was_trained_on_is_told_with_what_it_says() -> None:
    index = TrainingIndex(CARDS)
    told = index.answer("Please cancel my transfer.", "cancel").text
    assert (
        told
        == 'a training row has the same input (similarity 1.00); it has the same label, "cancel"'
    )
    other = index.answer("Please cancel my transfer.", "arrival").text
    assert other.startswith(
        'a training row has the same input (similarity 1.00); its label is "cancel"; the nearest'
    )
    assert index.answer("Please cancel my transfer.", "rate").text.endswith(
        '"cancel"; no row labelled "rate" shares a word with this input'
    )


def test_where_no_trigram_is_shared_there_is_no_neighbour() -> None:
    answer = TrainingIndex(CARDS).answer("zzzz qqqq", "rate")
    assert (answer.is_new, answer.neighbours) == (True, [])
    assert answer.text == f"{NOTHING}: no row shares a word with this input"


def test_rows_far_from_all_training_rows_have_nothing_similar() -> None:
    answer = TrainingIndex(CARDS).answer("what a lovely parasol, it made the whole summer", "rate")
    assert answer.is_new
    assert answer.neighbours[0].similarity < SIMILAR
    assert answer.text.startswith(f"{NOTHING}: the nearest of 12 rows has similarity 0.")
    assert answer.text.partition("(")[2].startswith("typical between training rows: 0.")


@pytest.mark.parametrize("removed", ["refund", "login", "praise"])
def test_an_intent_that_was_taken_out_of_training_has_nothing_similar(removed: str) -> None:
    index = TrainingIndex([row for row in support("train") if row.reference != removed])
    held = [row for row in support("eval") if row.reference == removed]
    assert len(held) >= 5
    for row in held:
        answer = index.answer(row.prompt, row.reference)
        assert answer.is_new
        assert answer.text.startswith(f'{NOTHING}: no row is labelled "{removed}"; ')
        assert answer.same is None


def test_a_training_row_is_its_own_nearest() -> None:
    rows = support("train")
    index = TrainingIndex(rows)
    for row in rows[::10]:
        answer = index.answer(row.prompt, row.reference)
        assert answer.neighbours[0].similarity == pytest.approx(1.0)
        assert answer.text.startswith("a training row has the same input")
        assert answer.same is not None


def test_free_text_has_no_labels() -> None:
    rows = rows_of(*((f"write about {word}", f"{word} is fine") for word in "abcdefgh"))
    answer = TrainingIndex(rows).answer("write about b", "b is bad")
    assert (answer.same, answer.text) == (
        None,
        "a training row has the same input (similarity 1.00)",
    )


def test_rows_without_words_and_no_rows_at_all_are_no_fault() -> None:
    assert TrainingIndex([]).answer("hello there", "x").is_new
    index = TrainingIndex(rows_of(("", ""), ("...", "?!"), ("ok", "")))
    assert index.nearest("...") == []
    assert [each.row.prompt for each in index.nearest("OK")] == ["ok"]


@given(
    prompts=st.lists(st.text("abcd é日0-", max_size=30), max_size=30),
    asked=st.text("abcd é日0-", max_size=30),
)
def test_the_nearest_are_those_of_a_search_through_all(prompts: Sequence[str], asked: str) -> None:
    rows = rows_of(*((prompt, "x") for prompt in prompts))
    index = TrainingIndex(rows)
    found = index.nearest(asked, 3)
    assert all(0 < each.similarity <= 1 for each in found)
    every = [each.similarity for each in index.nearest(asked, len(rows) + 1)]
    assert [each.similarity for each in found] == every[:3]
    alone = [index.nearest(row.prompt, 1) for row in rows]
    assert all(not each or each[0].similarity == pytest.approx(1.0) for each in alone)


@pytest.mark.slow
def test_the_work_of_a_query_does_not_grow_with_the_rows() -> None:
    base = [row.prompt.split() for row in support("train")]
    rows = rows_of(
        *(
            (" ".join(base[at % len(base)][::2] + base[(at * 7 + 3) % len(base)][1::2]), "x")
            for at in range(20_000)
        )
    )

    def work(count: int) -> int:
        index = TrainingIndex(rows[:count])

        def ask() -> None:
            for row in rows[: count : count // 20]:
                assert index.nearest(row.prompt, 1)[0].similarity == pytest.approx(1.0)

        return calls_of(ask)

    assert work(20_000) < 2 * work(4000)
