"""Builds a row of the loop from a raw row by its mapping: its turns, its tools, its reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from tui_loop.core.data.conversations import assistant_turn, read_turns, row_of_turns
from tui_loop.core.data.rows import Mapping, Message, RawRow, Row, RowFault, RowRefused
from tui_loop.core.data.tools import NotReadable, is_absent, parsed, read_calls, read_tools
from tui_loop.core.data.unused_columns import TurnUse
from tui_loop.core.text.untrusted import one_line

T = TypeVar("T")

CONTEXT_ROLES = ("system", "history", "tools")
"""The roles of columns beside prompt and answer; rows may leave them empty."""

_SYSTEM_ROLES = ("system", "developer")


def read_row(raw: RawRow, mapping: Mapping, where: str, use: TurnUse | None = None) -> Row:
    """Returns the row, without its id; `use` counts what is not read of its turns.

    Raises RowRefused, with file, line and column.
    """
    column = mapping.columns
    if mapping.shape == "text":
        return Row("", "", _text(raw, column["text"], where), raw.line)
    if mapping.shape == "messages":
        if column["messages"] not in raw.values:
            raise _missing(raw, column["messages"], where)
        turns = read_turns(raw.values[column["messages"]], raw, where, column["messages"], use)
        if use is not None and use.cuts_end:
            turns = _until_last_answer(turns, raw, use)
        system, tools, _ = _context(raw, column, where)
        return row_of_turns(_with_system(turns, system, raw, use), raw, where, tools)
    answer = column["output" if mapping.shape == "instruction" else "completion"]
    system, tools, history = _context(raw, column, where)
    asked = _asked(raw, column, where, use)
    replied = _replied(raw, answer, where, use, is_chat=bool(asked), has_tools=bool(tools))
    reference, *others = ("",) if replied else _answers(raw, answer, where)
    if not (asked or replied or system or history or tools):
        prompt = _prompt(raw, mapping, where)
        return Row("", prompt, reference, raw.line, other_references=tuple(others))
    asked = asked or (Message("user", _prompt(raw, mapping, where)),)
    replied = replied or (assistant_turn(reference),)
    turns = _with_system((*history, *asked, *replied), system, raw, use)
    row = row_of_turns(turns, raw, where, tools)
    return msgspec.structs.replace(row, other_references=tuple(others)) if others else row


def references_in(value: Any) -> list[str] | None:
    """Returns the different texts of a list of right answers, None for any other value.

    Read are a list of texts, SQuAD's {"text": [...]}, and a list of objects with a text each.
    """
    if isinstance(value, dict):
        value = value.get("text")
    if not isinstance(value, list):
        return None
    found = [each.get("text") if isinstance(each, dict) else each for each in value]
    texts = [text for text in found if isinstance(text, str)]
    if len(texts) < len(found):
        return None
    return list(dict.fromkeys(text for text in texts if text.strip()))


def read_history(value: Any) -> tuple[Message, ...]:
    """Reads earlier exchanges, a list of [question, answer] or its JSON text.

    Raises NotReadable.
    """
    pairs = parsed(value) if isinstance(value, str) else value
    turns: list[Message] = []
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        is_pair = isinstance(pair, (list, tuple)) and len(pair) == 2
        if not is_pair or not all(isinstance(text, str) for text in pair):
            raise NotReadable("is not a list of [question, answer] pairs")
        turns += (Message("user", pair[0]), assistant_turn(pair[1]))
    return tuple(turns)


def _until_last_answer(
    turns: tuple[Message, ...], raw: RawRow, use: TurnUse
) -> tuple[Message, ...]:
    """Returns the turns without those of the user after the last answer; `use` counts the row."""
    end = len(turns)
    while end and turns[end - 1].role == "user":
        end -= 1
    if end < 2 or end == len(turns):
        return turns
    use.cut.add(raw, True)
    return turns[:end]


def _context(
    raw: RawRow, column: dict[str, str], where: str
) -> tuple[str, str, tuple[Message, ...]]:
    """Returns the row's (system prompt, tools, history), each empty where it has none."""
    if column.keys().isdisjoint(CONTEXT_ROLES):  # most files; a hot loop
        return "", "", ()
    system = tools = ""
    history: tuple[Message, ...] = ()
    if "system" in column and not is_absent(raw.values.get(column["system"])):
        system = _text(raw, column["system"], where)
    if "tools" in column:
        tools = _read(raw, column["tools"], where, read_tools, tools)
    if "history" in column:
        history = _read(raw, column["history"], where, read_history, history)
    return system, tools, history


def _asked(
    raw: RawRow, column: dict[str, str], where: str, use: TurnUse | None
) -> tuple[Message, ...]:
    """Returns the turns of a prompt, none of them trained on; () for a prompt that is text."""
    prompt = raw.values.get(column["prompt"]) if "prompt" in column else None
    if not isinstance(prompt, list):
        return ()
    return tuple(
        msgspec.structs.replace(turn, trains=False) if turn.role == "assistant" else turn
        for turn in read_turns(prompt, raw, where, column["prompt"], use)
    )


def _replied(
    raw: RawRow,
    column: str,
    where: str,
    use: TurnUse | None,
    *,
    is_chat: bool,
    has_tools: bool,
) -> tuple[Message, ...]:
    """Returns the turns of an answer, or its tool calls as a turn; () for one that is text."""
    reply = raw.values.get(column)
    if is_turn(reply):
        reply = [reply]
    is_turns = isinstance(reply, list) and _is_turns(reply)
    if has_tools and not is_turns and (calls := _calls_of(reply)):
        return (calls,)
    if is_turns or (is_chat and isinstance(reply, list)):
        return read_turns(reply, raw, where, column, use)
    return ()


def is_turn(value: Any) -> bool:
    """Returns whether a value is a turn: it has a role."""
    return isinstance(value, dict) and ("role" in value or "from" in value)


def _is_turns(value: list[Any]) -> bool:
    return bool(value) and is_turn(value[0])


def _calls_of(value: Any) -> Message | None:
    """Returns an answer that consists of tool calls alone as a turn, None for any other."""
    if isinstance(value, str) and value.lstrip()[:1] not in ("[", "{"):
        return None
    if not isinstance(value, (str, list, dict)):
        return None
    try:
        return Message("assistant", "", tool_calls=read_calls(value))
    except NotReadable:
        return None


def _prompt(raw: RawRow, mapping: Mapping, where: str) -> str:
    """Returns a prompt that is text, an instruction with its input below it."""
    column = mapping.columns
    if mapping.shape != "instruction":
        return _text(raw, column["prompt"], where)
    instruction = _text(raw, column["instruction"], where)
    extra = raw.values.get(column.get("input", ""))
    return instruction if is_absent(extra) else f"{instruction}\n\n{extra}"


def _with_system(
    turns: tuple[Message, ...], system: str, raw: RawRow, use: TurnUse | None
) -> tuple[Message, ...]:
    """Returns the turns after the system prompt of the row's column.

    A system turn of their own comes first; `use` counts where the two differ.
    """
    if not system:
        return turns
    own = [turn.content for turn in turns if turn.role in _SYSTEM_ROLES]
    if not own:
        return (Message("system", system), *turns)
    if use is not None and system not in own:
        use.own_system.add(raw, system)
    return turns


def _read(raw: RawRow, column: str, where: str, read: Callable[[Any], T], absent: T) -> T:
    """Returns what `read` makes of a column that rows may leave empty; raises RowRefused."""
    value = raw.values.get(column)
    if is_absent(value):
        return absent
    try:
        return read(value)
    except NotReadable as error:
        reason, hint = f"{column!r} {error}", "fix or remove the row"
        raise RowRefused(where, raw.line, "unreadable_rows", reason, hint) from error


def _text(raw: RawRow, column: str, where: str) -> str:
    if column not in raw.values:
        raise _missing(raw, column, where)
    value = raw.values[column]
    if isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str):
        kind = "null" if value is None else type(value).__name__
        fault: RowFault = "empty_rows" if value is None else "unreadable_rows"
        reason = f"{column!r} must be text, not {kind}"
        raise RowRefused(where, raw.line, fault, reason, "fix or remove the row")
    if not value.strip():
        reason = f"{column!r} is empty"
        raise RowRefused(where, raw.line, "empty_rows", reason, "fix or remove the row")
    return value


def _answers(raw: RawRow, column: str, where: str) -> Sequence[str]:
    """Returns the right answers of a row, the one to train on first; an object becomes JSON."""
    value = raw.values.get(column)
    found = references_in(value)
    if found:
        return found
    if isinstance(value, dict) and value and found is None:
        return [json.dumps(value, ensure_ascii=False, default=str)]
    if found is not None:
        reason = f"{column!r} has no answer"
        raise RowRefused(where, raw.line, "empty_rows", reason, "fix or remove the row")
    return [_text(raw, column, where)]


def _missing(raw: RawRow, column: str, where: str) -> RowRefused:
    available = ", ".join(one_line(name) for name in raw.values) or "no columns"
    reason = f"no column {column!r}; the row has {available}"
    hint = "fix the row, or name the columns in data.columns"
    return RowRefused(where, raw.line, "unreadable_rows", reason, hint)
