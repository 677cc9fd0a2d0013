"""Each scorer against what a person would say, and against hostile output."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core import scoring
from tui_loop.core.errors import BadInput
from tui_loop.core.scoring import (
    PURE_METRICS,
    label_of,
    last_number,
    macro_f1,
    normalised,
    pure_scorer,
)

LABELS = ["refund", "cancel", "card", "lost card", "C++"]


def score(metric: str, output: str, reference: str, pattern: str | None = None) -> float:
    scorer = pure_scorer(metric, LABELS, pattern)
    assert scorer is not None
    return scorer.score(output, reference)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("  Hello,\n World. ", "hello, world"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("\uff21\uff22", "ab"),  # full-width letters
        ("wait...", "wait.."),
        ("e\u0301", "\u00e9"),
        (".", ""),
        ("yes .", "yes"),
    ],
)
def test_normalised_text_drops_what_does_not_matter(text: str, form: str) -> None:
    assert normalised(text) == form


@pytest.mark.parametrize(
    ("metric", "output", "reference", "expected"),
    [
        ("exact_match", " Refund.\n", "refund", 1.0),
        ("exact_match", "refund please", "refund", 0.0),
        ("exact_match", "", "refund", 0.0),
        ("contains", "I think: REFUND it", "refund", 1.0),
        ("contains", "ref und", "refund", 0.0),
        ("label", "Refund", "refund", 1.0),
        ("label", "refund or cancel", "refund", 0.0),
        ("label", "nothing", "refund", 0.0),
        ("numeric", "so it is 42.", "#### 42", 1.0),
        ("numeric", "42 apples, not 41", "42", 0.0),
        ("numeric", "no number", "42", 0.0),
        ("json_valid", '{"a": 1}', "", 1.0),
        ("json_valid", '```json\n{"a": 1}\n```', "", 1.0),
        ("json_valid", '{"a": 1', "", 0.0),
        ("json_valid", "", "", 0.0),
        ("json_valid", "NaN", "", 0.0),
        ("json_valid", "[" * 100_000, "", 0.0),
        ("regex", "order AB-123 is late", r"[A-Z]{2}-\d{3}", 1.0),
        ("regex", "order ab-123", r"[A-Z]{2}-\d{3}", 0.0),
    ],
)
def test_an_output_is_scored(metric: str, output: str, reference: str, expected: float) -> None:
    assert score(metric, output, reference) == expected


CALL = '{"name": "dim", "arguments": {"lamp": 4}}'


@pytest.mark.parametrize(
    ("output", "reference", "expected"),
    [
        (f"<tool_call>{CALL}</tool_call>", CALL, 1.0),
        (CALL.replace("4", "4.0"), CALL, 1.0),
        (CALL.replace("4", "5"), CALL, 0.0),
        (f"<think>Not {CALL}</think>It is dim.", "It is dark.", 1.0),
        (f"<think>Lamp 4.</think>{CALL}", f"Gladly.\n{CALL}", 1.0),
        (f"<think>\n{CALL}\n", CALL, 0.0),
    ],
)
def test_tool_call_passes_where_the_answer_makes_the_same_calls(
    output: str, reference: str, expected: float
) -> None:
    assert score("tool_call", output, reference) == expected


@pytest.mark.parametrize(
    ("metric", "output", "reference", "expected"),
    [
        ("exact_match", "<think>hm</think>\n\nRefund", "refund", 1.0),
        ("exact_match", "<think>hm</think>refund", "<think>well</think>refund", 1.0),
        ("exact_match", "hm</think>refund", "refund", 1.0),
        ("contains", "[THINK]refund?[/THINK]cancel", "refund", 0.0),
        ("regex", "<think>42</think>none", r"\d", 0.0),
        ("label", "<think>refund or cancel?</think>cancel", "cancel", 1.0),
        ("numeric", "<think>42", "42", 0.0),
        ("json_valid", "<think>hm</think>{}", "", 1.0),
        ("json_match", '<think>hm</think>{"a": 1}', '{"a": 1}', 1.0),
    ],
)
def test_every_metric_scores_the_answer_without_the_reasoning(
    metric: str, output: str, reference: str, expected: float
) -> None:
    assert score(metric, output, reference) == expected


def test_a_label_is_read_from_the_answer() -> None:
    assert label_of("<think>refund?</think>cancel", LABELS) == "cancel"
    assert label_of("<think>refund", LABELS) is None


def test_a_fixed_pattern_stands_before_the_reference() -> None:
    assert score("regex", "ticket 77", "(never looked at", pattern=r"\d+$") == 1.0
    assert score("regex", "ticket", "ticket", pattern=r"\d+$") == 0.0


def test_a_pattern_that_is_no_regular_expression_is_bad_input() -> None:
    with pytest.raises(
        BadInput, match=r"evaluation\.pattern: '\(' is not a valid regular expression"
    ):
        pure_scorer("regex", [], "(")


def test_a_pattern_without_end_is_bad_input_that_names_the_field(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scoring, "SEARCH_SECONDS", 0.05)
    fixed = pure_scorer("regex", [], "(a|aa)+$")
    own = pure_scorer("regex", [], None)
    assert fixed is not None
    assert own is not None
    message = r"evaluation\.pattern: '\(a\|aa\)\+\$' takes too long"
    with pytest.raises(BadInput, match=message) as caught:
        fixed.score("a" * 80 + "!", "")
    assert "simplify" in caught.value.hint
    with pytest.raises(BadInput, match=message):
        own.score("a" * 80 + "!", "(a|aa)+$")


def test_a_pattern_that_only_re_would_never_end_is_scored() -> None:
    assert score("regex", "a" * 40 + "!", "", pattern="(a+)+$") == 0.0
    assert score("regex", "a" * 40, "", pattern="(a+)+$") == 1.0


def test_metric_none_has_no_scorer_and_every_other_has_one_that_passes_at_1() -> None:
    for metric in PURE_METRICS:
        scorer = pure_scorer(metric, LABELS, None)
        assert (scorer is None) is (metric == "none")
        assert scorer is None or (scorer.metric, scorer.pass_score) == (metric, 1.0)


@pytest.mark.parametrize(
    ("output", "label"),
    [
        ("refund", "refund"),
        ("  Cancel.\nbecause the customer says so, not refund", "cancel"),
        ("The intent is refund, I am sure", "refund"),
        ("refund refund refund", "refund"),
        ("refunded", None),
        ("refund_2", None),
        ("refund or cancel?", None),
        ("my lost card", "lost card"),
        ("a lost card is a card", None),
        ("C++", "C++"),
        ("I like c++ a lot", "C++"),
        ("", None),
        ("\n\n", None),
        (".", None),
    ],
)
def test_an_output_names_one_label_or_none(output: str, label: str | None) -> None:
    assert label_of(output, LABELS) == label


def test_labels_that_are_part_of_other_words_do_not_hide_each_other() -> None:
    assert label_of("art or start", ["art", "start"]) is None
    assert label_of("we start", ["art", "start"]) == "start"


def test_an_empty_label_is_never_named() -> None:
    assert label_of("", ["", ".", "yes"]) is None
    assert label_of("well, yes", ["", ".", "yes"]) == "yes"


def test_macro_f1_is_the_mean_over_labels_by_hand() -> None:
    wanted = ["a", "a", "a", "b", "b", "c"]
    said = ["a", "a", "b", "b", None, "b"]
    # a: precision 2/2, recall 2/3 -> 4/5; b: precision 1/3, recall 1/2 -> 2/5; c: 0
    assert macro_f1(said, wanted) == pytest.approx((4 / 5 + 2 / 5 + 0) / 3)


def test_macro_f1_counts_a_label_that_was_said_but_never_wanted() -> None:
    # a: precision 1/1, recall 1/2 -> 2/3; x: 0
    assert macro_f1(["a", "x"], ["a", "a"]) == pytest.approx(1 / 3)


def test_macro_f1_of_all_right_is_1_and_of_nothing_is_0() -> None:
    assert macro_f1(["a", "b"], ["a", "b"]) == 1.0
    assert macro_f1([], []) == 0.0
    assert macro_f1([None], ["a"]) == 0.0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5 + 7 = 12", 12),
        ("#### 1,234", 1234),
        ("it costs $1,234.50.", Decimal("1234.5")),
        ("minus -3", -3),
        ("72 apples.", 72),
        (".5", Decimal("0.5")),
        ("1e3", 1000),
        ("the 3 answers are 1, 2", 2),
        ("50%", 50),
        ("none", None),
        ("", None),
        ("1e99999999999999999999999", None),
    ],
)
def test_the_last_number_counts_as_for_gsm8k(text: str, number: Decimal | int | None) -> None:
    assert last_number(text) == number


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"name": "Ada", "age": 36, "tags": ["x", "y"]}', 1.0),
        ('{"tags": ["x", "y"], "age": 36.0, "name": "Ada"}', 1.0),
        ('```json\n{"name": "Ada", "age": 36, "tags": ["x", "y"]}\n```', 1.0),
        ('{"name": "Ada", "age": 37, "tags": ["x", "y"]}', 3 / 5),
        ('{"name": "Ada", "age": 36}', 2 / 4),
        ('{"name": "Ada", "age": 36, "tags": ["x", "y"], "extra": 1}', 4 / 5),
        ('{"name": "Ada", "age": "36", "tags": ["y", "x"]}', 1 / 7),
        ("{}", 0.0),
        ("not json", 0.0),
        ("[" * 600 + "1" + "]" * 600, 0.0),
    ],
)
def test_json_match_is_the_share_of_leaves_that_agree(output: str, expected: float) -> None:
    reference = '{"name": "Ada", "age": 36, "tags": ["x", "y"]}'
    assert score("json_match", output, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("output", "reference"),
    [
        ('{"a": 1}', '{"a": true}'),
        ('{"a": 0}', '{"a": false}'),
        ('{"a": {"b": 1}}', '{"a.b": 1}'),
        ('{"a": [1]}', '{"a[0]": 1}'),
        ('{"a": {}}', '{"a": []}'),
        ("null", "[]"),
        ('{"a": 1, "b": null}', '{"a": 1}'),
    ],
)
def test_different_json_values_never_match_in_full(output: str, reference: str) -> None:
    assert score("json_match", output, reference) < 1.0
    assert score("json_match", reference, output) < 1.0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(json_values, st.booleans())
def test_any_json_value_matches_itself_however_it_is_laid_out(value: object, sort: bool) -> None:
    assert score("json_match", json.dumps(value, indent=2, sort_keys=sort), json.dumps(value)) == 1


@given(st.text(max_size=30), st.text(max_size=30))
@pytest.mark.parametrize("metric", sorted({*PURE_METRICS} - {"none", "regex"}))
def test_any_output_has_a_score_between_0_and_1(metric: str, output: str, reference: str) -> None:
    assert 0.0 <= score(metric, output, reference) <= 1.0
