"""Reads the training rows of an iteration from their file, on request only.

A stranger's loop may name any file, so nothing reads them unasked.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import (
    LoadedData,
    ReadSource,
    Source,
    load_data,
    read_text_source,
    resolved,
)
from tui_loop.core.data.rows import Row
from tui_loop.core.data.text_files import is_text_file
from tui_loop.core.errors import BadInput
from tui_loop.core.hub_id import is_hub_id
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Split


class TrainingRows(msgspec.Struct, frozen=True):
    """Training rows, their entry in the config, and its file, None where it is not a local file.

    `notice`: why these may not be the rows that were used in training, "" where they are.
    """

    rows: list[Row]
    entry: str
    path: Path | None
    notice: str


def training_rows(folder: IterationFolder, read: ReadSource = read_text_source) -> TrainingRows:
    """Reads the training rows of an iteration from its data as it is now.

    Raises BadInput where the data is not on this machine or cannot be used, NeedsExtra where
    `read` cannot read its format.
    """
    config, recorded = folder.read_config(), folder.read_splits().get("train")
    entry, root = config.data.train, folder.loop.root
    if not entry:
        raise BadInput(f"{folder}: its config names no training data", "choose another iteration")
    path = resolved(entry, root)
    exists = os.path.exists(path)
    is_file = is_text_file(path) or path.suffix.lower() == ".parquet"
    if not exists and (is_file or not is_hub_id(entry)):
        raise BadInput(
            f"{path}: the training data of {folder} is not on this machine",
            "copy the file there",
        )
    data = _load(config, root, read)
    notice = _notice(folder, recorded, data.splits["train"])
    return TrainingRows(data.train, entry, path if exists else None, notice)


def _load(config: Config, root: Path, read: ReadSource) -> LoadedData:
    """Loads the training rows only, since other files may be missing."""

    @cache
    def once(entry: str) -> Source:
        return read(entry, root, config)

    data = msgspec.structs.replace(config.data, holdout=None)
    if data.eval is not None:
        data = msgspec.structs.replace(data, eval=data.train, eval_split=data.train_split)
    training_only = msgspec.structs.replace(config, data=data)
    return load_data(training_only, root, lambda entry, _root, _config: once(entry), refused={})


def _notice(folder: IterationFolder, recorded: Split | None, found: Split) -> str:
    if folder.number == 0:
        return f"{folder} is the untouched base: these rows are what its loop trains on"
    if recorded is None or (recorded.sha256 is None and recorded.digest is None):
        return f"the record does not say which version of {found.path} was used in training"
    is_same_file = recorded.sha256 is not None and recorded.sha256 == found.sha256
    is_same_rows = recorded.digest is not None and recorded.digest == found.digest
    if is_same_file or is_same_rows:
        return ""
    return f"{found.path} has changed since {folder} was trained; these are its current rows"
