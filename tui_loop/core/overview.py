"""An iteration as every list and every `--json` shows it, whatever state its files are in."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.core.config import Tables, to_tables
from tui_loop.core.errors import BadInput
from tui_loop.core.follower import Follower
from tui_loop.core.liveness import Watch
from tui_loop.core.records import NO_METRICS, Change, Decision, Iteration, State
from tui_loop.core.state import RunState, error_of, fold
from tui_loop.core.store import IterationFolder, LoopFolder
from tui_loop.core.wording import title_of


def iteration_of(folder: IterationFolder, watch: Watch | None = None) -> Iteration:
    """The iteration in `folder`; one that cannot be read is `unreadable` and says why."""
    try:
        life = (watch or Watch(folder.lock)).look() if folder.lock.exists() else "gone"
        summary = folder.read_summary()  # a new attempt begins by removing the old one's
        if summary is not None:
            return _titled(summary)
        run = read_run(folder)
        decision, config = folder.read_decision(), folder.read_config()
    except (BadInput, OSError) as error:
        message = error.message if isinstance(error, BadInput) else str(error)
        return Iteration(
            number=folder.number,
            state="unreadable",
            title="cannot be read",
            error={
                "kind": "data",
                "message": message,
                "hint": "restore it, for example with git",
                "step": None,
            },
        )
    return described(folder.number, decision, to_tables(config), run, state_of(run, life != "gone"))


def _titled(summary: Iteration) -> Iteration:
    """The title in today's words: it is derived from the changes, whatever was written then."""
    title = title_of(summary.number, summary.parent, summary.changes)
    return msgspec.structs.replace(summary, title=title)


def described(
    number: int,
    decision: Decision,
    config: Tables,
    run: RunState,
    state: State,
) -> Iteration:
    """An iteration by its decision and its journal; metrics and fingerprint are left empty."""
    changes: dict[str, Any] = {
        change.field: change.new if _is_data(change) else [change.old, change.new]
        for change in decision.changes
    }
    started = run.started.t if run.started else None
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
        duration_s=round(run.last_t - started, 1) if started else None,
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
    return "stopping" if run.stop_requested else "running"


def read_run(folder: IterationFolder) -> RunState:
    """The whole journal of an iteration, folded."""
    return fold(RunState(), Follower(folder.journal).read_all())


def iterations_of(loop: LoopFolder) -> list[Iteration]:
    """Every iteration of a loop, in order."""
    return [iteration_of(loop.iteration(number)) for number in loop.numbers()]


def loop_state(iterations: list[Iteration]) -> str:
    """`running` while any iteration runs, else the newest one's state, or `new`."""
    for iteration in iterations:
        if iteration.state in ("running", "stopping", "paused"):
            return iteration.state
    return iterations[-1].state if iterations else "new"


def best_of(iterations: list[Iteration]) -> int | None:
    """The number of the iteration with the highest score, else the lowest eval loss."""
    done = [
        each
        for each in iterations
        if each.number > 0
        and each.state == "finished"
        and not isinstance(each.metrics.get("eval_loss"), str)  # NaN or infinite
    ]
    scored = [each for each in done if isinstance(each.metrics.get("score"), (int, float))]
    if scored:
        return max(scored, key=lambda each: (each.metrics["score"], -each.number)).number
    measured = [each for each in done if isinstance(each.metrics.get("eval_loss"), (int, float))]
    if measured:
        return min(measured, key=lambda each: (each.metrics["eval_loss"], each.number)).number
    return None


def as_json(iteration: Iteration) -> dict[str, Any]:
    """The iteration as plain JSON types."""
    plain: dict[str, Any] = msgspec.to_builtins(iteration)
    return plain
