"""The queue of a loop (`queue.toml`): drafts to run, changed by one process at a time.

A queued draft has a parent, the changes against it, and a reason. A crash while one is dequeued
neither loses a draft nor runs one twice: before an iteration is created, its draft is marked with
the number it will have; once the folder exists, whole, the draft is removed. After a crash the
folder shows which of the two steps came last.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from tui_loop.core.commands import command, shell_text
from tui_loop.core.config.schema import GROUPS
from tui_loop.core.config.settings import full_name
from tui_loop.core.config.tables import Tables, merge, to_tables
from tui_loop.core.config.validation import read_config
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record import codec
from tui_loop.core.record.exclusive import exclusive
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.iteration import title_of
from tui_loop.core.record.lock import LockWatcher
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.safe_open import check_regular, read_text
from tui_loop.core.record.structs import SCHEMA, Decision
from tui_loop.core.text.figures import counted
from tui_loop.core.text.secrets import fields_with_secrets, redacted, without_secrets
from tui_loop.core.workflow.draft import Draft
from tui_loop.core.workflow.plan import Plan, config_before, plan_with, starting_config

UNSET = "unset"
"""The value of an unset field, since TOML has no null."""


class QueuedDraft(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One entry of `queue.toml`.

    `parent`: None or 0 for the loop's defaults. `set`: {"group.field": value} of the fields that
    differ from the parent. `suggestion` and `predicted`: as in a `Decision`. `problem`: why it
    could not be started. `starting`: the number under which it is being created.
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
        """Returns the title that its iteration would have: its changes in short."""
        changes = {name: [None, _none_if_unset(value)] for name, value in self.set.items()}
        return title_of(1, self.parent, changes)


def queued_plan(plan: Plan) -> QueuedDraft:
    """Converts a plan to an entry of the queue."""
    changed = {
        name: UNSET if change[1] is None else change[1]
        for name, change in plan.changes.items()
        if not isinstance(change, dict)  # rows of a data file, counted again when the run starts
    }
    return QueuedDraft(plan.parent, plan.why, changed, plan.suggestion, plan.predicted)


def plan_of_queued(loop: LoopFolder, queued: QueuedDraft) -> Plan:
    """Returns the plan of a queued draft; raises TuiLoopError with every problem of its fields."""
    tables = merge(to_tables(starting_config(loop, queued.parent)), tables_of(queued))
    if secrets := fields_with_secrets(tables):
        raise BadInput(
            f"{', '.join(secrets)}: looks like it contains a token or a password",
            "put the token into an environment variable, where libraries look for it",
        )
    plan = plan_with(loop, queued.parent, read_config(tables), queued.why)
    return msgspec.structs.replace(plan, suggestion=queued.suggestion, predicted=queued.predicted)


def problem_of(loop: LoopFolder, queued: QueuedDraft) -> str:
    """Returns why a draft cannot run as written, "" where its text shows no reason."""
    try:
        plan_of_queued(loop, queued)
    except TuiLoopError as error:
        return error.message
    return queued.problem


def draft_of(loop: LoopFolder, queued: QueuedDraft) -> Draft:
    """Converts an entry to a draft, invalid values included; raises TuiLoopError for its parent."""
    before = to_tables(config_before(loop, queued.parent))
    start = to_tables(starting_config(loop, queued.parent))
    tables = merge(start, _tables_with_none(tables_of(queued)))
    return Draft(
        queued.parent, queued.why, tables, before, False, queued.suggestion, queued.predicted
    )


def queued_draft(draft: Draft) -> QueuedDraft:
    """Converts a draft to an entry of the queue, invalid values included."""
    changed = {
        name: UNSET if value is None else value for name, (_, value) in draft.changed.items()
    }
    return QueuedDraft(draft.parent, draft.why, changed, draft.suggestion, draft.predicted)


def tables_of(queued: QueuedDraft) -> Tables:
    """Returns the fields that a draft sets, by group."""
    tables: Tables = {}
    for name, value in queued.set.items():
        group, _, field = name.partition(".")
        tables.setdefault(group, {})[field] = value
    return tables


def full_names(fields: dict[str, Any]) -> dict[str, Any]:
    """Returns `set` with every field name in full; raises BadInput for an unknown name.

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


def _none_if_unset(value: Any) -> Any:
    return None if value == UNSET else value


def _tables_with_none(tables: Tables) -> Tables:
    return {
        group: {field: _none_if_unset(value) for field, value in table.items()}
        for group, table in tables.items()
    }


HEAD = shell_text(
    f"# Queued drafts, run from the top: {command('queue', 'LOOP', '--run')}. Edit as you like.\n"
)


def read_queue(loop: LoopFolder) -> list[QueuedDraft]:
    """Reads the queued drafts, in order; raises BadInput that names file, draft and field."""
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
            f"{where}: {name}: only [[drafts]] are allowed here", "correct that line in an editor"
        )
    return [_read(entry, f"{where}: draft {at}") for at, entry in enumerate(entries, 1)]


@contextmanager
def editing_queue(loop: LoopFolder) -> Iterator[list[QueuedDraft]]:
    """Yields the queue to change in place and writes it on exit; other processes wait meanwhile.

    Raises BadInput where it cannot be read, OSError where it cannot be written.
    """
    with exclusive(loop):
        before = read_queue(loop)
        queue = list(before)
        yield queue
        if queue != before:
            _write(loop, queue)


def add(loop: LoopFolder, *drafts: QueuedDraft) -> int:
    """Appends drafts and returns the new length."""
    with editing_queue(loop) as queue:
        queue.extend(drafts)
        return len(queue)


def remove(loop: LoopFolder, position: int) -> QueuedDraft:
    """Removes and returns the draft at a position from 1; raises BadInput where there is none."""
    with editing_queue(loop) as queue:
        return queue.pop(index_of(loop, queue, position))


def move(loop: LoopFolder, position: int, to: int) -> QueuedDraft:
    """Moves a draft to another position, both counted from 1, and returns it."""
    with editing_queue(loop) as queue:
        at, target = (index_of(loop, queue, each) for each in (position, to))
        queue.insert(target, queue.pop(at))
        return queue[target]


def clear(loop: LoopFolder) -> int:
    """Empties the queue, also an unreadable one; returns how many drafts it had."""
    with exclusive(loop):
        count = 0
        with suppress(BadInput):
            count = len(read_queue(loop))
        loop.queue.unlink(missing_ok=True)
        return count


def index_of(loop: LoopFolder, queue: list[QueuedDraft], position: int) -> int:
    """Returns the index of a position from 1; raises BadInput where there is no draft."""
    if not 1 <= position <= len(queue):
        content = f"it has {counted(len(queue), 'draft')}" if queue else "it is empty"
        raise BadInput(
            f"{loop.name}: the queue has no draft {position}; {content}",
            command("queue", loop.name),
        )
    return position - 1


def _read(entry: Any, where: str) -> QueuedDraft:
    try:
        queued = msgspec.convert(entry, QueuedDraft)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        place = f"{path.strip('.`')}: " if path else ""
        raise BadInput(f"{where}: {place}{message}", "correct that line in an editor") from error
    try:
        return msgspec.structs.replace(queued, set=full_names(queued.set))
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


_PROBLEM_LENGTH = 2000


def recover(loop: LoopFolder) -> list[IterationFolder]:
    """Clears the marks and problems of an earlier runner, so that every draft is tried again.

    Returns the iterations that it had created but not started.
    """
    unstarted = []
    with editing_queue(loop) as queue:
        for queued in list(queue):
            if queued.starting is None:
                continue
            folder = loop.iteration(queued.starting)
            if _is_created(loop, queued, folder):
                queue.remove(queued)
                if (
                    iteration_of(folder).state == "queued"
                    and LockWatcher(folder.lock).poll() == "gone"
                ):
                    unstarted.append(folder)
        queue[:] = [msgspec.structs.replace(each, starting=None, problem="") for each in queue]
    return unstarted


def next_waiting(loop: LoopFolder) -> QueuedDraft | None:
    """Returns the first draft without a problem."""
    with editing_queue(loop) as queue:
        return next((each for each in queue if not each.problem), None)


def mark(loop: LoopFolder, queued: QueuedDraft) -> QueuedDraft | None:
    """Marks a draft as being created and returns it, None if it is no longer in the queue.

    The mark is the number that `create_iteration` assigns next.
    """
    number = max(loop.numbers(), default=0) + 1
    return _replaced(loop, queued, msgspec.structs.replace(queued, starting=number))


def leave(loop: LoopFolder, queued: QueuedDraft) -> None:
    """Removes the draft, whose iteration has been created."""
    with editing_queue(loop) as queue:
        if queued in queue:
            queue.remove(queued)


def set_problem(loop: LoopFolder, queued: QueuedDraft, problem: str) -> None:
    """Leaves the draft in its place and records why it could not be started."""
    text = redacted(problem)[:_PROBLEM_LENGTH] or "could not be started"
    _replaced(loop, queued, msgspec.structs.replace(queued, starting=None, problem=text))


def put_back(loop: LoopFolder, queued: QueuedDraft, problem: str) -> None:
    """Returns a draft whose iteration was refused to the top of the queue, with the reason."""
    text = redacted(problem)[:_PROBLEM_LENGTH]
    with editing_queue(loop) as queue:
        queue.insert(0, msgspec.structs.replace(queued, starting=None, problem=text))


def _replaced(loop: LoopFolder, old: QueuedDraft, new: QueuedDraft) -> QueuedDraft | None:
    with editing_queue(loop) as queue:
        if old not in queue:
            return None
        queue[queue.index(old)] = new
    return new


def _is_created(loop: LoopFolder, queued: QueuedDraft, folder: IterationFolder) -> bool:
    """Returns whether the folder was created from the draft."""
    if not folder.path.exists():
        return False
    try:
        decision = folder.read_decision()
    except (TuiLoopError, OSError):
        return False
    if decision.why != redacted(queued.why):
        return False
    try:
        planned = queued_plan(plan_of_queued(loop, queued))
    except TuiLoopError:
        return decision.parent == queued.parent
    return decision.parent == planned.parent and _set_by(decision) == planned.set


def _set_by(decision: Decision) -> dict[str, object]:
    """Returns the fields that a decision changed in the form of `set`, without data rows."""
    return {
        change.field: "unset" if change.new is None else change.new
        for change in decision.changes
        if not (isinstance(change.new, dict) and "rows_added" in change.new)
    }
