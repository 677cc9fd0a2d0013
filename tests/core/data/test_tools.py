"""Tools in each form become OpenAI's, and values that are none are told from those that are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tui_loop.core.data.tools import NotReadable, is_absent, read_calls, read_tools

SCHEMA = {"type": "object", "properties": {"km": {"type": "number"}}, "required": ["km"]}
FUNCTION = {"name": "fare", "description": "The price.", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}


@pytest.mark.parametrize(
    "value",
    [
        [TOOL],
        TOOL,
        [FUNCTION],
        FUNCTION,
        {"type": "function", **FUNCTION},
        [json.dumps(FUNCTION)],
        [FUNCTION | {"parameters": json.dumps(SCHEMA)}],
        [{**TOOL, "function": {**FUNCTION, "strict": None}}],
    ],
)
def test_every_form_of_tools_becomes_openais(value: Any) -> None:
    assert json.loads(read_tools(value)) == [TOOL]
    assert read_tools(json.dumps(value).replace(', "strict": null', "")) == read_tools(value)


def test_parameters_by_name_become_a_schema() -> None:
    parameters = {
        "km": {"type": "float", "description": "Distance."},
        "seats": {"type": "int, optional", "description": "Seats.", "default": 1},
        "stops": {"type": "List[str]", "description": "Stops."},
        "night": {"type": "Optional[bool]"},
        "tariff": {"type": "Tariff", "default": "city"},
    }
    [tool] = json.loads(read_tools([{"name": "fare", "parameters": parameters}]))
    assert tool["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "km": {"type": "number", "description": "Distance."},
            "seats": {"type": "integer", "description": "Seats.", "default": 1},
            "stops": {"type": "array", "description": "Stops."},
            "night": {"type": "boolean"},
            "tariff": {"type": "Tariff", "default": "city"},
        },
        "required": ["km", "stops"],
    }


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        {"type": "object", "properties": {}},
        {"properties": {"type": {"type": "string"}}},
        {},
        {"$ref": "#/x"},
    ],
)
def test_a_schema_stays_as_it_is(schema: dict[str, Any]) -> None:
    [tool] = json.loads(read_tools([{"name": "fare", "parameters": schema}]))
    assert tool["function"]["parameters"] == schema


@pytest.mark.parametrize("value", [None, "", " ", "nan", "[]", [], {}, float("nan")])
def test_no_tools_are_no_text(value: Any) -> None:
    assert read_tools(value) == ""


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("fare", "is not JSON"),
        ("7", "is not a list of tools"),
        (7, "is not a list of tools"),
        ([{"description": "x"}], "has a tool without a name"),
        ([[1]], "has a tool without a name"),
        (["fare"], "is not JSON"),
        ('[{"name": "fare", "parameters": {"x": NaN}}]', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_what_is_no_list_of_tools_is_said(value: Any, problem: str) -> None:
    with pytest.raises(NotReadable, match=problem):
        read_tools(value)


@pytest.mark.parametrize(
    ("value", "absent"),
    [
        *((None, True), ("", True), (" NaN ", True), (float("nan"), True), ([], True)),
        *((0, False), (False, False), ("none", False), ([0], False), (0.0, False)),
    ],
)
def test_a_value_that_files_have_for_nothing_is_absent(value: Any, absent: bool) -> None:
    assert is_absent(value) is absent


def test_a_definition_of_a_tool_is_not_a_call_of_it() -> None:
    with pytest.raises(NotReadable):
        read_calls([FUNCTION])
    [call] = read_calls({"name": "fare", "parameters": {"km": 3}})
    assert call.arguments == '{"km": 3}'
