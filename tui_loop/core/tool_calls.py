"""Parses the tool calls in an output, in the forms that common chat templates teach.

Hermes, Qwen   <tool_call>{"name": ..., "arguments": {...}}</tool_call>, any number of them
Mistral        [TOOL_CALLS][{...}, {...}], or [TOOL_CALLS]name[ARGS]{...}
Llama 3        {"name": ..., "parameters": {...}}, also after <|python_tag|>
bare JSON      a call or a list of calls that begins a line, also in a code fence; also in OpenAI's
               form {"type": "function", "function": {...}}, and with arguments as JSON text

A call that begins within a line of text is text, since an answer may well quote one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

_MARK = re.compile(r"<tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>")
_CLOSING = "</tool_call>"
_END = re.compile(r"\s*</tool_call>")
_NAMED = re.compile(r"\s*([\w.-]+)(?:\[CALL_ID\]\w*)?(?:\[ARGS\])?\s*(?=\{)")
_START = re.compile(r"^[ \t]*(```\w*\s*)?(?=[\[{])", re.MULTILINE)
_FENCE = re.compile(r"\s*```")
_NEXT = re.compile(r"\s*[;,]?\s*(?=[\[{])")
_SPACE = re.compile(r"\s*")
_CALL_KEYS = re.compile(
    r"""[\[\s]*\{\s*["'](?:(?:name|function|arguments|parameters)["']\s*:"""
    r"""|type["']\s*:\s*["']function["'])"""
)
"""The start of a call, valid or not."""

_ARGUMENTS = ("arguments", "parameters")

_MOST_FAILURES = 20
"""Places without valid JSON after which the rest is text: each may cost a pass over the output."""


class ParsedCall(msgspec.Struct, frozen=True):
    """A tool call; `form` is its JSON text, which is equal for equal calls."""

    name: str
    arguments: dict[str, Any]
    form: str


class ParsedOutput(msgspec.Struct, frozen=True):
    """The calls of an output in order, and the text beside them.

    `is_broken`: something looks like a call and cannot be parsed.
    """

    calls: tuple[ParsedCall, ...]
    text: str
    is_broken: bool = False

    @property
    def forms(self) -> Counter[str]:
        """Returns how often each call occurs."""
        return Counter(call.form for call in self.calls)


def parse_tool_calls(output: str) -> ParsedOutput:
    """Parses the calls in an output; the time is linear in its length."""
    reader = _Reader(output)
    if _MARK.search(output):
        reader.read_marked()
    else:
        reader.read_bare()
    return reader.parsed()


def same_calls(output: str, reference: str) -> bool:
    """Returns whether both make the same calls, in any order."""
    parsed = parse_tool_calls(output)
    return not parsed.is_broken and parsed.forms == parse_tool_calls(reference).forms


class _Reader:
    """Reads an output from its start to its end.

    `_place`: the end of the last call. `_data_end`: the end of the last value that is no call.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        self._place = self._data_end = 0
        self._failures = 0
        self._calls: list[ParsedCall] = []
        self._text: list[str] = []
        self._is_broken = False

    def parsed(self) -> ParsedOutput:
        """Returns what was read; the rest of the output is text."""
        self._text.append(self._output[self._place :])
        text = "\n".join(part for each in self._text if (part := each.strip()))
        return ParsedOutput(tuple(self._calls), text, self._is_broken)

    def read_marked(self) -> None:
        """Reads what follows each mark of a call."""
        marks = list(_MARK.finditer(self._output))
        for mark, following in zip(marks, [*marks[1:], None], strict=True):
            if mark.start() < self._place:  # within a string of the last call
                continue
            self._text.append(self._output[self._place : mark.start()])
            if self._read_named(mark) or self._read_values(mark.end(), is_marked=True):
                closing = _END.match(self._output, self._place)
                self._place = closing.end() if closing else self._place
                continue
            self._is_broken = True
            self._failures += 1
            end = len(self._output) if following is None else following.start()
            closed = self._output.find(_CLOSING, mark.end(), end)
            self._place = end if closed < 0 else closed + len(_CLOSING)
            if self._failures == _MOST_FAILURES:
                return

    def read_bare(self) -> None:
        """Reads the JSON values that begin a line; those that are no calls are text."""
        for start in _START.finditer(self._output):
            before = self._place
            if start.start() < max(before, self._data_end):
                continue
            if not self._read_values(start.end(), is_marked=False):
                continue
            self._text.append(self._output[before : start.start()])
            fence = _FENCE.match(self._output, self._place) if start[1] else None
            self._place = fence.end() if fence else self._place

    def _read_named(self, mark: re.Match[str]) -> bool:
        """Reads `name[ARGS]{...}` after Mistral's mark; returns False where it is not there."""
        named = _NAMED.match(self._output, mark.end()) if mark[0] == "[TOOL_CALLS]" else None
        decoded = _decode(self._output, named.end()) if named else None
        if named is None or decoded is None:
            return False
        arguments, self._place = decoded
        self._add([_call(named[1], arguments)])
        return True

    def _read_values(self, start: int, *, is_marked: bool) -> bool:
        """Reads a call or a list of calls, and those after it; returns whether there are any."""
        found, place = False, _end_of(_SPACE, self._output, start)
        while place is not None and self._failures < _MOST_FAILURES:
            decoded = _decode(self._output, place)
            if decoded is None:
                self._failures += not is_marked
                self._is_broken |= _CALL_KEYS.match(self._output, place) is not None
                break
            value, end = decoded
            values = value if isinstance(value, list) else [value]
            if not is_marked and not any(_resembles_call(each) for each in values):
                self._data_end = end
                break
            self._add([_call_of(each) for each in values])
            found, self._place = True, end
            place = _end_of(_NEXT, self._output, end)
        return found

    def _add(self, calls: Sequence[ParsedCall | None]) -> None:
        """Adds calls; None is an invalid one."""
        self._calls += [call for call in calls if call is not None]
        self._is_broken |= None in calls


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int | None:
    found = pattern.match(text, start)
    return found.end() if found else None


def _resembles_call(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("function"), dict):
        return True
    return isinstance(value.get("name"), str) and any(key in value for key in _ARGUMENTS)


def _call_of(value: Any) -> ParsedCall | None:
    """Returns the call that a JSON value describes, None where it is not valid."""
    if not isinstance(value, dict):
        return None
    inner = value.get("function")
    fields = inner if isinstance(inner, dict) else value
    arguments = next((fields[key] for key in _ARGUMENTS if key in fields), None)
    if isinstance(arguments, str) and arguments.strip():
        decoded = _decode(arguments.strip(), 0)
        if decoded is None or decoded[1] < len(arguments.strip()):
            return None
        arguments = decoded[0]
    return _call(fields.get("name"), arguments)


def _call(name: Any, arguments: Any) -> ParsedCall | None:
    """Makes a call; a tool without arguments may have null or blank text instead of an object."""
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        arguments = {}
    if not (isinstance(name, str) and name and isinstance(arguments, dict)):
        return None
    try:
        form = json.dumps(arguments, sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return ParsedCall(
        name, arguments, f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": {form}}}'
    )


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def _number(text: str) -> int | float:
    """Reads a number with a point or an exponent; 36.0 becomes 36, since they are equal."""
    value = float(text)
    return int(value) if value.is_integer() else value


_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_refuse_constant)


def _decode(text: str, start: int) -> tuple[Any, int] | None:
    """Returns the JSON value that starts at a place, and its end."""
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
