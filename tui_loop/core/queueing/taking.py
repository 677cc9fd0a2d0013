"""Taking drafts out of the queue so that none is lost and none is run twice.

Before an iteration is created, the draft is marked with the number it will have; once the folder
is there, whole, the draft goes. Who finds a mark after a crash can tell by the folder which of
the two was the last thing that happened.
"""

from __future__ import annotations

import msgspec

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.liveness import Watch
from tui_loop.core.queueing.drafts import QueuedDraft, plan_of_queued, queued_plan
from tui_loop.core.queueing.storing import changing
from tui_loop.core.reader import iteration_of
from tui_loop.core.records import Decision
from tui_loop.core.secrets import masked
from tui_loop.core.store import IterationFolder, LoopFolder

_PROBLEM_LENGTH = 2000


def recover(loop: LoopFolder) -> list[IterationFolder]:
    """Clears what an earlier runner left: marks and problems, so that every draft is tried anew.

    Gives iterations that it had created and not begun.
    """
    left = []
    with changing(loop) as queue:
        for queued in list(queue):
            if queued.starting is None:
                continue
            folder = loop.iteration(queued.starting)
            if _is_created(loop, queued, folder):
                queue.remove(queued)
                if iteration_of(folder).state == "queued" and Watch(folder.lock).look() == "gone":
                    left.append(folder)
        queue[:] = [msgspec.structs.replace(each, starting=None, problem="") for each in queue]
    return left


def next_waiting(loop: LoopFolder) -> QueuedDraft | None:
    """The first draft that was not found impossible."""
    with changing(loop) as queue:
        return next((each for each in queue if not each.problem), None)


def mark(loop: LoopFolder, queued: QueuedDraft) -> QueuedDraft | None:
    """The draft as it stands in the queue while it is being created; None if it is there no more.

    The number is the one that `create_iteration` gives next.
    """
    number = max(loop.numbers(), default=0) + 1
    return _replaced(loop, queued, msgspec.structs.replace(queued, starting=number))


def leave(loop: LoopFolder, queued: QueuedDraft) -> None:
    """Takes the draft out: its iteration is there."""
    with changing(loop) as queue:
        if queued in queue:
            queue.remove(queued)


def put_aside(loop: LoopFolder, queued: QueuedDraft, problem: str) -> None:
    """Leaves the draft where it stands, with the reason for which it could not be started."""
    told = masked(problem)[:_PROBLEM_LENGTH] or "could not be started"
    _replaced(loop, queued, msgspec.structs.replace(queued, starting=None, problem=told))


def _replaced(loop: LoopFolder, old: QueuedDraft, new: QueuedDraft) -> QueuedDraft | None:
    with changing(loop) as queue:
        if old not in queue:
            return None
        queue[queue.index(old)] = new
    return new


def _is_created(loop: LoopFolder, queued: QueuedDraft, folder: IterationFolder) -> bool:
    """Whether the folder is what the draft was to become."""
    if not folder.path.exists():
        return False
    try:
        decision = folder.read_decision()
    except (TuiLoopError, OSError):
        return False
    if decision.why != masked(queued.why):
        return False
    try:
        wanted = queued_plan(plan_of_queued(loop, queued))
    except TuiLoopError:
        return decision.parent == queued.parent
    return decision.parent == wanted.parent and _set_by(decision) == wanted.set


def _set_by(decision: Decision) -> dict[str, object]:
    """What a decision changed, as the queue has it; rows of data files are none of it."""
    return {
        change.field: "unset" if change.new is None else change.new
        for change in decision.changes
        if not (isinstance(change.new, dict) and "rows_added" in change.new)
    }
