"""Raw and mapped rows of data, and their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import short_hash

Shape = Literal["text", "prompt_completion", "messages", "instruction"]


ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function", "ipython"})
"""The roles of turns in chat templates."""

CALL_ROLES = {"function_call": "assistant", "observation": "tool"}
"""ShareGPT's roles for a tool call and its result, and the roles they are mapped to."""

RowFault = Literal["empty_rows", "wrong_roles", "unreadable_rows", "unknown_label"]
"""Why a row cannot be used."""


class RowRefused(BadInput):
    """An unusable row: `line` is where it starts; `reason` does not name the place."""

    def __init__(self, where: str, line: int, fault: RowFault, reason: str, hint: str) -> None:
        super().__init__(f"{where}:{line}: {reason}", hint)
        self.line, self.fault, self.reason = line, fault, reason


class RawRow(msgspec.Struct, frozen=True):
    """A row of a file, and the line where it starts (1-based)."""

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
    """The shape of a data set, and the column of each role."""

    shape: Shape
    columns: dict[str, str]


def with_ids(rows: Iterable[Row], given: list[str] | None) -> list[Row]:
    """Gives `rows` ids: from a unique id column if there is one, else the hash of their input.

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
