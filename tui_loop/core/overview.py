"""An iteration as every list and every `--json` shows it, whatever state its files are in."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.core.config import Tables
from tui_loop.core.errors import BadInput
from tui_loop.core.records import LIVE, NO_METRICS, Change, Decision, Iteration, State
from tui_loop.core.state import RunState, error_of
from tui_loop.core.store import IterationFolder
from tui_loop.core.wording import title_of


def unreadable(folder: IterationFolder, error: Exception) -> Iteration:
    """What stands for an iteration whose files cannot be read."""
    return Iteration(
        number=folder.number,
        state="unreadable",
        title="cannot be read",
        error={
            "kind": "data",
            "message": error.message if isinstance(error, BadInput) else str(error),
            "hint": "restore it, for example with git",
            "step": None,
        },
    )


def titled(summary: Iteration) -> Iteration:
    """The summary with its title in today's words, which derive from its changes."""
    title = title_of(summary.number, summary.parent, summary.changes)
    return msgspec.structs.replace(summary, title=title)


def described(
    number: int,
    decision: Decision,
    config: Tables,
    run: RunState,
    state: State,
) -> Iteration:
    """An iteration by its decision and its journal; metrics and fingerprint are left empty.

    What a recovery changed in the config stands in `changes` as what was decided does.
    """
    decided: dict[str, Any] = {
        change.field: change.new if _is_data(change) else [change.old, change.new]
        for change in decision.changes
    }
    changes = decided | {
        name: [decided[name][0] if isinstance(decided.get(name), list) else old, new]
        for name, (old, new) in run.recovered_changes.items()
    }
    lived = run.duration_s
    return Iteration(
        number=number,
        parent=decision.parent,
        state=state,
        title=title_of(number, decision.parent, changes),
        changes=changes,
        decision=decision.why,
        config=config,
        metrics=dict(NO_METRICS),
        error=error_of(run),
        attempts=run.attempt,
        duration_s=None if lived is None else round(lived, 1),
    )


def _is_data(change: Change) -> bool:
    """Whether a change is one of a data file's rows."""
    return isinstance(change.new, dict) and "rows_added" in change.new


def state_of(run: RunState, alive: bool) -> State:
    """The state of a run by its journal, given whether its process is alive."""
    if run.started is None:
        return "queued"
    if run.ended is not None:
        return run.ended.state
    if not alive:
        return "interrupted"
    if run.stop_requested:
        return "stopping"
    return "paused" if run.is_paused else "running"


def diverged_at(iteration: Iteration | None) -> int | None:
    """The step at which a run diverged, None where it did not."""
    error = iteration.error if iteration is not None else None
    step = error.get("step") if error and error.get("kind") == "diverged" else None
    return step if isinstance(step, int) and not isinstance(step, bool) else None


def loop_state(iterations: list[Iteration]) -> str:
    """`running` while any iteration runs, else the newest one's state, or `new`."""
    for iteration in iterations:
        if iteration.state in LIVE:
            return iteration.state
    return iterations[-1].state if iterations else "new"


def as_json(iteration: Iteration) -> dict[str, Any]:
    """The iteration as plain JSON types."""
    plain: dict[str, Any] = msgspec.to_builtins(iteration)
    return plain
