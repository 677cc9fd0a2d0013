"""What a command must not do inside a SLURM job."""

from __future__ import annotations

import os

from tui_loop.core.errors import BadInput


def refuse_in_job(*, detach: bool) -> None:
    """Raises BadInput for several tasks of one command, and for a background run, within a job.

    Every task would run the same iteration. A background run would be killed at the end of the job
    script, or outlive its allocation, as the cluster is set up.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks.isdecimal() and int(tasks) > 1:
        raise BadInput(
            f"srun started this command as {tasks} tasks, and each would run the same iteration",
            "start one task: srun --ntasks=1 tui-loop ...",
        )
    if detach:
        raise BadInput(
            f"--detach is not possible inside SLURM job {job}: the run would leave the job",
            "leave out --detach, or submit the run as a job of its own: --job",
        )
