"""The unattended lock: one process at a time runs a loop's queue or its autopilot."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tui_loop.core.commands import command
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.lock import LockWatcher, RunLock, holder_of, living_holder

Doing = Literal["auto", "queue"]


def is_unattended(loop: LoopFolder) -> bool:
    """Returns whether a process runs the loop's queue or its autopilot."""
    return LockWatcher(loop.unattended).poll() != "gone"


def doing(loop: LoopFolder) -> Doing | None:
    """Returns what runs the loop unattended, None where nothing does."""
    if not is_unattended(loop):
        return None
    holder = holder_of(loop.unattended)
    return "auto" if holder is not None and holder.doing == "auto" else "queue"


@contextmanager
def unattended(loop: LoopFolder, doing: Doing = "queue") -> Iterator[None]:
    """Holds the unattended lock; raises BadInput where another process has it."""
    if is_unattended(loop):
        holder = holder_of(loop.unattended)
        who = f"process {holder.pid} on {holder.host}" if holder is not None else "another process"
        raise BadInput(
            f"{loop.name}: {who} already runs the queue or auto",
            f"stop that process and its run: {command('stop', loop.name)}",
        )
    _accept_interrupts()
    with RunLock(loop.unattended, doing):
        yield


def _accept_interrupts() -> None:
    """Restores SIGINT, which `end` sends: a shell makes its background jobs ignore it."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end(loop: LoopFolder) -> int:
    """Sends SIGINT to that process, which stops and saves its run; returns its process id.

    Raises BadInput where there is no such process, or none on this host.
    """
    holder = living_holder(loop.unattended)
    if holder is None:
        remote = holder_of(loop.unattended) if is_unattended(loop) else None
        if remote is None:
            raise BadInput(
                f"{loop.name}: neither the queue nor auto is running",
                command("status", loop.name),
            )
        raise BadInput(
            f"{loop.name}: process {remote.pid} on {remote.host} runs the queue or auto",
            f"on {remote.host}: {command('stop', loop.name)}",
        )
    os.kill(holder.pid, signal.SIGINT)
    return holder.pid
