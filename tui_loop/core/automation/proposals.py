"""What a source of suggestions is: it looks at what was tried and proposes the next iteration."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from tui_loop.core.automation.history import History
from tui_loop.core.config.tables import merge, to_tables
from tui_loop.core.config.validation import read_config
from tui_loop.core.planning import Plan, config_before, plan_with
from tui_loop.core.record.loop_folder import LoopFolder


class Proposal(msgspec.Struct, frozen=True):
    """The next iteration: `settings` ({"group.field": value, None = unset}) on top of `parent`.

    `parent`: None for the loop's defaults. `suggestion` and `predicted`: as a `Decision` has them.
    """

    parent: int | None
    why: str
    settings: dict[str, Any] = {}
    suggestion: str | None = None
    predicted: dict[str, Any] | None = None


class Source(Protocol):
    """Where suggestions come from."""

    def propose(self, history: History) -> Proposal | None:
        """What to try next; None where nothing is worth it. Raises TuiLoopError."""


def plan_of_proposal(loop: LoopFolder, proposal: Proposal) -> Plan:
    """The plan of a proposal; raises TuiLoopError with every problem of its settings."""
    tables = to_tables(config_before(loop, proposal.parent))
    for name, value in proposal.settings.items():
        group, _, field = name.partition(".")
        tables = merge(tables, {group: {field: value}})
    plan = plan_with(loop, proposal.parent, read_config(tables), proposal.why)
    return msgspec.structs.replace(
        plan, suggestion=proposal.suggestion, predicted=proposal.predicted
    )
