"""Loads the training, evaluation and holdout rows of a config's `data` group."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import Config, Data
from tui_loop.core.data.files.content import ReadOptions
from tui_loop.core.data.files.reading import is_text_file, read_file
from tui_loop.core.data.mapping import ANSWERED, find_mapping, map_rows
from tui_loop.core.data.preference import mark_of, without_bad
from tui_loop.core.data.rows import Mapping, RawRow, Row, RowRefused, digest_of
from tui_loop.core.data.split import (
    by_answer,
    sample,
    split_evaluation,
    with_columns,
    without_repeats,
)
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
from tui_loop.core.record.structs import Split
from tui_loop.core.text.untrusted import one_line


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


class LoadedData(msgspec.Struct, frozen=True):
    """The mapped rows of a config, with what to record and to report about them."""

    train: list[Row]
    eval: list[Row]
    mapping: Mapping
    splits: dict[str, Split]
    labels: list[str]
    notices: list[str]
    warnings: list[str]
    holdout: list[Row] = []
    """The locked rows, read only to check for leakage, and never shown."""

    use: dict[str, ColumnUse] = {}
    """The used columns by split.

    An evaluation part of the training file has no entry of its own.
    """

    skipped: dict[str, list[RowRefused]] = {}
    """The unusable rows by split that `data.on_bad_row = skip` leaves out."""

    @property
    def grouping(self) -> list[str]:
        """Returns the columns by which evaluation rows are grouped."""
        return list(dict.fromkeys(name for row in self.eval for name, _ in row.columns))


Refused = dict[str, list[RowRefused]]
"""Unusable rows by split: train, eval, holdout."""


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


def load_data(
    config: Config,
    root: Path,
    read: ReadSource = read_text_source,
    refused: Refused | None = None,
) -> LoadedData:
    """Reads, maps, splits and caps the rows of `config`.

    The same config and files always give the same rows. Raises BadInput with file, line and column;
    with `refused`, unusable rows are added to it instead and skipped. `data.on_bad_row = skip`
    skips them too, and the result has them.
    """
    data = config.data
    skipped: Refused = {}
    if data.on_bad_row == "skip":
        refused = skipped
    if not data.train:
        raise BadInput("data.train: no training data", "--data PATH")
    source = read(data.train, root, config)
    train_raw = _split(source, data.train_split, "data.train_split")
    where = str(resolved(source.name, root))
    mapping = find_mapping(
        train_raw, where, metric=config.evaluation.metric, shape=data.shape, columns=data.columns
    )
    use: dict[str, ColumnUse] = {}
    faulty = _list(refused, "train")
    train, raws, use["train"] = _mapped(train_raw, mapping, where, faulty, data)
    notices = [f"{source.name}: {note}" for note in source.notes]
    if (part := _eval_part(source, config, root, read)) is not None:
        eval_where, eval_raw, eval_split, notes = part
        own = _own_mapping(eval_raw, mapping, eval_where, config)
        notices += [*notes, *_own_columns(own, mapping, eval_split.path)]
        faulty = _list(refused, "eval")
        held, raws, use["eval"] = _mapped(eval_raw, own, eval_where, faulty, data)
    else:
        eval_where, own, total = where, mapping, len(train)
        train, held = split_evaluation(train, data.eval_fraction, data.split_seed, where)
        notices.append(
            f"no eval data given: {len(held)} of {total} rows of {data.train} are held out "
            f"(seed {data.split_seed})"
        )
        eval_split = Split(data.train, source.sha256, held_out=True)

    train = sample(train, data.max_train_rows, data.split_seed)
    held = sample(held, data.max_eval_rows, data.split_seed)
    held = with_columns(held, raws, own)
    train = _labelled(config, train, where, _list(refused, "train"))
    held = _labelled(config, held, eval_where, _list(refused, "eval"))

    splits = {"train": Split(data.train, source.sha256, len(train), digest_of(train))}
    splits["eval"] = msgspec.structs.replace(
        eval_split,
        rows=len(held),
        digest=digest_of(held),
        ids=tuple(row.id for row in held) if eval_split.held_out else None,
    )
    locked: list[Row] = []
    if data.holdout is not None:
        holdout = read(data.holdout, root, config)
        rows = _split(holdout, "test", "data.holdout")
        holdout_where = str(resolved(data.holdout, root))
        faulty = _list(refused, "holdout")
        locked_by = _own_mapping(rows, mapping, holdout_where, config)
        notices += [f"{holdout.name}: {note}" for note in holdout.notes]
        notices += _own_columns(locked_by, mapping, data.holdout)
        locked, _, use["holdout"] = _mapped(rows, locked_by, holdout_where, faulty, data)
        splits["holdout"] = Split(data.holdout, holdout.sha256, len(locked))

    if config.evaluation.turns == "all":
        held, locked = by_answer(held), by_answer(locked)
    labels, warnings = _labels(config, train, held)
    loaded = LoadedData(
        train, held, mapping, splits, labels, notices, warnings, locked, use, skipped
    )
    return msgspec.structs.replace(loaded, splits=_with_unused(loaded))


def with_labels(data: LoadedData, config: Config) -> LoadedData:
    """Returns data that was loaded under another metric with the labels of `config`.

    Raises BadInput for a label that is not in an explicit label set.
    """
    for rows, split in ((data.train, "train"), (data.eval, "eval")):
        _labelled(config, rows, data.splits[split].path, None)
    labels, warnings = _labels(config, data.train, data.eval)
    return msgspec.structs.replace(data, labels=labels, warnings=[*data.warnings, *warnings])


def _eval_part(
    source: Source, config: Config, root: Path, read: ReadSource
) -> tuple[str, list[RawRow], Split, list[str]] | None:
    """Returns (place, raw rows, split, notes) of the evaluation data.

    None where the evaluation rows are split off the training rows.
    """
    data = config.data
    if data.eval is not None:
        held = read(data.eval, root, config)
        rows = _split(held, data.eval_split or "test", "data.eval_split")
        notes = [f"{held.name}: {note}" for note in held.notes]
        return str(resolved(data.eval, root)), rows, Split(data.eval, held.sha256), notes
    name = _eval_split(source, data.eval_split)
    if name is None:
        return None
    where = f"{resolved(source.name, root)} ({name})"
    return where, source.splits[name], Split(f"{data.train}#{name}", source.sha256), []


def _own_mapping(raws: Sequence[RawRow], mapping: Mapping, where: str, config: Config) -> Mapping:
    """Returns the mapping of an evaluation or holdout file.

    It is that of the training file where the columns are there, else the file is read by its own.
    """
    names = column_names(raws)
    if mapping.shape == "text" or all(
        column in names for role, column in mapping.columns.items() if role in ANSWERED
    ):
        return mapping
    try:
        return find_mapping(raws, where, metric=config.evaluation.metric)
    except BadInput:
        return mapping  # whose rows are refused by line and column


def _own_columns(own: Mapping, mapping: Mapping, name: str) -> list[str]:
    """Returns the notice on a file that is read in its own way, if it is."""
    if own == mapping:
        return []
    columns = ", ".join(f"{role} = {column}" for role, column in own.columns.items())
    return [f"{name}: read by its own columns ({columns})"]


def _mapped(
    raws: list[RawRow],
    mapping: Mapping,
    where: str,
    refused: list[RowRefused] | None,
    data: Data,
) -> tuple[list[Row], dict[str, RawRow], ColumnUse]:
    """Returns the mapped rows of a split, their raw rows by id, and the use of columns.

    Skips answers that are marked as bad, and repeats where `data` says so.
    """
    names = column_names(raws)
    mark = mark_of(raws, names, mapping)
    good = without_bad(raws, mark, where) if mark is not None else raws
    turns = TurnUse(cuts_end=data.on_bad_row == "skip")
    accepted: list[RawRow] = []
    rows = mapped = map_rows(good, mapping, where, refused, turns, accepted=accepted)
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
    return rows, {row.id: raw for row, raw in zip(mapped, accepted, strict=True)}, use


def _with_unused(data: LoadedData) -> dict[str, Split]:
    """Returns the splits with the names of unused columns; grouping counts as a use."""
    splits = {}
    for name, split in data.splits.items():
        use = data.use.get(name, data.use["train"])
        grouping = data.grouping if name == "eval" else []
        names = (each.name for each in use.unused if each.rows)
        unused = tuple(each for each in names if each not in grouping)
        left_out = _left_out(data.skipped.get(name, []), data.use.get(name))
        splits[name] = msgspec.structs.replace(split, unused=unused, left_out=left_out)
    return splits


def _left_out(skipped: Sequence[RowRefused], use: ColumnUse | None) -> dict[str, int]:
    """Returns how many rows of a split were left out or cut, by reason."""
    counts = dict(Counter(each.fault for each in skipped))
    further = {"repeats": use.repeats, "cut": use.cut} if use is not None else {}
    return {str(name): count for name, count in (*counts.items(), *further.items()) if count}


def raw_splits(
    config: Config, root: Path, read: ReadSource = read_text_source
) -> tuple[list[RawRow], list[RawRow] | None]:
    """Returns raw training and evaluation rows, the latter None if split off training.

    Ignores caps. Raises BadInput, NeedsExtra.
    """
    data = config.data
    source = read(data.train, root, config)
    train = _split(source, data.train_split, "data.train_split")
    part = _eval_part(source, config, root, read)
    return train, None if part is None else part[1]


def _list(refused: Refused | None, split: str) -> list[RowRefused] | None:
    return None if refused is None else refused.setdefault(split, [])


def _split(source: Source, name: str, field: str) -> list[RawRow]:
    if len(source.splits) == 1:
        return next(iter(source.splits.values()))
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
    return source.splits[name]


def _eval_split(source: Source, name: str | None) -> str | None:
    if len(source.splits) == 1:
        return None
    if name is not None:
        _split(source, name, "data.eval_split")
        return name
    return next((name for name in ("validation", "test") if name in source.splits), None)


def _labelled(
    config: Config, rows: list[Row], where: str, refused: list[RowRefused] | None
) -> list[Row]:
    """Returns the rows without those whose label is not in an explicit label set.

    Raises RowRefused for the first of these without `refused`.
    """
    explicit = config.evaluation.labels
    if config.evaluation.metric != "label" or explicit is None:
        return rows
    known = frozenset(explicit)
    kept = []
    for row in rows:
        if row.reference.strip() in known:
            kept.append(row)
            continue
        error = RowRefused(
            where,
            row.line,
            "unknown_label",
            f"label {one_line(row.reference, 40)!r} is not in evaluation.labels",
            "add it to evaluation.labels, or fix the row",
        )
        if refused is None:
            raise error
        refused.append(error)
    return kept


def _labels(config: Config, train: list[Row], held: list[Row]) -> tuple[list[str], list[str]]:
    """Returns the label set and warnings about it; an explicit set takes precedence."""
    if config.evaluation.metric != "label":
        return [], []
    explicit = config.evaluation.labels
    trained = {row.reference.strip() for row in train}
    name = {row.reference.strip() for row in held}
    untrained = sorted(name - trained)
    warnings = []
    if untrained:
        names = ", ".join(one_line(label, 40) for label in untrained[:5])
        more = f" and {len(untrained) - 5} more" if len(untrained) > 5 else ""
        warnings.append(f"held-out labels that are never trained on: {names}{more}")
    return (list(explicit) if explicit is not None else sorted(trained | name)), warnings
