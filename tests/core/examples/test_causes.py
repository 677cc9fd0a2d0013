"""Hand-made outputs with their right causes, and what holds for any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.work import calls_of
from tui_loop.core.examples.cause_kinds import Cause, CauseEvidence, Measured
from tui_loop.core.examples.causes import causes_of, measured_of, repeated, with_inferred_labels
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import PURE_METRICS, pure_scorer
from tui_loop.core.text.similarity import edit_distance, found_within, same_but_for_signs

LABELS = ("refund", "cancel_order", "cancel", "lost card", "shipping", "login", "退款", "配送")
CUT: dict[str, Any] = {"truncated": True}
LONG = "Your order was sent on Monday and should reach you within five working days."
JSON = '{"name": "Ada", "age": 36}'


def cut_of(tokens: int) -> dict[str, Any]:
    return {"prompt_cut": tokens}


Row = tuple[str, str, str, dict[str, Any], str]
"""Metric, reference, output, what else is recorded, and the causes in order (or the evidence)."""

TABLE: list[Row] = [
    # empty
    ("label", "refund", "", {"output_tokens": 0}, "empty"),
    ("label", "refund", " \n\t ", {"output_tokens": 3}, "empty"),
    ("exact_match", "refund", "\u200b\u200b", {}, "empty"),
    ("exact_match", "refund", "...", {}, "empty"),
    ("contains", "refund", "```", CUT, "empty"),
    ("numeric", "42", "- - -", {}, "empty"),
    ("json_match", JSON, "{}", {}, "wrong_content"),
    ("exact_match", "?", "!", {}, "wrong_content"),
    ("exact_match", "thanks", "👍", {}, "wrong_content"),
    ("exact_match", "refund", "", cut_of(7), "empty prompt_truncated"),
    # no end token
    ("exact_match", "refund", "refund\n\nMessage: where is", CUT, "no_end_token"),
    ("exact_match", "refund", "Refund! Message: where is", CUT, "no_end_token"),
    ("exact_match", "Paris", "Paris. The capital of Spain is", CUT, "no_end_token"),
    ("exact_match", "no", "No. Message: and can I", CUT, "no_end_token"),
    ("exact_match", LONG, LONG + " Question: and", CUT, "no_end_token"),
    ("exact_match", "退款", "退款\n消息：我的", CUT, "no_end_token"),
    ("numeric", "7", "#### 7\n\nQuestion: what is 9", CUT, "no_end_token"),
    ("label", "refund", "refund, cancel, login, shipping", CUT, "no_end_token"),
    ("exact_match", "refund", "refund refund refund refund", CUT, "no_end_token repetition"),
    ("exact_match", "refund", "refunds and returns of goods", CUT, "truncated_output"),
    # repetition
    ("exact_match", "refund", "the the the the the", CUT, "repetition"),
    ("exact_match", "yes", "no no no", {}, "repetition"),
    ("exact_match", LONG, "I see. I see. I see. I see. I", CUT, "repetition"),
    ("exact_match", "x", "Well then it goes on and on and on and on and on", {}, "repetition"),
    ("exact_match", "x", "哈哈哈哈哈哈哈哈哈哈哈哈哈哈", CUT, "repetition"),
    ("exact_match", "x", "abcabcabcabcabcabc", {}, "repetition"),
    (
        "exact_match",
        "A short list",
        "1. buy the milk 2. buy the milk 3. buy the milk 4. buy the milk",
        {},
        "repetition",
    ),
    ("label", "refund", "money money money money", {}, "repetition out_of_vocabulary"),
    ("label", "refund", "login login login login", {}, "repetition wrong_label"),
    ("exact_match", "ha ha ha ha", "ho ho ho ho", {}, "wrong_content"),
    ("exact_match", "7", "1000000", {}, "wrong_content"),
    ("exact_match", "joy", "hahaha", {}, "wrong_content"),
    # refusal
    ("exact_match", "Paris", "I'm sorry, but I can't help with that.", {}, "refusal"),
    ("exact_match", "Paris", "I’m sorry, I am unable to say.", {}, "refusal"),
    ("exact_match", "Paris", "As an AI language model, I have no view.", {}, "refusal"),
    ("exact_match", "Paris", "I cannot provide that.", {}, "refusal"),
    ("exact_match", "Paris", "Unfortunately, I cannot assist.", CUT, "refusal"),
    ("exact_match", "Paris", "I apologize, but as a chatbot", CUT, "refusal"),
    ("exact_match", "Paris", "Es tut mir leid, aber das geht nicht.", {}, "refusal"),
    ("exact_match", "Paris", "Je suis désolé, mais non.", {}, "refusal"),
    ("exact_match", "Madrid", "Lo siento, pero no.", {}, "refusal"),
    ("exact_match", "北京", "很抱歉，我无法回答。", {}, "refusal"),
    ("exact_match", "東京", "申し訳ありませんが、分かりません。", {}, "refusal"),
    ("exact_match", "Москва", "Извините, но нет.", {}, "refusal"),
    ("label", "login", "I'm sorry, but as a chatbot", CUT, "refusal out_of_vocabulary"),
    ("rouge_l", "I'm sorry, but we are closed.", "I'm sorry, but no.", {}, "wrong_content"),
    ("exact_match", "access", "I can't log in any more", {}, "wrong_content"),
    ("exact_match", "apology", "Sorry for the wait.", {}, "wrong_content"),
    # format
    ("exact_match", "refund", "The intent is refund", {}, "format"),
    ("exact_match", "refund", "The intent is refund, because they", CUT, "format"),
    ("exact_match", "refund", "refund (they were charged twice)", {}, "format"),
    ("exact_match", "lost card", "Label: lost card.", {}, "format"),
    ("exact_match", "退款", "答案是退款。", {}, "format"),
    ("exact_match", "환불", "정답은 환불입니다", {}, "format"),
    ("exact_match", "Zürich", "Die Stadt heißt Zürich.", {}, "format"),
    ("exact_match", "no", "No, they do not.", {}, "format"),
    ("exact_match", "B", "The answer is B.", {}, "format"),
    ("exact_match", "B", "A B and C are wrong", {}, "wrong_content"),
    ("exact_match", "cat", "concatenate", {}, "wrong_content"),
    ("exact_match", "42", "It weighs 42 kilos", {}, "format"),
    ("exact_match", "42", "It weighs 42.5 kilos", {}, "wrong_content"),
    ("exact_match", "1000", "1,000 euros", {}, "format"),
    ("exact_match", "42", "42.0", {}, "format"),
    ("numeric", "42", "The answer is 42, as 6 * 7", {}, "format"),
    ("numeric", "5 + 5 #### 10", "It is 10. See page 3", {}, "wrong_content"),
    ("numeric", "5 + 5 #### 10", "#### 10 (page 3)", {}, "format"),
    ("json_match", JSON, f"Here it is: {JSON} Enjoy!", {}, "format"),
    ("json_match", JSON, "{'name': 'Ada', 'age': 36}", {}, "format"),
    ("json_match", JSON, '{"age": 36, "name": "Ada",}', {}, "format"),
    ("json_match", JSON, f"{JSON}\n{JSON}", {}, "format"),
    ("json_valid", JSON, 'Sure: {"name": "Bo"}', {}, "format"),
    ("label", "refund", "refund or login", {}, "format"),
    ("label", "退款", "答案是退款", {}, "format"),
    ("regex", "refund", "re fund", {"pattern": "^refund$"}, "near_miss"),
    ("regex", "refund", "a refund", {"pattern": "^refund$"}, "format"),
    ("rouge_l", LONG, f"Dear customer! {LONG} Do write again soon.", {}, "format"),
    # near miss
    ("exact_match", "refund", "'Refund'!", {}, "near_miss"),
    ("exact_match", "lost card", "lost_card", {}, "near_miss"),
    ("exact_match", "lost card", "LostCard", {}, "near_miss"),
    ("exact_match", "refund", "refnd", {}, "near_miss"),
    ("exact_match", "refund", "erfund", {}, "near_miss"),
    ("exact_match", "refund", "rfnd", {}, "wrong_content"),
    ("exact_match", "Zürich", "Zurich", {}, "near_miss"),
    ("exact_match", LONG, LONG.replace("should", "shoud").replace("sent", "snt"), {}, "near_miss"),
    ("exact_match", "C++", "C", {}, "wrong_content"),
    ("exact_match", "room 41", "room 42", {}, "wrong_content"),
    ("exact_match", "3.5", "35", {}, "wrong_content"),
    ("exact_match", "-5", "5", {}, "wrong_content"),
    ("exact_match", "1000", "1,000", {}, "near_miss"),
    ("exact_match", "refund", "refnd\nbecause of", CUT, "near_miss"),
    ("exact_match", "हिन्दी", "हिन्दी।", {}, "near_miss"),
    ("label", "refund", "refnd", {}, "near_miss out_of_vocabulary"),
    ("label", "cancel_order", "cancel order", {}, "wrong_label"),
    ("label", "lost card", "lost-card", {}, "near_miss out_of_vocabulary"),
    # prompt truncated
    ("label", "refund", "login", cut_of(3), "prompt_truncated wrong_label"),
    ("exact_match", LONG, "something else", cut_of(1200), "prompt_truncated wrong_content"),
    # wrong label
    ("label", "refund", "cancel_order", {}, "wrong_label"),
    ("label", "refund", "Login.", {}, "wrong_label"),
    ("label", "refund", "login\nMessage: where", CUT, "wrong_label"),
    ("label", "refund", "It is about the login", {}, "wrong_label"),
    ("label", "refund", "login or shipping", {}, "wrong_label"),
    ("label", "refund", "refund, cancel, login, shipping", {}, "wrong_label"),
    ("label", "退款", "配送", {}, "wrong_label"),
    ("exact_match", "refund", "Shipping", {"labels": LABELS}, "wrong_label"),
    ("exact_match", "refund", "banana", {"labels": LABELS}, "wrong_content"),
    # out of vocabulary
    ("label", "refund", "payback", {}, "out_of_vocabulary"),
    ("label", "refund", "refunds", {}, "near_miss out_of_vocabulary"),
    ("label", "refund", "You're right", CUT, "out_of_vocabulary truncated_output"),
    ("label", "refund", "退货", {}, "out_of_vocabulary"),
    # truncated
    ("exact_match", LONG, LONG[:40], CUT, "truncated_output"),
    ("label", "cancel_order", "cancel_or", CUT, "truncated_output"),
    ("rouge_l", LONG, "We are happy to tell you that", CUT, "truncated_output"),
    ("json_match", JSON, '{"name": "Ad', CUT, "truncated_output"),
    ("numeric", "42", "First we add 3 and 4, which", CUT, "truncated_output"),
    # wrong content
    ("exact_match", "Paris", "London", {}, "wrong_content"),
    ("exact_match", LONG, LONG[:40], {}, "wrong_content"),
    ("contains", "Paris", "It is London", {}, "wrong_content"),
    ("numeric", "42", "41", {}, "wrong_content"),
    ("numeric", "42", "forty-two", {}, "wrong_content"),
    ("json_match", JSON, '{"name": "Ada", "age": 37}', {}, "wrong_content"),
    ("json_valid", JSON, "no such person", {}, "wrong_content"),
    ("regex", r"\d{4}-\d{2}", "next May", {}, "wrong_content"),
    ("chrf", LONG, "The parcel is lost.", {}, "wrong_content"),
]


def found_for(row: Row, make: Callable[..., Example]) -> tuple[CauseEvidence, ...]:
    """The causes; that the metric fails the output is made sure of where core can score it."""
    metric, reference, output, more, _ = row
    told = dict(more)
    labels = told.pop("labels", LABELS if metric == "label" else ())
    pattern = told.pop("pattern", None)
    if metric in PURE_METRICS:
        scorer = pure_scorer(metric, labels, pattern)
        assert scorer is not None
        assert scorer.score(output, reference) < 1.0, "the output passes"
    example = make("a", 0.0, reference=reference, output=output, **told)
    return causes_of(example, Measured(metric, labels, 12, pattern))


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_each_output_has_its_causes(row: Row, example: Callable[..., Example]) -> None:
    assert " ".join(each.kind for each in found_for(row, example)) == row[-1]


@pytest.mark.parametrize(
    "row",
    [
        ("label", "refund", "", {"output_tokens": 0}, "the model stopped immediately"),
        ("label", "refund", "  ", {"output_tokens": 2}, "only white space (2 tokens)"),
        ("label", "refund", "cancel_order", {}, "output cancel_order, reference refund"),
        ("label", "refund", "payback", {}, "names none of the 8 labels: 'payback'"),
        ("label", "refund", "refund or login", {}, "names the right label, but also login"),
        ("exact_match", "refund", "refnd", {}, "edit distance 1 in 6 characters: 'refnd'"),
        ("exact_match", "refund", "the the the", {}, "'the' 3 times at the end"),
        (
            "exact_match",
            "refund",
            "The intent is refund",
            {},
            "the reference is within the output, after 'the intent is'",
        ),
        ("exact_match", "x", "something", CUT, "stopped at the limit of 12 new tokens"),
        (
            "exact_match",
            LONG,
            "Something else",
            {**CUT, "supervised_tokens": 17},
            "stopped at the limit of 12 new tokens; the reference has 17 tokens",
        ),
        (
            "exact_match",
            LONG,
            LONG[:9],
            CUT,
            "stopped at the limit of 12 new tokens, correct up to there",
        ),
        (
            "exact_match",
            "refund",
            "refund and",
            CUT,
            "starts with the reference, then continues to the limit of 12 new tokens",
        ),
        ("numeric", "42", "41", {}, "the last number is 41 instead of 42"),
        ("numeric", "42", "many", {}, "no number in the output; the reference is 42"),
        (
            "exact_match",
            LONG,
            "Your order is lost",
            {},
            "2 of the reference's 14 words are in the output",
        ),
        ("exact_match", "Paris", "a\x1b[31mb", {}, "output 'a␛[31mb', reference 'Paris'"),
    ],
)
def test_the_evidence_says_how_it_was_decided(row: Row, example: Callable[..., Example]) -> None:
    assert found_for(row, example)[0].evidence == row[-1]


def test_a_prompt_whose_start_was_cut_is_said_with_its_length(
    example: Callable[..., Example],
) -> None:
    found = found_for(("exact_match", "a", "b", cut_of(1200), ""), example)
    assert found[0].evidence == ("the first 1,200 tokens of the prompt were cut off")


def test_nothing_that_passed_or_was_not_scored_has_a_cause(
    example: Callable[..., Example],
) -> None:
    assert causes_of(example("a", 1.0, output=""), Measured()) == ()
    assert causes_of(example("a", None, output=""), Measured("none")) == ()


def test_labels_of_exact_match_are_seen_from_the_references() -> None:
    measured = Measured("exact_match")
    assert with_inferred_labels(measured, ["a", "b", "a", "b "]).labels == ("a", "b")
    assert with_inferred_labels(measured, ["a", "b", "c"]).labels == ()
    assert with_inferred_labels(measured, ["1", "2", "1", "2"]).labels == ()
    assert with_inferred_labels(measured, ["x" * 61, "b"] * 2).labels == ()
    assert with_inferred_labels(Measured("contains"), ["a", "b"] * 2).labels == ()
    assert with_inferred_labels(measured, []).labels == ()


def test_how_an_iteration_was_measured_comes_from_its_config(
    finished: Callable[..., IterationFolder],
) -> None:
    folder = finished([0.0, 1.0])
    config = folder.read_config()
    derived = {"evaluation": {"labels": ["yes", "no"], "max_new_tokens": 9}}
    folder.write_config(config, {}, derived)
    assert measured_of(folder) == Measured("label", ("yes", "no"), 9, None)
    folder.write_config(config, {}, {"evaluation": "damaged"})
    assert measured_of(folder) == Measured("label", (), None, None)


texts = st.text(max_size=60) | st.sampled_from([row[2] for row in TABLE])


failed_or_not = st.builds(
    Example,
    id=st.just("a"),
    prompt=st.just("p"),
    reference=texts,
    output=texts | st.none(),
    score=st.just(0.0),
    passed=st.sampled_from([True, False, None]),
    causes=st.just(()),
    loss=st.just(1.0),
    supervised_tokens=st.integers(0, 20),
    output_tokens=st.integers(0, 20) | st.none(),
    truncated=st.booleans(),
    source_line=st.just(1),
    prompt_cut=st.integers(0, 3),
)
ways_to_measure = st.builds(
    Measured,
    metric=st.sampled_from([*PURE_METRICS, "rouge_l", "somebody:metric"]),
    labels=st.lists(st.text(max_size=6), max_size=4).map(tuple),
    max_new_tokens=st.sampled_from([None, 1, 12]),
)


@given(failed_or_not, ways_to_measure)
def test_only_what_failed_has_causes_and_always_the_same(row: Example, measured: Measured) -> None:
    found = causes_of(row, measured)
    assert found == causes_of(row, measured)
    assert bool(found) == (row.passed is False and measured.metric != "none")
    kinds = [each.kind for each in found]
    assert len(set(kinds)) == len(kinds)
    assert kinds == sorted(kinds, key=list(Cause).index)
    assert (Cause.PROMPT_TRUNCATED in kinds) == (bool(found) and row.prompt_cut > 0)
    assert all(each.evidence and "\n" not in each.evidence for each in found)


def plain_distance(left: str, right: str) -> int:
    """Optimal string alignment by its definition."""
    rows = [[max(i, j) for j in range(len(right) + 1)] for i in range(len(left) + 1)]
    for i, a in enumerate(left, 1):
        for j, b in enumerate(right, 1):
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a != b))
            if i > 1 and j > 1 and (a, b) == (right[j - 2], left[i - 2]):
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


words = st.text(alphabet="abc", max_size=14)


@given(words, words, st.integers(0, 14))
def test_the_edit_distance_is_that_of_its_definition(left: str, right: str, limit: int) -> None:
    true = plain_distance(left, right)
    assert edit_distance(left, right, limit) == (true if true <= limit else None)


@pytest.mark.parametrize(
    ("wanted", "said", "place"),
    [
        ("refund", "a refund", 2),
        ("refund", "a refunded", None),
        ("42", "-42", None),
        ("42", "it is 42", 6),
        ("42", "42,000", None),
        ("no", "i say no more", None),
        ("no", '"no"', 1),
        ("退款", "请退款吧", 1),
        ("", "abc", None),
    ],
)
def test_a_reference_is_found_as_whole_words(wanted: str, said: str, place: int | None) -> None:
    assert found_within(wanted, said) == place


def test_texts_that_differ_in_signs_alone_are_told_from_others() -> None:
    assert same_but_for_signs("Lost-Card", "lost card")
    assert not same_but_for_signs("1.5", "15")
    assert not same_but_for_signs("5", "-5")
    assert not same_but_for_signs("?", "!")


def test_what_repeats_is_named_with_its_count() -> None:
    found = repeated("It said: come in, come in, come in, come in, come in,")
    assert found is not None
    assert (found.unit, found.times, found.is_tail) == ("come in,", 5, True)
    assert repeated("a b c a b c") is None


@pytest.mark.parametrize("unit", ["a", "1", "1,", "sorry ", "as a big-", "{", "[{", "#### ", ", "])
def test_the_work_for_a_long_output_of_any_kind_grows_no_faster_than_its_length(
    unit: str, example: Callable[..., Example]
) -> None:
    def work(length: int) -> int:
        output = unit * (length // len(unit))

        def ask() -> None:
            for reference in ("refund", "42", JSON, output[:2000]):
                row = example("a", 0.0, reference=reference, output=output, truncated=True)
                for metric in ("exact_match", "numeric", "json_match"):
                    assert causes_of(row, Measured(metric))

        return calls_of(ask)

    assert work(20_000) < 12 * work(2000)
