"""Several sources of `data.train` and `data.eval`: their fields and names."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import msgspec

from tui_loop.core.config.types import Count, Positive, Text

SOURCE_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")

SOURCE_FIELDS = ("data.train", "data.eval")
"""The fields that take several sources."""


class DataSource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of several sources of `data.train` or `data.eval`, under its name.

    `split`, `columns`: as `data.train_split` and `data.columns`, for this source. `weight`: its
    share of the training rows in proportion to the weights of the others. `max_rows`: a cap on the
    rows that are used, a seeded random sample in file order.
    """

    path: Text
    split: Text | None = None
    columns: dict[str, str] = {}
    weight: Positive | None = None
    max_rows: Count | None = None


def sources_of(entry: str | dict[str, DataSource]) -> dict[str, DataSource]:
    """Returns the sources of a field by name; a single path has the name ""."""
    return {"": DataSource(path=entry)} if isinstance(entry, str) else entry


def source_name(path: str) -> str:
    """Returns the name of a source that has none: that of its file, without its suffixes."""
    stem = PurePosixPath(path).name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:40] or "data"


def weighted_count(entry: str | dict[str, DataSource]) -> int:
    """Returns how many sources of a field have a weight."""
    return sum(source.weight is not None for source in sources_of(entry).values())


def entry_text(entry: str | dict[str, DataSource]) -> str:
    """Returns the paths in a field as text: `chats.jsonl + orders.jsonl`."""
    return " + ".join(source.path for source in sources_of(entry).values())


def split_source(entry: str) -> tuple[str, str]:
    """Returns (name, path) of a source as it is typed, NAME=PATH; ("", entry) without a name."""
    name, equals, path = entry.partition("=")
    return (name, path) if equals and path and SOURCE_NAME.fullmatch(name) else ("", entry)
