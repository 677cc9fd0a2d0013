"""A line of terms is understood, or refused with what was probably meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.errors import BadInput
from tui_loop.core.examples.query import (
    FIGURES,
    KEYS,
    STATES,
    Term,
    format_term,
    has_terms,
    parse,
    toggle_terms,
)

PIECES = st.sampled_from(
    [*(f"{key}:" for key in KEYS), *FIGURES, *STATES, ">", "<=", "-", '"', "/", ",", " ", "\\", "("]
) | st.text(max_size=4)
LINES = st.lists(PIECES, max_size=8).map("".join)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("is:failed", Term("is", ("failed",))),
        ("-is:flaky", Term("is", ("flaky",), is_negated=True)),
        ("is:fixed,broken", Term("is", ("fixed", "broken"))),
        ("is:never_solved", Term("is", ("never-solved",))),
        ("is:bad_reference", Term("is", ("bad_reference",))),
        ("label:Refund", Term("label", ("refund",))),
        ('cause:"Wrong label"', Term("cause", ("wrong_label",))),
        ("cause:no_such_label", Term("cause", ("out_of_vocabulary",))),
        ('label:"Two Words",b', Term("label", ("two words", "b"))),
        ('said:""', Term("said", ("",))),
        ('label:"a,b"', Term("label", ("a,b",))),
        ("column:source=Web", Term("column", ("source=web",))),
        ("loss>2", Term("loss", ("2",), ">")),
        ("-score<=0.5", Term("score", ("0.5",), "<=", is_negated=True)),
        ("change>=-1e-3", Term("change", ("-1e-3",), ">=")),
        ("Charged", Term("word", ("charged",))),
        ('"Charged twice"', Term("word", ("charged twice",))),
        ('-"charged twice"', Term("word", ("charged twice",), is_negated=True)),
        ('"left open', Term("word", ("left open",))),
        ("pre-paid", Term("word", ("pre-paid",))),
        ("http://x.org", Term("word", ("http://x.org",))),
        ("12:30", Term("word", ("12:30",))),
        ("a>b", Term("word", ("a>b",))),
        ("-", Term("word", ("-",))),
        ("/usr/bin", Term("word", ("/usr/bin",))),
        (r"/two words|\//", Term("pattern", (r"two words|\/",))),
        ("-/^x/", Term("pattern", ("^x",), is_negated=True)),
    ],
)
def test_a_term_is_understood(text: str, term: Term) -> None:
    assert parse(text).terms == (term,)


def test_terms_stand_side_by_side() -> None:
    query = parse('  is:failed cause:wrong_label "charged twice" -is:flaky loss>2  ')
    assert [term.key for term in query.terms] == ["is", "cause", "word", "is", "loss"]
    assert query.text == 'is:failed cause:wrong_label "charged twice" -is:flaky loss>2'
    assert parse("") == parse("   ")
    assert parse('""').terms == ()


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("is:faild", "is:faild: no such state, did you mean failed?", "one of failed, passed"),
        ("is:zzz", "is:zzz: no such state", "one of failed"),
        ("cause:near", "cause:near: no such cause, did you mean near_miss?", "one of suspect_ref"),
        ("cause:xyz", "cause:xyz: no such cause", "no_such_label"),
        ("caus:empty", "caus:empty: no such term, did you mean 'cause:'?", "terms: is:"),
        ("lable:refund", "did you mean 'label:'?", "loss>"),
        ("label:", "label: has no value", "terms: "),
        ("label:,", "label:, has no value", "terms: "),
        ("loss>high", "loss>high: high is not a number", "loss>2"),
        ("column:web", "column:web: the value is missing", "column:source=web"),
        ("/(/", "/(/ is not a valid regular expression: missing )", "correct the pattern"),
    ],
)
def test_a_slip_of_the_pen_is_told(text: str, told: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(f"is:failed {text} x")
    assert caught.value.message.startswith("filter: ")
    assert told in caught.value.message
    assert hint in caught.value.hint


@given(LINES)
def test_any_line_is_understood_or_refused(line: str) -> None:
    try:
        query = parse(line)
    except BadInput:
        return
    assert parse(query.text) == query


@given(st.text(max_size=12), st.sampled_from(["label", "said", "id"]))
def test_whatever_a_value_is_its_term_names_it_and_nothing_else(value: str, key: str) -> None:
    terms = parse(f"x {format_term(key, value)} y").terms
    assert [term.key for term in terms] == ["word", key, "word"]
    assert terms[1].values == (value.replace('"', "").casefold(),)


@given(LINES, st.sampled_from(["is:fixed", 'label:"a b"', '"two words"', "label:a said:b"]))
def test_a_term_that_is_put_in_is_there_and_taken_away_again(line: str, term: str) -> None:
    try:
        query = parse(line)
    except BadInput:
        return
    if has_terms(query, term):
        assert not has_terms(toggle_terms(query, term), term)
    else:
        added = toggle_terms(query, term)
        assert has_terms(added, term)
        assert parse(term).terms == added.terms[-len(parse(term).terms) :]
        assert not has_terms(toggle_terms(added, term), term)


@pytest.mark.parametrize(
    ("before", "term", "after"),
    [
        ("is:failed", "label:a", "is:failed label:a"),
        ("is:failed label:a", "label:b", "is:failed label:b"),
        ("is:failed label:a", "label:a", "is:failed"),
        ("label:a said:b x", "label:a said:b", "x"),
        ("is:failed -is:flaky", "is:fixed", "-is:flaky is:fixed"),
        ("is:failed", "is:flaky", "is:failed is:flaky"),
        ("is:broken is:flaky", "is:never-solved", "is:broken is:never-solved"),
        ("is:broken is:flaky", "is:fixed", "is:flaky is:fixed"),
        ("is:bad_reference", "is:failed", "is:failed"),
        ('is:failed "left open', "cause:empty", 'is:failed "left open" cause:empty'),
        ("is:failed", "", "is:failed"),
    ],
)
def test_a_term_gives_way_to_another_of_its_key(before: str, term: str, after: str) -> None:
    assert toggle_terms(parse(before), term).text == after


def test_only_what_is_there_is_said_to_be_there() -> None:
    query = parse("is:failed label:a,b")
    assert has_terms(query, "is:failed")
    assert not has_terms(query, "label:a")
    assert not has_terms(query, "is:failed label:b")
    assert not has_terms(query, " ")
