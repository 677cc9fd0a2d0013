"""What stands in a run's lock file: who holds it, and word of trouble that nothing else can carry.

The file is as long as its room from the start and overwritten in place, so that on a full disk
it still takes a new text. Keys that a version does not know are passed over.
"""

from __future__ import annotations

import msgspec

from tui_loop.core.codec import to_json

ROOM = 512
"""Bytes; one block of any disk, and written with one call."""


class Holder(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who holds a lock: host name, process, its start (unix seconds), the host's boot id.

    `doing`: what it does, in a word, where that is not plain from the lock.
    """

    host: str
    pid: int
    started: float
    boot: str
    doing: str = ""


class _Told(msgspec.Struct, frozen=True):
    trouble: str = ""


def filled(holder: Holder | None, trouble: str) -> bytes:
    """The file's bytes; `trouble` is cut to what there is room for."""
    fields = {} if holder is None else msgspec.to_builtins(holder)
    while True:
        line = to_json({**fields, "trouble": trouble})
        if len(line) < ROOM or not trouble:
            return line.ljust(ROOM - 1) + b"\n"
        trouble = trouble[: len(trouble) * 3 // 4]


def holder_in(data: bytes) -> Holder | None:
    """Who is named; None where nobody is."""
    try:
        return msgspec.json.decode(data, type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def trouble_in(data: bytes) -> str:
    """The word of trouble, "" where there is none."""
    try:
        return msgspec.json.decode(data, type=_Told).trouble
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
