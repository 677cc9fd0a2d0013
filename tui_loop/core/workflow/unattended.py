"""One process at a time goes through a loop by itself: its queue, or what `auto` decides."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.lock import RunLock, Watch, holder_of, living_holder

Doing = Literal["auto", "queue"]


def is_unattended(loop: LoopFolder) -> bool:
    """Whether a process works through the loop's queue, or decides by itself."""
    return Watch(loop.unattended).look() != "gone"


def doing(loop: LoopFolder) -> Doing | None:
    """Which of the two; None where nothing goes through the loop by itself."""
    if not is_unattended(loop):
        return None
    holder = holder_of(loop.unattended)
    return "auto" if holder is not None and holder.doing == "auto" else "queue"


@contextmanager
def unattended(loop: LoopFolder, doing: Doing = "queue") -> Iterator[None]:
    """Makes this process the one; raises BadInput where there is another."""
    if is_unattended(loop):
        holder = holder_of(loop.unattended)
        who = f"process {holder.pid} on {holder.host}" if holder is not None else "another process"
        raise BadInput(
            f"{loop.name}: {who} runs its queue or auto already",
            f"tui-loop status {loop.name}; tui-loop stop {loop.name} stops it and what it runs",
        )
    _hear_interrupts()
    with RunLock(loop.unattended, doing):
        yield


def _hear_interrupts() -> None:
    """A shell has what it starts in the background ignore SIGINT, by which `end` ends this."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end(loop: LoopFolder) -> int:
    """Asks that process to end, as ctrl+c does: a run of it is stopped and saved. Its number.

    Raises BadInput where there is none, or none that can be reached from here.
    """
    holder = living_holder(loop.unattended)
    if holder is None:
        named = holder_of(loop.unattended) if is_unattended(loop) else None
        if named is None:
            raise BadInput(
                f"{loop.name}: nothing goes through it by itself", f"tui-loop status {loop.name}"
            )
        raise BadInput(
            f"{loop.name}: process {named.pid} on {named.host} goes through it",
            f"there: tui-loop stop {loop.name}",
        )
    os.kill(holder.pid, signal.SIGINT)
    return holder.pid
