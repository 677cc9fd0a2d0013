"""What a row of data is once its columns have been mapped, and how it is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import short_hash

Shape = Literal["text", "prompt_completion", "messages", "instruction"]


ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function", "ipython"})
"""Roles of turns that chat templates know."""

CALL_ROLES = {"function_call": "assistant", "observation": "tool"}
"""ShareGPT's roles of a tool call and its result, and the roles that they are read as."""

RowFault = Literal["empty_rows", "wrong_roles", "unreadable_rows", "unknown_label"]
"""What makes a row one that cannot be used."""


class RowRefused(BadInput):
    """A row that cannot be used: `line` is where it starts, `reason` names no place."""

    def __init__(self, where: str, line: int, fault: RowFault, reason: str, hint: str) -> None:
        super().__init__(f"{where}:{line}: {reason}", hint)
        self.line, self.fault, self.reason = line, fault, reason


class RawRow(msgspec.Struct, frozen=True):
    """A row as the file has it, and the line where it starts (1-based)."""

    line: int
    values: dict[str, Any]


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: str
    content: str


class Row(msgspec.Struct, frozen=True):
    """A mapped row.

    `prompt` is the input as a person reads it and `reference` what the model should say.
    Shape `text` has an empty prompt; shape `messages` keeps its turns, the last of them the
    reference. `columns` are (name, value) of those by which rows can be grouped; held-out
    rows alone have them.
    """

    id: str
    prompt: str
    reference: str
    line: int
    messages: tuple[Message, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def input_text(self) -> str:
        """Returns the text that identifies the row: the prompt, or the text itself."""
        return self.prompt or self.reference


class Mapping(msgspec.Struct, frozen=True):
    """How a data set's columns are read."""

    shape: Shape
    columns: dict[str, str]


def with_ids(rows: Iterable[Row], given: list[str] | None) -> list[Row]:
    """`rows` named by a unique id column if there is one, else by the hash of their input.

    Repeats of a hash get -2, -3 in file order.
    """
    if given is not None:
        return [
            msgspec.structs.replace(row, id=name) for row, name in zip(rows, given, strict=True)
        ]
    seen: Counter[str] = Counter()
    named = []
    for row in rows:
        name = short_hash(row.input_text)
        seen[name] += 1
        suffix = f"-{seen[name]}" if seen[name] > 1 else ""
        named.append(Row(name + suffix, row.prompt, row.reference, row.line, row.messages))
    return named
