"""What the user names for a new loop, as config tables with the paths that the record stores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tui_loop.core.config.data_sources import source_name, split_source
from tui_loop.core.config.tables import Tables
from tui_loop.core.data.registries import is_registry, read_registry
from tui_loop.core.errors import BadInput


def requested_tables(
    root: Path,
    *,
    data: Sequence[str] = (),
    eval_data: Sequence[str] = (),
    holdout: str | None = None,
    model: str | None = None,
    metric: str | None = None,
) -> tuple[Tables, list[str]]:
    """Returns (the user's choices as config tables, notes on what is not read of a registry).

    `data`, `eval_data`: a path each, or several sources as PATH or NAME=PATH, or data sets of a
    registry (`core.data.registries`). Raises BadInput for two sources of one name.
    """
    tables: Tables = {"data": {}, "model": {}, "evaluation": {}}
    notes: list[str] = []
    for field, entries in (("train", data), ("eval", eval_data)):
        if entries:
            tables["data"][field] = _recorded_sources(f"data.{field}", entries, root, notes)
    if holdout is not None:
        tables["data"]["holdout"] = recorded_path(holdout, root)
    if model is not None:
        tables["model"]["id"] = _recorded_model(model, root)
    if metric is not None:
        tables["evaluation"]["metric"] = metric
    return tables, notes


def recorded_path(entry: str, root: Path) -> str:
    """Returns a data path as the record stores it: relative to the folder above `loops/` if inside.

    So a project can be moved or cloned without edits.
    """
    path = Path(os.path.expanduser(entry))
    if not path.exists():
        return entry
    absolute = path.resolve()
    if absolute.is_relative_to(root):
        return absolute.relative_to(root).as_posix()
    if not path.is_absolute() and root == Path.cwd().resolve():
        return path.as_posix()
    return absolute.as_posix()


def split_name(entry: str) -> tuple[str, str]:
    """Returns (name, path) of a source as it is typed, NAME=PATH; the name is "" where it has none.

    A file that exists under the whole text has no name.
    """
    return ("", entry) if os.path.exists(entry) else split_source(entry)


def _recorded_sources(
    field: str, entries: Sequence[str], root: Path, notes: list[str]
) -> str | dict[str, dict[str, Any]]:
    """Returns the value of a data field: a path, or sources by name."""
    sources: dict[str, dict[str, Any]] = {}
    for entry in entries:
        name, path = split_name(entry)
        if is_registry(path):
            found = _registered(path, notes)
            if name and len(found) > 1:
                raise BadInput(
                    f"{field}: the name {name!r} would apply to {len(found)} data sets",
                    "remove the name, or select a single data set",
                )
            if name:
                found = {name: next(iter(found.values()))}
        elif len(entries) == 1 and not name:
            return recorded_path(path, root)
        else:
            found = {name or source_name(path): {"path": path}}
        for source, fields in found.items():
            if source in sources:
                raise BadInput(
                    f"{field}: two sources are called {source!r}",
                    "give one of them a different name: --data NAME=PATH",
                )
            sources[source] = {**fields, "path": recorded_path(fields["path"], root)}
    return sources


def _registered(entry: str, notes: list[str]) -> dict[str, dict[str, Any]]:
    from tui_loop.engine.extras import yaml_parser

    registered = read_registry(os.path.expanduser(entry), yaml_parser())
    notes += registered.notes
    return registered.sources


def _recorded_model(entry: str, root: Path) -> str:
    looks_like_path = entry.startswith((".", "/", "~")) or entry.endswith(".gguf")
    return recorded_path(entry, root) if looks_like_path or Path(entry).is_dir() else entry
