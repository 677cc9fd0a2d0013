"""Reads tools and calls of tools in the forms that data sets have, as OpenAI writes them.

Tools come as a list or as its JSON text: OpenAI's form, bare functions, or xlam's parameters by
name. Calls come as OpenAI's `tool_calls` and `function_call`, or as the JSON of a call or a list.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any

from tui_loop.core.data.rows import ToolCall
from tui_loop.core.text.untrusted import one_line

_JSON_TYPES = {
    **dict.fromkeys(("str", "string", "text", "char", "date", "datetime"), "string"),
    **dict.fromkeys(("int", "integer", "long"), "integer"),
    **dict.fromkeys(("float", "double", "number"), "number"),
    **dict.fromkeys(("bool", "boolean"), "boolean"),
    **dict.fromkeys(("list", "array", "tuple", "set", "sequence"), "array"),
    **dict.fromkeys(("dict", "object", "mapping"), "object"),
}
"""Python's names of types in xlam's parameters, and those of JSON schema."""

_OPTIONAL = re.compile(r"optional\[(.*)\]|(.*?),?\s*optional")
_ARGUMENTS = ("arguments", "parameters", "args")
_OF_CALLS = frozenset({"name", "id", "type", "call_id", *_ARGUMENTS})


class NotReadable(ValueError):
    """A value that is not what its place asks for; the text says what is wrong with it."""


def is_absent(value: object) -> bool:
    """Returns whether a column or key has no value: null, NaN, "", "nan", an empty list."""
    if isinstance(value, str):
        return not value or value.isspace() or value.strip().lower() == "nan"
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or value in ([], {})


def parsed(text: str) -> Any:
    """Returns the value of a JSON text; raises NotReadable."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise NotReadable("is not JSON") from error


def as_json(value: Any) -> str:
    """Returns `value` as chat templates write JSON; raises NotReadable."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotReadable("has values that JSON cannot represent") from error


def without_nulls(value: Any) -> Any:
    """Returns a nested value without its null keys, with which Parquet fills up objects."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def read_tools(value: Any) -> str:
    """Returns the JSON list of tools in OpenAI's form, "" for none; raises NotReadable."""
    if isinstance(value, str):
        return _tools_of_text(value)
    return "" if is_absent(value) else _tools_of(without_nulls(value))


def read_calls(value: Any) -> tuple[ToolCall, ...]:
    """Reads one call or a list of them, also as JSON text; raises NotReadable.

    A call is OpenAI's `{id, type, function: {name, arguments}}`, or the function alone.
    """
    value = parsed(value) if isinstance(value, str) else without_nulls(value)
    calls = value if isinstance(value, list) else [value]
    if not calls:
        raise NotReadable("is an empty list of tool calls")
    return tuple(map(_read_call, calls))


def calls_as_json(calls: tuple[ToolCall, ...]) -> str:
    """Returns calls as a model writes them: one as an object, several as a list."""
    texts = [f'{{"name": {as_json(call.name)}, "arguments": {call.arguments}}}' for call in calls]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _read_call(call: Any) -> ToolCall:
    function = call.get("function") if isinstance(call, dict) else None
    body = function if isinstance(function, dict) else call
    name = body.get("name") if isinstance(body, dict) else None
    if not isinstance(name, str) or not name:
        raise NotReadable("has a tool call without a name")
    what = f"has a call to tool {one_line(name, 40)!r}"
    other = [key for key in body if key not in _OF_CALLS and body[key] is not None]
    if other and body is call:  # OpenAI's form names its call, a bare object may be something else
        raise NotReadable(f"{what} with the key {other[0][:40]!r}, which a call cannot have")
    value = next((body[key] for key in _ARGUMENTS if body.get(key) is not None), None)
    if value is None and body is call and "arguments" not in call:
        raise NotReadable(f"{what} without arguments")
    if isinstance(value, str):
        value = parsed(value) if value.strip() else {}
    arguments = {} if value is None else value
    if not isinstance(arguments, dict):
        raise NotReadable(f"{what} whose arguments are not an object")
    number = next((call[key] for key in ("id", "call_id") if call.get(key) is not None), "")
    return ToolCall(name, as_json(arguments), str(number))


@lru_cache(maxsize=1024)
def _tools_of_text(text: str) -> str:
    """Returns `read_tools` of a text; most rows of a file repeat the tools of another one."""
    return "" if is_absent(text) else _tools_of(parsed(text))


def _tools_of(value: Any) -> str:
    tools = [value] if isinstance(value, dict) else value
    if not isinstance(tools, list):
        raise NotReadable("is not a list of tools")
    return as_json([_read_tool(tool) for tool in tools]) if tools else ""


def _read_tool(tool: Any) -> dict[str, Any]:
    if isinstance(tool, str):
        tool = parsed(tool)
    body = tool.get("function", tool) if isinstance(tool, dict) else None
    name = body.get("name") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(name, str) or not name:
        raise NotReadable("has a tool without a name")
    function = {key: item for key, item in body.items() if body is not tool or key != "type"}
    parameters = function.get("parameters")
    if isinstance(parameters, str):
        parameters = function["parameters"] = parsed(parameters) if parameters.strip() else {}
    if isinstance(parameters, dict) and _is_by_name(parameters):
        function["parameters"] = _schema_of(parameters)
    return {"type": "function", "function": function}


def _is_by_name(parameters: dict[str, Any]) -> bool:
    """Returns whether parameters are xlam's `{name: {type, description, default}}`, no schema."""
    return bool(parameters) and all(
        isinstance(each, dict)
        and any(isinstance(each.get(key), str) for key in ("type", "description"))
        for each in parameters.values()
    )


def _schema_of(parameters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns the JSON schema of parameters by name; those without a default are required."""
    properties: dict[str, Any] = {}
    required = []
    for name, each in parameters.items():
        kind, is_optional = _json_type(str(each.get("type", "")))
        properties[name] = {**each, "type": kind} if kind else each
        if kind and not is_optional and "default" not in each:
            required.append(name)
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def _json_type(text: str) -> tuple[str, bool]:
    """Returns the type in JSON schema of `List[int], optional`, and whether it is optional."""
    kind = text.strip().lower()
    if optional := _OPTIONAL.fullmatch(kind):
        kind = (optional[1] or optional[2] or "").strip()
    base = kind.partition("[")[0].strip()
    return _JSON_TYPES.get(base, text), optional is not None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")
