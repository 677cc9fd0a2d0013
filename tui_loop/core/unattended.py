"""One process at a time goes through a loop by itself: its queue, or what `auto` decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tui_loop.core.errors import BadInput
from tui_loop.core.liveness import RunLock, Watch, holder_of
from tui_loop.core.store import LoopFolder


def is_unattended(loop: LoopFolder) -> bool:
    """Whether a process works through the loop's queue, or decides by itself."""
    return Watch(loop.unattended).look() != "gone"


@contextmanager
def unattended(loop: LoopFolder) -> Iterator[None]:
    """Makes this process the one; raises BadInput where there is another."""
    if is_unattended(loop):
        holder = holder_of(loop.unattended)
        who = f"process {holder.pid} on {holder.host}" if holder is not None else "another process"
        raise BadInput(
            f"{loop.name}: {who} runs its queue or auto already",
            f"tui-loop status {loop.name}; tui-loop stop {loop.name} stops it and what it runs",
        )
    with RunLock(loop.unattended):
        yield
