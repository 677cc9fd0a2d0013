"""The tool calls in an output, in every form that is read, and hostile output."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.work import calls_of
from tui_loop.core.tool_calls import parse_tool_calls, same_calls

LIGHT = '{"name": "set_light", "arguments": {"room": "attic", "level": 3}}'
DOOR = '{"name": "lock_door", "arguments": {}}'
BOTH = [LIGHT, DOOR]


def forms(output: str) -> list[str]:
    return list(parse_tool_calls(output).forms.elements())


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (f"<tool_call>\n{LIGHT}\n</tool_call>", ""),
        (f"At once.\n<tool_call>{LIGHT}</tool_call>\nDone.", "At once.\nDone."),
        (f"<tool_call>{LIGHT}", ""),
        (f"[TOOL_CALLS][{LIGHT}]", ""),
        (f"[TOOL_CALLS] {LIGHT}", ""),
        ('[TOOL_CALLS]set_light[ARGS]{"level": 3, "room": "attic"}', ""),
        ('[TOOL_CALLS]set_light[CALL_ID]x9[ARGS]{"level": 3, "room": "attic"}', ""),
        ('<|python_tag|>{"name": "set_light", "parameters": {"level": 3, "room": "attic"}}', ""),
        ('{"name": "set_light", "parameters": {"room": "attic", "level": 3}}', ""),
        (LIGHT, ""),
        (f"[{LIGHT}]", ""),
        (f"On it:\n  {LIGHT}\nthen rest", "On it:\nthen rest"),
        (f"```json\n{LIGHT}\n```", ""),
        (f"So:\n```\n{LIGHT}\n```\nIs it lit?", "So:\nIs it lit?"),
        (json.dumps(json.loads(LIGHT), indent=2), ""),
        (json.dumps({"type": "function", "function": json.loads(LIGHT)}), ""),
        ('{"name": "set_light", "arguments": "{\\"room\\": \\"attic\\", \\"level\\": 3.0}"}', ""),
        ('{"id": "c1", "name": "set_light", "arguments": {"room": "attic", "level": 3e0}}', ""),
    ],
)
def test_a_call_is_read_in_every_form(output: str, text: str) -> None:
    parsed = parse_tool_calls(output)
    (call,) = parsed.calls
    assert (call.name, call.arguments) == ("set_light", {"room": "attic", "level": 3})
    assert (parsed.text, parsed.is_broken) == (text, False)


@pytest.mark.parametrize(
    "output",
    [
        f"<tool_call>{LIGHT}</tool_call>\n<tool_call>{DOOR}</tool_call>",
        f"<tool_call>[{LIGHT}, {DOOR}]</tool_call>",
        f"[TOOL_CALLS][{LIGHT}, {DOOR}]",
        '[TOOL_CALLS]set_light[ARGS]{"room": "attic", "level": 3}[TOOL_CALLS]lock_door[ARGS]{}',
        f"<|python_tag|>{LIGHT}; {DOOR}",
        f"[{LIGHT}, {DOOR}]",
        f"{LIGHT}\n{DOOR}",
        f"First.\n{LIGHT}\nSecond.\n{DOOR}",
    ],
)
def test_several_calls_are_read_in_order(output: str) -> None:
    parsed = parse_tool_calls(output)
    assert [call.name for call in parsed.calls] == ["set_light", "lock_door"]
    assert not parsed.is_broken


@pytest.mark.parametrize(
    "output",
    [
        "",
        "The attic is lit.",
        "[]",
        '{"name": "Ada", "age": 36}',
        '{"name": "Ada"}',
        '[{"room": "attic"}]',
        f"You could call {LIGHT} for that.",
        f'{{"last": {LIGHT}}}',
        f'{{"last":\n{LIGHT}}}',
        '{"age": 36, "na',
        "[see the manual]",
    ],
)
def test_other_text_and_other_data_are_no_calls(output: str) -> None:
    parsed = parse_tool_calls(output)
    assert parsed.calls == ()
    assert (parsed.text, parsed.is_broken) == (output, False)


@pytest.mark.parametrize(
    ("output", "calls"),
    [
        ('<tool_call>{"name": "set_light", "argu', 0),
        ("<tool_call>set_light(level=3)</tool_call>", 0),
        ('<tool_call>{"level": 3}</tool_call>', 0),
        ("[TOOL_CALLS]set_light", 0),
        ('[TOOL_CALLS]set_light[ARGS]{"level": ', 0),
        ("<|python_tag|>set_light.call(level=3)", 0),
        ("{'name': 'set_light', 'arguments': {'level': 3}}", 0),
        ('{"name": "set_light", "arguments": {"level": 3}', 0),
        ('{"name": "set_light", "arguments": [3]}', 0),
        ('{"name": "set_light", "arguments": "level 3"}', 0),
        ('{"name": "set_light", "arguments": {"level": NaN}}', 0),
        ('{"type": "function", "function": {"name": "set_li', 0),
        (f"[{LIGHT}, 7]", 1),
        (f"<tool_call>{LIGHT}</tool_call><tool_call>{DOOR[:-5]}", 1),
        (f"{LIGHT}; {DOOR[:-5]}", 1),
        (f"[\n{LIGHT},\n{DOOR[:-5]}", 1),
    ],
)
def test_what_looks_like_a_call_and_is_none_is_broken(output: str, calls: int) -> None:
    parsed = parse_tool_calls(output)
    assert (len(parsed.calls), parsed.is_broken) == (calls, True)


def test_text_after_a_broken_call_is_kept() -> None:
    parsed = parse_tool_calls(f"One.<tool_call>?</tool_call>Two.<tool_call>{DOOR}</tool_call>")
    assert (parsed.text, len(parsed.calls)) == ("One.\nTwo.", 1)


def test_a_mark_within_an_argument_begins_no_call() -> None:
    inner = json.dumps({"name": "note", "arguments": {"text": f"<tool_call>{DOOR}</tool_call>"}})
    assert forms(f"<tool_call>{inner}</tool_call>") == [inner]


@pytest.mark.parametrize("arguments", ["null", '""', '" "', "{}"])
def test_a_tool_without_arguments_may_have_no_object(arguments: str) -> None:
    assert forms(f'{{"name": "lock_door", "arguments": {arguments}}}') == [DOOR]
    assert forms('<tool_call>{"name": "lock_door"}</tool_call>') == [DOOR]


@pytest.mark.parametrize(
    ("output", "is_same"),
    [
        (LIGHT, True),
        ('{"arguments": {"level": 3.0, "room": "attic"}, "name": "set_light"}', True),
        (LIGHT.replace("attic", "Attic"), False),
        (LIGHT.replace("3", '"3"'), False),
        (LIGHT.replace("3", "true"), False),
        (LIGHT.replace("set_light", "set_lights"), False),
        (f"{LIGHT}\n{LIGHT}", False),
        (f"{LIGHT}\n<oops", True),
        (f"{LIGHT}; {LIGHT[:-4]}", False),
    ],
)
def test_calls_are_compared_as_json_values(output: str, is_same: bool) -> None:
    assert same_calls(output, LIGHT) is is_same


def test_true_is_not_1_and_an_absent_argument_is_not_null() -> None:
    one = '{"name": "f", "arguments": {"x": 1}}'
    assert not same_calls(one.replace("1", "true"), one)
    assert not same_calls('{"name": "f", "arguments": {}}', one.replace("1", "null"))


def test_the_order_of_calls_is_free_and_their_number_is_not() -> None:
    assert same_calls(f"{DOOR}\n{LIGHT}", f"[{LIGHT}, {DOOR}]")
    assert not same_calls(f"{DOOR}\n{LIGHT}", f"[{LIGHT}, {DOOR}, {DOOR}]")


def test_a_reference_of_text_and_calls_is_compared_by_its_calls() -> None:
    assert same_calls(f"<tool_call>{LIGHT}</tool_call>", f"I light the attic.\n{LIGHT}")


def test_a_reference_without_a_call_wants_an_output_without_one() -> None:
    assert same_calls("It is dark.", "The attic is dark.")
    assert same_calls("", "The attic is dark.")
    assert not same_calls(LIGHT, "The attic is dark.")
    assert not same_calls("<tool_call>{", "The attic is dark.")


HOSTILE = [
    *(
        "[",
        "{",
        '"',
        "[1,",
        '{"a":',
        "<tool_call>",
        "<tool_call>[",
        '<tool_call>{"',
        "[TOOL_CALLS]",
    ),
    *(
        "[TOOL_CALLS]a",
        "<|python_tag|>[",
        "[\n",
        '{"a":\n',
        "```\n",
        "```json\n[\n",
        " ",
        "\n",
        "9",
    ),
    *('{"name":"f","arguments":{"a":"', '{"name":"f","arguments":"', f"{DOOR}\n", "[1]\n", "[x\n"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_work_for_hostile_output_grows_with_its_length(piece: str) -> None:
    small, large = (piece * (size // len(piece)) for size in (10_000, 100_000))
    parse_tool_calls(large)
    few, many = (calls_of(lambda text=text: parse_tool_calls(text)) for text in (small, large))  # type: ignore[misc]
    assert many <= 12 * few + 100


@given(st.lists(st.sampled_from([*HOSTILE, LIGHT, "</tool_call>", "}", "]", ",", "é\ud800"])))
def test_no_output_raises(pieces: list[str]) -> None:
    parsed = parse_tool_calls("".join(pieces))
    assert all(json.loads(call.form)["name"] == call.name for call in parsed.calls)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, width=32) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(min_size=1), st.dictionaries(st.text(), VALUES, max_size=4))
def test_any_call_is_read_back_and_equals_itself(name: str, arguments: dict[str, object]) -> None:
    if "Infinity" in json.dumps(arguments):
        return
    call = json.dumps({"name": name, "arguments": arguments})
    parsed = parse_tool_calls(f"<tool_call>{call}</tool_call>")
    assert [(each.name, each.arguments) for each in parsed.calls] == [(name, arguments)]
    assert same_calls(call, parsed.calls[0].form)
