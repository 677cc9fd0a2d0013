"""The files that rows come from: one, or one for each of several sources."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tui_loop.core.config.data_sources import DataSource, sources_of
from tui_loop.core.data.source_rows import resolved


class RowFiles(msgspec.Struct, frozen=True):
    """The entry of each source in the config, by its name, and its file if it is on this machine.

    A single file has the name "".
    """

    entries: dict[str, str]
    paths: dict[str, Path]

    def name_of(self, source: str) -> str:
        """Returns the name of a source's file, its entry where it is none on this machine."""
        path = self.paths.get(source)
        return path.name if path is not None else self.entries.get(source, source)

    def place(self, source: str, line: int) -> str:
        """Returns `path:line` of a row."""
        return f"{self.paths.get(source) or self.entries.get(source, source)}:{line}"


def row_files(entry: str | dict[str, DataSource], root: Path) -> RowFiles:
    """Returns the files of a `data.*` entry."""
    entries = {name: source.path for name, source in sources_of(entry).items()}
    paths = {name: resolved(path, root) for name, path in entries.items()}
    return RowFiles(entries, {name: path for name, path in paths.items() if os.path.exists(path)})
