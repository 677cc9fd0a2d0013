"""Outputs that look like their reference: the same content in another form, or another content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tui_loop.core.examples.cause_kinds import Measured
from tui_loop.core.examples.causes import causes_of
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import PURE_METRICS, pure_scorer

LABELS = ("refund", "login", "shipping")
REPLY = "We have approved your request and will send the money to your card within five days."
LONG = f"{'The parcel was sent on time. ' * 18}The claim was approved."
CUT: dict[str, Any] = {"truncated": True}

Row = tuple[str, str, str, str]
"""Metric, reference, output, and the causes in order."""

NEGATIONS: list[Row] = [
    ("exact_match", "refund", "no refund", "wrong_content"),
    ("exact_match", "refund", "The customer gets no refund.", "wrong_content"),
    ("exact_match", "eligible", "They are not eligible", "wrong_content"),
    ("exact_match", "eligible", "The customer isn't eligible", "wrong_content"),
    ("exact_match", "eligible", "The customer isn’t really eligible", "wrong_content"),
    ("exact_match", "refundable", "non-refundable", "wrong_content"),
    ("exact_match", "refund", "without refund", "wrong_content"),
    ("exact_match", "Paris", "It is never Paris", "wrong_content"),
    ("exact_match", "Paris", "The answer is not, in my view, Paris", "wrong_content"),
    ("exact_match", "Paris", "It is not London, Berlin, or Paris", "wrong_content"),
    ("exact_match", "Paris", "neither London nor Paris", "wrong_content"),
    ("exact_match", "refund", "Refund is not possible", "wrong_content"),
    ("exact_match", "refund", "Refund: no", "wrong_content"),
    ("exact_match", "Paris", "Paris is wrong", "wrong_content"),
    ("exact_match", "Paris", "Everything but Paris", "wrong_content"),
    ("exact_match", "Erstattung", "keine Erstattung", "wrong_content"),
    ("exact_match", "Erstattung", "Die Erstattung ist nicht möglich", "wrong_content"),
    ("exact_match", "Erstattung", "ohne Erstattung", "wrong_content"),
    ("exact_match", "Paris", "Ce n'est pas Paris", "wrong_content"),
    ("exact_match", "remboursement", "pas de remboursement", "wrong_content"),
    ("exact_match", "reembolso", "sin reembolso", "wrong_content"),
    ("exact_match", "退款", "不能退款", "wrong_content"),
    ("exact_match", "返金", "返金はできない", "wrong_content"),
    ("exact_match", "환불", "환불 불가", "wrong_content"),
    ("exact_match", "42", "It is not 42", "wrong_content"),
    ("exact_match", "42.0", "It is not 42", "wrong_content"),
    ("exact_match", "2026-11-29", "It is not 29 November 2026", "wrong_content"),
    ("label", "refund", "not refund but login", "wrong_label"),
    ("exact_match", "not able to pay", "notable to pay", "wrong_content"),
    ("exact_match", "a = b + c", "a != b + c", "wrong_content"),
    ("rouge_l", REPLY, REPLY.replace("have", "have not"), "wrong_content"),
    ("rouge_l", REPLY, f"It is not true: {REPLY}", "format"),
    (
        "rouge_l",
        "The claim is not valid in any state",
        "The claim is valid in any state",
        "wrong_content",
    ),
    ("exact_match", "refund", "Not login, but refund", "format"),
    ("exact_match", "refund", "I am not sure, but it looks like a refund", "format"),
    ("exact_match", "refund", "There is no doubt that it is a refund", "format"),
    ("exact_match", "refund", "Not only a refund", "format"),
    ("exact_match", "refund", "They did not get the goods. The label is refund", "format"),
    ("exact_match", "refund", "refund (the goods did not arrive)", "format"),
    ("exact_match", "refund", "refund, not login", "format"),
    ("exact_match", "not eligible", "They are not eligible", "format"),
    ("exact_match", "no refund", "There is no refund", "format"),
    ("exact_match", "no", "No, they do not", "format"),
    ("exact_match", "退款", "不过是退款", "format"),
    ("exact_match", "can not pay", "cannot pay", "near_miss"),
    ("exact_match", "don't stop", "dont stop", "near_miss"),
    ("exact_match", "non-refundable", "nonrefundable", "near_miss"),
]

OPPOSITES: list[Row] = [
    ("exact_match", "increase", "decrease", "wrong_content"),
    ("exact_match", "the rates increase", "the rates decrease", "wrong_content"),
    ("exact_match", "eligible for a refund", "ineligible for a refund", "wrong_content"),
    ("exact_match", "legal in this country", "illegal in this country", "wrong_content"),
    ("exact_match", "likely", "unlikely", "wrong_content"),
    (
        "exact_match",
        "hypertension of the left side",
        "hypotension of the left side",
        "wrong_content",
    ),
    ("exact_match", "macroeconomic", "microeconomic", "wrong_content"),
    ("exact_match", "the employer", "the employee", "wrong_content"),
    (
        "exact_match",
        "accept the offer of the bank",
        "except the offer of the bank",
        "wrong_content",
    ),
    (
        "exact_match",
        "it is a useful answer to all of us",
        "it is a useless answer to all of us",
        "wrong_content",
    ),
    (
        "exact_match",
        "the first meeting is before lunch and dinner",
        "the first meeting is after lunch and dinner",
        "wrong_content",
    ),
    ("rouge_l", REPLY, REPLY.replace("approved", "rejected"), "wrong_content"),
    ("rouge_l", REPLY, REPLY.replace("to your", "from your"), "wrong_content"),
    ("rouge_l", LONG, LONG.replace("approved", "declined"), "wrong_content"),
    ("exact_match", "approved", "approved or rejected", "wrong_content"),
    ("exact_match", "yes", "yes or no", "wrong_content"),
    ("exact_match", "the value of x > 5", "the value of x < 5", "wrong_content"),
    ("exact_match", "what a day 👍", "what a day 👎", "wrong_content"),
    ("label", "positive", "postive", "near_miss out_of_vocabulary"),
]

OTHER_WORDS: list[Row] = [
    ("exact_match", "fifty people came", "fifteen people came to it", "wrong_content"),
    ("exact_match", "sixty", "sixty-", "near_miss"),
    ("exact_match", "eighty people", "eight people", "wrong_content"),
    ("exact_match", "Iran", "Iraq", "wrong_content"),
    ("exact_match", "a night of music", "a light of music", "wrong_content"),
    ("exact_match", "sulfate", "sulfite", "wrong_content"),
    ("exact_match", "injection", "infection", "wrong_content"),
    ("exact_match", "It was sent on Monday", "It was sent on Sunday", "wrong_content"),
    ("exact_match", "42 kg", "42 g", "wrong_content"),
    ("exact_match", "a fee of $500", "a fee of €500", "wrong_content"),
    ("exact_match", "the interest is 5%", "the interest is 5", "wrong_content"),
    ("exact_match", "北京大学", "南京大学", "wrong_content"),
    ("rouge_l", REPLY, REPLY.replace("your request", "her request"), "wrong_content"),
    (
        "rouge_l",
        REPLY,
        REPLY.replace("within", "wihtin").replace("approved", "aproved"),
        "near_miss",
    ),
    ("rouge_l", REPLY, REPLY.replace("the money", "money"), "near_miss"),
    ("exact_match", "accommodation abroad", "acomodation abroad", "near_miss"),
    ("exact_match", "separate answers", "seperate answers", "near_miss"),
    ("exact_match", "organise the trip", "organize the trip", "near_miss"),
    ("exact_match", "Málaga", "Malaga", "near_miss"),
]

NUMBERS: list[Row] = [
    ("exact_match", "1,000", "10,00", "wrong_content"),
    ("exact_match", "3.50", "3,5", "format"),
    ("numeric", "3.50", "3,5", "format"),
    ("exact_match", "3,5", "3.50", "format"),
    ("exact_match", "3.50", "3,50", "near_miss"),
    ("exact_match", "1,000.00", "1.000,00", "near_miss"),
    ("numeric", "1,000.00", "1.000,00", "near_miss"),
    ("exact_match", "1000", "1.000,00", "format"),
    ("exact_match", "3.50", "€3.50", "format"),
    ("exact_match", "€3.50", "3,50 €", "format"),
    ("exact_match", "€3.50", "$3.50", "wrong_content"),
    ("exact_match", "3.5 %", "3,5%", "near_miss"),
    ("exact_match", "3.5%", "3.5 percent", "format"),
    ("exact_match", "3.5", "The rate is 3,5 %", "format"),
    ("exact_match", "5%", "$5", "wrong_content"),
    ("exact_match", "1000", "1.000", "wrong_content"),
    ("exact_match", "42", "42 million", "wrong_content"),
    ("exact_match", "42", "more than 42", "wrong_content"),
    ("exact_match", "42", "minus 42", "wrong_content"),
    ("exact_match", "-5", "−5", "format"),
    ("exact_match", "2", "1/2", "wrong_content"),
    ("exact_match", "5*3 + 1", "5/3 + 1", "wrong_content"),
    ("exact_match", "1,2,3", "1, 2, 3", "near_miss"),
    ("exact_match", "Python 3.10", "Python 3.1", "wrong_content"),
    ("exact_match", "it costs €3.50 a day", "it costs €3,50 a day", "near_miss"),
    ("exact_match", "grade A-", "grade A", "wrong_content"),
]

DATES: list[Row] = [
    ("exact_match", "2026-11-29", "29.11.2026", "format"),
    ("exact_match", "2026-11-29", "11/29/2026", "format"),
    ("exact_match", "2026-11-29", "Nov 29, 2026", "format"),
    ("exact_match", "2026-11-29", "29 November 2026", "format"),
    ("exact_match", "29 November 2026", "2026-11-29", "format"),
    ("exact_match", "November 29th, 2026", "Sunday, 29. Nov. 2026", "format"),
    ("exact_match", "2026-11-29", "The date is 29. November 2026.", "format"),
    ("exact_match", "2026-11-29", "29 de noviembre de 2026", "format"),
    ("exact_match", "2026-11-29", "le 29 novembre 2026", "format"),
    ("exact_match", "2026-11-29", "2026/11/29", "near_miss"),
    ("exact_match", "2026-11-29", "28 November 2026", "wrong_content"),
    ("exact_match", "2026-11-29", "from 29.11.2026 to 30.11.2026", "wrong_content"),
    ("exact_match", "2026-04-03", "03/04/2026", "wrong_content"),
    ("exact_match", "2026-03-04", "03/04/2026", "wrong_content"),
    ("exact_match", "03/04/2026", "4 March 2026", "wrong_content"),
    ("exact_match", "2026-05-05", "05/05/2026", "format"),
    ("exact_match", "2026-02-28", "30.02.2026", "wrong_content"),
    ("exact_match", "It is due on 2026-11-29", "It is due on 29 November 2026", "near_miss"),
    ("numeric", "29", "29 November 2026", "format"),
]

REFUSALS: list[Row] = [
    ("exact_match", "I can't help with that.", "I'm sorry, but I cannot assist.", "wrong_content"),
    (
        "exact_match",
        "Thanks for asking! I’m sorry, but I can’t help.",
        "I cannot provide that.",
        "wrong_content",
    ),
    ("exact_match", "No, I can't do that.", "I cannot provide that.", "wrong_content"),
    ("exact_match", "I must refuse this request.", "I cannot provide that.", "wrong_content"),
    ("exact_match", "refusal", "I'm sorry, but I can't help with that.", "wrong_content"),
    ("exact_match", "unanswerable", "I cannot answer this.", "wrong_content"),
    (
        "exact_match",
        "Das geht leider nicht.",
        "Es tut mir leid, aber das geht nicht.",
        "wrong_content",
    ),
    ("exact_match", "I can help you today.", "I can’t help you today.", "refusal"),
    ("exact_match", "refund", "I'm sorry, but I cannot give you a refund", "refusal"),
    ("exact_match", "Paris", "I'm sorry, but the answer is Paris", "format"),
    (
        "exact_match",
        "Your order is on its way.",
        "Sorry for the wait, but it is late.",
        "wrong_content",
    ),
    ("exact_match", "You cannot pay by card.", "I cannot help with that.", "refusal"),
]

TABLE = [*NEGATIONS, *OPPOSITES, *OTHER_WORDS, *NUMBERS, *DATES, *REFUSALS]


def causes(row: Row, make: Callable[..., Example], **recorded: Any) -> str:
    """Returns the causes of an output that the metric fails."""
    metric, reference, output, _ = row
    labels = ("positive", "negative") if reference == "positive" else LABELS
    labels = labels if metric == "label" else ()
    if metric in PURE_METRICS:
        scorer = pure_scorer(metric, labels, None)
        assert scorer is not None
        assert scorer.score(output, reference) < 1.0, "the output passes"
    example = make("a", 0.0, reference=reference, output=output, **recorded)
    return " ".join(each.kind for each in causes_of(example, Measured(metric, labels, 12)))


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_an_output_is_right_in_form_alone_only_with_the_same_content(
    row: Row, example: Callable[..., Example]
) -> None:
    assert causes(row, example) == row[-1]


@pytest.mark.parametrize("output", ["refund is not possible because the", "refund: no. Message:"])
def test_a_denied_reference_at_the_start_is_not_the_right_content_without_an_end(
    output: str, example: Callable[..., Example]
) -> None:
    assert causes(("exact_match", "refund", output, ""), example, **CUT) == "truncated_output"
