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

SOURCE = "source"
"""The column of evaluation rows that names their source, where there are several."""

RowFault = Literal["empty_rows", "wrong_roles", "unreadable_rows", "unknown_label"]
"""Why a row cannot be used."""


class RowRefused(BadInput):
    """An unusable row: `line` is where it starts; `reason` does not name the place.

    `source`: the name of its source, where its split has several.
    """

    def __init__(self, where: str, line: int, fault: RowFault, reason: str, hint: str) -> None:
        super().__init__(f"{where}:{line}: {reason}", hint)
        self.line, self.fault, self.reason = line, fault, reason
        self.source = ""


class RawRow(msgspec.Struct, frozen=True):
    """A row of a file, and the line where it starts (1-based)."""

    line: int
    values: dict[str, Any]


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a tool: `arguments` is a JSON object as text."""

    name: str
    arguments: str
    id: str = ""


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation.

    `trains`: what the row itself says about training on this turn; None where it says nothing, and
    `data.train_on` decides. `reasoning`: the thinking before an assistant's answer. `name` and
    `tool_call_id` belong to the result of a tool.
    """

    role: str
    content: str
    trains: bool | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    name: str = ""
    tool_call_id: str = ""


class Row(msgspec.Struct, frozen=True):
    """A mapped row.

    `prompt` is the input as a person reads it and `reference` what the model should say.
    Shape `text` has an empty prompt. Rows of conversations keep their turns, the last of them the
    reference, and `tools`, the JSON list of the tools that the model may call. `columns` are (name,
    value) of those by which rows can be grouped; held-out rows alone have them.

    `conversation`: the id of the row whose answers are evaluated one by one, this being one of
    them. The loss of turns before number `counted_from` belongs to the answers before.
    `other_references`: further answers that count as right; the model is trained on none of them.
    `source`: the name of the source that has the row, "" where its split has only one.
    """

    id: str
    prompt: str
    reference: str
    line: int
    messages: tuple[Message, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    tools: str = ""
    conversation: str = ""
    counted_from: int = 0
    other_references: tuple[str, ...] = ()
    source: str = ""

    @property
    def input_text(self) -> str:
        """Returns the text that identifies the row: the prompt, or the text itself."""
        return self.prompt or self.reference

    @property
    def place(self) -> str:
        """Returns the row's line, with its source where there are several: `line 5 of orders`."""
        return f"line {self.line}" + (f" of {self.source}" if self.source else "")

    @property
    def short_place(self) -> str:
        """Returns the row's line, with its source where there are several: `orders:5`."""
        return f"{self.source}:{self.line}" if self.source else str(self.line)

    @property
    def uses_tools(self) -> bool:
        """Whether the row has tools, or a turn that calls one."""
        return bool(self.tools) or any(turn.tool_calls for turn in self.messages)


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
        named.append(msgspec.structs.replace(row, id=name + suffix))
    return named


def all_answers(reference: str, others: Iterable[str]) -> str:
    """Returns all right answers of a row as one text, which changes with any of them."""
    return "\n".join((reference, *others))
