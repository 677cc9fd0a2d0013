"""`queue.toml`: read, checked, changed by one process at a time, written whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from tui_loop.core import codec
from tui_loop.core.errors import BadInput
from tui_loop.core.files import write_atomically
from tui_loop.core.opening import check_regular
from tui_loop.core.queueing.drafts import QueuedDraft, spelled_out
from tui_loop.core.records import SCHEMA
from tui_loop.core.secrets import without_secrets
from tui_loop.core.small_files import read_text
from tui_loop.core.store import LoopFolder

HEAD = "# Drafts that wait, run from the top: tui-loop queue LOOP --run. Edit as you like.\n"


def read_queue(loop: LoopFolder) -> list[QueuedDraft]:
    """The drafts that wait, in order; raises BadInput that names file, draft and field."""
    if not os.path.lexists(loop.queue):
        return []
    loop.check_place()
    where = str(loop.queue)
    table = codec.from_toml(read_text(loop.queue), where)
    entries = table.pop("drafts", [])
    table.pop("schema", None)
    if table or not isinstance(entries, list):
        name = next(iter(table), "drafts")
        raise BadInput(
            f"{where}: {name}: only [[drafts]] stand here", "correct that line in an editor"
        )
    return [_read(entry, f"{where}: draft {at}") for at, entry in enumerate(entries, 1)]


@contextmanager
def changing(loop: LoopFolder) -> Iterator[list[QueuedDraft]]:
    """The queue, to be changed in place; written on leaving. Others who change it wait.

    Raises BadInput where it cannot be read, OSError where it cannot be written.
    """
    with _alone(loop):
        before = read_queue(loop)
        queue = list(before)
        yield queue
        if queue != before:
            _write(loop, queue)


def add(loop: LoopFolder, *drafts: QueuedDraft) -> int:
    """Puts drafts at the end; how many there are then."""
    with changing(loop) as queue:
        queue.extend(drafts)
        return len(queue)


def remove(loop: LoopFolder, position: int) -> QueuedDraft:
    """Takes out the draft at a position from 1 on; raises BadInput where there is none."""
    with changing(loop) as queue:
        return queue.pop(index_of(loop, queue, position))


def move(loop: LoopFolder, position: int, to: int) -> QueuedDraft:
    """Moves the draft at a position to another one, both from 1 on; gives it."""
    with changing(loop) as queue:
        at, target = (index_of(loop, queue, each) for each in (position, to))
        queue.insert(target, queue.pop(at))
        return queue[target]


def clear(loop: LoopFolder) -> int:
    """Empties the queue, also one that cannot be read; how many drafts were there."""
    with _alone(loop):
        count = 0
        with suppress(BadInput):
            count = len(read_queue(loop))
        loop.queue.unlink(missing_ok=True)
        return count


def index_of(loop: LoopFolder, queue: list[QueuedDraft], position: int) -> int:
    """The index of a position from 1 on; raises BadInput where no draft stands there."""
    if not 1 <= position <= len(queue):
        there = f"there are {len(queue)}" if queue else "it is empty"
        raise BadInput(
            f"{loop.name}: no draft {position} in the queue, {there}", f"tui-loop queue {loop.name}"
        )
    return position - 1


def _read(entry: Any, where: str) -> QueuedDraft:
    try:
        queued = msgspec.convert(entry, QueuedDraft)
    except msgspec.ValidationError as error:
        told, _, path = str(error).partition(" - at `$")
        place = f"{path.strip('.`')}: " if path else ""
        raise BadInput(f"{where}: {place}{told}", "correct that line in an editor") from error
    try:
        return msgspec.structs.replace(queued, set=spelled_out(queued.set))
    except BadInput as error:
        raise BadInput(
            f"{where}: set: {error.message}", "correct that line in an editor"
        ) from error


def _write(loop: LoopFolder, queue: list[QueuedDraft]) -> None:
    if not queue:
        loop.queue.unlink(missing_ok=True)
        return
    check_regular(loop.queue)
    table = {"schema": SCHEMA, "drafts": [msgspec.to_builtins(each) for each in queue]}
    write_atomically(loop.queue, HEAD + codec.to_toml(codec.spell(without_secrets(table))))


@contextmanager
def _alone(loop: LoopFolder) -> Iterator[None]:
    """Holds the loop's folder, for as long as it takes to read, change and write the queue."""
    descriptor = os.open(loop.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
