"""Submits runs as SLURM jobs for the command line, and shows the script of each before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tui_loop.cli.output import Output
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.slurm.commands import NoSlurm, has_slurm
from tui_loop.core.slurm.jobs import job_of_base, submit_iteration
from tui_loop.core.slurm.script import script_of
from tui_loop.core.slurm.settings import SlurmSettings, slurm_settings
from tui_loop.core.workflow.draft import return_unstarted


def job_settings(loop: LoopFolder, sbatch: str) -> SlurmSettings:
    """Returns the settings of the loop's jobs; raises NoSlurm, and BadInput for a wrong option."""
    if not has_slurm():
        raise NoSlurm
    settings = slurm_settings(loop, sbatch)
    _ = settings.options
    return settings


def submit_runs(
    loop: LoopFolder, folders: Sequence[IterationFolder], settings: SlurmSettings, out: Output
) -> int:
    """Submits a job for each iteration and prints how to follow them; returns the exit code."""
    jobs = submitted(loop, folders, settings, shown_by(out))
    print_jobs(loop, jobs, out)
    return 0


def shown_by(out: Output) -> Callable[[str], None]:
    """Returns what shows the scripts and messages of a submission on the command line."""
    return lambda text: out.advice(out.spelled_out(text))


def submitted(
    loop: LoopFolder,
    folders: Sequence[IterationFolder],
    settings: SlurmSettings,
    show: Callable[[str], None] = lambda _: None,
) -> dict[int, str]:
    """Submits a job for each iteration, and shows each script before; returns the jobs by number.

    The first one measures the base where that is needed, and the others wait for it. Where a job
    cannot be submitted, its iteration and those after it become drafts again.
    """
    runs = [folder for folder in folders if folder.number > 0]
    jobs: dict[int, str] = {}
    for place, folder in enumerate(runs):
        after = job_of_base(loop) if len(runs) < len(folders) else []
        show(script_of(folder, settings, after=after).rstrip())
        try:
            jobs[folder.number] = submit_iteration(folder, settings, after).id
        except (TuiLoopError, OSError):
            for text in return_unstarted(list(runs[place:])):
                show(text)
            raise
        show(f"{folder} is job {jobs[folder.number]}")
    return jobs


def print_jobs(loop: LoopFolder, jobs: Mapping[int, str], out: Output) -> None:
    """Prints the record of submitted jobs, or how to follow and stop them."""
    if out.as_json:
        records = [{"iteration": number, "job": job} for number, job in jobs.items()]
        out.record({"loop": loop.name, "jobs": records})
    elif jobs:
        out.line(f"follow: tui-loop status {loop.name}, tui-loop log {loop.name} -f")
        out.line(f"stop:   tui-loop stop {loop.name}")
