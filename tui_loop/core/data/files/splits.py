"""The splits that are meant by names of files, and by keys of a JSON file."""

from __future__ import annotations

import re

_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
}

SPLITS = tuple(dict.fromkeys(_SPLITS.values()))


def is_split_name(name: str) -> bool:
    """Returns whether a name is just that of a split."""
    return name.lower() in _SPLITS


def split_of(name: str) -> str | None:
    """Returns the split that a name has as one of its words, None without one."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)
