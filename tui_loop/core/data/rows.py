"""Raw and mapped rows of data, their ids, and the recorded versions of a split's rows.

A version is one small text file, shared by all iterations that used it: `rows/DIGEST.txt` in the
loop's folder, a line `id reference-hash` for each row. With it a changed data file can be compared
row by row later.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as ByKey
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import read_small, short_hash, write_atomically
from tui_loop.core.record.safe_open import check_within

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


def with_sources(
    sources: Iterable[tuple[str, Sequence[Row], ByKey[str, RawRow]]],
) -> Iterator[tuple[Row, RawRow]]:
    """Yields the rows of several sources as (row, raw row), with the names of the sources.

    Their ids differ: those of an id column begin with the source, and repeats of a hash are
    counted over all of them. `sources`: (name, rows, raw rows by id).
    """
    seen: Counter[str] = Counter()
    for source, rows, raws in sources:
        for row in rows:
            hashed = short_hash(row.input_text)
            if row.id.partition("-")[0] == hashed:
                seen[hashed] += 1
                name = hashed if seen[hashed] == 1 else f"{hashed}-{seen[hashed]}"
            else:
                name = f"{source}.{row.id}"
            yield msgspec.structs.replace(row, id=name, source=source), raws[row.id]


FOLDER = "rows"


def index_text(rows: Sequence[Row]) -> str:
    """Returns the index of `rows`: ids and hashes of references, in order."""
    answers = [all_answers(row.reference, row.other_references) for row in rows]
    hashes = {each: short_hash(each) for each in set(answers)}
    named = zip(rows, answers, strict=True)
    return "".join(f"{_name(row)} {hashes[each]}\n" for row, each in named)


def all_answers(reference: str, others: Iterable[str]) -> str:
    """Returns all right answers of a row as one text, which changes with any of them."""
    return "\n".join((reference, *others))


def _name(row: Row) -> str:
    """Returns the row's id, as JSON if it would break the line format."""
    return row.id if row.id.isprintable() else json.dumps(row.id)


def digest_of(rows: Sequence[Row]) -> str:
    """Returns the hash that identifies a version of the rows."""
    return short_hash(index_text(rows))


def write_index(loop: Path, rows: Sequence[Row]) -> None:
    """Writes the index of `rows` into the loop's folder, unless it exists."""
    path = loop / FOLDER / f"{digest_of(rows)}.txt"
    if not path.exists():
        check_within(path.parent, loop)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, index_text(rows))


def drop_index(loop: Path, digest: str) -> None:
    """Removes an index, and the folder of the indexes with the last of them."""
    (loop / FOLDER / f"{digest}.txt").unlink(missing_ok=True)
    with suppress(OSError):  # it has other indexes, or there is none
        (loop / FOLDER).rmdir()


def read_index(loop: Path, digest: str) -> dict[str, str]:
    """{id: reference hash} of the version `digest` of a split's rows, in file order; {} where it
    is not kept. Raises OSError, BadInput.
    """
    path = loop / FOLDER / f"{digest}.txt"
    if not path.exists():
        return {}
    check_within(path.parent, loop)
    return _parsed(read_small(path).decode("utf-8", "replace"))


def rows_changed(loop: Path, digest: str, rows: Sequence[Row]) -> dict[str, int] | None:
    """How `rows` differ from the version `digest`; None if they do not or it is not known."""
    if digest == digest_of(rows) or not (loop / FOLDER / f"{digest}.txt").exists():
        return None
    before = read_index(loop, digest)
    after = _parsed(index_text(rows))
    shared = before.keys() & after.keys()
    return {
        "rows_added": len(after.keys() - before.keys()),
        "rows_removed": len(before.keys() - after.keys()),
        "rows_changed": sum(before[name] != after[name] for name in shared),
    }


def _parsed(text: str) -> dict[str, str]:
    pairs = (line.rpartition(" ") for line in text.splitlines())
    return {name: reference for name, _, reference in pairs}
