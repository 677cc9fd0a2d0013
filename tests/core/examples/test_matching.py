"""A filter takes the rows that it names, in the order that was asked for."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.examples.views import names, row_of, rows_of, view_of
from tui_loop.core.errors import BadInput
from tui_loop.core.examples import matching
from tui_loop.core.examples.matching import listed, unknown_names
from tui_loop.core.examples.query import format_term, parse
from tui_loop.core.examples.table import ExampleTable
from tui_loop.core.examples.view import ExampleView, Order

ROWS = [
    row_of(
        "a",
        False,
        reference="Refund",
        output="Cancel order.",
        causes=("wrong_label",),
        loss=3.0,
        prompt="They charged me TWICE\nplease help",
        columns={"source": "web"},
    ),
    row_of("b", False, reference="refund", output="", causes=("empty", "no_end_token"), loss=1.0),
    row_of(
        "c",
        reference='say "hi"',
        output='say "hi"',
        loss=0.1,
        columns={"source": "mail", "lang": "DE"},
    ),
    row_of("d", None, reference="", output=None, score=None, loss=None, prompt="x" * 40),
    row_of("e", reference=" two words ", output="two words", loss="NaN", score=0.5),
]
BEFORE = [
    row_of("a", False, reference="Refund", loss=2.0),
    row_of("b", True, reference="refund", loss=0.5),
    row_of("c", False, reference='say "hi"', loss=0.4),
    row_of("e", False, reference="other"),
]
EARLIER = [
    [row_of("a", False, reference="Refund"), row_of("b", False, reference="refund")],
    [row_of("a", False, reference="Refund"), row_of("b", True, reference="refund")],
    [row_of("a", False, reference="Refund"), row_of("b", False, reference="refund")],
    [row_of("a", False, reference="Refund"), row_of("b", True, reference="refund")],
]


@pytest.fixture(scope="module")
def view() -> ExampleView:
    return view_of(ROWS, BEFORE, earlier=EARLIER)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", "abcde"),
        ("is:failed", "ab"),
        ("is:passed", "ce"),
        ("is:unscored", "d"),
        ("is:failed,unscored", "abd"),
        ("-is:failed", "cde"),
        ("is:broken", "b"),
        ("is:fixed", "c"),
        ("is:still-failing", "a"),
        ("is:fixed,broken", "bc"),
        ("is:flaky", "b"),
        ("is:never-solved", "a"),
        ("is:flaky,fixed", "bc"),
        ("is:accepted", ""),
        ("cause:empty", "b"),
        ("cause:wrong_label,no_end_token", "ab"),
        ("cause:Wrong_Label", "a"),
        ("-cause:empty", "acde"),
        ("label:REFUND", "ab"),
        ('label:"two words"', "e"),
        ('label:""', "d"),
        ("said:cancel", ""),
        ('said:"cancel order."', "a"),
        ('said:"cancel order"', "a"),
        ('said:""', "bd"),
        ("id:A,e", "ae"),
        ("column:source=web", "a"),
        ("column:SOURCE=mail,source=web", "ac"),
        ("column:lang=de", "c"),
        ("loss>1", "ae"),
        ("loss>=1", "abe"),
        ("loss<0.5", "c"),
        ("-loss>=1", "cd"),
        ("score<1", "abe"),
        ("change>0", "ab"),
        ("change<0", "c"),
        ("flips>=2", "b"),
        ("length>30", "ad"),
        ("twice", "a"),
        ("-twice", "bcde"),
        ('"me twice"', "a"),
        ("cancel", "a"),
        ("/twice$/", "a"),
        ("/^PLEASE/", "a"),
        (r"/x{40}/", "d"),
        ("-/^prompt/", "ad"),
        ("is:failed label:refund -cause:empty", "a"),
        ("is:failed is:passed", ""),
    ],
)
def test_a_term_takes_just_its_rows(view: ExampleView, text: str, taken: str) -> None:
    assert names(view, listed(view, parse(text), Order.FILE)) == taken


def test_what_is_not_known_is_not_taken() -> None:
    alone = view_of(ROWS)
    for text in ("is:fixed", "is:flaky", "change>-9", "flips>=0"):
        assert listed(alone, parse(text), Order.FILE) == []


def test_where_nothing_is_scored_all_are_listed_as_failed() -> None:
    view = view_of(rows_of("...", score=None))
    assert names(view, listed(view, parse("is:failed"), Order.FILE)) == "abc"


def test_what_people_said_moves_an_example_to_another_outcome() -> None:
    view = view_of(rows_of("---+"), marks={"a": "accepted", "b": "bad_reference", "d": "ambiguous"})
    for text, taken in (
        ("is:failed", "c"),
        ("is:passed", "a"),
        ("is:unscored", "bd"),
        ("is:accepted,bad_reference", "ab"),
        ("is:ambiguous", "d"),
    ):
        assert names(view, listed(view, parse(text), Order.FILE)) == taken


def test_rows_come_in_the_order_asked_for_and_turned_round(view: ExampleView) -> None:
    query = parse("is:failed,passed")
    assert names(view, listed(view, query, Order.LOSS)) == "eabc"
    assert names(view, listed(view, query, Order.LOSS, is_reversed=True)) == "cbae"
    assert names(view, listed(view, parse(""), Order.LOSS)) == "deabc"


def test_a_pattern_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "PATTERN_SECONDS", 0.05)
    view = view_of([row_of("a", prompt="a" * 200), *rows_of("---")])
    with pytest.raises(BadInput, match="takes too long") as caught:
        listed(view, parse(r"/(a|aa)+(a|aa)+(a|aa)+$(?<=b)/"), Order.FILE)
    assert "repeats within repeats" in caught.value.hint


def test_a_pattern_is_not_begun_when_its_time_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "PATTERN_SECONDS", 0.0)
    with pytest.raises(BadInput, match=r"/a/ takes too long"):
        listed(view_of(rows_of("-")), parse("/a/"), Order.FILE)


@given(st.text(max_size=10), st.text(max_size=10))
@example("", '"')
@example("a", 'say "a" twice')
def test_the_term_of_a_label_lists_the_examples_that_have_it(label: str, said: str) -> None:
    view = view_of([row_of("a", False, reference=label, output=said), row_of("b", reference="ZZ")])
    for term in (format_term("label", label), format_term("said", said)):
        assert 0 in listed(view, parse(term), Order.FILE)
    if label.strip().casefold().replace('"', "") != "zz":
        assert listed(view, parse(format_term("label", label)), Order.FILE) == [0]


def test_no_row_is_compared_with_a_loss_that_is_not_there(view: ExampleView) -> None:
    assert math.isnan(view.table.losses[3])
    for text in ("loss>0", "loss<1e9"):
        assert 3 not in listed(view, parse(text), Order.FILE)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("label:refunds", "no reference is refunds; labels are cancel, refund"),
        ("label:refund,refunds", "no reference is refunds; labels are cancel, refund"),
        ("column:sauce=web", "there is no column sauce; columns are source"),
        ("label:Refund column:source=web -label:nothing", ""),
        ("nothing", ""),
    ],
)
def test_a_name_that_no_example_has_is_told_with_those_that_there_are(
    query: str, told: str
) -> None:
    rows = [
        row_of("a", reference="refund", columns={"source": "web"}),
        row_of("b", reference="cancel"),
    ]
    assert unknown_names(ExampleView(ExampleTable.of(rows)), parse(query)) == told
