"""The texts of rows that the data audit compares, and how its facts quote them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

import msgspec

from tui_loop.core.audit.structs import Count
from tui_loop.core.data.conversations import text_of
from tui_loop.core.data.rows import Row
from tui_loop.core.data.split import by_answer
from tui_loop.core.text.secrets import redacted

T = TypeVar("T")

SEED = 0
EXAMPLES = 5
SAMPLE_CHARACTERS = 80

MOST_ROWS = 100_000
MOST_CHARACTERS = 100_000_000
"""The rows and characters of a side to read for facts about words; more take over ten seconds."""

FORM_ROWS = 10_000
"""The rows to read for facts about form, whose shares are then right to a percent."""

_QUOTED_CHARACTERS = 400
"""Secrets are searched in this much, since one that is cut off may no longer look like one."""

_SYSTEM_ROLES = ("system", "developer")


class Sides(NamedTuple, Generic[T]):
    """Training rows and held-out rows in one form or another."""

    train: Sequence[T]
    held: Sequence[T]


class RowTexts(msgspec.Struct, frozen=True, gc=False):
    """The texts of a row: `prompt` is the last turn before the answer, `context` all of them."""

    id: str
    prompt: str
    reference: str
    context: str
    system: str = ""
    has_history: bool = False


class Folded(msgspec.Struct, frozen=True, gc=False):
    """The texts of a row without differences in case and white space."""

    id: str
    context: str
    reference: str
    system: str


def texts_of(rows: Iterable[Row]) -> list[RowTexts]:
    """Returns the texts of rows; ids of answers are those of their conversations in training."""
    return [
        _of_turns(row) if row.messages else RowTexts(row.id, row.prompt, row.reference, row.prompt)
        for row in rows
    ]


def training_texts(train: Sequence[Row], held: Sequence[Row]) -> list[RowTexts]:
    """Returns the texts of training rows, one for each answer where evaluation has it so."""
    if not any(row.conversation for row in held):
        return texts_of(train)
    answers = by_answer(train)
    return [
        msgspec.structs.replace(texts, id=row.conversation or row.id)
        for row, texts in zip(answers, texts_of(answers), strict=True)
    ]


def folded(rows: Iterable[RowTexts]) -> list[Folded]:
    """Returns the folded texts of rows."""
    return [
        Folded(row.id, fold(row.context), fold(row.reference), fold(row.system)) for row in rows
    ]


def _of_turns(row: Row) -> RowTexts:
    before = [turn for turn in row.messages[:-1] if turn.role not in _SYSTEM_ROLES]
    system = [turn.content for turn in row.messages[:-1] if turn.role in _SYSTEM_ROLES]
    texts = [text_of(turn) for turn in before]
    return RowTexts(
        row.id,
        texts[-1] if texts else "",
        row.reference,
        "\n".join(texts),
        "\n".join(system),
        len(texts) > 1,
    )


def digest_of_texts(sides: Sides[RowTexts]) -> str:
    """Returns a hash of everything that an audit reads of the rows."""
    state = blake2b(digest_size=16)
    for rows in sides:
        state.update(f"{len(rows)}\n".encode())
        for row in rows:
            text = f"{row.id}\0{row.system}\0{row.context}\0{row.reference}\0"
            state.update(text.encode("utf-8", "surrogatepass"))
    return state.hexdigest()


def rows_to_read(rows: Sequence[RowTexts], most: int | None = None) -> Sequence[RowTexts]:
    """Returns all rows, or a random sample in their order where there is too much to read."""
    most = MOST_ROWS if most is None else most
    characters = sum(len(row.prompt) + len(row.reference) for row in rows)
    if characters > MOST_CHARACTERS:
        most = max(1, min(most, len(rows) * MOST_CHARACTERS // characters))
    if len(rows) <= most:
        return rows
    chosen = sorted(random.Random(SEED).sample(range(len(rows)), most))
    return [rows[index] for index in chosen]


def fold(text: str) -> str:
    """Returns a text without differences in case and white space."""
    return " ".join((text.lower() if text.isascii() else text.casefold()).split())


def quoted(text: str, limit: int = SAMPLE_CHARACTERS) -> str:
    """Returns a text of the data as a record quotes it: without secrets, and cut."""
    clean = redacted(text[:_QUOTED_CHARACTERS])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def counted(count: int, of: int, examples: Iterable[str] = ()) -> Count:
    """Returns a count with its share and the first examples, without secrets."""
    kept = tuple(quoted(each) for each in islice(examples, EXAMPLES))
    return Count(count, of, round(count / of, 6) if of else 0.0, kept)


def counted_ids(ids: Sequence[str], of: int) -> Count:
    """Returns the count of the rows with these ids; examples are ids as the record has them."""
    count = counted(len(ids), of)
    kept = tuple(quoted(each, _QUOTED_CHARACTERS) for each in ids[:EXAMPLES])
    return msgspec.structs.replace(count, examples=kept)
