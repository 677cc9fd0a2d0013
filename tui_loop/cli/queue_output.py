"""What other commands say of a loop's queue."""

from __future__ import annotations

from typing import Any

from tui_loop.core.commands import command
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.queue import (
    read_queue,
)
from tui_loop.core.workflow.unattended import doing, is_unattended


def waiting(loop: LoopFolder) -> dict[str, Any] | None:
    """How many drafts wait and whether they are being run, as JSON types; None where none does."""
    try:
        count, problem = len(read_queue(loop)), None
    except (TuiLoopError, OSError) as error:
        count, problem = 0, str(error)
    runs = is_unattended(loop)
    if not count and not runs and problem is None:
        return None
    return {"loop": loop.name, "waiting": count, "running": runs, "problem": problem}


def told_waiting(loop: LoopFolder) -> str:
    """The same in a line, "" where nothing waits."""
    found = waiting(loop)
    if found is None:
        return ""
    if found["problem"] is not None:
        return f"queue cannot be read: {found['problem']}"
    count, doer = found["waiting"], doing(loop)
    drafts = "1 draft waits" if count == 1 else f"{count} drafts wait"
    if doer == "auto":
        return (
            f"auto goes on by itself; {drafts} in the queue" if count else "auto goes on by itself"
        )
    if doer == "queue":
        return f"the queue is being run, {drafts if count else 'the last draft of it'}"
    return f"{drafts}: {command('queue', loop.name)}" if count else ""
