"""SLURM jobs: their states beside the iterations, and cancelling one that waits."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tui_loop.core.record.reader import stamp_of
from tui_loop.core.slurm.jobs import Job, cancel_waiting, jobs_of, settle
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.keys import in_keys

POLL_SECONDS = 5.0
"""One squeue for all jobs of the loop, at most so often: a controller serves a whole cluster."""


class JobsController:
    """Asks SLURM in a thread, as long as the loop has jobs that may still wait or run."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked_at = 0.0
        self._is_asking = False
        self._told = set[str]()

    def refresh(self, *, again: bool = False) -> None:
        """Asks for the states where they are older than POLL_SECONDS."""
        is_due = again or time.monotonic() - self._asked_at >= POLL_SECONDS
        if not is_due or self._is_asking:
            return
        self._asked_at = time.monotonic()
        if self._has_jobs():
            self._is_asking = True
            self._context.run(self._ask(), "jobs", is_exclusive=False)

    def waiting(self, number: int | None) -> Job | None:
        """Returns the job of an iteration if it waits in SLURM's queue."""
        snapshot = self._context.snapshot
        job = snapshot.jobs.get(number) if snapshot is not None and number is not None else None
        return job if job is not None and job.is_waiting else None

    def cancel(self, job: Job) -> None:
        """Asks, and cancels a job that waits."""
        self._context.run(self._cancel(job), "request")

    def _has_jobs(self) -> bool:
        snapshot, loop = self._context.snapshot, self._context.loop
        if snapshot is None:
            return False
        return any(
            stamp_of(loop.iteration(each.number).job) is not None
            for each in snapshot.iterations
            if each.state != "finished"
        )

    async def _ask(self) -> None:
        context = self._context
        try:
            found = await context.in_thread(jobs_of, [context.loop])
            messages = await context.in_thread(settle, context.loop, found)
            self._tell([each for each in messages if each not in self._told])
            self._told.update(messages)
        finally:
            self._asked_at, self._is_asking = time.monotonic(), False
        jobs = {job.folder.number: job for job in found.values()}
        if jobs != context.poller.jobs:
            context.poller.jobs = jobs
            context.bench.poll_now()

    def _tell(self, messages: Sequence[str]) -> None:
        """Shows messages as one: a second would take the place of the first."""
        if messages:
            keys = self._context.services.keys
            self._context.notify(" ".join(in_keys(each, keys) for each in messages))

    async def _cancel(self, job: Job) -> None:
        context, number = self._context, job.folder.number
        answer = await context.ask(
            f"Cancel job {job.record.id}?",
            [
                [(f"Iteration {number}: {job.words}.", "")],
                [("An iteration that never ran becomes the draft again.", "muted")],
            ],
            [("x", "cancel the job", "cancel"), ("c", "let it wait", "")],
        )
        if answer:
            messages = await context.in_thread(cancel_waiting, job)
            self._tell([f"Job {job.record.id} was cancelled.", *messages])
            context.bench.poll_now()
            self.refresh(again=True)
