"""Loads the training, evaluation and holdout rows of a config's `data` group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec

from tui_loop.core.config.data_sources import DataSource, entry_text, sources_of
from tui_loop.core.config.schema import Config
from tui_loop.core.data.files.streamed_rows import notes_of
from tui_loop.core.data.row_store import RowView, view_of
from tui_loop.core.data.row_versions import digest_of
from tui_loop.core.data.rows import Mapping as RowMapping
from tui_loop.core.data.rows import Row, RowRefused
from tui_loop.core.data.source_rows import (
    RawSplit,
    ReadProgress,
    ReadSource,
    Source,
    SourceRows,
    common_mapping,
    eval_split_of,
    known_rows,
    map_source,
    mapping_of,
    no_progress,
    read_text_source,
    split_of_source,
)
from tui_loop.core.data.source_shares import expected_rows, shares_of
from tui_loop.core.data.split import by_answer, sampled_places, split_evaluation
from tui_loop.core.data.split_rows import SplitReader
from tui_loop.core.data.unused_columns import ColumnUse, column_names
from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import short_hash
from tui_loop.core.record.structs import Split, SplitSource
from tui_loop.core.text.untrusted import one_line


class LoadedData(msgspec.Struct, frozen=True):
    """The mapped rows of a config, with what to record and to report about them.

    Rows of a large file are read when they are asked for.
    """

    train: Sequence[Row]
    eval: Sequence[Row]
    mapping: RowMapping
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

    mappings: dict[str, RowMapping] = {}
    """The mapping of each source of the training data; `mapping` is common to all of them."""

    mixed_rows: int | None = None
    """About how many rows an epoch has where sources have weights."""

    @property
    def epoch_rows(self) -> int:
        """Returns how many rows an epoch has."""
        return len(self.train) if self.mixed_rows is None else self.mixed_rows

    @property
    def grouping(self) -> list[str]:
        """Returns the columns by which evaluation rows are grouped."""
        return list(dict.fromkeys(name for row in self.eval for name, _ in row.columns))


Refused = dict[str, list[RowRefused]]
"""Unusable rows by split: train, eval, holdout."""


def load_data(
    config: Config,
    root: Path,
    read: ReadSource = read_text_source,
    refused: Refused | None = None,
    *,
    is_whole: bool = False,
    poll: ReadProgress = no_progress,
) -> LoadedData:
    """Reads, maps, splits and caps the rows of `config`.

    The same config and files always give the same rows. Raises BadInput with file, line and column;
    with `refused`, unusable rows are added to it instead and skipped. `data.on_bad_row = skip`
    skips them too, and the result has them.

    Of a large file with a cap, only the rows that are used are read, unless `is_whole`. `poll` is
    called while rows are read, and may raise to end it.
    """
    data = config.data
    skipped: Refused = {}
    if data.on_bad_row == "skip":
        refused = skipped
    if not data.train:
        raise BadInput("data.train: no training data", "--data PATH")
    given = sources_of(data.train)
    whole = {name: read(each.path, root, config) for name, each in given.items()}
    parts = {
        name: split_of_source(source, root, *_split_name(config, name))
        for name, source in whole.items()
    }
    mappings = {
        name: mapping_of(raw, given[name], config, field=f"data.train.{name}" if name else "data")
        for name, raw in parts.items()
    }
    mapping = common_mapping(list(mappings.items()))
    use: dict[str, ColumnUse] = {}
    eval_parts = _eval_parts(whole, config, root, read)
    reading = SplitReader(config, poll, is_partial=refused is None and not is_whole)
    caps, limit = (given, data.max_train_rows) if eval_parts is not None else ({}, None)
    trained = reading.map_sources(parts, mappings, _list(refused, "train"), caps, limit)
    train, use["train"] = trained.rows, trained.use
    notices = [*_notes(parts), *_columns_not_used(parts, given, config)]
    is_held_out = eval_parts is None
    if eval_parts is not None:
        by, own_columns = _eval_mappings(eval_parts, mappings, config)
        caps = {} if data.eval is None else sources_of(data.eval)
        evaluated = reading.map_sources(
            eval_parts, by, _list(refused, "eval"), caps, data.max_eval_rows
        )
        held, use["eval"] = evaluated.rows, evaluated.use
        notices += [*_notes(eval_parts), *own_columns]
    else:
        evaluated, eval_parts, total = trained, parts, len(train)
        where = " and ".join(raw.where for raw in parts.values())
        train, held = split_evaluation(train, data.eval_fraction, data.split_seed, where)
        train = reading.capped(train, given)
        notices.append(
            f"no eval data given: {len(held)} of {total} rows of {entry_text(data.train)} are held "
            f"out for evaluation (seed {data.split_seed})"
        )

    train = train.pick(sampled_places(len(train), data.max_train_rows, data.split_seed))
    held = held.pick(sampled_places(len(held), data.max_eval_rows, data.split_seed))
    evaluated.set_columns(held)
    train = _labelled(config, train, _places(parts), _list(refused, "train"))
    held = _labelled(config, held, _places(eval_parts), _list(refused, "eval"))

    splits = {
        "train": _split_record(parts, train),
        "eval": _split_record(eval_parts, held, is_held_out=is_held_out),
    }
    held_rows, locked = held.rows(), list[Row]()
    if data.holdout is not None:
        raw = split_of_source(read(data.holdout, root, config), root, "test", "data.holdout")
        found = _map_holdout(raw, config, mapping, _list(refused, "holdout"), poll)
        notices += [*_notes({"": raw}), *_own_columns(found.mapping, mapping, data.holdout)]
        locked, use["holdout"] = list(view_of([found.rows])), found.use
        splits["holdout"] = Split(data.holdout, raw.sha256, len(locked))

    if config.evaluation.turns == "all":
        held_rows, locked = by_answer(held_rows), by_answer(locked)
    train_rows = train.rows()
    labels, warnings = _labels(config, train_rows, held_rows)
    loaded = LoadedData(
        train_rows,
        held_rows,
        mapping,
        splits,
        labels,
        notices,
        warnings,
        locked,
        use,
        skipped,
        mappings,
        _mixed_rows(config, splits["train"]),
    )
    return msgspec.structs.replace(loaded, splits=_with_unused(loaded))


def with_labels(data: LoadedData, config: Config) -> LoadedData:
    """Returns data that was loaded under another metric with the labels of `config`.

    Raises BadInput for a label that is not in an explicit label set.
    """
    for rows, split in ((data.train, "train"), (data.eval, "eval")):
        record, known = data.splits[split], frozenset(config.evaluation.labels or ())
        places = {"": record.path} | {name: each.path for name, each in record.sources.items()}
        for row in rows if known else ():
            if row.reference.strip() not in known:
                raise _unknown_label(row, places)
    labels, warnings = _labels(config, data.train, data.eval)
    return msgspec.structs.replace(data, labels=labels, warnings=[*data.warnings, *warnings])


def _columns_not_used(
    parts: dict[str, RawSplit], given: dict[str, DataSource], config: Config
) -> list[str]:
    """Returns notices on sources that lack columns of `data.columns`; raises BadInput if all do."""
    columns = config.data.columns
    if "" in parts or not columns:
        return []
    lacking = {}
    for name, raw in parts.items():
        names = column_names(known_rows(raw))
        missing = [column for column in columns.values() if column not in names]
        if missing and not given[name].columns:
            lacking[name] = missing[0]
    if len(lacking) == len(parts):
        name, column = next(iter(lacking.items()))
        raise BadInput(
            f"data.columns: no source has all of these columns; source {name} has no column "
            f"{column!r}",
            f"name the columns of each source: --set data.train.{name}.columns.ROLE=COLUMN",
        )
    return [
        f"{parts[name].path}: has no column {column!r} (data.columns), so its columns are detected"
        for name, column in lacking.items()
    ]


def _map_holdout(
    raw: RawSplit,
    config: Config,
    mapping: RowMapping,
    refused: list[RowRefused] | None,
    poll: ReadProgress,
) -> SourceRows:
    own = mapping_of(raw, DataSource(path=raw.path), config, mapping)
    return map_source(raw, own, config, refused, poll=poll)


def _eval_mappings(
    parts: dict[str, RawSplit], mappings: dict[str, RowMapping], config: Config
) -> tuple[dict[str, RowMapping], list[str]]:
    """Returns the mapping of each evaluation source, and notices on those read in their own way."""
    data = config.data
    given = sources_of(data.train if data.eval is None else data.eval)
    found, notices = {}, []
    for name, raw in parts.items():
        training = mappings.get(name, next(iter(mappings.values())))
        found[name] = mapping_of(raw, given[name], config, training)
        notices += _own_columns(found[name], training, raw.path)
    return found, notices


def _own_columns(own: RowMapping, mapping: RowMapping, name: str) -> list[str]:
    """Returns the notice on a file that is read in its own way, if it is."""
    if own == mapping:
        return []
    columns = ", ".join(f"{role} = {column}" for role, column in own.columns.items())
    return [f"{name}: uses different columns than the training data: {columns}"]


def _split_name(config: Config, name: str) -> tuple[str, str]:
    """Returns (split to train on, the field that says so) of a training source."""
    split = sources_of(config.data.train)[name].split
    if split is not None:
        return split, f"data.train.{name}.split"
    return config.data.train_split, "data.train_split"


def _mixed_rows(config: Config, split: Split) -> int | None:
    shares = shares_of(config.data.train)
    if not shares:
        return None
    counts = {name: source.rows for name, source in split.sources.items()}
    empty = next((name for name in shares if not counts.get(name)), None)
    if empty is not None:
        raise BadInput(
            f"data.train.{empty}: no rows of this source are left for training",
            "add rows, raise data.max_train_rows, or leave the source out",
        )
    return expected_rows(counts, shares, config.data.stopping_strategy)


def _notes(parts: dict[str, RawSplit]) -> list[str]:
    """Returns what was detected in the files, also while their rows were read."""
    return [
        note
        for raw in parts.values()
        for note in (*raw.notes, *(f"{raw.path}: {each}" for each in notes_of(raw.rows)))
    ]


def _places(parts: dict[str, RawSplit]) -> dict[str, str]:
    return {name: raw.where for name, raw in parts.items()}


def _split_record(parts: dict[str, RawSplit], rows: RowView, *, is_held_out: bool = False) -> Split:
    """Returns what the record says of the rows that are used of a split's sources."""
    only = parts.get("")
    counts = Counter(source for _, _, _, source in rows.hashes())
    hashes = "".join(str(raw.sha256) for raw in parts.values())
    return Split(
        only.path if only is not None else " + ".join(raw.path for raw in parts.values()),
        only.sha256 if only is not None else short_hash(hashes, 64),
        len(rows),
        digest_of(rows),
        held_out=is_held_out,
        ids=tuple(name for name, _, _, _ in rows.hashes()) if is_held_out else None,
        sources={
            name: SplitSource(raw.path, raw.sha256, counts[name])
            for name, raw in parts.items()
            if name
        },
    )


def _eval_parts(
    whole: dict[str, Source], config: Config, root: Path, read: ReadSource
) -> dict[str, RawSplit] | None:
    """Returns the raw rows of the evaluation data by source.

    None where the evaluation rows are split off the training rows.
    """
    data = config.data
    if data.eval is None:
        found = {}
        for name, source in whole.items():
            trained = _split_name(config, name)[0]
            found[name] = eval_split_of(source, root, data.eval_split, trained)
        return None if None in found.values() else cast(dict[str, RawSplit], found)
    parts = {}
    for name, given in sources_of(data.eval).items():
        split = given.split or data.eval_split or "test"
        field = f"data.eval.{name}.split" if given.split else "data.eval_split"
        parts[name] = split_of_source(read(given.path, root, config), root, split, field)
    return parts


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
) -> tuple[RawSplit, RawSplit] | None:
    """Returns raw training and evaluation rows, None where the latter are split off training.

    Ignores caps. Raises BadInput, also for several sources, and NeedsExtra.
    """
    data = config.data
    given = sources_of(data.train)
    if data.eval is not None and not (isinstance(data.eval, str) and "" in given):
        raise BadInput(
            "a new split is not supported for several sources with their own evaluation data",
            "name different evaluation data in data.eval, or unset data.eval to hold out rows",
        )
    whole = {name: read(each.path, root, config) for name, each in given.items()}
    evaluated = _eval_parts(whole, config, root, read)
    if evaluated is None:
        return None
    if "" not in given:
        raise BadInput(
            "a new split is not supported for several sources with their own evaluation splits",
            "name different evaluation data in data.eval",
        )
    train = split_of_source(whole[""], root, data.train_split, "data.train_split")
    return train, evaluated[""]


def _list(refused: Refused | None, split: str) -> list[RowRefused] | None:
    return None if refused is None else refused.setdefault(split, [])


def _labelled(
    config: Config,
    rows: RowView,
    places: Mapping[str, str],
    refused: list[RowRefused] | None,
) -> RowView:
    """Returns the rows without those whose label is not in an explicit label set.

    `places`: the files of the sources. Raises RowRefused for the first of these without `refused`.
    """
    explicit = config.evaluation.labels
    if config.evaluation.metric != "label" or explicit is None:
        return rows
    known = frozenset(explicit)
    kept = []
    for number, row in enumerate(rows):
        if row.reference.strip() in known:
            kept.append(number)
        elif refused is None:
            raise _unknown_label(row, places)
        else:
            refused.append(_unknown_label(row, places))
    return rows.pick(kept)


def _unknown_label(row: Row, places: Mapping[str, str]) -> RowRefused:
    error = RowRefused(
        places[row.source],
        row.line,
        "unknown_label",
        f"label {one_line(row.reference, 40)!r} is not in evaluation.labels",
        "add the label to evaluation.labels, or fix the row",
    )
    error.source = row.source
    return error


def _labels(
    config: Config, train: Sequence[Row], held: Sequence[Row]
) -> tuple[list[str], list[str]]:
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
        warnings.append(f"no training row has these labels of held-out rows: {names}{more}")
    return (list(explicit) if explicit is not None else sorted(trained | name)), warnings
