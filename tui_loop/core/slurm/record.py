"""`job.json`, beside the files of an iteration that was submitted as a job."""

from __future__ import annotations

import os

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.safe_open import read_raw


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The job of an iteration. `t`: when it was submitted, in unix seconds; `host`: from where.

    `sbatch`: the options that were given for it.
    """

    id: str
    t: float
    host: str = ""
    sbatch: str = ""
    schema: int = 1


def write_job(folder: IterationFolder, job: JobRecord) -> None:
    """Records the job of an iteration, in place of an earlier one."""
    write_atomically(folder.job, codec.to_pretty_json(job))


def read_job(folder: IterationFolder) -> JobRecord | None:
    """Returns the job of an iteration, None where it has none or the file cannot be read."""
    if not os.path.lexists(folder.job):
        return None
    try:
        job = codec.from_json(read_raw(folder.job), JobRecord, str(folder.job))
    except (BadInput, OSError):
        return None
    return job if job is not None and job.id.isdecimal() else None
