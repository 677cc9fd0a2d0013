"""Columns beside prompt and answer: system prompt, history, tools; and prompts that are turns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tui_loop.core.data.mapping import find_mapping, map_rows
from tui_loop.core.data.rows import Mapping, Message, RawRow, Row, ToolCall
from tui_loop.core.errors import BadInput

SYSTEM, USER, REPLY = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Which bus?"},
    {"role": "assistant", "content": "Line 4."},
)
TURNS = (Message("user", "Which bus?"), Message("assistant", "Line 4."))
LED = (Message("system", "Be brief."), *TURNS)
PAIR = {"prompt": "Which bus?", "completion": "Line 4."}
TOOLS = [{"name": "bus", "parameters": {"to": {"type": "str"}}}]
CALL = {"name": "bus", "arguments": {"to": "port"}}
CALLED = (TURNS[0], Message("assistant", "", tool_calls=(ToolCall("bus", '{"to": "port"}'),)))


def raws(*values: dict[str, Any]) -> list[RawRow]:
    return [RawRow(line, value) for line, value in enumerate(values, 1)]


def mapping_of(*values: dict[str, Any], metric: str = "exact_match", **given: Any) -> Mapping:
    return find_mapping(raws(*values), "d.jsonl", metric=metric, **given)


def mapped(*values: dict[str, Any], **given: Any) -> list[Row]:
    return map_rows(raws(*values), mapping_of(*values, **given), "d.jsonl")


def turns_of(value: dict[str, Any]) -> tuple[Message, ...]:
    [row] = mapped(value)
    return row.messages


@pytest.mark.parametrize("name", ["system", "system_prompt"])
@pytest.mark.parametrize(
    "row",
    [
        PAIR,
        {"instruction": "Which bus?", "output": "Line 4."},
        {"messages": [USER, REPLY]},
        {"conversations": [{"from": "human", "value": "Which bus?"}, REPLY]},
        {"prompt": [USER], "completion": [REPLY]},
        {"prompt": [USER], "completion": "Line 4."},
    ],
)
def test_a_system_column_becomes_the_first_turn(row: dict[str, Any], name: str) -> None:
    [only] = mapped(row | {name: "Be brief."})
    assert only.messages == LED
    assert (only.prompt, only.reference) == ("system: Be brief.\nuser: Which bus?", "Line 4.")


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_turn_of_the_conversation_comes_before_the_column(role: str) -> None:
    own = {"role": role, "content": "Be kind."}
    row = {"messages": [own, USER, REPLY], "system": "Be brief."}
    assert turns_of(row) == (Message(role, "Be kind."), *TURNS)


@pytest.mark.parametrize("nothing", [None, "", "  ", "nan", float("nan")])
def test_a_row_without_a_system_prompt_is_what_it_is_without_the_column(nothing: Any) -> None:
    values = [PAIR | {"system": "Be brief."}, PAIR | {"system": nothing}]
    [led, plain] = mapped(*values)
    [alone] = mapped(PAIR)
    assert led.messages == LED
    assert (plain.id, plain.messages, plain.tools) == (alone.id, (), "")
    [instructed] = mapped({"instruction": "Add.", "input": nothing, "output": "3"})
    assert instructed.prompt == "Add."


def test_a_file_whose_system_column_is_empty_does_not_use_it() -> None:
    assert "system" not in mapping_of(PAIR | {"system": ""}, PAIR | {"system": None}).columns


def test_a_column_of_another_kind_is_not_taken_unless_the_config_names_it() -> None:
    row = PAIR | {"system": 3, "history": "x", "tools": "x"}
    assert set(mapping_of(row).columns) == {"prompt", "completion"}
    for role in ("history", "tools"):
        with pytest.raises(BadInput, match=rf"^d\.jsonl:1: '{role}' "):
            mapped(row, columns={role: role})
    row = PAIR | {"rules": "Be brief.", "system": "x"}
    assert mapped(row, columns={"system": "rules"})[0].messages == LED
    assert "system" not in mapping_of({"text": "t", "system": "x"}).columns


def test_one_bad_value_in_a_column_that_is_used_refuses_its_row() -> None:
    good = PAIR | {"tools": TOOLS}
    with pytest.raises(BadInput, match=r"^d\.jsonl:3: 'tools' is not JSON"):
        mapped(good, good, PAIR | {"tools": "x"})


@pytest.mark.parametrize("as_text", [False, True])
def test_a_history_comes_before_the_instruction(as_text: bool) -> None:
    history: Any = [["Which stop?", "The port."], ["When?", "<think>Noon.</think>At noon."]]
    row = {
        "instruction": "Which bus?",
        "input": "From here.",
        "output": "Line 4.",
        "system": "Be brief.",
        "history": json.dumps(history) if as_text else history,
    }
    assert turns_of(row) == (
        Message("system", "Be brief."),
        Message("user", "Which stop?"),
        Message("assistant", "The port."),
        Message("user", "When?"),
        Message("assistant", "At noon.", reasoning="Noon."),
        Message("user", "Which bus?\n\nFrom here."),
        Message("assistant", "Line 4."),
    )


def test_a_history_that_is_no_list_of_pairs_refuses_its_row() -> None:
    good = {"instruction": "q", "output": "a", "history": [["x", "y"]]}
    for bad in ([["x"]], [["x", 3]], "x", {"x": "y"}, [["x", "y", "z"]]):
        with pytest.raises(BadInput, match=r"^d\.jsonl:3: 'history' is not "):
            mapped(good, good, good | {"history": bad})


def test_the_context_of_an_instruction_is_its_input() -> None:
    [row] = mapped({"instruction": "Sum up.", "context": "A long day.", "response": "Long."})
    assert (row.prompt, row.messages) == ("Sum up.\n\nA long day.", ())
    both = {"instruction": "Sum up.", "input": "x", "context": "y", "output": "z"}
    assert mapping_of(both).columns["input"] == "input"


@pytest.mark.parametrize("name", ["tools", "functions"])
@pytest.mark.parametrize("value", [TOOLS, json.dumps(TOOLS)])
def test_tools_are_kept_with_any_form_of_row(name: str, value: Any) -> None:
    for row in (PAIR, {"messages": [USER, REPLY]}, {"instruction": "Which bus?", "output": "x"}):
        [only] = mapped(row | {name: value})
        [tool] = json.loads(only.tools)
        assert tool["function"]["name"] == "bus"
        assert only.messages[0] == TURNS[0]


@pytest.mark.parametrize("answer", [CALL, [CALL], json.dumps(CALL), f" {json.dumps([CALL])}"])
def test_an_answer_of_calls_becomes_tool_calls_where_the_row_has_tools(answer: Any) -> None:
    for row in (
        {"prompt": "Which bus?", "completion": answer},
        {"prompt": [USER], "completion": answer},
        {"instruction": "Which bus?", "output": answer},
    ):
        [only] = mapped(row | {"tools": TOOLS})
        assert only.messages == CALLED
        assert only.reference == '{"name": "bus", "arguments": {"to": "port"}}'


@pytest.mark.parametrize("answer", ["Line 4.", "[]", '{"bus": 4}', "{not JSON"])
def test_any_other_answer_of_a_row_with_tools_stays_text(answer: str) -> None:
    assert turns_of(PAIR | {"completion": answer, "tools": TOOLS})[1].content == answer


def test_without_tools_the_json_of_a_call_stays_text() -> None:
    [row] = mapped(PAIR | {"completion": json.dumps(CALL)})
    assert (row.messages, row.reference) == ((), json.dumps(CALL))


def test_queries_with_tools_and_answers_are_read_as_calls() -> None:
    row = {"id": 9, "query": "Which bus?", "tools": json.dumps(TOOLS), "answers": [CALL]}
    for answers in ([CALL], json.dumps([CALL])):
        mapping = mapping_of(row | {"answers": answers})
        assert mapping.columns == {"prompt": "query", "completion": "answers", "tools": "tools"}
        [only] = mapped(row | {"answers": answers})
        assert (only.id, only.messages) == ("9", CALLED)


def test_what_a_file_shows_can_be_written_into_the_config() -> None:
    row = {"query": "Which bus?", "tools": TOOLS, "answers": [CALL], "system": "Be brief."}
    mapping = mapping_of(row)
    again = mapping_of(row, shape=mapping.shape, columns=mapping.columns)
    assert again == mapping


@pytest.mark.parametrize("prompt", ["Which bus?", [USER]])
@pytest.mark.parametrize("completion", ["Line 4.", [REPLY]])
def test_prompt_and_completion_may_each_be_text_or_turns(prompt: Any, completion: Any) -> None:
    [row] = mapped({"prompt": prompt, "completion": completion})
    assert (row.prompt, row.reference) == ("Which bus?", "Line 4.")
    is_text = isinstance(prompt, str) and isinstance(completion, str)
    assert row.messages == (() if is_text else TURNS)


def test_turns_of_the_assistant_in_a_prompt_are_not_trained_on() -> None:
    prompt = [USER, REPLY | {"weight": 1}, USER | {"content": "And back?"}]
    called = {"role": "assistant", "tool_calls": [CALL]}
    completion = [called, {"role": "tool", "content": "Line 5"}, REPLY | {"content": "Line 5."}]
    turns = turns_of({"prompt": prompt, "completion": completion})
    assert [(turn.role, turn.trains) for turn in turns] == [
        ("user", None),
        ("assistant", False),
        ("user", None),
        ("assistant", None),
        ("tool", None),
        ("assistant", None),
    ]


def test_a_list_that_is_neither_turns_nor_calls_is_refused() -> None:
    with pytest.raises(BadInput, match="'completion' must be text, not list"):
        mapped(PAIR | {"completion": [["x"]]})
    with pytest.raises(BadInput, match="turn 1 of 'completion' needs a role"):
        mapped({"prompt": [USER], "completion": ["x"]})


def test_messages_may_be_the_json_of_turns() -> None:
    for name in ("messages", "conversations"):
        assert turns_of({name: json.dumps([SYSTEM, USER, REPLY]), "text": "t"}) == LED
    with pytest.raises(BadInput, match=r"^d\.jsonl:2: 'messages' must be a list of turns"):
        mapped({"messages": json.dumps([USER, REPLY])}, {"messages": '[{"role": "user"'})


def test_a_preference_chat_has_its_system_column_and_tools() -> None:
    row = {"chosen": [USER, REPLY], "rejected": [USER, REPLY], "system": "Be brief."}
    [only] = mapped(row | {"tools": TOOLS})
    assert only.messages == LED
    assert "bus" in only.tools


@pytest.mark.parametrize("metric", ["exact_match", "label"])
@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"input_ids": [1, 2], "labels": [-100, 2], "attention_mask": [1, 1]}, "pretokenized"),
        ({"id": "a", "input_ids": [1, 2]}, "pretokenized"),
        ({"segments": [{"label": True, "text": "x"}]}, "axolotl's template-free rows"),
    ],
)
def test_a_format_that_is_not_read_is_named(row: dict[str, Any], what: str, metric: str) -> None:
    with pytest.raises(BadInput, match=what):
        mapping_of(row, row, metric=metric)
    assert mapping_of(row | {"text": "t"}, row | {"text": "u"}).shape == "text"


def test_with_metric_label_a_system_prompt_is_not_the_message() -> None:
    rows = [
        {"note": f"note {n}", "kind": "ab"[n % 2], "system": f"You are clerk {n}."}
        for n in range(8)
    ]
    assert mapping_of(*rows, metric="label").columns == {
        "prompt": "note",
        "completion": "kind",
        "system": "system",
    }
    given = {"prompt": "note", "completion": "system"}
    assert mapping_of(*rows, metric="label", columns=given).columns == given
