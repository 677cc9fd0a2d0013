"""Reads data that core cannot: Parquet, Arrow, folders with splits, and hub datasets."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from tui_loop.core.config.schema import Config
from tui_loop.core.data.files.content import ReadOptions
from tui_loop.core.data.files.opening import add_decompressor, can_open, format_of
from tui_loop.core.data.files.reading import TABLES, is_data_file, is_text_file, read_file
from tui_loop.core.data.files.splits import SPLITS, is_split_name, split_of
from tui_loop.core.data.files.streamed_rows import RawRows, StreamedRows, notes_of
from tui_loop.core.data.source_rows import Source, read_options, read_text_source, resolved
from tui_loop.core.errors import BadInput
from tui_loop.core.hub_id import is_hub_id
from tui_loop.core.record.files import sha256_of, short_hash
from tui_loop.core.text.figures import counted
from tui_loop.engine.extras import require_train
from tui_loop.engine.model_source import go_offline_if_hub_unreachable
from tui_loop.engine.tables import dataset_rows, table_rows

_SAVED = ("dataset_dict.json", "state.json")
"""Files that `save_to_disk` of datasets writes: several splits, or one."""

_SHARD = re.compile(r"-\d+-of-\d+")


def read_source(entry: str, root: Path, config: Config) -> Source:
    """Reads the rows of any data entry. Raises BadInput, or NeedsExtra without the extra train."""
    path = resolved(entry, root)
    if not can_open(path) and path.exists():
        require_train(f"reading {path.name}")
        add_decompressor(".zst", _zstandard)
    if path.is_dir():
        if any((path / name).is_file() for name in _SAVED):
            return _saved(entry, path)
        return _folder(entry, path, read_options(config))
    if is_text_file(path):
        return read_text_source(entry, root, config)
    if format_of(path) in TABLES:
        if not path.exists():
            raise BadInput(f"{path}: no such file", "check the path")
        if path.suffix.lower() not in TABLES:
            raise BadInput(f"{path}: compressed tables are not supported", "decompress the file")
        return Source(entry, {"": table_rows(path)}, sha256_of(path))
    if path.exists() or not is_hub_id(entry):
        problem = "unknown format" if path.exists() else "no such file"
        raise BadInput(
            f"{path}: {problem}",
            "give JSONL, JSON, CSV, TXT (also .gz, .zst), Parquet, Arrow, a folder or a hub id",
        )
    return _hub(entry, config)


def _folder(entry: str, path: Path, options: ReadOptions) -> Source:
    """Reads a folder with files named by split (`train.jsonl`, `data/test-00000.parquet` ...).

    Raises BadInput where a split has several files, unless these are its numbered parts.
    """
    by_split: Mapping[str, list[Path]] = defaultdict(list)
    for file in sorted(each for each in path.rglob("*") if is_data_file(each)):
        stem, is_hidden = file.name.partition(".")[0], "/." in f"/{file.relative_to(path)}"
        split = split_of(stem)
        if format_of(file) == ".txt" and not is_split_name(stem):
            split = None  # requirements-dev.txt
        if split is not None and not is_hidden:
            by_split[split].append(file)
    if not by_split:
        raise BadInput(
            f"{path}: no file name contains train, validation or test",
            "give the path of a file, or rename the file, e.g. to train.jsonl",
        )
    by_split = {split: by_split[split] for split in SPLITS if split in by_split}
    for split, files in by_split.items():
        if len({_SHARD.sub("", str(file)) for file in files}) > 1:
            names = [str(file.relative_to(path)) for file in files]
            raise BadInput(
                f"{path}: {' and '.join(names)} belong to the same split, {split}",
                f"--data {files[0]}, or --data {' --data '.join(map(str, files))} to use all",
            )
    notes: list[str] = []
    splits = {split: _joined(path, files, options, notes) for split, files in by_split.items()}
    digests = [sha256_of(file) for files in by_split.values() for file in files]
    digest = digests[0] if len(digests) == 1 else short_hash("".join(digests), 64)
    named = (f"{split} is {_file_names(path, files)}" for split, files in by_split.items())
    return Source(entry, splits, digest, (", ".join(named), *notes))


def _file_names(folder: Path, files: list[Path]) -> str:
    first = files[0].relative_to(folder)
    more = counted(len(files) - 1, "further part")
    return str(first) if len(files) == 1 else f"{first} and {more}"


def _joined(folder: Path, files: Iterable[Path], options: ReadOptions, notes: list[str]) -> RawRows:
    """Returns the rows of a split; adds the notes on its files, with their names."""
    parts: list[tuple[str, RawRows]] = []
    for file in files:
        name = str(file.relative_to(folder))
        if format_of(file) in TABLES:
            parts.append((name, table_rows(file)))
            continue
        content = read_file(file, options)
        notes += (f"{name}: {note}" for note in content.notes)
        if len(content.splits) > 1:
            raise BadInput(f"{file}: contains several splits", f"--data {file}")
        parts.append((name, next(iter(content.splits.values()))))
    if all(isinstance(rows, list) for _, rows in parts):
        return [row for _, rows in parts for row in rows]
    return StreamedRows(
        lambda: chain.from_iterable(rows for _, rows in parts),
        notes=lambda: tuple(f"{name}: {note}" for name, rows in parts for note in notes_of(rows)),
    )


def _zstandard(path: Path) -> BinaryIO:
    from pyarrow import input_stream

    return io.BufferedReader(cast(io.RawIOBase, input_stream(str(path), compression="zstd")))


def _saved(entry: str, path: Path) -> Source:
    """Reads a folder that `save_to_disk` of datasets wrote."""
    require_train(f"reading {path.name}")
    from datasets import DatasetDict, load_from_disk

    try:
        loaded = load_from_disk(str(path))
    except Exception as error:  # the library's own tree of errors
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInput(
            f"{path}: is not a dataset that save_to_disk wrote: {reason[0]}", "save it again"
        ) from error
    splits = dict(loaded) if isinstance(loaded, DatasetDict) else {"": loaded}
    digests = "".join(sha256_of(each) for each in sorted(path.rglob("*.arrow")))
    return _of_datasets(entry, splits, short_hash(digests, 64))


def _of_datasets(entry: str, splits: Mapping[Any, Any], digest: str) -> Source:
    rows = {str(name): dataset_rows(split, entry) for name, split in splits.items()}
    return Source(entry, rows, digest)


def _hub(entry: str, config: Config) -> Source:
    require_train(f"reading {entry} from the hub")
    go_offline_if_hub_unreachable()
    from datasets import load_dataset

    try:
        loaded = load_dataset(entry, config.data.subset)
    except Exception as error:  # the hub's and the library's own trees of errors
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInput(
            f"{entry!r} is not a file and could not be downloaded from the hub: {reason[0]}",
            "check the path or the id",
        ) from error
    fingerprints = "".join(str(split._fingerprint) for split in loaded.values())
    return _of_datasets(entry, loaded, short_hash(fingerprints, 64))
