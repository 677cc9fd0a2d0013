"""Builds an `Iteration` for lists and `--json`, whatever the state of its files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tui_loop.core.config.schema import SEED
from tui_loop.core.config.tables import Tables
from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import spell
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.state import RunState, error_of
from tui_loop.core.record.structs import (
    LIVE,
    NO_METRICS,
    RESUMABLE,
    Change,
    Decision,
    Iteration,
    Reached,
    State,
)
from tui_loop.core.record.system_summary import summary_of
from tui_loop.core.text.figures import brief, counted, loss, silence
from tui_loop.core.text.untrusted import one_line


def unreadable_iteration(folder: IterationFolder, error: Exception) -> Iteration:
    """Returns a placeholder for an iteration whose files cannot be read."""
    return Iteration(
        number=folder.number,
        state="unreadable",
        title="cannot be read",
        error={
            "kind": "data",
            "message": error.message if isinstance(error, BadInput) else str(error),
            "hint": "restore the file, for example with git",
            "step": None,
        },
    )


def with_current_title(summary: Iteration) -> Iteration:
    """Returns the summary with a newly derived title: an older version may have written it."""
    title = title_of(summary.number, summary.parent, summary.changes)
    return msgspec.structs.replace(summary, title=title)


def iteration_from(
    number: int,
    decision: Decision,
    config: Tables,
    run: RunState,
    state: State,
) -> Iteration:
    """Builds an iteration from its decision and its journal, without metrics and fingerprint.

    `changes` has the decided changes and those that a recovery made to the config.
    """
    decided: dict[str, Any] = {
        change.field: change.new if _is_data(change) else [change.old, change.new]
        for change in decision.changes
    }
    changes = decided | {
        name: [decided[name][0] if isinstance(decided.get(name), list) else old, new]
        for name, (old, new) in run.recovered_changes.items()
    }
    duration = run.duration_s
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
        duration_s=None if duration is None else round(duration, 1),
        system=None if state in LIVE else summary_of(run.system),
        reached=(reached_of(run) or msgspec.UNSET) if state in RESUMABLE else msgspec.UNSET,
    )


def _is_data(change: Change) -> bool:
    """Returns whether a change is in the rows of a data file."""
    return isinstance(change.new, dict) and "rows_added" in change.new


def state_of(run: RunState, alive: bool) -> State:
    """Returns the state of a run from its journal and whether its process is alive.

    An iteration that its host checks before it starts it counts as running.
    """
    if run.started is None:
        return "running" if alive and run.phase is not None else "queued"
    if run.ended is not None:
        return run.ended.state
    if not alive:
        return "interrupted"
    if run.stop_requested:
        return "stopping"
    return "paused" if run.is_paused else "running"


def state_words(state: str, silent_s: int | None) -> str:
    """Returns the state of a run, such as `running, silent for 75 s`."""
    return state if silent_s is None else f"{state}, silent for {silence(silent_s)}"


def reached_of(run: RunState) -> Reached | None:
    """Returns how far a run came and what it measured by then, None if it took no step."""
    done = run.trained_steps
    if not done:
        return None
    losses = [each for each in run.evaluations if "eval_loss" in each.values]
    newest = losses[-1] if losses else None
    return Reached(
        steps=done,
        total=run.training_total,
        eval_loss=spell(newest.values["eval_loss"]) if newest is not None else None,
        eval_step=newest.step if newest is not None else None,
    )


def reached_words(iteration: Iteration) -> str:
    """Returns `stopped at 41 of 76 steps (54%), eval loss 1.21 at step 40`, "" if not known."""
    reached = iteration.reach
    if reached is None:
        return ""
    steps = counted(reached.steps, "step")
    if reached.total:
        steps = f"{reached.steps} of {counted(reached.total, 'step')} ({share_words(iteration)})"
    words = f"{iteration.state} at {steps}"
    measured = loss(reached.eval_loss)
    return f"{words}, eval loss {measured} at step {reached.eval_step}" if measured else words


def share_words(iteration: Iteration) -> str:
    """Returns the share of its steps that an unfinished run took: `54%`, "" if not known.

    Never 0% nor 100%: such a run took a step, and lacks one or its last evaluation.
    """
    reached = iteration.reach
    if reached is None or not reached.total:
        return ""
    return f"{min(99, max(1, 100 * reached.steps // reached.total))}%"


def diverged_at(iteration: Iteration | None) -> int | None:
    """Returns the step at which a run diverged, None where it did not."""
    error = iteration.error if iteration is not None else None
    step = error.get("step") if error and error.get("kind") == "diverged" else None
    return step if isinstance(step, int) and not isinstance(step, bool) else None


def next_parent(iterations: Sequence[Iteration]) -> int | None:
    """Returns the iteration that the next one starts from: the newest readable one.

    Of one that diverged it is the last sound one that it came from, if any was trained.
    """
    by_number = {each.number: each for each in iterations if each.config is not None}
    if not by_number:
        return None
    newest = number = max(by_number)
    while diverged_at(by_number.get(number)) is not None:
        parent = by_number[number].parent
        if not parent or parent not in by_number:
            return newest
        number = parent
    return number


def is_bare(iteration: Iteration) -> bool:
    """Returns whether only the journal is known so far; the summary may be being written."""
    return all(value is None for value in iteration.metrics.values())


def loop_state(iterations: Sequence[Iteration], queued: int = 0) -> str:
    """Returns the state of a live iteration, else `queued`, `idle`, or `new` without iterations.

    `queued`: the number of queued drafts. How the last run ended is no state of a loop.
    """
    for iteration in iterations:
        if iteration.state in LIVE:
            return iteration.state
    if queued or any(each.state == "queued" for each in iterations):
        return "queued"
    return "idle" if iterations else "new"


def last_run_state(iterations: Sequence[Iteration]) -> str:
    """Returns how the newest run ended, "" where it is live or nothing has run."""
    ran = [each for each in iterations if each.state != "queued"]
    return ran[-1].state if ran and ran[-1].state not in LIVE else ""


def as_json(iteration: Iteration) -> dict[str, Any]:
    """Returns the iteration as plain JSON types."""
    plain: dict[str, Any] = msgspec.to_builtins(iteration)
    return plain


TITLE_VALUE_LENGTH = 32


def title_of(number: int, parent: int | None, changes: dict[str, Any]) -> str:
    """Returns the title of an iteration in a table: its changes in short.

    `identical to 3` has the config, the rows and the seed of its parent 3, and `replicate of 3,
    seed 43` differs in the seed alone.
    """
    if number == 0:
        return "base"
    is_first = parent in (None, 0)
    if not changes:
        return "baseline" if is_first else f"identical to {parent}"
    if list(changes) == [SEED]:
        repeated = "baseline" if is_first else f"replicate of {parent}"
        return f"{repeated}, seed {brief(_pair(changes[SEED])[1])}"
    (name, value), *rest = changes.items()
    more = f", +{len(rest)}" if rest else ""
    if isinstance(value, dict):
        signs = (("+", "rows_added"), ("-", "rows_removed"), ("~", "rows_changed"))
        counts = " ".join(f"{sign}{value[key]}" for sign, key in signs if value.get(key))
        return f"{name} {counts} rows{more}"
    before, after = (one_line(brief(each), TITLE_VALUE_LENGTH) for each in _pair(value))
    return f"{name.partition('.')[2]} {before} → {after}{more}"


def _pair(value: Any) -> tuple[Any, Any]:
    """Returns (old, new); a record that was edited by hand may have another value."""
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return value[0], value[1]
    return None, value
