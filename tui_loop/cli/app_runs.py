"""Hosts runs for the app: one at a time, in a worker thread or in a separate process."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import msgspec

from tui_loop.core.errors import BadInput, RunStopped, TuiLoopError, file_error
from tui_loop.core.preflight.check_result import ChecksFailed
from tui_loop.core.process import dangers_to_background
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.text.secrets import redact_file
from tui_loop.tui.backend import Preview

if TYPE_CHECKING:
    from tui_loop.cli.preflight_report import Preflight
    from tui_loop.core.config.schema import Run
    from tui_loop.core.workflow.draft import Draft
    from tui_loop.engine.host import HostedRuns

WAIT_SECONDS = 0.5
"""A wait joins the thread in steps of this length, so that signal handlers run meanwhile."""

DEVICE_FAULT = (
    "after a CUDA error the app can no longer use the GPU, so the run starts in a separate process"
)
LEFT_BEHIND = (
    "an earlier run hangs in the app and may hold memory until you close the app, so the new run "
    "starts in a separate process"
)
OTHER_GPU = (
    "the app can only use the GPU of its first run, so the new run starts in a separate process"
)
AS_JOB = "it is submitted as a SLURM job again"


class AppRuns:
    """Starts runs and keeps track of the one that this process hosts.

    `runner = "thread"` hosts the run in this process, `"process"` in another session. What a start
    needs is imported inside the methods, so that the app's first frame does not wait for it.
    """

    def __init__(self, *, allow_code: bool) -> None:
        self._allow_code = allow_code
        self._host: threading.Thread | None = None
        self._current: IterationFolder | None = None
        self._runs: HostedRuns | None = None
        self._is_separate = False
        self._has_device_fault = False
        self._left_worker_behind = False
        self._fault: TuiLoopError | None = None
        self._stopping = threading.Event()

    def preview(self, loop: LoopFolder, draft: Draft) -> Preview:
        """Describes what running the draft would do; raises TuiLoopError where it would fail."""
        from tui_loop.cli.preflight_report import start_findings
        from tui_loop.cli.start import check_start
        from tui_loop.core.slurm.commands import has_slurm
        from tui_loop.core.workflow.draft import plan_of
        from tui_loop.engine.extras import require_train

        require_train("training")
        plan = plan_of(loop, draft)
        is_here = not has_slurm()  # a login node has other devices than the nodes of jobs
        start = check_start(loop, plan, allow_code=self._allow_code, is_here=is_here)
        return Preview(
            number=max(loop.numbers(), default=0) + 1,
            changes=start.plans[0].changes,
            base_first=start.base_first,
            train_rows=len(start.data.train),
            eval_rows=len(start.data.eval),
            steps=start.steps,
            notices=[*self._process_notices(plan.config.run), *start.notices],
            findings=start_findings(loop, start),
        )

    def preflight(self, loop: LoopFolder, draft: Draft) -> Preflight:
        """Returns the checks of a draft, whose config may be invalid; raises TuiLoopError."""
        from tui_loop.cli.preflight_report import preflight_of_draft

        checks = preflight_of_draft(loop, draft, allow_code=self._allow_code)
        checks.require_consent()
        return checks

    def start(self, loop: LoopFolder, draft: Draft, runner: str) -> int:
        """Makes the draft an iteration, runs it, returns its number; raises TuiLoopError."""
        from tui_loop.cli.preflight_report import refuse_errors, start_findings
        from tui_loop.cli.start import check_start, create
        from tui_loop.core.workflow.draft import drop_draft, plan_of
        from tui_loop.engine.extras import require_train

        require_train("training")
        self._refuse_second()
        start = check_start(loop, plan_of(loop, draft), allow_code=self._allow_code)
        refuse_errors(start_findings(loop, start))
        folders = create(loop, start)
        drop_draft(loop)
        self._begin(folders, msgspec.structs.replace(draft.config.run, runner=runner))
        return folders[-1].number

    def job_script(self, loop: LoopFolder, draft: Draft, sbatch: str) -> str:
        """Returns the script of the draft's job; raises TuiLoopError, also without SLURM."""
        from tui_loop.cli.jobs import job_settings
        from tui_loop.core.slurm.script import script_of

        number = max(loop.numbers(), default=0) + 1
        return script_of(loop.iteration(number), job_settings(loop, sbatch))

    def submit(self, loop: LoopFolder, draft: Draft, sbatch: str) -> tuple[int, str]:
        """Makes the draft an iteration and submits it; returns its number and its job."""
        from tui_loop.cli.jobs import job_settings, submitted
        from tui_loop.cli.start import check_start, create
        from tui_loop.core.workflow.draft import drop_draft, plan_of

        settings = job_settings(loop, sbatch)
        plan = plan_of(loop, draft)
        start = check_start(loop, plan, allow_code=self._allow_code, is_here=False)
        folders = create(loop, start)
        drop_draft(loop)
        jobs = submitted(loop, folders, settings)
        return folders[-1].number, jobs[folders[-1].number]

    def resumption(self, loop: LoopFolder, number: int) -> tuple[str, list[str]]:
        """Returns where an iteration would continue, and notices; raises TuiLoopError."""
        from tui_loop.cli.start import check_resume
        from tui_loop.engine.extras import require_train

        require_train("training")
        folder = loop.existing(number)
        is_job = _runs_as_job(folder)
        resume = check_resume(folder, allow_code=self._allow_code, is_here=not is_job)
        notices = [AS_JOB] if is_job else self._process_notices(folder.read_config().run)
        return resume.description, [*resume.notices, *notices]

    def resume(self, loop: LoopFolder, number: int) -> None:
        """Resumes an iteration's run; raises TuiLoopError."""
        from tui_loop.cli.start import check_resume

        folder = loop.existing(number)
        if _runs_as_job(folder):
            self._submit_again(folder)
            return
        self._refuse_second()
        resume = check_resume(folder, allow_code=self._allow_code)
        self._begin(resume.folders, folder.read_config().run)

    def _submit_again(self, folder: IterationFolder) -> None:
        """Submits an iteration with the options of its last job; raises TuiLoopError."""
        from tui_loop.cli.jobs import job_settings, submitted
        from tui_loop.cli.start import check_resume
        from tui_loop.core.slurm.record import read_job

        job = read_job(folder)
        settings = job_settings(folder.loop, job.sbatch if job is not None else "")
        resume = check_resume(folder, allow_code=self._allow_code, is_here=False)
        submitted(folder.loop, resume.folders, settings)

    def dangers(self) -> list[str]:
        """Returns what on this machine may end a run in the background."""
        return dangers_to_background()

    def hosted(self) -> str:
        """Returns `loop/N` of the run that this process hosts, "" where there is none."""
        if self._host is None or not self._host.is_alive() or self._is_separate:
            return ""
        current = self._hosted_folder()
        return str(current) if current is not None else ""

    def _hosted_folder(self) -> IterationFolder | None:
        return self._runs.current if self._runs is not None else self._current

    def stop_hosted(self) -> None:
        """Requests that the hosted run saves its weights and ends."""
        from tui_loop.core.record.requests import send_request

        self._stopping.set()
        if self.hosted() and (current := self._hosted_folder()) is not None:
            send_request(current, "stop", evaluate=False)

    def terminate_hosted(self) -> None:
        """Makes the hosted run save a checkpoint and end within the host's grace period."""
        self._stopping.set()
        if self._runs is not None:
            self._runs.terminate()

    def wait(self) -> None:
        """Waits for the hosted run to end, then ends the process if its worker hangs."""
        if self._host is not None and not self._is_separate:
            while self._host.is_alive():
                self._host.join(WAIT_SECONDS)
        self.end_if_left_behind(RunStopped.exit_code)

    def end_if_left_behind(self, code: int) -> None:
        """Ends the process at once where a run's worker hangs: a normal exit could wait for it."""
        if self._left_worker_behind:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def take_fault(self) -> TuiLoopError | None:
        """Returns, once, the error that kept a start from becoming a run."""
        fault, self._fault = self._fault, None
        return fault

    def _refuse_second(self) -> None:
        if self.hosted():
            raise BadInput(
                f"{self.hosted()} is running in this app",
                "stop that run first: the app hosts one run at a time",
            )

    def _process_notices(self, run: Run) -> list[str]:
        """Returns the reasons why the next run cannot be hosted in this process."""
        from tui_loop.engine.gpus.process import needs_own_process

        reasons = (
            (DEVICE_FAULT, self._has_device_fault),
            (LEFT_BEHIND, self._left_worker_behind),
            (OTHER_GPU, needs_own_process(run)),
        )
        return [notice for notice, holds in reasons if holds]

    def _begin(self, folders: list[IterationFolder], run: Run) -> None:
        """Starts the runs in a thread of this process, or in a separate process."""
        self._stopping.clear()
        self._is_separate = run.runner == "process" or bool(self._process_notices(run))
        work = self._run_in_process if self._is_separate else self._run_in_thread
        self._current, self._runs = folders[-1], None
        self._host = threading.Thread(
            target=self._guarded, args=(work, folders), name="host", daemon=True
        )
        self._host.start()

    def _guarded(self, work: object, folders: list[IterationFolder]) -> None:
        """Runs the host thread's work; keeps any error for `take_fault` and raises nothing."""
        try:
            assert callable(work)
            work(folders)
        except TuiLoopError as error:
            self._fault = error
        except OSError as error:
            self._fault = file_error(error)
        except Exception as error:
            self._fault = TuiLoopError(
                f"the app failed to host the run: {type(error).__name__}: {error}",
                f"see {folders[-1].output}",
            )
        finally:
            from tui_loop.core.workflow.draft import return_unstarted

            messages = return_unstarted(folders)
            if messages and self._fault is None:
                self._fault = TuiLoopError(messages[0])

    def _run_in_thread(self, folders: list[IterationFolder]) -> None:
        from tui_loop.engine.host import HostedRuns

        self._runs = HostedRuns(folders, runner="thread", from_draft=True)
        # Again: a stop or a termination just before found no runs that it could end.
        if self._stopping.is_set():
            return
        self._runs.run()
        self._has_device_fault |= self._runs.has_device_fault
        self._left_worker_behind |= self._runs.gave_up
        if self._runs.refusal:
            raise ChecksFailed(self._runs.refusal)

    def _run_in_process(self, folders: list[IterationFolder]) -> None:
        from tui_loop.engine.launch import start_host

        numbers = [folder.number for folder in folders]
        process = start_host(folders[0].loop, numbers, from_draft=True)
        process.wait()
        for folder in folders:
            redact_file(folder.output)  # the process does this itself, unless it was killed
        if refusal := process.refusal():
            raise ChecksFailed(refusal)


def _runs_as_job(folder: IterationFolder) -> bool:
    """Whether the iteration ran as a SLURM job last, or is to run as one."""
    from tui_loop.core.slurm.commands import has_slurm
    from tui_loop.core.slurm.record import read_job

    is_job = read_job(folder) is not None or folder.read_config().run.runner == "job"
    return is_job and has_slurm()
