"""Reads the usable rows of one source of a split: its file, its split there, its columns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as ByName
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from pathlib import Path

import msgspec

from tui_loop.core.config.data_sources import DataSource
from tui_loop.core.config.schema import Config
from tui_loop.core.data.columns import SAMPLE
from tui_loop.core.data.files.content import ReadOptions
from tui_loop.core.data.files.reading import is_text_file, read_file
from tui_loop.core.data.files.streamed_rows import RawRows, StreamedRows, head, picked
from tui_loop.core.data.mapping import ANSWERED, find_mapping
from tui_loop.core.data.preference import is_good, mark_of, none_good
from tui_loop.core.data.row_reading import read_row
from tui_loop.core.data.row_store import RowStore
from tui_loop.core.data.rows import Mapping, RawRow, RowRefused, all_answers
from tui_loop.core.data.unused_columns import ColumnCounter, ColumnUse, TurnUse, column_names
from tui_loop.core.errors import BadInput, NeedsExtra
from tui_loop.core.hub_id import is_hub_id
from tui_loop.core.record.files import sha256_of


class Source(msgspec.Struct, frozen=True):
    """The content of a `data.*` entry: rows by split; a single file has one split, `""`.

    `notes`: what was detected while reading and may surprise.
    """

    name: str
    splits: ByName[str, RawRows]
    sha256: str | None
    notes: tuple[str, ...] = ()


ReadSource = Callable[[str, Path, Config], Source]
"""(entry, root that relative paths start from, config) -> Source"""


ReadProgress = Callable[[str, int], None]
"""(entry, rows read so far); called while rows are read, and may raise to end it."""

_POLLED = 4096
"""Rows between two calls of a poll."""


def no_progress(_entry: str, _rows: int) -> None:
    """Does nothing."""


class RawSplit(msgspec.Struct, frozen=True):
    """The raw rows of one split of a source.

    `where`: its place in messages. `path`: its name in the record.
    """

    where: str
    path: str
    rows: RawRows
    sha256: str | None
    notes: list[str]


class SourceRows(msgspec.Struct, frozen=True):
    """The mapped rows of a source, and how its columns are used.

    `has_given_ids`: their ids are those of an id column.
    """

    raw: RawSplit
    mapping: Mapping
    rows: RowStore
    use: ColumnUse
    has_given_ids: bool


def read_text_source(entry: str, root: Path, config: Config) -> Source:
    """Reads a JSON, CSV or text file; raises NeedsExtra for other sources."""
    path = resolved(entry, root)
    if not is_text_file(path):
        if os.path.exists(path) or (is_hub_id(entry) and path.suffix != ".parquet"):
            raise NeedsExtra(f"reading {entry}", "train")
        raise BadInput(
            f"{path}: no such file",
            "check the path; relative paths start from the folder above the loops folder",
        )
    content = read_file(path, read_options(config))
    streamed = [rows for rows in content.splits.values() if isinstance(rows, StreamedRows)]
    if not streamed:
        return Source(entry, content.splits, sha256_of(path), content.notes)
    with ThreadPoolExecutor(1) as beside:  # both take seconds, and hashing needs no interpreter
        digest = beside.submit(sha256_of, path)
        for rows in streamed:
            rows.count()
        return Source(entry, content.splits, digest.result(), content.notes)


def read_options(config: Config) -> ReadOptions:
    """Returns how the files of a config are read."""
    return ReadOptions(encoding=config.data.encoding, header=config.data.header)


def resolved(entry: str, root: Path) -> Path:
    """Returns the path of a data entry.

    Relative ones start from `root`, the folder above `loops/`.
    """
    path = Path(os.path.expanduser(entry))
    if path.is_absolute():
        return path
    joined = root / path
    try:  # keeps the shorter form in messages where it is the same file
        return path if joined.resolve() == path.resolve() else joined
    except (OSError, ValueError):  # a loop of links, or an invalid name
        return joined


def split_of_source(source: Source, root: Path, name: str, field: str) -> RawSplit:
    """Returns a split by the name that `field` gives it, or the only one; raises BadInput."""
    where = str(resolved(source.name, root))
    notes = [f"{source.name}: {note}" for note in source.notes]
    if len(source.splits) == 1:
        rows = next(iter(source.splits.values()))
        return RawSplit(where, source.name, rows, source.sha256, notes)
    if name not in source.splits:
        available = ", ".join(source.splits)
        close = get_close_matches(
            name, source.splits, 1
        )  # only a close match: another split may be the wrong one
        hint = f"--set {field}={close[0] if close else 'SPLIT'}"
        raise BadInput(
            f"{source.name}: no split {name!r} ({field}); the splits are {available}",
            "name the file itself" if field == "data.holdout" else hint,
        )
    return RawSplit(where, source.name, source.splits[name], source.sha256, notes)


def eval_split_of(source: Source, root: Path, name: str | None, trained: str) -> RawSplit | None:
    """Returns the evaluation split beside the split `trained` of a source, None without one."""
    if len(source.splits) == 1:
        return None
    if name is None:
        usual = (name for name in ("validation", "test") if name != trained)
        name = next((name for name in usual if name in source.splits), None)
        if name is None:
            return None
    split = split_of_source(source, root, name, "data.eval_split")
    place, path = f"{split.where} ({name})", f"{source.name}#{name}"
    return RawSplit(place, path, split.rows, split.sha256, [])


def mapping_of(
    raw: RawSplit,
    given: DataSource,
    config: Config,
    training: Mapping | None = None,
    field: str = "data",
) -> Mapping:
    """Returns the mapping of a source, whose table in the config is `field`.

    An evaluation or holdout file has the mapping of its training file, `training`, where the
    columns are there, else it is read by its own. A source of several has its own columns, or
    those of `data.columns` where they are there. Raises BadInput.
    """
    metric, data = config.evaluation.metric, config.data
    if training is None:
        columns, shape = given.columns, data.shape
        if not columns and set(data.columns.values()) <= set(column_names(known_rows(raw))):
            columns = data.columns
        elif not columns and isinstance(data.train, str):
            columns = data.columns  # whose absence is an error
        try:
            return find_mapping(
                known_rows(raw), raw.where, metric=metric, shape=shape, columns=columns
            )
        except BadInput as error:
            raise _in_own_table(error, field) from None
    if given.columns:
        return find_mapping(known_rows(raw), raw.where, metric=metric, columns=given.columns)
    names = column_names(known_rows(raw))
    if training.shape == "text" or all(
        column in names for role, column in training.columns.items() if role in ANSWERED
    ):
        return training
    try:
        return find_mapping(known_rows(raw), raw.where, metric=metric)
    except BadInput:
        return training  # whose rows are refused by line and column


def _in_own_table(error: BadInput, field: str) -> BadInput:
    """Returns an error that names the columns of a source in its own table."""
    message, hint = (
        text.replace("data.columns", f"{field}.columns") for text in (error.message, error.hint)
    )
    return BadInput(message, hint)


def map_source(
    raw: RawSplit,
    mapping: Mapping,
    config: Config,
    refused: list[RowRefused] | None,
    *,
    name: str = "",
    places: Sequence[int] | None = None,
    poll: ReadProgress = no_progress,
) -> SourceRows:
    """Returns the usable rows of a source; `places`: the numbers of those to read, None for all.

    Leaves out answers that are marked as bad, and repeats where `data` says so. Unusable rows are
    added to `refused`; without it, raises RowRefused.
    """
    data = config.data
    first = known_rows(raw)
    names = column_names(first)
    mark = mark_of(first, names, mapping)
    counter = ColumnCounter(names, mapping, mark)
    turns = TurnUse(cuts_end=data.on_bad_row == "skip")
    ids = _GivenIds(mapping)
    store = RowStore(name)
    seen: set[tuple[str, str, str]] = set()
    left_out = rows = repeats = 0
    read: Iterable[RawRow] = raw.rows if places is None else picked(raw.rows, places)
    for number, each in enumerate(read):
        if not number % _POLLED:
            poll(raw.path, number)
        if mark is not None and not is_good(each, mark):
            left_out += 1
            continue
        rows += 1
        counter.add(each)
        try:
            row = read_row(each, mapping, raw.where, turns)
        except RowRefused as error:
            if refused is None:
                raise
            error.source = name
            refused.append(error)
            continue
        is_repeat = False
        if data.drop_duplicates:
            key = (row.prompt, all_answers(row.reference, row.other_references), row.tools)
            is_repeat = key in seen
            seen.add(key)
        ids.add(each, is_kept=not is_repeat)
        if is_repeat:
            repeats += 1
            store.skip(row)
        else:
            store.append(row, number if places is None else places[number])
    if mark is not None and not rows:
        raise none_good(mark, raw.where)
    store.finish()
    given = ids.found
    if given is not None:
        store.ids = given
    calls = {role: each.rows for role, each in turns.calls.items()}
    use = ColumnUse(
        rows,
        counter.unused(turns, uses_ids=bool(given)),
        calls,
        mark,
        left_out,
        turns.own_system.rows,
        turns.cut.rows,
        repeats,
        counter.nans,
    )
    return SourceRows(raw, mapping, store, use, given is not None)


def has_mark(raw: RawSplit, mapping: Mapping) -> bool:
    """Returns whether a source has a column that marks answers as good or bad."""
    rows = known_rows(raw)
    return mark_of(rows, column_names(rows), mapping) is not None


def make_ids_unique(sources: Sequence[SourceRows]) -> None:
    """Gives the rows of several sources ids that differ.

    Those of an id column begin with the name of the source; repeats of a hash are counted over all
    sources.
    """
    seen: Counter[str] = Counter()
    for each in sources:
        rows = each.rows
        if each.has_given_ids:
            rows.ids = [f"{rows.source}.{name}" for name in rows.ids]
            continue
        for number, name in enumerate(rows.ids):
            hashed = name.partition("-")[0]
            seen[hashed] += 1
            rows.ids[number] = hashed if seen[hashed] == 1 else f"{hashed}-{seen[hashed]}"


def known_rows(raw: RawSplit) -> list[RawRow]:
    """Returns the rows that show how a source is read: all, or the first of streamed ones."""
    return raw.rows if isinstance(raw.rows, list) else head(raw.rows, SAMPLE)


class _GivenIds:
    """The values of a row's id column, while each row has one and no two are alike."""

    def __init__(self, mapping: Mapping) -> None:
        self._column = mapping.columns.get("id", "id")
        self._kept: list[str] = []
        self._seen: set[str] | None = set()

    def add(self, raw: RawRow, *, is_kept: bool) -> None:
        if self._seen is None:
            return
        value = raw.values.get(self._column)
        text = str(value) if isinstance(value, (str, int)) else ""
        if not text.strip() or text in self._seen:
            self._seen, self._kept = None, []
            return
        self._seen.add(text)
        if is_kept:
            self._kept.append(text)

    @property
    def found(self) -> list[str] | None:
        """Returns the ids of the kept rows, None where the rows have none."""
        return None if self._seen is None else self._kept


def common_mapping(mappings: Sequence[tuple[str, Mapping]]) -> Mapping:
    """Returns the mapping that several sources have in common, given with their names.

    Conversations go together with prompts and answers; raises BadInput for texts beside either.
    """
    first = mappings[0][1]
    shapes = {mapping.shape for _, mapping in mappings}
    if len(shapes) == 1:
        return first
    if "text" in shapes:
        texts, others = (
            [name for name, mapping in mappings if (mapping.shape == "text") is is_text]
            for is_text in (True, False)
        )
        raise BadInput(
            f"data.train: a run cannot train on plain text (from {' and '.join(texts)}) and on "
            f"prompts with answers (from {' and '.join(others)})",
            f"leave a source out, or name the columns of prompt and answer: "
            f"--set data.train.{texts[0]}.columns.prompt=COLUMN",
        )
    return Mapping("messages" if "messages" in shapes else "prompt_completion", first.columns)
