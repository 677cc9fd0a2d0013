"""Recognizes a hub id, `NAME` or `ORG/NAME`, by its form alone."""

from __future__ import annotations

import re

_HUB_ID = re.compile(r"\w[\w.-]{0,95}(/[\w.-]{1,96})?")


def is_hub_id(entry: str) -> bool:
    """Whether `entry` has the form of a hub id; says nothing of its being there."""
    return _HUB_ID.fullmatch(entry) is not None
