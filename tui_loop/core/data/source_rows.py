"""Reads the usable rows of one source of a split: its file, its split there, its columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import Config, DataSource
from tui_loop.core.data.files.content import ReadOptions
from tui_loop.core.data.files.reading import is_text_file, read_file
from tui_loop.core.data.mapping import ANSWERED, find_mapping, map_rows
from tui_loop.core.data.preference import mark_of, without_bad
from tui_loop.core.data.rows import Mapping, RawRow, Row, RowRefused
from tui_loop.core.data.split import sample, without_repeats
from tui_loop.core.data.unused_columns import (
    ColumnUse,
    TurnUse,
    column_names,
    column_use,
    nan_texts,
)
from tui_loop.core.errors import BadInput, NeedsExtra
from tui_loop.core.hub_id import is_hub_id
from tui_loop.core.record.files import sha256_of


class Source(msgspec.Struct, frozen=True):
    """The content of a `data.*` entry: rows by split; a single file has one split, `""`.

    `notes`: what was detected while reading and may surprise.
    """

    name: str
    splits: dict[str, list[RawRow]]
    sha256: str | None
    notes: tuple[str, ...] = ()


ReadSource = Callable[[str, Path, Config], Source]
"""(entry, root that relative paths start from, config) -> Source"""


class RawSplit(msgspec.Struct, frozen=True):
    """The raw rows of one split of a source.

    `where`: its place in messages. `path`: its name in the record.
    """

    where: str
    path: str
    rows: list[RawRow]
    sha256: str | None
    notes: list[str]


class SourceRows(msgspec.Struct, frozen=True):
    """The mapped rows of a source, `raws` by their ids, and how its columns are used."""

    raw: RawSplit
    mapping: Mapping
    rows: list[Row]
    raws: dict[str, RawRow]
    use: ColumnUse


def read_text_source(entry: str, root: Path, config: Config) -> Source:
    """Reads a JSON, CSV or text file; raises NeedsExtra for other sources."""
    path = resolved(entry, root)
    if not is_text_file(path):
        if os.path.exists(path) or (is_hub_id(entry) and path.suffix != ".parquet"):
            raise NeedsExtra(f"reading {entry}", "train")
        raise BadInput(f"{path}: no such file", "check the path; it is read from this folder")
    content = read_file(path, read_options(config))
    return Source(entry, content.splits, sha256_of(path), content.notes)


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
            f"{source.name}: no split {name!r} ({field}); there are {available}",
            "name the file itself" if field == "data.holdout" else hint,
        )
    return RawSplit(where, source.name, source.splits[name], source.sha256, notes)


def eval_split_of(source: Source, root: Path, name: str | None) -> RawSplit | None:
    """Returns the evaluation split beside the training split of a source, None without one."""
    if len(source.splits) == 1:
        return None
    if name is None:
        name = next((name for name in ("validation", "test") if name in source.splits), None)
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
        if not columns and set(data.columns.values()) <= set(column_names(raw.rows)):
            columns = data.columns
        elif not columns and isinstance(data.train, str):
            columns = data.columns  # whose absence is an error
        try:
            return find_mapping(raw.rows, raw.where, metric=metric, shape=shape, columns=columns)
        except BadInput as error:
            raise _in_own_table(error, field) from None
    if given.columns:
        return find_mapping(raw.rows, raw.where, metric=metric, columns=given.columns)
    names = column_names(raw.rows)
    if training.shape == "text" or all(
        column in names for role, column in training.columns.items() if role in ANSWERED
    ):
        return training
    try:
        return find_mapping(raw.rows, raw.where, metric=metric)
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
    cap: int | None = None,
) -> SourceRows:
    """Returns the usable rows of a source, at most `cap`.

    Leaves out answers that are marked as bad, and repeats where `data` says so. Unusable rows are
    added to `refused`; without it, raises RowRefused.
    """
    data, raws = config.data, raw.rows
    names = column_names(raws)
    mark = mark_of(raws, names, mapping)
    good = without_bad(raws, mark, raw.where) if mark is not None else raws
    turns = TurnUse(cuts_end=data.on_bad_row == "skip")
    accepted: list[RawRow] = []
    rows = mapped = map_rows(good, mapping, raw.where, refused, turns, accepted=accepted)
    if data.drop_duplicates:
        rows = without_repeats(mapped)
    unused = column_use(good, [name for name in names if name != mark], mapping, turns, rows)
    calls = {role: each.rows for role, each in turns.calls.items()}
    use = ColumnUse(
        len(good),
        unused,
        calls,
        mark,
        len(raws) - len(good),
        turns.own_system.rows,
        turns.cut.rows,
        len(mapped) - len(rows),
        nan_texts(good, mapping),
    )
    by_id = {row.id: each for row, each in zip(mapped, accepted, strict=True)}
    return SourceRows(raw, mapping, sample(rows, cap, data.split_seed), by_id, use)


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
            f"data.train: {' and '.join(texts)} has texts, {' and '.join(others)} prompts and "
            "answers; a run trains on one or the other",
            f"name the columns of prompt and answer: --set data.train.{texts[0]}.columns.prompt="
            "COLUMN, or leave the source out",
        )
    return Mapping("messages" if "messages" in shapes else "prompt_completion", first.columns)
