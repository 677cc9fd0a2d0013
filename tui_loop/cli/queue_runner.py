"""Runs a loop's queue: one draft after the other, also after one that fails."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import msgspec

from tui_loop.cli.arguments import ONE
from tui_loop.cli.jobs import shown_by, submitted
from tui_loop.cli.output import Output
from tui_loop.cli.parallel_runs import Ended, ParallelRuns, has_free_gpus
from tui_loop.cli.run_process import create_runs
from tui_loop.cli.unattended_runs import (
    POLL_SECONDS,
    run_unattended,
    unattended_session,
    wait_for_live_run,
)
from tui_loop.core.consent import ForeignCode, require_consent
from tui_loop.core.errors import RunStopped, TuiLoopError
from tui_loop.core.preflight.check_result import ChecksFailed
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.iteration import as_json
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.structs import Iteration
from tui_loop.core.slurm.settings import SlurmSettings
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief, counted
from tui_loop.core.workflow.plan import recorded_plan
from tui_loop.core.workflow.queue import (
    QueuedDraft,
    leave,
    mark,
    next_waiting,
    plan_of_queued,
    put_back,
    queued_plan,
    read_queue,
    recover,
    set_problem,
)


def require_queue_consent(loop: LoopFolder, *, allow: bool) -> None:
    """Raises NeedsConsent where a queued draft would run code that the user has not allowed."""
    from tui_loop.engine.foreign_code import config_code

    code: list[ForeignCode] = []
    for queued in read_queue(loop):
        with suppress(TuiLoopError):  # problems of a draft are reported when its turn comes
            code += config_code(plan_of_queued(loop, queued).config, loop.root)
    require_consent(code, allow=allow)


def queue_words(loop: LoopFolder, *, allow_code: bool, parallel: str = ONE) -> list[str]:
    """Returns the command line that runs the queue, for a background process."""
    words = ["queue", loop.name, "--run"]
    if parallel != ONE:
        words += ["--parallel", parallel]
    return [*words, *(["--allow-code"] if allow_code else [])]


class QueueRunner:
    """Runs the drafts in a loop's queue; `ended` and `refused` hold the results.

    `slots`: how many run at once.
    """

    def __init__(self, loop: LoopFolder, out: Output, *, allow_code: bool, slots: int = 1) -> None:
        self._loop, self._out, self._allow_code = loop, out, allow_code
        self._slots = slots
        self.ended: list[Iteration] = []
        self.refused: list[QueuedDraft] = []
        self.stop_message = ""

    def run(self) -> int:
        """Runs until the queue is empty or a stop is requested; returns the exit code."""
        try:
            with unattended_session(self._loop):
                if self._slots > 1:
                    self._run_in_parallel()
                else:
                    self._run_in_order()
        except RunStopped as error:
            self.stop_message = error.message
        return self._exit_code

    def _run_in_order(self) -> None:
        for folder in recover(self._loop):
            self._run([folder], queued_plan(recorded_plan(folder)))
        while (queued := next_waiting(self._loop)) is not None:
            wait_for_live_run(self._loop, self._out)
            if folders := self._create(queued):
                self._run(folders, queued)

    def _run_in_parallel(self) -> None:
        """Starts the next draft whenever there is a slot, and a GPU where it needs one."""
        created = recover(self._loop)
        with ParallelRuns(self._loop, self._out, self._slots) as runs:
            queued_as: dict[int, QueuedDraft] = {}
            while True:
                for ended in runs.ended():
                    self._note_end(ended, queued_as[ended.folders[-1].number])
                if runs.stop_requested:
                    if not runs.count:
                        raise RunStopped(f"{self._loop.name}: stopped on request", "")
                elif not created and next_waiting(self._loop) is None:
                    if not runs.count:
                        return
                elif runs.has_room() and (found := self._next(created)):
                    folders, queued = found
                    queued_as[folders[-1].number] = queued
                    self._announce(folders)
                    runs.start(folders)
                    continue
                time.sleep(POLL_SECONDS)

    def _next(
        self, created: list[IterationFolder]
    ) -> tuple[list[IterationFolder], QueuedDraft] | None:
        """Returns what can start now, first what an earlier runner had created; None for nothing.

        Drafts keep their order: none overtakes one that waits for a GPU.
        """
        if created:
            if not has_free_gpus(created[0].read_config().run):
                return None
            folder = created.pop(0)
            return [folder], queued_plan(recorded_plan(folder))
        queued = next_waiting(self._loop)
        if queued is None:
            return None
        with suppress(TuiLoopError):  # problems of a draft are reported by its creation
            if not has_free_gpus(plan_of_queued(self._loop, queued).config.run):
                return None
        folders = self._create(queued)
        return (folders, queued) if folders else None

    def _note_end(self, ended: Ended, queued: QueuedDraft) -> None:
        if ended.refusal:
            problem = "; ".join(each.message for each in ended.refusal)
            put_back(self._loop, queued, problem)
            self._note_refusal(queued, problem)
            return
        reported = [each for each in ended.iterations if each.number or each.state != "finished"]
        self.ended += reported
        last = ended.folders[-1].number
        if not ended.is_stopped and last not in [each.number for each in ended.iterations]:
            self._note_refusal(queued, "its process ended before the run started")
        for iteration in reported:
            self._out.note(f"{self._loop.name}/{iteration.number} {_end_text(iteration)}")

    def submit(self, settings: SlurmSettings) -> dict[int, str]:
        """Submits every draft as a job; returns the jobs by iteration."""
        jobs: dict[int, str] = {}
        with unattended_session(self._loop):
            recover(self._loop)
            while (queued := next_waiting(self._loop)) is not None:
                if folders := self._create(queued, is_here=False):
                    jobs |= submitted(self._loop, folders, settings, shown_by(self._out))
        return jobs

    @property
    def record(self) -> dict[str, Any]:
        """Returns the results as JSON types."""
        return {
            "iterations": [as_json(iteration) for iteration in self.ended],
            "refused": [msgspec.to_builtins(queued) for queued in self.refused],
            "waiting": len(read_queue(self._loop)),
            "stopped": bool(self.stop_message),
        }

    def print_results(self) -> None:
        """Prints how each draft ended and what is still queued."""
        out, name = self._out, self._loop.name
        for iteration in self.ended:
            out.line(f"{name}/{iteration.number} {_end_text(iteration)}")
        for queued in self.refused:
            out.advice(f"not started: {queued.why or queued.title}: {queued.problem}")
        waiting = len(read_queue(self._loop))
        if self.stop_message:
            out.advice(self.stop_message)
        if waiting:
            out.advice(f"{counted(waiting, 'draft')} still queued: tui-loop queue {name}")

    @property
    def _exit_code(self) -> int:
        if self.stop_message:
            return RunStopped.exit_code
        all_finished = all(iteration.state == "finished" for iteration in self.ended)
        return 0 if all_finished and not self.refused else 1

    def _create(self, queued: QueuedDraft, *, is_here: bool = True) -> list[IterationFolder]:
        """Turns a draft into an iteration and dequeues it; returns [] where it is refused."""
        marked = mark(self._loop, queued)
        if marked is None:  # removed or edited meanwhile
            return []
        try:
            plan = plan_of_queued(self._loop, queued)
            folders = create_runs(
                self._loop, plan, self._out, allow_code=self._allow_code, is_here=is_here
            )
        except (TuiLoopError, OSError) as error:
            problem = error.message if isinstance(error, TuiLoopError) else str(error)
            set_problem(self._loop, marked, problem)
            self._note_refusal(queued, problem)
            return []
        leave(self._loop, marked)
        return folders

    def _note_refusal(self, queued: QueuedDraft, problem: str) -> None:
        self.refused.append(msgspec.structs.replace(queued, problem=problem))
        self._out.note(f"not started: {queued.why or queued.title}: {problem}")

    def _run(self, folders: list[IterationFolder], queued: QueuedDraft) -> None:
        """Runs what a draft became; one that the gate refuses returns to the queue."""
        out = self._out
        self._announce(folders)
        try:
            ended = run_unattended(self._loop, folders, out)
        except ChecksFailed as fault:
            problem = "; ".join(each.message for each in fault.errors)
            put_back(self._loop, queued, problem)
            self._note_refusal(queued, problem)
            return
        finally:
            self.ended += _reported(folders)
        if ended[-1].state != "finished":
            message = (ended[-1].error or {}).get("message", ended[-1].state)
            out.note(f"{self._loop.name}/{ended[-1].number}: {message}")

    def _announce(self, folders: list[IterationFolder]) -> None:
        last = folders[-1]
        decision = last.read_decision()
        changed = ", ".join(f"{c.field} {brief(c.old)} → {brief(c.new)}" for c in decision.changes)
        self._out.note(
            f"{last} from {decision.parent or 'the defaults'}: {changed or 'no changes'}"
            f" ({len(read_queue(self._loop))} more in the queue)"
        )


def _reported(folders: list[IterationFolder]) -> list[Iteration]:
    """Returns the iterations that ran, without a base that finished."""
    ran = [iteration_of(folder) for folder in folders if folder.path.exists()]
    return [iteration for iteration in ran if iteration.number > 0 or iteration.state != "finished"]


def _end_text(iteration: Iteration) -> str:
    """Says how an iteration ended, such as `finished  score 71%  eval loss 1.204`."""
    parts: list[str] = [iteration.state]
    if score := figures.percent(iteration.metrics.get("score")):
        parts.append(f"score {score}")
    if loss := figures.loss(iteration.metrics.get("eval_loss")):
        parts.append(f"eval loss {loss}")
    if iteration.error:
        parts.append(str(iteration.error.get("message", "")))
    return "  ".join(parts)
