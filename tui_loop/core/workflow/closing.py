"""The end of a loop: `[closed]` in `loop.toml`, and taking it back.

The rest of the file, which people write and comment, stays as it is.
"""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import Closed, LoopFolder
from tui_loop.core.record.safe_open import read_text
from tui_loop.core.text.secrets import redacted
from tui_loop.core.text.untrusted import one_line

CLOSED = "closed"
_HEAD = re.compile(r"\[\s*closed\s*\]\s*(#.*)?")
_TABLE = re.compile(r"\s*\[")


def close_loop(loop: LoopFolder, why: str, iteration: int | None) -> Closed:
    """Ends a loop with its last decision; raises BadInput where it is closed, or why is empty."""
    told = redacted(one_line(why, 2000)).strip()
    if not told:
        raise BadInput("a loop is closed for a reason", f"tui-loop close {loop.name} --why '...'")
    known = loop.read_settings().closed
    if known is not None:
        raise BadInput(
            f"{loop.name} is closed already: {one_line(known.why, 200)}",
            f"tui-loop close {loop.name} --reopen",
        )
    if iteration is not None:
        loop.existing(iteration)
    closed = Closed(told, round(time.time(), 3), iteration)
    _write(loop, closed)
    return closed


def reopen_loop(loop: LoopFolder) -> Closed:
    """Takes the end back and gives what it was; raises BadInput where the loop is open."""
    known = loop.read_settings().closed
    if known is None:
        raise BadInput(f"{loop.name} is not closed", f"tui-loop show {loop.name}")
    _write(loop, None)
    return known


def refuse_closed(loop: LoopFolder) -> None:
    """Raises BadInput for a closed loop: nothing new is run in it."""
    known = loop.read_settings().closed
    if known is not None:
        raise BadInput(
            f"{loop.name} is closed: {one_line(known.why, 200)}",
            f"tui-loop close {loop.name} --reopen",
        )


def closed_words(closed: Closed) -> str:
    """`closed with 4: good enough for the pilot`."""
    number = f" with {closed.iteration}" if closed.iteration is not None else ""
    return f"closed{number}: {closed.why}"


def _write(loop: LoopFolder, closed: Closed | None) -> None:
    path = loop.settings_file
    text = read_text(path)
    before = codec.from_toml(text, str(path))
    wanted: dict[str, Any] = {name: value for name, value in before.items() if name != CLOSED}
    if closed is not None:
        wanted[CLOSED] = {
            name: value for name, value in msgspec.to_builtins(closed).items() if value is not None
        }
    write_atomically(path, edited(text, wanted, str(path)))


def edited(text: str, wanted: dict[str, Any], where: str) -> str:
    """`text` with the `closed` of `wanted`; written anew where it cannot be changed in place."""
    fresh = _without_table(text)
    if CLOSED in wanted:
        fresh = f"{fresh.rstrip()}\n\n{codec.to_toml({CLOSED: wanted[CLOSED]})}"
    try:
        is_right = codec.from_toml(fresh, where) == wanted
    except BadInput:
        is_right = False
    return fresh if is_right else codec.to_toml(wanted)


def _without_table(text: str) -> str:
    """The text without a `[closed]` table, which goes to the next table or the end."""
    kept, is_inside = [], False
    for line in text.splitlines(keepends=True):
        if _HEAD.fullmatch(line.strip()):
            is_inside = True
        elif is_inside and _TABLE.match(line):
            is_inside = False
        if not is_inside:
            kept.append(line)
    return "".join(kept).rstrip() + "\n" if len(kept) < len(text.splitlines()) else text
