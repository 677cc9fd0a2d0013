"""Finds unused columns and keys of turns, and what ignoring them means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from tui_loop.core.data.preference import MARKS, PAIRS, REJECTED
from tui_loop.core.data.rows import Mapping, RawRow

_ANYWHERE = {
    **dict.fromkeys(("tools", "functions"), "the model never sees the tools it calls"),
    **dict.fromkeys(
        ("tool_calls", "function_call"),
        "the calls are dropped, and only the text of the turn is used",
    ),
    **dict.fromkeys(
        ("reasoning_content", "reasoning", "thinking"),
        "the model learns the answers without the reasoning",
    ),
    **dict.fromkeys(
        ("image", "images", "video", "videos", "audio", "audios"), "the model only gets the text"
    ),
    "tool_call_id": "the link from a tool result to its call is dropped",
}
_OF_COLUMNS = {
    **_ANYWHERE,
    **dict.fromkeys(("system", "system_prompt"), "the system prompt is dropped"),
    **dict.fromkeys(("history",), "the earlier turns are dropped"),
    **dict.fromkeys(("context", "documents", "input"), "the prompts do not contain this text"),
    **dict.fromkeys(("choices", "options"), "the prompts do not list the choices"),
    **dict.fromkeys(("weight", "weights", "sample_weight"), "all rows count equally"),
    **dict.fromkeys(
        ("train", "train_on", "loss", "mask", "loss_mask"), "the row is trained on like any other"
    ),
    **dict.fromkeys(MARKS, "all rows are used, whatever their label"),
    **{chosen: "the preferred answers are not trained on" for chosen, _ in PAIRS},
    **dict.fromkeys(REJECTED, "training uses one answer per row, and never a rejected one"),
}
TRAINING_KEYS = ("weight", "train", "training")
"""Keys of a turn that are 0 or false where it is not trained on."""

_OF_TURNS = {
    **_ANYWHERE,
    **dict.fromkeys(
        TRAINING_KEYS,
        "values other than 0, 1, true and false count as 1, and only assistant turns are "
        "trained on",
    ),
    "weights": "all turns count equally",
    **dict.fromkeys(
        ("train_on", "loss", "mask", "loss_mask"), "the turn is trained on like any other"
    ),
    **dict.fromkeys(("train_detail", "training_detail"), "the turn is trained on as a whole"),
    "name": "the name of the speaker is dropped",
}
_OF_PARTS = dict.fromkeys(TRAINING_KEYS, "the part is trained on like the rest of its turn")
TEXT_LABEL = (
    "the texts are trained on without the label; with metric label, the label becomes the answer"
)

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
_MOST_PAIRS = 10_000
"""With more distinct pairs of values, a column is not compared with the answers."""
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


class ColumnCounter:
    """Counts what the columns of rows hold that a mapping does not use, row by row.

    `names`: the columns of the first rows; weights and marks that come later are counted without
    their zeros.
    """

    def __init__(self, names: Sequence[str], mapping: Mapping, mark: str | None) -> None:
        used = set(mapping.columns.values())
        id_column = mapping.columns.get("id", "id")
        self._id_column = id_column
        self._ignored = (used - {id_column}) | ({mark} if mark is not None else set())
        self._answer = mapping.columns.get("completion", "")
        self._columns = {name: _Column() for name in names if name not in self._ignored}
        self._special = [
            (name, column, name.lower() in MARKS)
            for name, column in self._columns.items()
            if name.lower() in WEIGHTS or name.lower() in MARKS
        ]
        self._is_text = mapping.shape == "text"
        may_be_empty = (mapping.columns.get(role) for role in _MAY_BE_EMPTY)
        self._may_be_empty = [name for name in may_be_empty if name is not None]
        self.nans: dict[str, int] = {}

    def add(self, raw: RawRow) -> None:
        """Counts a row."""
        columns = self._columns
        for name, value in raw.values.items():  # a hot loop
            if name in self._ignored:
                continue
            column = columns.get(name)
            if column is None:
                column = columns[name] = _Column()
            if value or value == 0:  # 0 and false are values
                column.rows += 1
        for name, column, is_mark in self._special:
            value = raw.values.get(name)
            column.add_zero(value, raw.line)
            if is_mark:
                column.add_answer(value, raw.values.get(self._answer))
        for name in self._may_be_empty:
            if str(raw.values.get(name)).strip().lower() == "nan":
                self.nans[name] = self.nans.get(name, 0) + 1

    def unused(self, turns: TurnUse, *, uses_ids: bool) -> tuple[Unused, ...]:
        """Returns what nothing uses, in file order; `uses_ids`: the id column names the rows."""
        found = [
            self._unused(name, column)
            for name, column in self._columns.items()
            if not (uses_ids and name == self._id_column)
        ]
        keys = turns.keys.items()
        return (*found, *(Unused(name, each.rows, each.zeros, each.first) for name, each in keys))

    def _unused(self, name: str, column: _Column) -> Unused:
        if name.lower() in MARKS and self._answer and column.says_the_same:
            return Unused(name, column.rows, same_as=self._answer)
        is_mark = name.lower() in MARKS and not self._is_text and column.is_yes_or_no
        if not is_mark and name.lower() not in WEIGHTS:
            return Unused(name, column.rows)
        return Unused(name, column.rows, column.zeros, column.first)


class _Column:
    """The counts of a column; of one that may be a mark, how its values go with the answers."""

    def __init__(self) -> None:
        self.rows = self.zeros = self.first = 0
        self.is_yes_or_no = True
        self._pairs: set[tuple[str, str]] | None = set()
        self._seen = 0

    def add_zero(self, value: Any, line: int) -> None:
        if value == 0 or (isinstance(value, str) and _is_zero(value)):
            self.zeros, self.first = self.zeros + 1, self.first or line

    def add_answer(self, value: Any, answer: Any) -> None:
        self.is_yes_or_no = self.is_yes_or_no and value in _YES_OR_NO
        self._seen += 1
        if self._pairs is not None:
            self._pairs.add((str(value), str(answer)))
            if len(self._pairs) > _MOST_PAIRS:
                self._pairs = None

    @property
    def says_the_same(self) -> bool:
        """Whether each value goes with one answer, both ways, and some occur again."""
        return self._pairs is not None and are_one_to_one(self._pairs, self._seen)


def say_the_same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Returns whether each value of one column goes with one value of the other, both ways."""
    pairs = {(str(left), str(right)) for left, right in zip(one, other, strict=True)}
    return are_one_to_one(pairs, len(one))


def are_one_to_one(pairs: set[tuple[str, str]], rows: int) -> bool:
    """Returns whether the values in `rows` rows are one to one; all different shows nothing."""
    if len(pairs) == rows:
        return False
    return len(pairs) == len({left for left, _ in pairs}) == len({right for _, right in pairs})


def _is_zero(value: Any) -> bool:
    """Returns whether a weight is 0 or false; CSV has them as text."""
    return bool(value == 0) or (isinstance(value, str) and value.strip().lower() in _ZEROS)
