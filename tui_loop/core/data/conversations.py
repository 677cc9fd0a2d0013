"""Reads the turns of conversations, OpenAI's (role, content) and ShareGPT's (from, value).

Tool calls, results, reasoning and weights of turns are read in the spellings of both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tui_loop.core.data.rows import ROLES, Message, RawRow, Row, RowRefused, ToolCall
from tui_loop.core.data.tools import (
    NotReadable,
    as_json,
    calls_as_json,
    is_absent,
    parsed,
    read_calls,
    without_nulls,
)
from tui_loop.core.data.unused_columns import TRAINING_KEYS, TurnUse

_CALL_ROLES = frozenset({"function_call", "tool_call"})
"""The roles of ShareGPT's turns whose text is the JSON of calls."""

_KNOWN = {
    **{role: role for role in ROLES},
    "human": "user",
    **dict.fromkeys(("gpt", "chatgpt", "bot", "model"), "assistant"),
    **dict.fromkeys(("observation", "tool_response"), "tool"),
    **dict.fromkeys(_CALL_ROLES, "assistant"),
}

_PLAIN = {spelled: role for spelled, role in _KNOWN.items() if spelled not in _CALL_ROLES}
"""The roles whose text is the turn."""

RESULT_ROLES = frozenset({"tool", "function", "ipython"})
"""The roles of a tool's result."""

_ALTERNATING = ("user", "assistant")

_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
_RESULT_KEYS = ("name", "tool_call_id")
_CALL_KEYS = ("tool_calls", "function_call")
_KEYS = frozenset(
    {
        *("role", "from", "content", "value"),
        *(*TRAINING_KEYS, *_REASONING_KEYS, *_RESULT_KEYS, *_CALL_KEYS),
    }
)
"""The keys of turns that are read, each in the turns where it has a meaning."""

_THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)
_WEIGHTS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


class _TurnRefused(Exception):
    """An unusable turn: (reason, hint), without its place."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint


def role_of(role: str) -> str | None:
    """Returns a role in the spelling of chat templates, None for an unknown one."""
    return _KNOWN.get(role) or _KNOWN.get(role.strip().lower())


def turns_in(value: Any) -> list[Any] | None:
    """Returns the list of turns that a value is, also as JSON text; None for anything else."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            value = parsed(value)
        except NotReadable:
            return None
    is_turns = isinstance(value, list) and value and isinstance(value[0], dict)
    return value if is_turns else None


def are_texts(value: Any) -> bool:
    """Returns whether a value is a list of several texts: turns, the user's first."""
    return (
        isinstance(value, list) and len(value) > 1 and all(isinstance(text, str) for text in value)
    )


def read_turns(
    value: Any, raw: RawRow, where: str, column: str, use: TurnUse | None = None
) -> tuple[Message, ...]:
    """Reads the turns in a column of a row; `use` counts the keys that are not read.

    Raises RowRefused.
    """
    if isinstance(value, str):
        value = turns_in(value)
    if not isinstance(value, list) or not value:
        reason = f"{column!r} must be a list of turns"
        hint = "write [{role, content}, ...]"
        raise RowRefused(where, raw.line, "wrong_roles", reason, hint)
    if are_texts(value):
        value = [{"role": _ALTERNATING[at % 2], "content": text} for at, text in enumerate(value)]
    turns: list[Message] = []
    for turn in value:  # a hot loop: files have millions of turns
        if type(turn) is dict and len(turn) == 2:
            role, content = turn.get("role"), turn.get("content")
            if role is None:
                role, content = turn.get("from"), turn.get("value")
            known = _PLAIN.get(role) if type(role) is str else None
            if (
                known is not None
                and type(content) is str
                and (known != "assistant" or _THOUGHT.match(content) is None)
            ):
                turns.append(Message(known, content))
                continue
        try:
            turns.append(_read_turn(turn, raw, column, use))
        except _TurnRefused as error:
            place = f"turn {len(turns) + 1} of {column!r}"
            reason, hint = f"{place} {error.reason}", f"{error.hint}, or remove the row"
            raise RowRefused(where, raw.line, "wrong_roles", reason, hint) from None
    return tuple(turns)


def assistant_turn(text: str) -> Message:
    """Returns an assistant's turn, with the reasoning that begins its text kept apart."""
    content, reasoning = _without_thought(text)
    return Message("assistant", content, reasoning=reasoning)


def text_of(turn: Message) -> str:
    """Returns what a turn says: its content, and its tool calls as JSON on a line of their own."""
    if not turn.tool_calls:
        return turn.content
    calls = calls_as_json(turn.tool_calls)
    return f"{turn.content}\n{calls}" if turn.content.strip() else calls


def row_of_turns(turns: tuple[Message, ...], raw: RawRow, where: str, tools: str = "") -> Row:
    """Returns the row whose reference is the last turn; raises RowRefused."""
    last = turns[-1]
    hint = "add the reply that the model should give, or remove the row"
    if len(turns) < 2 or last.role != "assistant":
        reason = f"a conversation must end with an assistant turn, not with the role {last.role!r}"
        if last.role == "assistant":
            reason = "a conversation needs a turn before the assistant turn"
            hint = "add the turn that the assistant answers, or remove the row"
        raise RowRefused(where, raw.line, "wrong_roles", reason, hint)
    reference = text_of(last)
    if not reference or reference.isspace():
        reason = f"the last turn {'has reasoning but no answer' if last.reasoning else 'is empty'}"
        raise RowRefused(where, raw.line, "empty_rows", reason, hint)
    return Row("", shown_turns(turns), reference, raw.line, turns, tools=tools)


def shown_turns(turns: Sequence[Message]) -> str:
    """Returns the turns before the last one as a person reads them."""
    if len(turns) == 2:
        return text_of(turns[0])
    return "\n".join([f"{turn.role}: {text_of(turn)}" for turn in turns[:-1]])


def _read_turn(turn: Any, raw: RawRow, column: str, use: TurnUse | None) -> Message:
    """Reads a turn of any form; raises _TurnRefused."""
    if not isinstance(turn, dict):
        raise _no_role_or_content()
    role_key = "role" if turn.get("role") is not None else "from"
    content_key = "content" if turn.get("content") is not None else "value"
    spelled, content = turn.get(role_key), turn.get(content_key)
    if not isinstance(spelled, str):
        raise _no_role_or_content()
    role = role_of(spelled)
    if role is None:
        roles = ", ".join(sorted(ROLES))
        reason = f"has the unknown role {spelled[:40]!r}"
        raise _TurnRefused(reason, f"rename the role to one of {roles}")
    read = {role_key, content_key}
    calls = _calls_of(turn, read) if role == "assistant" else ()
    if isinstance(content, list) and (role not in RESULT_ROLES or _has_parts(content)):
        content = "".join([_part(part, raw, column, use) for part in content])
    elif not isinstance(content, str):
        content = _content_of(content, role, has_calls=bool(calls))
    reasoning = ""
    if role == "assistant":
        content, reasoning = _without_thought(content, _reasoning_of(turn, read))
        if not calls and spelled.strip().lower() in _CALL_ROLES:
            content, calls = _calls_in_text(content, spelled, raw, use)
    trains = _trains(turn, role, read)
    name = number = ""
    if role in RESULT_ROLES:
        name, number = (_text_at(turn, key, read) for key in _RESULT_KEYS)
    if use is not None:
        for key, value in turn.items():
            if key not in read and not (key in _KEYS and is_absent(without_nulls(value))):
                use.add(raw, f"{column}[].{key}", value)
    return Message(role, content, trains, reasoning, calls, name, number)


def _no_role_or_content() -> _TurnRefused:
    return _TurnRefused(
        "needs a role and content, both as text", 'write {"role": "user", "content": "..."}'
    )


def _content_of(value: Any, role: str, *, has_calls: bool) -> str:
    """Returns the text of a content that is neither text nor parts: that of a call or a result."""
    if value is None and has_calls:
        return ""
    if role in RESULT_ROLES and isinstance(value, (dict, list)):
        try:
            return as_json(value)
        except NotReadable as error:
            raise _TurnRefused(
                "has a tool result with values that JSON cannot represent",
                "write the result as text",
            ) from error
    raise _no_role_or_content()


def _has_parts(value: Any) -> bool:
    """Returns whether a content is a list of parts, and not data of another kind."""
    return isinstance(value, list) and all(
        isinstance(part, str) or (isinstance(part, dict) and "type" in part) for part in value
    )


def _part(part: Any, raw: RawRow, column: str, use: TurnUse | None) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise _no_role_or_content()
    kind = part.get("type")
    if kind not in (None, "text"):
        reason = f"has a part of type {str(kind)[:40]!r}, but only text is supported"
        raise _TurnRefused(reason, "write the content of the turn as text")
    text = part.get("text")
    if not isinstance(text, str):
        raise _TurnRefused(
            "has a content part without text", 'write {"type": "text", "text": "..."}'
        )
    if use is not None and len(part) > 2:
        for key, value in part.items():
            if key not in ("type", "text") and value is not None:
                use.add(raw, f"{column}[].content[].{key}", value)
    return text


def _calls_of(turn: dict[str, Any], read: set[str]) -> tuple[ToolCall, ...]:
    """Returns the calls in OpenAI's `tool_calls`, or in the older `function_call`."""
    for key in _CALL_KEYS:
        value = turn.get(key)
        if value is None or is_absent(without_nulls(value)):
            continue
        read.add(key)
        try:
            return read_calls(value)
        except NotReadable as error:
            hint = 'write {"name": "...", "arguments": {...}}'
            raise _TurnRefused(f"has {key} that cannot be read: the value {error}", hint) from error
    return ()


def _calls_in_text(
    text: str, spelled: str, raw: RawRow, use: TurnUse | None
) -> tuple[str, tuple[ToolCall, ...]]:
    """Returns (content, calls) of a turn that is a call by its role; a text is no call."""
    try:
        return "", read_calls(text)
    except NotReadable:
        if use is not None:
            use.add_call(raw, spelled.strip().lower())
        return text, ()


def _reasoning_of(turn: dict[str, Any], read: set[str]) -> str:
    reasoning = ""
    for key in _REASONING_KEYS:
        value = turn.get(key)
        if value is None:
            continue
        if isinstance(value, list) and all(isinstance(part, dict) for part in value):
            value = "".join(str(part.get("text") or "") for part in value)
        if isinstance(value, str) and (not reasoning or value == reasoning):
            reasoning = value
            read.add(key)
    return reasoning.strip()


def _without_thought(content: str, reasoning: str = "") -> tuple[str, str]:
    """Returns (answer, reasoning) of a text that begins with `<think>`.

    A text whose turn has another reasoning of its own stays whole.
    """
    thought = _THOUGHT.match(content)
    if thought is None or (reasoning and thought[1].strip() != reasoning):
        return content, reasoning
    return content[thought.end() :], thought[1].strip()


def _trains(turn: dict[str, Any], role: str, read: set[str]) -> bool | None:
    """Returns what a turn's weight says; one that is neither 0 nor 1 counts as 1.

    Only the assistant's turns are trained on, so axolotl's `train: true` of another turn is not
    read. OpenAI's `weight: 1` is the default of any turn.
    """
    trains = None
    for key in TRAINING_KEYS:
        value = turn.get(key)
        if value is None or is_absent(value):
            continue
        weight = _WEIGHTS.get(str(value).strip().lower())
        if weight is False or (weight and (role == "assistant" or key == "weight")):
            read.add(key)
        trains = (trains is not False) and weight is not False
    return trains if role == "assistant" or trains is False else None


def _text_at(turn: dict[str, Any], key: str, read: set[str]) -> str:
    value = turn.get(key)
    if not isinstance(value, (str, int)):
        return ""
    read.add(key)
    return str(value)
