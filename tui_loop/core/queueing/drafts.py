"""A draft that waits: its parent, what it changes against it, why; and the plan that it is."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.core.config.schema import GROUPS
from tui_loop.core.config.settings import full_name
from tui_loop.core.config.tables import Tables, merge, to_tables
from tui_loop.core.config.validation import read_config
from tui_loop.core.draft import Draft
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.planning import Plan, config_before, plan_with
from tui_loop.core.record.iteration import title_of
from tui_loop.core.record.loop_folder import LoopFolder
from tui_loop.core.text.secrets import fields_with_secrets

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
