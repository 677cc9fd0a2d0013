"""Suggestions taken on the command line: `run --take K`, with K as `diagnose` numbers them."""

from __future__ import annotations

import msgspec

from tui_loop.core.config.settings import with_settings
from tui_loop.core.diagnosis.apply_suggestions import clash, with_suggestions
from tui_loop.core.diagnosis.diagnose import diagnose
from tui_loop.core.diagnosis.findings import Suggestion
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.draft import new_draft, plan_of
from tui_loop.core.workflow.plan import Plan, plan_with


def plan_taking(
    loop: LoopFolder, parent: int | None, numbers: list[int], settings: list[str], why: str
) -> Plan:
    """The next iteration from `parent` (default: the newest) with what was taken of its diagnosis.

    `settings` come on top; `why` stands before the reasons of what was taken. Raises BadInput.
    """
    if parent is None:
        parent = max(loop.numbers(), default=0)
    taken = _taken(loop, parent, numbers)
    plan = plan_of(loop, with_suggestions(new_draft(loop, parent), taken))
    text = "; ".join(filter(None, (why, plan.why)))
    return msgspec.structs.replace(
        plan_with(loop, parent, with_settings(plan.config, settings), text),
        suggestion=plan.suggestion,
        predicted=plan.predicted,
    )


def _taken(loop: LoopFolder, parent: int, numbers: list[int]) -> list[Suggestion]:
    found = diagnose(loop, loop.existing(parent).number).suggestions
    hint = f"tui-loop diagnose {loop.name}/{parent} numbers them"
    taken: list[Suggestion] = []
    for number in numbers:
        if not 1 <= number <= len(found):
            count = len(found) or "no"
            raise BadInput(f"--take {number}: {loop.name}/{parent} has {count} suggestions", hint)
        wanted = found[number - 1]
        if not wanted.changes:
            raise BadInput(f"--take {number}: no config can take this: {wanted.action}", hint)
        if problem := clash(taken, wanted):
            raise BadInput(f"--take {number}: {problem}", hint)
        taken.append(wanted)
    return taken
