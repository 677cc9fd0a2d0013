"""Splits rows into training and evaluation rows, and conversations into their answers.

Both are repeatable and keep the order of the file.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import msgspec

from tui_loop.core.data.conversations import shown_turns, text_of
from tui_loop.core.data.row_store import RowView
from tui_loop.core.data.rows import Mapping, RawRow, Row
from tui_loop.core.errors import BadInput
from tui_loop.core.text.figures import counted
from tui_loop.core.text.secrets import redacted


def sample(rows: Sequence[Row], limit: int | None, seed: int) -> list[Row]:
    """Returns at most `limit` rows, drawn with `seed`, in file order."""
    return [rows[place] for place in sampled_places(len(rows), limit, seed)]


def sampled_places(count: int, limit: int | None, seed: int) -> Sequence[int]:
    """Returns at most `limit` of the numbers from 0 to below `count`, in ascending order."""
    if limit is None or count <= limit:
        return range(count)
    return sorted(random.Random(seed).sample(range(count), limit))


def split_evaluation(
    rows: RowView, fraction: float, seed: int, where: str
) -> tuple[RowView, RowView]:
    """Returns (train, eval): eval gets `fraction` of the distinct inputs; repeats stay together."""
    own = [key for _, key, _, _ in rows.hashes()]
    inputs = list(dict.fromkeys(own))
    if len(inputs) < 2:
        found = counted(len(inputs), "distinct row")
        raise BadInput(
            f"{where}: has {found}, but at least 2 are needed to hold one out",
            "add rows, or name evaluation data with --eval PATH",
        )
    count = min(max(1, round(len(inputs) * fraction)), len(inputs) - 1)
    held = set(random.Random(seed).sample(inputs, count))
    return (
        rows.pick([place for place, key in enumerate(own) if key not in held]),
        rows.pick([place for place, key in enumerate(own) if key in held]),
    )


def by_answer(rows: Sequence[Row]) -> list[Row]:
    """Returns one row for each answer of each conversation, for `evaluation.turns = all`.

    The answer is its last turn. Answers that the row itself excludes from training are left out,
    since they are no references. The n-th answer of row `x` has the id `x:n`.
    """
    return [answer for row in rows for answer in (_answers(row) if row.messages else [row])]


def _answers(row: Row) -> list[Row]:
    turns = row.messages
    places = [
        place
        for place, turn in enumerate(turns)
        if turn.role == "assistant"
        and place > 0
        and turn.trains is not False
        and text_of(turn).strip()
    ]
    if len(places) < 2:
        return [msgspec.structs.replace(row, conversation=row.id)]
    answers, counted_from = [], 0
    for number, place in enumerate(places, 1):
        until = turns[: place + 1]
        answers.append(
            msgspec.structs.replace(
                row,
                id=f"{row.id}:{number}",
                prompt=shown_turns(until),
                reference=text_of(until[-1]),
                messages=until,
                conversation=row.id,
                counted_from=counted_from,
            )
        )
        counted_from = place + 1
    return answers


MOST_COLUMNS = 8
FEWEST_VALUES, MOST_VALUES = 2, 20
LONGEST = 40
"""Characters of a value, and of a column's name."""


Columns = tuple[tuple[str, str], ...]
"""Columns of a row as (name, value)."""


def grouping_columns(raws: Sequence[RawRow], mapping: Mapping) -> list[Columns]:
    """Returns the other columns of each row by which the rows can be grouped, as (name, value).

    At most 8 columns with 2 to 20 short values; skips columns with anything like a secret.
    """
    names = _names(raws, mapping)
    return [_of_row(raw, names) for raw in raws]


def _names(raws: Sequence[RawRow], mapping: Mapping) -> list[str]:
    roles = {*mapping.columns.values(), mapping.columns.get("id", "id")}
    names = dict.fromkeys(name for raw in raws for name in raw.values)
    free = (name for name in names if name not in roles and 0 < len(name) <= LONGEST)
    found = (name for name in free if _groups(raws, name))
    return [name for name, _ in zip(found, range(MOST_COLUMNS), strict=False)]


def _groups(raws: Sequence[RawRow], name: str) -> bool:
    values: set[str] = set()
    for value in _values(raws, name):
        if value is None or len(values) > MOST_VALUES:
            return False
        values.add(value)
    few = FEWEST_VALUES <= len(values) <= MOST_VALUES
    return few and not any(_is_secret(name, value) for value in values)


def _values(raws: Sequence[RawRow], name: str) -> Iterator[str | None]:
    """Returns the column's non-empty values as text, None for a column that cannot group rows."""
    for raw in raws:
        value = raw.values.get(name)
        if value is None or value == "":
            continue
        yield _text(value)


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)[: LONGEST + 1]
    text = value.strip() if isinstance(value, str) else None
    return text if text is not None and len(text) <= LONGEST else None


def _is_secret(name: str, value: str) -> bool:
    text = f"{name}={value}"
    return redacted(text) != text or redacted(value) != value


def _of_row(raw: RawRow, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    found = ((name, raw.values.get(name)) for name in names)
    return tuple(
        (name, text) for name, value in found if value is not None and (text := _text(value))
    )
