"""Turns in every spelling: content in parts, tool calls, results, reasoning, weights."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tui_loop.core.data.conversations import read_turns, row_of_turns, text_of
from tui_loop.core.data.rows import Message, RawRow, Row, RowRefused, ToolCall

ASK = {"role": "user", "content": "Is it open?"}
CALL = {"name": "hours", "arguments": {"day": "Monday"}}
OPENAI = {"id": "c7", "type": "function", "function": CALL | {"arguments": '{"day": "Monday"}'}}
MADE = ToolCall("hours", '{"day": "Monday"}', "c7")


def read(*turns: Any) -> tuple[Message, ...]:
    return read_turns(list(turns), RawRow(3, {}), "d.jsonl", "messages")


def reply(**keys: Any) -> Message:
    """The assistant's turn with these keys."""
    return read(ASK, {"role": "assistant", "content": "Yes."} | keys)[1]


def row(*turns: Any) -> Row:
    return row_of_turns(read(*turns), RawRow(3, {}), "d.jsonl")


def refusal_of(*turns: Any) -> str:
    with pytest.raises(RowRefused) as caught:
        row(*turns)
    return caught.value.reason


@pytest.mark.parametrize(
    "keys",
    [
        {"tool_calls": [OPENAI]},
        {"tool_calls": [OPENAI | {"function": CALL}]},
        {"tool_calls": [OPENAI | {"index": 0, "function": CALL | {"description": None}}]},
        {"tool_calls": json.dumps([OPENAI])},
        {"tool_calls": [CALL | {"id": "c7"}]},
        {"tool_calls": [OPENAI], "function_call": None, "weight": None, "name": None},
        {"tool_calls": [OPENAI], "function_call": {"name": None, "arguments": None}},
    ],
)
@pytest.mark.parametrize("content", [None, "", []])
def test_tool_calls_are_read_whatever_their_spelling(keys: dict[str, Any], content: Any) -> None:
    assert reply(content=content, **keys) == Message("assistant", "", tool_calls=(MADE,))


def test_a_call_may_come_without_an_id_or_arguments_and_keeps_the_text_beside_it() -> None:
    called = reply(content="One moment.", function_call={"name": "now", "arguments": ""})
    assert called == Message("assistant", "One moment.", tool_calls=(ToolCall("now", "{}"),))
    assert text_of(called) == 'One moment.\n{"name": "now", "arguments": {}}'


def test_arguments_lose_the_nulls_that_parquet_fills_in_and_keep_those_of_json() -> None:
    filled = {"day": "Monday", "shop": None, "range": {"from": 9, "to": None}}
    [call] = reply(tool_calls=[CALL | {"arguments": filled}]).tool_calls
    assert call.arguments == '{"day": "Monday", "range": {"from": 9}}'
    [call] = reply(tool_calls=[CALL | {"arguments": '{"shop": null}'}]).tool_calls
    assert call.arguments == '{"shop": null}'


def test_the_reference_of_calls_is_their_json_below_the_content() -> None:
    one, two = {"tool_calls": [CALL]}, {"tool_calls": [CALL, CALL | {"name": "days"}]}
    answer = {"role": "assistant", "content": None}
    call = '{"name": "hours", "arguments": {"day": "Monday"}}'
    assert row(ASK, answer | one).reference == call
    assert json.loads(row(ASK, answer | two).reference) == [CALL, CALL | {"name": "days"}]
    assert row(ASK, answer | one | {"content": "Let me see."}).reference == f"Let me see.\n{call}"


def test_calls_of_earlier_turns_are_part_of_the_prompt() -> None:
    result = {"role": "tool", "content": "9 to 5", "tool_call_id": "c7", "name": "hours"}
    turns = (ASK, {"role": "assistant", "tool_calls": [OPENAI]}, result)
    only = row(*turns, {"role": "assistant", "content": "Until 5."})
    assert only.messages[2] == Message("tool", "9 to 5", name="hours", tool_call_id="c7")
    assert only.prompt == (
        "user: Is it open?\n"
        'assistant: {"name": "hours", "arguments": {"day": "Monday"}}\n'
        "tool: 9 to 5"
    )


@pytest.mark.parametrize("role", ["function_call", "Function_Call", "tool_call"])
@pytest.mark.parametrize("value", [CALL, [CALL]])
def test_a_turn_with_the_role_of_a_call_is_one(role: str, value: Any) -> None:
    asked, called, result, answer = read(
        {"from": "human", "value": "Is it open?"},
        {"from": role, "value": json.dumps(value)},
        {"from": "observation", "value": "9 to 5"},
        {"from": "gpt", "value": "Until 5."},
    )
    assert called == Message("assistant", "", tool_calls=(ToolCall(MADE.name, MADE.arguments),))
    assert (asked.role, result.role, answer.role) == ("user", "tool", "assistant")


@pytest.mark.parametrize(
    "text",
    ["hours(Monday)", '{"name": "hours"}', '{"name": "x", "arguments": {}, "result": 3}', "[]"],
)
def test_a_turn_of_a_call_that_is_no_json_of_one_stays_text(text: str) -> None:
    called = read(ASK, {"role": "function_call", "content": text})[1]
    assert called == Message("assistant", text)


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        ([{"id": "c7"}], "a tool call without a name"),
        ("hours", "is not JSON"),
        ([CALL | {"arguments": "Monday"}], "is not JSON"),
        ([CALL | {"arguments": "[1]"}], "'hours' whose arguments are not an object"),
        ([CALL | {"arguments": {"day": float("inf")}}], "values that JSON cannot represent"),
        ([7], "a tool call without a name"),
    ],
)
def test_calls_that_cannot_be_read_refuse_the_row_and_name_the_turn(
    calls: Any, problem: str
) -> None:
    reason = refusal_of(ASK, {"role": "assistant", "content": "x", "tool_calls": calls})
    assert reason.startswith("turn 2 of 'messages' has tool_calls that cannot be read: ")
    assert problem in reason


def test_parts_of_text_are_joined() -> None:
    parts = [{"type": "text", "text": "Is it ", "image_url": None}, {"text": "open"}, "?"]
    assert read({"role": "user", "content": parts}) == read(ASK)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([{"type": "image_url", "image_url": {"url": "x"}}], "a part of type 'image_url'"),
        ([{"type": "text", "text": "x"}, {"type": "audio"}], "a part of type 'audio'"),
        ([{"type": "text", "text": None}], "a content part without text"),
        ([3], "needs a role and content"),
        ({"text": "x"}, "needs a role and content"),
        (None, "needs a role and content"),
        (7, "needs a role and content"),
    ],
)
def test_a_content_of_another_kind_is_refused_by_its_name(content: Any, problem: str) -> None:
    reason = refusal_of({"role": "user", "content": content}, {"role": "assistant", "content": "x"})
    assert reason.startswith("turn 1 of 'messages' ")
    assert problem in reason


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"open": True}, '{"open": true}'),
        ([{"open": True}, {"open": False}], '[{"open": true}, {"open": false}]'),
        ([{"type": "text", "text": "9 to 5"}], "9 to 5"),
        ("9 to 5", "9 to 5"),
    ],
)
def test_the_result_of_a_tool_may_be_data(content: Any, text: str) -> None:
    assert read(ASK, {"role": "tool", "content": content})[1].content == text


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_of_a_key_is_kept_apart_from_the_answer(key: str) -> None:
    thought = reply(**{key: "It is Monday.\n"})
    assert thought == Message("assistant", "Yes.", reasoning="It is Monday.")
    assert reply(**{key: [{"type": "text", "text": "It is Monday."}]}) == thought
    assert reply(**{key: None}) == reply()


def test_a_thought_that_begins_the_content_is_reasoning() -> None:
    turns = (ASK, {"role": "assistant", "content": "<think>\nIt is Monday.\n</think>\n\nYes."})
    only = row(*turns)
    assert only.reference == "Yes."
    assert only.messages[1] == Message("assistant", "Yes.", reasoning="It is Monday.")
    assert read({"role": "user", "content": "<think>a</think>b"})[0].content == "<think>a</think>b"


@pytest.mark.parametrize("text", ["So <think>x</think> yes", "<think>x, then yes", "x</think>yes"])
def test_a_thought_elsewhere_or_without_an_end_stays_text(text: str) -> None:
    assert reply(content=text) == Message("assistant", text)


def test_two_reasonings_that_differ_are_both_kept() -> None:
    both = reply(content="<think>a</think>Yes.", reasoning="b")
    assert (both.content, both.reasoning) == ("<think>a</think>Yes.", "b")
    same = reply(content="<think>a</think>Yes.", reasoning="a")
    assert (same.content, same.reasoning) == ("Yes.", "a")


def test_a_call_may_follow_a_thought() -> None:
    text = f"<think>Which day?</think>\n{json.dumps(CALL)}"
    called = read(ASK, {"from": "function_call", "value": text})[1]
    assert (called.content, called.reasoning) == ("", "Which day?")
    assert [call.name for call in called.tool_calls] == ["hours"]


@pytest.mark.parametrize("key", ["weight", "train", "training"])
@pytest.mark.parametrize(
    ("value", "trains"),
    [
        *((0, False), (False, False), (0.0, False), ("0", False), ("False", False)),
        *((1, True), (True, True), ("true", True), (None, None), ("", None)),
        *((0.5, True), ("high", True)),
    ],
)
def test_a_turn_says_whether_it_is_trained_on(key: str, value: Any, trains: bool | None) -> None:
    assert reply(**{key: value}).trains is trains


def test_one_of_two_weights_excludes_a_turn_and_the_last_turn_stays_the_reference() -> None:
    assert reply(weight=1, train=False).trains is False
    only = row(ASK, {"role": "assistant", "content": "Yes.", "weight": 0})
    assert (only.reference, only.messages[1].trains) == ("Yes.", False)


def test_roles_count_in_any_case_and_with_blanks() -> None:
    spelled = [(" Human", "user"), ("GPT", "assistant"), ("Tool_Response ", "tool")]
    turns = read(*({"from": role, "value": "x"} for role, _ in spelled))
    assert [turn.role for turn in turns] == [role for _, role in spelled]
