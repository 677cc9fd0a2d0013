"""Closing and reopening a loop: the `[closed]` table of `loop.toml`.

The rest of the file, which people write and comment, does not change.
"""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec

from tui_loop.core.commands import command
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
    """Closes a loop; raises BadInput where it is closed already or `why` is empty."""
    reason = redacted(one_line(why, 2000)).strip()
    if not reason:
        raise BadInput("closing a loop needs a reason", command("close", loop.name, "--why '...'"))
    before = loop.read_settings().closed
    if before is not None:
        raise BadInput(
            f"{loop.name} is closed already: {one_line(before.why, 200)}",
            command("close", loop.name, "--reopen"),
        )
    if iteration is not None:
        loop.existing(iteration)
    closed = Closed(reason, round(time.time(), 3), iteration)
    _write(loop, closed)
    return closed


def reopen_loop(loop: LoopFolder) -> Closed:
    """Reopens a loop and returns its former `[closed]`; raises BadInput where it is open."""
    before = loop.read_settings().closed
    if before is None:
        raise BadInput(f"{loop.name} is not closed", command("show", loop.name))
    _write(loop, None)
    return before


def refuse_closed(loop: LoopFolder) -> None:
    """Raises BadInput for a closed loop, since nothing new is run in it."""
    closed = loop.read_settings().closed
    if closed is not None:
        raise BadInput(
            f"{loop.name} is closed: {one_line(closed.why, 200)}",
            command("close", loop.name, "--reopen"),
        )


def closed_words(closed: Closed) -> str:
    """Returns `closed with iteration 4: good enough for the pilot`."""
    number = f" with iteration {closed.iteration}" if closed.iteration is not None else ""
    return f"closed{number}: {closed.why}"


def _write(loop: LoopFolder, closed: Closed | None) -> None:
    path = loop.settings_file
    text = read_text(path)
    before = codec.from_toml(text, str(path))
    tables: dict[str, Any] = {name: value for name, value in before.items() if name != CLOSED}
    if closed is not None:
        tables[CLOSED] = {
            name: value for name, value in msgspec.to_builtins(closed).items() if value is not None
        }
    write_atomically(path, edited(text, tables, str(path)))


def edited(text: str, tables: dict[str, Any], where: str) -> str:
    """Returns `text` with the `[closed]` table of `tables`.

    The edit replaces that table alone, so that comments survive. Where the result would not read
    back as `tables`, the whole file is generated from them.
    """
    changed = _without_table(text)
    if CLOSED in tables:
        changed = f"{changed.rstrip()}\n\n{codec.to_toml({CLOSED: tables[CLOSED]})}"
    try:
        is_right = codec.from_toml(changed, where) == tables
    except BadInput:
        is_right = False
    return changed if is_right else codec.to_toml(tables)


def _without_table(text: str) -> str:
    """Returns the text without its `[closed]` table, which ends at the next table or the end."""
    lines, is_inside = [], False
    for line in text.splitlines(keepends=True):
        if _HEAD.fullmatch(line.strip()):
            is_inside = True
        elif is_inside and _TABLE.match(line):
            is_inside = False
        if not is_inside:
            lines.append(line)
    return "".join(lines).rstrip() + "\n" if len(lines) < len(text.splitlines()) else text
