"""Why an output fails metric tool_call, and causes of outputs with reasoning."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.examples.cause_kinds import Cause, Measured
from tui_loop.core.examples.causes import causes_of
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import TOOL_CALL, pure_scorer

Make = Callable[..., Example]
CUT: dict[str, Any] = {"truncated": True}
THOUGHT = "<think>The guest wants it warm.</think>\n"


def call(name: str, **arguments: Any) -> str:
    return json.dumps({"name": name, "arguments": arguments})


HEAT = call("heat", room="hall", degrees=21)
LOCK = call("lock", door="back")
BOTH = f"[{HEAT}, {LOCK}]"

Row = tuple[str, str, dict[str, Any], str, str]
"""Reference, output, what else is recorded, the causes in order, and the first evidence."""

TABLE: list[Row] = [
    (HEAT, call("cool", room="hall"), {}, "wrong_tool", "calls cool instead of heat"),
    (HEAT, f"[{HEAT}, {LOCK}]", {}, "wrong_tool", "also calls lock; the reference has 1 call"),
    (HEAT, f"{HEAT}\n{HEAT}", {}, "wrong_tool", "also calls heat; the reference has 1 call"),
    (BOTH, HEAT, {}, "wrong_tool", "does not call lock; the reference has 2 calls"),
    (BOTH, f"[{HEAT}, {call('open')}]", {}, "wrong_tool", "calls open instead of lock"),
    ("It is warm.", HEAT, {}, "wrong_tool", "calls heat; the reference has no call"),
    (
        "It is warm.",
        "\n".join([*[HEAT] * 2, *(call(name) for name in "abcd")]),
        {},
        "wrong_tool",
        "calls heat 2 times, a, b and 2 more; the reference has no call",
    ),
    (
        HEAT,
        HEAT.replace("hall", "attic"),
        {},
        "wrong_argument",
        'heat: room is "attic" instead of "hall"',
    ),
    (
        HEAT,
        call("heat", degrees=21),
        {},
        "wrong_argument",
        'heat: room is missing; the reference has "hall"',
    ),
    (
        HEAT,
        call("heat", room="hall", degrees=21, fan=True),
        {},
        "wrong_argument",
        "heat: fan is true, but the reference has no such argument",
    ),
    (
        HEAT,
        call("heat", room="hall", degrees="21", fan=1),
        {},
        "wrong_argument",
        'heat: degrees is "21" instead of 21; 1 more difference',
    ),
    (
        call("book", guest={"name": "Ada", "ages": [3, 5]}),
        call("book", guest={"ages": [5, 3], "name": "Ada"}),
        {},
        "wrong_argument",
        "book: guest.ages is [5, 3] instead of [3, 5]",
    ),
    (
        BOTH,
        f"[{call('open')}, {HEAT.replace('21', '12')}]",
        {},
        "wrong_tool wrong_argument",
        "calls open instead of lock",
    ),
    (
        HEAT,
        "It is warm.",
        {},
        "no_call",
        "no call in the output 'It is warm.'; the reference calls heat",
    ),
    (HEAT, f"I call {HEAT}", {}, "no_call", ""),
    (HEAT, HEAT[:-1], {}, "invalid_call", ""),
    (HEAT, "<tool_call>heat</tool_call>", {}, "invalid_call", ""),
    (
        HEAT,
        f"{HEAT}\n<tool_call>?",
        {},
        "invalid_call",
        f"a call cannot be parsed: '{HEAT[:31]}…'",
    ),
    ("It is warm.", "<tool_call>heat", {}, "invalid_call", ""),
    (
        HEAT,
        HEAT[:30],
        CUT,
        "truncated_output",
        "stopped at the limit of 12 new tokens, in the middle of a call",
    ),
    (HEAT, "Well, the hall is", CUT, "no_call truncated_output", ""),
    (
        HEAT,
        f"{HEAT}\n{HEAT}",
        CUT,
        "no_end_token",
        "starts with the right calls, then continues to the limit of 12 new tokens",
    ),
    (HEAT, "warm warm warm warm", {}, "repetition no_call", "'warm' 4 times at the end"),
    (HEAT, "I'm sorry, but I can't help with that.", {}, "refusal no_call", ""),
    (HEAT, "", {"output_tokens": 0}, "empty", "the model stopped immediately"),
    (HEAT, "refund", {"prompt_cut": 3}, "prompt_truncated no_call", ""),
    # the reasoning is not compared
    (HEAT, f"{THOUGHT}{LOCK}", {}, "wrong_tool", "calls lock instead of heat"),
    (
        HEAT,
        f"<think>{HEAT}</think>No.",
        {},
        "no_call",
        "no call in the output 'No.'; the reference calls heat",
    ),
    (HEAT, THOUGHT, {}, "empty", "no answer after 5 words of reasoning"),
    (HEAT, "<think></think>", {}, "empty", "no answer after 0 words of reasoning"),
    (
        HEAT,
        f"<think>{HEAT}",
        CUT,
        "truncated_output",
        "stopped at the limit of 12 new tokens, after 7 words of reasoning",
    ),
    (HEAT, "<think>so so so so", CUT, "repetition truncated_output", "'so' 4 times at the end"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[1][:40])
def test_each_output_has_its_causes(row: Row, example: Make) -> None:
    reference, output, more, kinds, evidence = row
    scorer = pure_scorer(TOOL_CALL, (), None)
    assert scorer is not None
    assert scorer.score(output, reference) == 0.0
    failed = example("a", 0.0, reference=reference, output=output, **more)
    found = causes_of(failed, Measured(TOOL_CALL, (), 12))
    assert " ".join(each.kind for each in found) == kinds
    assert not evidence or found[0].evidence == evidence


@pytest.mark.parametrize(
    ("metric", "reference", "output", "kinds"),
    [
        ("exact_match", "warm", f"{THOUGHT}cold", "wrong_content"),
        ("exact_match", "warm", f"{THOUGHT}It is warm", "format"),
        ("exact_match", "It is warm", f"{THOUGHT}It is warmm", "near_miss"),
        ("label", "warm", f"{THOUGHT}cold", "wrong_label"),
        ("label", "warm", f"{THOUGHT}red", "out_of_vocabulary"),
        ("numeric", "21", "<think>21 or 22?</think>22", "wrong_content"),
        ("exact_match", f"{THOUGHT}warm", f"{THOUGHT}It is warm", "format"),
    ],
)
def test_causes_are_those_of_the_answer(
    metric: str, reference: str, output: str, kinds: str, example: Make
) -> None:
    labels = ("warm", "cold") if metric == "label" else ()
    failed = example("a", 0.0, reference=reference, output=output)
    found = causes_of(failed, Measured(metric, labels, 12))
    assert " ".join(each.kind for each in found) == kinds


PIECES = st.sampled_from(
    [HEAT, LOCK, HEAT[:20], "<tool_call>", "</think>", "warm ", "refund", "\n"]
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)
OTHERS = {Cause.FORMAT, Cause.NEAR_MISS, Cause.WRONG_LABEL, Cause.OUT_OF_VOCABULARY}


@given(TEXTS, TEXTS, st.booleans())
def test_calls_have_no_causes_of_other_metrics(output: str, reference: str, is_cut: bool) -> None:
    scorer = pure_scorer(TOOL_CALL, (), None)
    assert scorer is not None
    score = scorer.score(output, reference)
    failed = Example(*("a", "p", reference, output, score, score == 1.0, (), 1.0, 3, 3, is_cut, 1))
    kinds = {each.kind for each in causes_of(failed, Measured(TOOL_CALL, ("warm",), 12))}
    assert not kinds & {*OTHERS, Cause.WRONG_CONTENT}
    assert bool(kinds) is not failed.passed
