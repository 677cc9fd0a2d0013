"""The queue of a loop (`queue.toml`): drafts that wait, changed by one process at a time.

A queued draft is its parent, its changes against it, and the reason. Taking one out loses none and
runs none twice, whatever dies in between.

Before an iteration is created, the draft is marked with the number it will have; once the folder
is there, whole, the draft goes. Who finds a mark after a crash can tell by the folder which of
the two was the last thing that happened.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from tui_loop.core.config.schema import GROUPS
from tui_loop.core.config.settings import full_name
from tui_loop.core.config.tables import Tables, merge, to_tables
from tui_loop.core.config.validation import read_config
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record import codec
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.iteration import title_of
from tui_loop.core.record.lock import Watch
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.safe_open import check_regular, read_text
from tui_loop.core.record.structs import SCHEMA, Decision
from tui_loop.core.text.secrets import fields_with_secrets, redacted, without_secrets
from tui_loop.core.workflow.draft import Draft
from tui_loop.core.workflow.plan import Plan, config_before, plan_with

UNSET = "unset"
"""How TOML, which has no null, says that a field is unset."""


class QueuedDraft(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One entry of `queue.toml`.

    `parent`: None or 0 for the loop's defaults. `set`: {"group.field": value} of what differs from
    the parent. `suggestion` and `predicted`: as a `Decision` has them. `problem`: why it could not
    be started. `starting`: the number under which it is being created.
    """

    parent: int | None = None
    why: str = ""
    set: dict[str, Any] = {}
    suggestion: str | None = None
    predicted: dict[str, Any] | None = None
    problem: str = ""
    starting: int | None = None

    @property
    def title(self) -> str:
        """What an iteration of it would be called: its changes in short."""
        changes = {name: [None, _unspelled(value)] for name, value in self.set.items()}
        return title_of(1, self.parent, changes)


def queued_plan(plan: Plan) -> QueuedDraft:
    """A plan as an entry of the queue."""
    changed = {
        name: UNSET if change[1] is None else change[1]
        for name, change in plan.changes.items()
        if not isinstance(change, dict)  # rows of a data file, which are counted when it begins
    }
    return QueuedDraft(plan.parent, plan.why, changed, plan.suggestion, plan.predicted)


def plan_of_queued(loop: LoopFolder, queued: QueuedDraft) -> Plan:
    """The iteration that it stands for; raises TuiLoopError with every problem of its fields."""
    tables = merge(to_tables(config_before(loop, queued.parent)), tables_of(queued))
    if secrets := fields_with_secrets(tables):
        raise BadInput(
            f"{', '.join(secrets)}: looks like it has a token or a password in it",
            "keep it out of the loop's files: libraries read tokens from the environment",
        )
    plan = plan_with(loop, queued.parent, read_config(tables), queued.why)
    return msgspec.structs.replace(plan, suggestion=queued.suggestion, predicted=queued.predicted)


def problem_of(loop: LoopFolder, queued: QueuedDraft) -> str:
    """Why it cannot be run as it is written, "" if it can as far as its text tells."""
    try:
        plan_of_queued(loop, queued)
    except TuiLoopError as error:
        return error.message
    return queued.problem


def draft_of(loop: LoopFolder, queued: QueuedDraft) -> Draft:
    """The draft to edit; wrong values stay as they are. Raises TuiLoopError for its parent."""
    before = to_tables(config_before(loop, queued.parent))
    tables = merge(before, _unspelled_tables(tables_of(queued)))
    return Draft(
        queued.parent, queued.why, tables, before, False, queued.suggestion, queued.predicted
    )


def queued_draft(draft: Draft) -> QueuedDraft:
    """A draft as an entry of the queue, wrong values and all."""
    changed = {
        name: UNSET if value is None else value for name, (_, value) in draft.changed.items()
    }
    return QueuedDraft(draft.parent, draft.why, changed, draft.suggestion, draft.predicted)


def tables_of(queued: QueuedDraft) -> Tables:
    """What it sets, by group and field."""
    tables: Tables = {}
    for name, value in queued.set.items():
        group, _, field = name.partition(".")
        tables.setdefault(group, {})[field] = value
    return tables


def spelled_out(fields: dict[str, Any]) -> dict[str, Any]:
    """`set` as people write it, with every name in full; raises BadInput for an unknown name.

    `learning_rate = 1e-4`, `training.learning_rate = 1e-4` (a table in TOML) and
    `"training.learning_rate" = 1e-4` are the same.
    """
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name in GROUPS and isinstance(value, dict):
            found |= {f"{name}.{field}": each for field, each in value.items()}
        else:
            found[full_name(name)] = value
    return found


def _unspelled(value: Any) -> Any:
    return None if value == UNSET else value


def _unspelled_tables(tables: Tables) -> Tables:
    return {
        group: {field: _unspelled(value) for field, value in table.items()}
        for group, table in tables.items()
    }


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
    text = redacted(problem)[:_PROBLEM_LENGTH] or "could not be started"
    _replaced(loop, queued, msgspec.structs.replace(queued, starting=None, problem=text))


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
    if decision.why != redacted(queued.why):
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
