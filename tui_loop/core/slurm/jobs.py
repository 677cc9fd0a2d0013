"""The jobs of a loop: submitting an iteration, its state, and the end of a job that never began."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.lock import LockWatcher
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.structs import LIVE, RESUMABLE
from tui_loop.core.slurm.commands import JobState, cancel, states, submit
from tui_loop.core.slurm.record import JobRecord, read_job, write_job
from tui_loop.core.slurm.script import script_of
from tui_loop.core.slurm.settings import SlurmSettings
from tui_loop.core.text.secrets import redacted
from tui_loop.core.workflow.draft import return_unstarted

ASKED = ("queued", *LIVE, *RESUMABLE)
"""States of an iteration whose job may still wait or run."""


class Job(msgspec.Struct, frozen=True):
    """The job of an iteration that may still wait or run.

    `state`: None where SLURM does not know the job any longer, or gives no answer (`is_unknown`).
    `has_started`: the iteration has run before, so that a waiting job has been requeued.
    """

    folder: IterationFolder
    record: JobRecord
    state: JobState | None = None
    is_unknown: bool = False
    has_started: bool = False

    @property
    def is_waiting(self) -> bool:
        return self.state is not None and self.state.is_waiting

    @property
    def is_running(self) -> bool:
        return self.state is not None and self.state.name in ("RUNNING", "CONFIGURING")

    @property
    def has_ended(self) -> bool:
        """Whether SLURM says so, or no longer knows the job."""
        return not self.is_unknown and (self.state is None or self.state.has_ended)

    @property
    def words(self) -> str:
        """Returns the state of the job, such as `job 12 waits (Priority)`."""
        if self.is_unknown:
            return f"job {self.record.id}: SLURM does not answer"
        if self.state is None:
            return f"SLURM no longer knows job {self.record.id}"
        if self.is_waiting and self.has_started:
            return self.state.words.replace(" waits ", " was requeued and waits ", 1)
        return self.state.words


def jobs_of(loops: Iterable[LoopFolder]) -> dict[str, Job]:
    """Returns the jobs of loops by `LOOP/N`; asks SLURM once for all of them.

    Call it in a thread: it may take some seconds.
    """
    found = [job for loop in loops for job in _recorded(loop)]
    known = states(job.record.id for job in found)
    return {str(job.folder): _with_state(job, known) for job in found}


def job_of(folder: IterationFolder) -> Job | None:
    """Returns the job of one iteration, None where it has none; asks SLURM."""
    record = read_job(folder)
    if record is None:
        return None
    job = Job(folder, record, has_started=iteration_of(folder).attempts > 0)
    return _with_state(job, states([record.id]))


def _recorded(loop: LoopFolder) -> list[Job]:
    jobs = []
    for folder in map(loop.iteration, loop.numbers()):
        record = read_job(folder)
        if record is None:
            continue
        iteration = iteration_of(folder)
        if iteration.state in ASKED:
            jobs.append(Job(folder, record, has_started=iteration.attempts > 0))
    return jobs


def _with_state(job: Job, known: Mapping[str, JobState] | None) -> Job:
    if known is None:
        return msgspec.structs.replace(job, is_unknown=True)
    return msgspec.structs.replace(job, state=known.get(job.record.id))


def job_of_base(loop: LoopFolder) -> list[str]:
    """Returns the job that will measure the base, [] without one: the loop's first one."""
    live = [each for each in jobs_of([loop]).values() if each.state and not each.state.has_ended]
    return [min((each.record.id for each in live), key=int)] if live else []


def submit_iteration(
    folder: IterationFolder, settings: SlurmSettings, after: Sequence[str] = ()
) -> JobRecord:
    """Submits an iteration and records its job; raises NoSlurm, BadInput.

    `after`: jobs that must have ended before it starts.
    """
    job = submit(script_of(folder, settings, after=after), folder.loop.root)
    if not job.isdecimal():
        raise BadInput(f"sbatch: returned {job!r} instead of the number of a job", "see squeue")
    record = JobRecord(
        id=job,
        t=round(time.time(), 3),
        host=socket.gethostname(),
        sbatch=redacted(settings.sbatch),
    )
    write_job(folder, record)
    return record


def cancel_waiting(job: Job) -> list[str]:
    """Cancels a job that has not begun; its iteration becomes the draft again, if it never ran.

    Returns a message for that. Raises NoSlurm, BadInput.
    """
    cancel(job.record.id)
    return [] if job.has_started else return_unstarted([job.folder])


def settle(loop: LoopFolder, jobs: Mapping[str, Job]) -> list[str]:
    """Returns iterations whose job was cancelled before it began to the draft; gives messages."""
    messages = []
    for job in jobs.values():
        if job.folder.loop.path != loop.path or job.has_started:
            continue
        if read_job(job.folder) != job.record:  # submitted again meanwhile
            continue
        if job.state is not None and job.state.has_ended and _is_idle(job.folder):
            messages += [f"{job.words} before it began", *return_unstarted([job.folder])]
    return messages


def _is_idle(folder: IterationFolder) -> bool:
    return iteration_of(folder).state == "queued" and LockWatcher(folder.lock).poll() == "gone"
