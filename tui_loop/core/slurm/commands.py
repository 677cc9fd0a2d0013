"""SLURM's own commands: sbatch, squeue, scancel. Call them in a thread: an absent controller
answers after some seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tui_loop.core.errors import BadInput, NeedsExtra, TuiLoopError
from tui_loop.core.text.untrusted import one_line

SECONDS = 30.0
"""A controller that does not answer makes SLURM's commands wait 10 to 20 s."""

_FORMAT = "%i|%T|%r|%S|%L|%N|%e"
_TEXT_CELLS = 60
_NOTHING = ("N/A", "None", "(null)", "INVALID", "NOT_SET", "UNLIMITED")
ENDED = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT"),
)


class NoSlurm(TuiLoopError):
    """This machine has no SLURM."""

    exit_code = NeedsExtra.exit_code

    def __init__(self) -> None:
        super().__init__(
            "this machine has no SLURM: there is no command sbatch",
            "run without --job, or log in to a node of the cluster",
        )


class JobState(msgspec.Struct, frozen=True):
    """A job as squeue shows it. `name`: such as PENDING; `left` and `start` as SLURM writes them.

    "" where a value does not apply.
    """

    id: str
    name: str
    reason: str = ""
    start: str = ""
    left: str = ""
    node: str = ""

    @property
    def is_waiting(self) -> bool:
        return self.name in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT")

    @property
    def has_ended(self) -> bool:
        return self.name in ENDED

    @property
    def words(self) -> str:
        """Returns `job 12 waits (Priority), expected start 2026-11-30T14:05:00`."""
        if self.is_waiting:
            start = f", expected start {self.start}" if self.start else ""
            return f"job {self.id} waits ({self.reason or 'no reason given'}){start}"
        if self.has_ended:
            return f"job {self.id} has ended ({self.name.lower()})"
        place = f" on {self.node}" if self.node else ""
        left = f", {self.left} left" if self.left else ""
        return f"job {self.id} {self.name.lower()}{place}{left}"


def has_slurm() -> bool:
    """Whether jobs can be submitted here."""
    return shutil.which("sbatch") is not None


def submit(script: str, folder: Path) -> str:
    """Submits the text of a script from `folder`; returns the job's id.

    It is not written to a file: its lines may hold secrets. Raises NoSlurm, BadInput.
    """
    result = _run(["sbatch", "--parsable"], folder, script)
    if result.returncode:
        reason = one_line(result.stderr.strip() or f"exit code {result.returncode}", 300)
        raise BadInput(
            f"sbatch: {reason}", "correct the options: --sbatch, or [slurm] of loop.toml"
        )
    return result.stdout.strip().partition(";")[0]


def cancel(job: str) -> None:
    """Cancels a job; raises NoSlurm, BadInput."""
    result = _run(["scancel", job])
    if result.returncode:
        raise BadInput(f"scancel {job}: {one_line(result.stderr.strip(), 300)}", "try again later")


def states(jobs: Iterable[str]) -> dict[str, JobState] | None:
    """Returns the states of jobs by id, in one call; None where SLURM gives no answer.

    A job that is absent has ended some time ago, or belongs to another cluster.
    """
    ids = sorted(set(jobs))
    if not ids:
        return {}
    try:
        # All at once by user would miss the jobs of others; an unknown id alone is an error.
        result = _run(["squeue", "-h", "-t", "all", "-j", ",".join(ids), "-o", _FORMAT])
    except TuiLoopError:
        return None
    if result.returncode:
        return {} if "Invalid job id" in result.stderr else None
    return {state.id: state for state in map(_state, result.stdout.splitlines()) if state}


def _state(line: str) -> JobState | None:
    parts = [one_line(part, _TEXT_CELLS).strip() for part in line.split("|")]
    if len(parts) < 6 or not parts[0].isdecimal():
        return None
    job, name, reason, start, left, node = ("" if part in _NOTHING else part for part in parts[:6])
    is_waiting = name == "PENDING"
    return JobState(
        id=job,
        name=name,
        reason=reason if is_waiting else "",
        start=start if is_waiting else "",
        left="" if is_waiting else left,
        node=node,
    )


def _run(
    words: list[str], folder: Path | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if words[0] == "sbatch":  # the job inherits it, and SLURM chooses the job's GPUs
        environment.pop("CUDA_VISIBLE_DEVICES", None)
    else:
        environment["LC_ALL"] = "C"
    try:
        return subprocess.run(
            words,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            input=text,
            env=environment,
        )
    except FileNotFoundError as error:
        raise NoSlurm from error
    except subprocess.TimeoutExpired as error:
        raise BadInput(
            f"{words[0]}: no answer from SLURM within {SECONDS:g} s",
            "see squeue: the request may still have arrived",
        ) from error
