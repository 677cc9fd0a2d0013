"""The script of a job.

bash stays between SLURM and the run. A preemption and the time limit end the run's step, which
saves and exits with SAVED; bash then queues the job again. `scancel` ends bash as well, so that a
cancelled job stays cancelled. A trap would undo that.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.slurm.settings import SlurmSettings

SAVED = 75
"""The exit code of a run in a job that has saved its weights after a termination, and continues
later (EX_TEMPFAIL of sysexits.h)."""

NOTICE_SECONDS = 120
"""How long before the time limit SLURM signals the run."""


def job_name(folder: IterationFolder) -> str:
    """Returns the name and comment of a job: `tui-loop:LOOP/N`."""
    return f"tui-loop:{folder}"


def script_of(
    folder: IterationFolder,
    settings: SlurmSettings,
    *,
    after: Sequence[str] = (),
    python: str = sys.executable,
) -> str:
    """Returns the job script of an iteration; `after`: the jobs that must have ended before.

    Raises BadInput for options that are none.
    """
    name = job_name(folder)
    options = [
        f"--job-name={name}",
        f"--comment={name}",
        f"--chdir={folder.loop.root}",
        f"--output={folder.output.resolve()}",
        "--open-mode=append",
        "--requeue",
        "--ntasks=1",
        f"--signal=TERM@{NOTICE_SECONDS}",
        *([f"--dependency=afterany:{':'.join(after)}"] if after else []),
        *settings.options,
    ]
    for option in options:
        if not option.isprintable():
            raise BadInput(f"job script: control character in {option!r}", "rename the folder")
    host = [python, "-P", "-m", "tui_loop.engine.host", str(folder.loop.path.resolve())]
    run = shlex.join([*host, str(folder.number), "--job"])
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {_quoted(option)}" for option in options),
        "",
        *settings.setup,
        "# No trap and no exec: scancel must end this script, and the script must outlive the run.",
        f"srun --ntasks=1 --kill-on-bad-exit=1 --mpi=none {run}",
        "code=$?",
        f"# {SAVED}: saved after a preemption or before the time limit; the run continues later.",
        "restarts=${SLURM_RESTART_COUNT:-0}",
        f'if [ "$code" = {SAVED} ] && [ "$restarts" -lt {settings.requeues} ]; then',
        '    scontrol requeue "$SLURM_JOB_ID" && sleep 60',
        "fi",
        'exit "$code"',
    ]
    return "\n".join(lines) + "\n"


def _quoted(option: str) -> str:
    """Returns an option for a line of #SBATCH, which splits at blanks outside quotes."""
    if " " not in option or not option.startswith("--"):
        return option
    name, equals, value = option.partition("=")
    return f'{name}{equals}"{value}"'
