"""When and where a run ran and how many tokens it read, from both ends of its journal.

A list of iterations shows these, and reading every journal whole would take too long.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.safe_open import open_regular

HEAD_BYTES, TAIL_BYTES = 4_096, 65_536
"""Bytes read from the start and from the end; a run writes few lines after its last step."""


class RunGlance(msgspec.Struct, frozen=True):
    """`began`: unix seconds. `tokens`: those of the training rows that were read so far."""

    began: float | None = None
    device: str = ""
    tokens: float | None = None


def glance_at(journal: Path) -> RunGlance:
    """Reads both ends of a journal; what is missing or unreadable is unknown."""
    try:
        with open_regular(journal) as file:
            head = file.read(HEAD_BYTES)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            tail = file.read(TAIL_BYTES)
    except (BadInput, OSError):
        return RunGlance()
    first = _event(head.partition(b"\n")[0])
    began, device = codec.number(first.get("t")), first.get("device")
    return RunGlance(began, device if isinstance(device, str) else "", _last_tokens(tail))


def _last_tokens(tail: bytes) -> float | None:
    for line in reversed(tail.split(b"\n")):
        if b'"num_tokens"' in line:
            values = _event(line).get("values")
            tokens = codec.number(values.get("num_tokens")) if isinstance(values, dict) else None
            if tokens is not None:
                return tokens
    return None


def _event(line: bytes) -> dict[str, object]:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        found = msgspec.json.decode(line)
        if isinstance(found, dict):
            return found
    return {}
