"""Reads data that core cannot: Parquet, folders with splits, and hub datasets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import Source, read_text_source, resolved
from tui_loop.core.data.rows import RawRow
from tui_loop.core.data.text_files import TEXT_SUFFIXES, is_text_file, read_rows
from tui_loop.core.errors import BadInput
from tui_loop.core.hub_id import is_hub_id
from tui_loop.core.record.files import sha256_of, short_hash
from tui_loop.engine.extras import require_train
from tui_loop.engine.model_source import go_offline_if_hub_unreachable

_SPLIT_WORDS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
}


def read_source(entry: str, root: Path, config: Config) -> Source:
    """Reads the rows of any data entry. Raises BadInput, or NeedsExtra without the extra train."""
    path = resolved(entry, root)
    if path.is_dir():
        return _folder(entry, path)
    if is_text_file(path):
        return read_text_source(entry, root, config)
    if path.suffix.lower() == ".parquet":
        if not path.exists():
            raise BadInput(f"{path}: no such file", "check the path")
        return Source(entry, {"": _parquet(path)}, sha256_of(path))
    if path.exists() or not is_hub_id(entry):
        problem = "unknown format" if path.exists() else "no such file"
        raise BadInput(f"{path}: {problem}", "give JSONL, JSON, CSV, Parquet, a folder or a hub id")
    return _hub(entry, config)


def _folder(entry: str, path: Path) -> Source:
    """Reads a folder with files named by split (`train.jsonl`, `data/test-00000.parquet` ...)."""
    splits: dict[str, list[RawRow]] = {}
    digests = []
    suffixes = (*TEXT_SUFFIXES, ".parquet")
    for file in sorted(each for each in path.rglob("*") if each.suffix.lower() in suffixes):
        words = re.split(r"[^a-z]+", file.stem.lower())
        split = next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), None)
        if split is None:
            continue
        rows = _parquet(file) if file.suffix.lower() == ".parquet" else read_rows(file)
        splits.setdefault(split, []).extend(rows)
        digests.append(sha256_of(file))
    if not splits:
        raise BadInput(
            f"{path}: no file name contains train, validation or test",
            "give the path of the file, or rename it, e.g. train.jsonl",
        )
    return Source(
        entry, splits, digests[0] if len(digests) == 1 else short_hash("".join(digests), 64)
    )


def _parquet(path: Path) -> list[RawRow]:
    require_train(f"reading {path.name}")
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise BadInput(f"{path}: not a Parquet file: {error}", "write the file again") from error
    return _rows(table.to_pylist(), str(path))


def _hub(entry: str, config: Config) -> Source:
    require_train(f"reading {entry} from a hub")
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
    splits = {str(name): _rows(split.to_list(), entry) for name, split in loaded.items()}
    fingerprints = "".join(str(split._fingerprint) for split in loaded.values())
    return Source(entry, splits, short_hash(fingerprints, 64))


def _rows(values: list[dict[str, Any]], where: str) -> list[RawRow]:
    if not values:
        raise BadInput(f"{where}: has no rows", "give data with at least one row")
    return [RawRow(number, value) for number, value in enumerate(values, 1)]
