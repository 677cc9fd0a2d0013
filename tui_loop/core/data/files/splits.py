"""The splits that names of files, and keys of a JSON file, stand for."""

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


def split_of(name: str) -> str | None:
    """Returns the split that the first fitting word of a name stands for, None without one."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)
