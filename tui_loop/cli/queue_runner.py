"""Running a loop's queue: one draft after the other, whatever becomes of each."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from tui_loop.cli.output import Output
from tui_loop.cli.unattended_runs import alone_with, created, ran, wait_for_others
from tui_loop.core.consent import ForeignCode, require_consent
from tui_loop.core.errors import RunStopped, TuiLoopError
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.iteration import as_json
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.queue import (
    QueuedDraft,
    leave,
    mark,
    next_waiting,
    plan_of_queued,
    read_queue,
    recover,
    set_problem,
)


def require_queue_consent(loop: LoopFolder, *, allow: bool) -> None:
    """Raises NeedsConsent where a draft that waits would run code that nobody allowed."""
    from tui_loop.engine.foreign_code import config_code

    code: list[ForeignCode] = []
    for queued in read_queue(loop):
        with suppress(TuiLoopError):  # what is wrong with a draft is said when its turn comes
            code += config_code(plan_of_queued(loop, queued).config, loop.root)
    require_consent(code, allow=allow)


class QueueRunner:
    """Runs what waits in a loop's queue; `done` and `refused` say what became of it."""

    def __init__(self, loop: LoopFolder, out: Output, *, allow_code: bool) -> None:
        self._loop, self._out, self._allow_code = loop, out, allow_code
        self.done: list[Iteration] = []
        self.refused: list[QueuedDraft] = []
        self.stopped = ""

    def run(self) -> int:
        """Runs until nothing waits or a stop is asked for; the exit code."""
        try:
            with alone_with(self._loop):
                for folder in recover(self._loop):
                    self._run([folder])
                while (queued := next_waiting(self._loop)) is not None:
                    wait_for_others(self._loop, self._out)
                    if folders := self._begin(queued):
                        self._run(folders)
        except RunStopped as error:
            self.stopped = error.message
        return self._exit_code

    @property
    def record(self) -> dict[str, Any]:
        """What became of it, as JSON types."""
        return {
            "iterations": [as_json(each) for each in self.done],
            "refused": [msgspec.to_builtins(each) for each in self.refused],
            "waiting": len(read_queue(self._loop)),
            "stopped": bool(self.stopped),
        }

    def tell(self) -> None:
        """Says in the end what became of it."""
        out, name = self._out, self._loop.name
        for each in self.done:
            out.line(f"{name}/{each.number} {told_end(each)}")
        for queued in self.refused:
            out.line(f"not started: {queued.why or queued.title}: {queued.problem}")
        waiting = len(read_queue(self._loop))
        if self.stopped:
            out.line(self.stopped)
        if waiting:
            drafts = "draft waits" if waiting == 1 else "drafts wait"
            out.advice(f"{waiting} {drafts} still: tui-loop queue {name}")

    @property
    def _exit_code(self) -> int:
        if self.stopped:
            return RunStopped.exit_code
        return 1 if self.refused or any(each.state != "finished" for each in self.done) else 0

    def _begin(self, queued: QueuedDraft) -> list[IterationFolder]:
        """Makes a draft an iteration, whose draft then leaves the queue; [] where it cannot be."""
        marked = mark(self._loop, queued)
        if marked is None:  # taken out or edited meanwhile
            return []
        try:
            plan = plan_of_queued(self._loop, queued)
            folders = created(self._loop, plan, self._out, allow_code=self._allow_code)
        except (TuiLoopError, OSError) as error:
            problem = error.message if isinstance(error, TuiLoopError) else str(error)
            set_problem(self._loop, marked, problem)
            self.refused.append(msgspec.structs.replace(queued, problem=problem))
            self._out.note(f"not started: {queued.why or queued.title}: {problem}")
            return []
        leave(self._loop, marked)
        return folders

    def _run(self, folders: list[IterationFolder]) -> None:
        last, out = folders[-1], self._out
        left = len(read_queue(self._loop))
        decision = last.read_decision()
        changed = ", ".join(f"{c.field} {brief(c.old)} → {brief(c.new)}" for c in decision.changes)
        out.note(
            f"{last} from {decision.parent or 'the defaults'}: {changed or 'as it is'}"
            f" ({left} more in the queue)"
        )
        try:
            ended = ran(self._loop, folders, out)
        finally:
            self.done += _of(folders)
        if ended[-1].state != "finished":
            message = (ended[-1].error or {}).get("message", ended[-1].state)
            out.note(f"{self._loop.name}/{ended[-1].number}: {message}")


def _of(folders: list[IterationFolder]) -> list[Iteration]:
    """How the iterations stand that were run, without the base where it did as it should."""
    there = [iteration_of(each) for each in folders if each.path.exists()]
    return [each for each in there if each.number > 0 or each.state != "finished"]


def told_end(iteration: Iteration) -> str:
    """How an iteration ended: `finished  score 71%  eval loss 1.204`."""
    parts: list[str] = [iteration.state]
    if score := figures.percent(iteration.metrics.get("score")):
        parts.append(f"score {score}")
    if loss := figures.loss(iteration.metrics.get("eval_loss")):
        parts.append(f"eval loss {loss}")
    if iteration.error:
        parts.append(str(iteration.error.get("message", "")))
    return "  ".join(parts)
