"""Finds unused columns and keys of turns, and what ignoring them means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import msgspec

from tui_loop.core.data.preference import MARKS, PAIRS, REJECTED
from tui_loop.core.data.rows import Mapping, RawRow, Row
from tui_loop.core.record.files import short_hash

_ANYWHERE = {
    **dict.fromkeys(("tools", "functions"), "the model never sees the tools it calls"),
    **dict.fromkeys(
        ("tool_calls", "function_call"), "the call is dropped, only the text beside it is used"
    ),
    **dict.fromkeys(
        ("reasoning_content", "reasoning", "thinking"),
        "the reasoning is dropped, the model learns the answer without it",
    ),
    **dict.fromkeys(
        ("image", "images", "video", "videos", "audio", "audios"), "the model only gets the text"
    ),
    "tool_call_id": "which call a result answers is dropped",
}
_OF_COLUMNS = {
    **_ANYWHERE,
    **dict.fromkeys(("system", "system_prompt"), "the system prompt is dropped"),
    **dict.fromkeys(("history",), "the earlier turns are dropped"),
    **dict.fromkeys(("context", "documents", "input"), "the prompt does not contain it"),
    **dict.fromkeys(("choices", "options"), "the prompt does not list them"),
    **dict.fromkeys(("weight", "weights", "sample_weight"), "all rows count alike"),
    **dict.fromkeys(
        ("train", "train_on", "loss", "mask", "loss_mask"), "the row is trained on like any other"
    ),
    **dict.fromkeys(MARKS, "all rows are used alike, whatever it says"),
    **{chosen: "the preferred answers are not trained on" for chosen, _ in PAIRS},
    **dict.fromkeys(REJECTED, "training uses one answer a row, and never a rejected one"),
}
TRAINING_KEYS = ("weight", "train", "training")
"""Keys of a turn that are 0 or false where it is not trained on."""

_OF_TURNS = {
    **_ANYWHERE,
    **dict.fromkeys(
        TRAINING_KEYS,
        "values other than 0, 1, true and false count as 1, and only the assistant's turns are "
        "trained on",
    ),
    "weights": "all turns count alike",
    **dict.fromkeys(
        ("train_on", "loss", "mask", "loss_mask"), "the turn is trained on like any other"
    ),
    **dict.fromkeys(("train_detail", "training_detail"), "the turn is trained on as a whole"),
    "name": "who speaks is dropped",
}
_OF_PARTS = dict.fromkeys(TRAINING_KEYS, "the part is trained on like the rest of its turn")
TEXT_LABEL = "the texts are trained on without it; metric label would make it the answer"

MEANINGFUL = frozenset(_OF_COLUMNS)
"""Names of columns whose loss changes what a row means."""

WEIGHTS = frozenset(
    {
        *("weight", "weights", "sample_weight", "train", "train_on", "training", "train_detail"),
        *("training_detail", "loss", "mask", "loss_mask"),
    }
)
"""Names whose 0 or false excludes something from training."""

_MAY_BE_EMPTY = ("input", "system", "history", "tools")
_YES_OR_NO = (None, "", 0, 1, "0", "1")
_ZEROS = frozenset({"0", "0.0", "false"})


class Unused(msgspec.Struct, frozen=True):
    """A column, or a key of turns written `messages[].weight`, that is not used.

    `rows` hold a value there. Of a weight, or a mark of good and bad answers, the value is 0 or
    false in `zeros` rows (turns, for a key), the first of them in `line`. `same_as`: the column of
    the answer, where this one says the same in other words, such as numbers.
    """

    name: str
    rows: int
    zeros: int = 0
    line: int = 0
    same_as: str = ""

    @property
    def is_key(self) -> bool:
        """Returns whether it is a key of turns."""
        return "[]." in self.name


class ColumnUse(msgspec.Struct, frozen=True):
    """What the `rows` rows of one file have beside what their mapping uses.

    `calls`: how many rows have a turn whose role is that of a tool call and whose text is not one.
    `own_system`: how many rows have a system turn of their own beside another system prompt in
    their column. `mark`: the column by which `left_out` further rows were left out. `cut`: how many
    conversations were cut after their last answer. `repeats`: how many rows were dropped as such.
    `nans`: how many rows have the text "nan" in a column that rows may leave empty.
    """

    rows: int
    unused: tuple[Unused, ...] = ()
    calls: dict[str, int] = {}
    mark: str | None = None
    left_out: int = 0
    own_system: int = 0
    cut: int = 0
    repeats: int = 0
    nans: dict[str, int] = {}


def joined_use(uses: Sequence[ColumnUse]) -> ColumnUse:
    """Returns the use of columns over several sources; a column unused in one of them counts."""
    unused: dict[str, Unused] = {}
    for each in (each for use in uses for each in use.unused):
        before = unused.get(each.name, msgspec.structs.replace(each, rows=0, zeros=0))
        unused[each.name] = msgspec.structs.replace(
            before, rows=before.rows + each.rows, zeros=before.zeros + each.zeros
        )
    calls, nans = Counter[str](), Counter[str]()
    for use in uses:
        calls.update(use.calls)
        nans.update(use.nans)
    return ColumnUse(
        sum(use.rows for use in uses),
        tuple(unused.values()),
        dict(calls),
        next((use.mark for use in uses if use.mark), None),
        sum(use.left_out for use in uses),
        sum(use.own_system for use in uses),
        sum(use.cut for use in uses),
        sum(use.repeats for use in uses),
        dict(nans),
    )


def meaning_of(name: str, shape: str) -> str:
    """Returns what the loss of a column or key means, "" for a name without special meaning."""
    column, _, key = name.rpartition("[].")
    if column:
        of_parts = name.count("[].") > 1
        return (_OF_PARTS if of_parts else _OF_TURNS).get(key.lower(), "")
    if name.lower() == "label" and shape == "text":
        return TEXT_LABEL
    return _OF_COLUMNS.get(name.lower(), "")


def column_names(raws: Sequence[RawRow]) -> list[str]:
    """Returns the columns of all rows, in order of first appearance."""
    names: set[str] = set()
    for raw in raws:
        names.update(raw.values)
    in_order: dict[str, None] = {}
    for raw in raws:  # a second pass, which ends early, is twice as fast as one that keeps order
        if len(in_order) == len(names):
            break
        in_order.update(dict.fromkeys(raw.values))
    return list(in_order)


def nan_texts(raws: Sequence[RawRow], mapping: Mapping) -> dict[str, int]:
    """Returns how many rows have the text "nan", which is no value, by the column of a context."""
    columns = [name for role, name in mapping.columns.items() if role in _MAY_BE_EMPTY]
    counts = {
        name: sum(str(raw.values.get(name)).strip().lower() == "nan" for raw in raws)
        for name in columns
    }
    return {name: count for name, count in counts.items() if count}


class TurnUse:
    """Counts what is not used of turns, while they are read.

    `cuts_end`: turns after the last answer are cut off, and such rows are counted in `cut`.
    """

    def __init__(self, *, cuts_end: bool = False) -> None:
        self.cuts_end, self.cut = cuts_end, _Tally()
        self.keys: dict[str, _Tally] = {}
        self.calls: dict[str, _Tally] = {}
        self.own_system = _Tally()

    def add(self, raw: RawRow, name: str, value: Any) -> None:
        """Counts the value of a key that is not read, such as `messages[].score`."""
        tally = self.keys.get(name) or self.keys.setdefault(name, _Tally())
        tally.add(raw, value, is_weight=name.rpartition("[].")[2].lower() in WEIGHTS)

    def add_call(self, raw: RawRow, role: str) -> None:
        """Counts a turn whose role is that of a tool call and whose text is not one."""
        self.calls.setdefault(role, _Tally()).add(raw, role)


class _Tally:
    """Counts rows, and the zeros among the values of a weight."""

    rows = zeros = first = 0
    last: RawRow | None = None

    def add(self, raw: RawRow, value: Any, *, is_weight: bool = False) -> None:
        if raw is not self.last and (value or value == 0):  # a row counts once
            self.last, self.rows = raw, self.rows + 1
        if is_weight and _is_zero(value):
            self.zeros, self.first = self.zeros + 1, self.first or raw.line


def column_use(
    raws: Sequence[RawRow],
    names: Sequence[str],
    mapping: Mapping,
    turns: TurnUse,
    rows: Sequence[Row],
) -> tuple[Unused, ...]:
    """What `raws` with the columns `names` have that `mapping` does not use, in file order.

    `rows` are the mapped ones: their ids say whether the id column was used.
    """
    used = set(mapping.columns.values())
    names_rows = bool(rows) and rows[0].id != short_hash(rows[0].input_text)
    id_column = mapping.columns.get("id", "id")
    used = used | {id_column} if names_rows else used - {id_column}
    keys = turns.keys.items()
    values = [raw.values for raw in raws]
    return (
        *(_column(raws, values, name, mapping) for name in names if name not in used),
        *(Unused(name, each.rows, each.zeros, each.first) for name, each in keys),
    )


def say_the_same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Returns whether each value of one column goes with one value of the other, both ways."""
    pairs = {(str(left), str(right)) for left, right in zip(one, other, strict=True)}
    if len(pairs) == len(one):  # all values are different, which shows nothing
        return False
    return len(pairs) == len({left for left, _ in pairs}) == len({right for _, right in pairs})


def _column(
    raws: Sequence[RawRow], rows: Sequence[dict[str, Any]], name: str, mapping: Mapping
) -> Unused:
    answer, shape = mapping.columns.get("completion", ""), mapping.shape
    values = list(map(dict.get, rows, repeat(name)))  # the fastest way
    count = len(list(filter(None, values))) + values.count(0)  # 0 and false are values
    if name.lower() in MARKS and answer and say_the_same(values, [row.get(answer) for row in rows]):
        return Unused(name, count, same_as=answer)
    is_mark = (
        name.lower() in MARKS and shape != "text" and all(each in _YES_OR_NO for each in values)
    )
    if not is_mark and name.lower() not in WEIGHTS:
        return Unused(name, count)
    zeros = [
        at
        for at, value in enumerate(values)
        if value == 0 or (isinstance(value, str) and _is_zero(value))
    ]
    return Unused(name, count, len(zeros), raws[zeros[0]].line if zeros else 0)


def _is_zero(value: Any) -> bool:
    """Returns whether a weight is 0 or false; CSV has them as text."""
    return bool(value == 0) or (isinstance(value, str) and value.strip().lower() in _ZEROS)
