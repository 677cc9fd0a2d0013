"""The host of one or several runs: the gate first, then one iteration after the other.

The app's thread uses `HostedRuns`. Every other run has a process of its own,
`python -m tui_loop.engine.host LOOP NUMBER...`, whose output goes to the iteration's output.log.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import SEED, Config
from tui_loop.core.config.tables import changed_fields
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, error, errors_of
from tui_loop.core.preflight.data_checks import check_metric
from tui_loop.core.preflight.setting_checks import check_settings
from tui_loop.core.process import treat_user_signals_as_termination
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.lock import LockWatcher
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.requests import ended_by_termination
from tui_loop.core.record.structs import EndState
from tui_loop.core.slurm.record import read_job
from tui_loop.core.slurm.script import SAVED
from tui_loop.core.workflow.draft import return_refused, return_unstarted
from tui_loop.core.workflow.plan import create_base_for
from tui_loop.engine.before_run import BeforeRun
from tui_loop.engine.gpus.claim import GpuClaim, checked_request, claim_in_time
from tui_loop.engine.gpus.process import fixed_gpus, use_only
from tui_loop.engine.output_capture import output_to, set_environment
from tui_loop.engine.run_control import StopRequested
from tui_loop.engine.run_host import RunHost

BASE_POLL_SECONDS, RECORD_SECONDS = 2.0, 30.0
"""How often a job looks whether the base is measured, and how long it waits for its record."""

EXIT_CODES: dict[EndState, int] = {"finished": 0, "failed": 1, "stopped": 3}


class HostedRuns:
    """The runs of some iterations, in order; the first may be the base, which need not exist yet.

    `refusal`: the errors of the gate, [] where it passed. `current`: the iteration that runs.
    All of them use the GPUs that are claimed for the first. `is_saved`: a termination ended them,
    so they can continue later.
    `gave_up` and `has_device_fault` are as in `RunHost`.
    """

    def __init__(
        self,
        folders: Sequence[IterationFolder],
        *,
        runner: str,
        from_draft: bool = False,
        is_job: bool = False,
    ) -> None:
        """`from_draft`: a refused iteration becomes the loop's draft again.

        `is_job`: where a termination comes before a run has started, it stays queued for the next
        start of the job.
        """
        self._folders, self._runner, self._from_draft = list(folders), runner, from_draft
        self._is_job = is_job
        self._host: RunHost | None = None
        self._terminated = threading.Event()
        self.current = next((each for each in folders if each.number > 0), folders[0])
        self.refusal: list[CheckResult] = []
        self._refused: IterationFolder | None = None
        self._read: tuple[Config, LoadedData] | None = None
        self._claim: GpuClaim | None = None
        self.gave_up = False
        self.has_device_fault = False

    def terminate(self) -> None:
        """Ends the current run within its grace period, and starts no other. Safe in a handler."""
        self._terminated.set()
        if (host := self._host) is not None:
            host.terminate()

    def run(self) -> EndState:
        """Runs until one iteration does not finish; returns the state of the last."""
        try:
            return self._run()
        finally:
            self._read = self._host = None  # the app outlives the run, and rows may be gigabytes
            if self._claim is not None:
                self._claim.release()
            if self._is_job and self._terminated.is_set():
                pass
            elif self.refusal:
                return_refused(self._folders, self._refused, as_draft=self._from_draft)
            else:
                return_unstarted(self._folders)

    @property
    def is_saved(self) -> bool:
        return self._terminated.is_set() and not self.refusal

    def _run(self) -> EndState:
        try:
            self._claim_gpus()
            if not self.refusal:
                self._pass_gate()
        except StopRequested:
            return "stopped"
        if self.refusal:
            return "failed"
        state: EndState = "finished"
        for folder in self._folders:
            state = self._run_one(folder)
            if state != "finished":
                break
        return state

    def _run_one(self, folder: IterationFolder) -> EndState:
        if folder.number == 0 and len(self._folders) > 1:
            create_base_for(self._folders[1])
        self.current = folder
        # Whatever the gate does not foresee is refused all the same, as long as nothing was done.
        self._host = RunHost(
            folder,
            runner=self._runner,
            may_refuse=folder.number > 0,
            gpus=self._claim.gpus if self._claim is not None else (),
            data=self._data_for(folder.read_config()),
        )
        if self._terminated.is_set():  # a termination just before found no host
            return "stopped"
        with output_to(folder.output):
            try:
                state = self._host.run()
            except BadInput as locked:  # another process has just begun to run it
                self.refusal = [error(CheckKind.CONFIG, locked.message, locked.hint)]
                return "failed"
        self.has_device_fault |= self._host.has_device_fault
        self.gave_up |= self._host.gave_up
        if (fault := self._host.refusal) is not None:
            self.refusal = [error(CheckKind.CONFIG, fault.message, fault.hint)]
            self._refused = folder
        return state

    def _data_for(self, config: Config) -> LoadedData | None:
        """Returns what the gate has read, where `config` reads the same."""
        if self._read is None:
            return None
        other, data = self._read
        is_same = (config.data, config.evaluation) == (other.data, other.evaluation)
        return data if is_same else None

    def _claim_gpus(self) -> None:
        """Claims the GPUs and waits for them; fills in `refusal`. Raises StopRequested."""
        folder = self.current
        run = folder.read_config().run
        try:
            request = checked_request(run)
            if request is None:
                return
            with self._before(folder) as before:
                fixed = fixed_gpus()
                self._claim = claim_in_time(
                    request,
                    str(folder),
                    run.gpu_wait,
                    among=fixed,
                    poll=before.poll,
                    waits=before.report_wait,
                )
            if not fixed:
                use_only(self._claim.gpus)
        except BadInput as fault:
            self.refusal = [error(CheckKind.GPUS, fault.message, fault.hint)]

    def _pass_gate(self) -> None:
        """Checks the iterations; fills in `refusal`. Raises StopRequested."""
        passed: list[Config] = []
        for folder in self._folders:
            if folder.number == 0:
                continue
            config = folder.read_config()
            if any(set(changed_fields(config, other)) <= {SEED} for other in passed):
                continue  # a replicate
            with self._before(folder) as before:
                self.refusal = errors_of(self._check(folder, config, before))
            if self.refusal:
                return
            passed.append(config)

    def _check(
        self, folder: IterationFolder, config: Config, before: BeforeRun
    ) -> list[CheckResult]:
        """Checks one iteration; the journal of a new one shows the progress."""
        try:
            before.begin("checking", "checking the model, the rows and the settings")
            data = _load(folder.loop, config)
            self._read = config, data
            return _check(folder.loop, config, data, poll=before.poll, progress=before.advance)
        except StopRequested:
            raise
        except TuiLoopError as fault:
            return [error(CheckKind.DATA, fault.message, fault.hint)]
        except Exception as fault:  # the run's edge: an error of a library ends no process
            traceback.print_exc()
            text = f"the checks of {folder} could not be completed: {type(fault).__name__}: {fault}"
            return [error(CheckKind.MODEL, text, "check the model's files and the settings")]

    def _before(self, folder: IterationFolder) -> BeforeRun:
        return BeforeRun(folder, self._terminated.is_set)


def _load(loop: LoopFolder, config: Config) -> LoadedData:
    """Reads the rows of a config; raises TuiLoopError."""
    set_environment()
    from tui_loop.engine.foreign_code import require_config_consent
    from tui_loop.engine.sources import read_source

    require_config_consent(config, loop.root)
    return load_data(config, loop.root, read_source)


def _check(
    loop: LoopFolder, config: Config, data: LoadedData, **calls: Callable[..., None]
) -> list[CheckResult]:
    """Imports the training stack and returns what the gate finds."""
    from tui_loop.engine.preflight.gate import check_run
    from tui_loop.engine.preflight.loss_mask import LossMasker

    built = check_run(config, loop, data, lambda: LossMasker(config, loop.root, data), **calls)
    return [*check_settings(config), *check_metric(config, data), *built]


def _is_of_job(folder: IterationFolder, job: str | None) -> bool:
    """Whether `job.json` names this job, which is written just after it was submitted."""
    ends = time.monotonic() + RECORD_SECONDS
    while (record := read_job(folder)) is None or record.id != job:
        if time.monotonic() > ends:
            return False
        time.sleep(0.2)
    return True


def folders_of_job(folder: IterationFolder) -> tuple[list[IterationFolder], int]:
    """Returns what a job that starts, perhaps again, has to run; nothing and its exit code for one
    that has ended for good.

    The base comes first where it has not been measured: an earlier job may have done that.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if not _is_of_job(folder, job):
        sys.stderr.write(f"{folder} does not belong to job {job}: it was submitted again\n")
        return [], BadInput.exit_code
    run = read_run(folder)
    is_again = run.started is not None and run.started.job == job
    is_over = run.ended is not None and not ended_by_termination(run)
    if run.ended is not None and is_over and (is_again or run.ended.state == "finished"):
        return [], EXIT_CODES[run.ended.state]
    base = folder.loop.iteration(0)
    while base.path.exists() and LockWatcher(base.lock).poll() == "alive":
        time.sleep(BASE_POLL_SECONDS)  # another job measures it
    state = iteration_of(base).state if base.path.exists() else "queued"
    needs_base = folder.read_config().evaluation.base and state not in ("finished", "unreadable")
    return ([base, folder] if needs_base else [folder]), 0


def main(arguments: list[str] | None = None) -> int:
    """Hosts the runs of some iterations of a loop in order; returns the exit code.

    Errors of the gate are written to the descriptor `--report`, as JSON.
    """
    parser = argparse.ArgumentParser(prog="python -m tui_loop.engine.host")
    parser.add_argument("loop", type=Path)
    parser.add_argument("numbers", type=int, nargs="+")
    parser.add_argument("--from-draft", action="store_true")
    parser.add_argument("--report", type=int)
    parser.add_argument("--job", action="store_true")
    args = parser.parse_args(arguments)
    loop = LoopFolder(args.loop)
    # The base may not exist yet: it is created once the gate has passed.
    folders = [loop.existing(each) if each else loop.iteration(0) for each in args.numbers]
    if args.job:
        folders, code = folders_of_job(folders[-1])
        if not folders:
            return code
    runs = HostedRuns(
        folders,
        runner="job" if args.job else "process",
        from_draft=args.from_draft or args.job,
        is_job=args.job,
    )
    signal.signal(signal.SIGTERM, lambda *_: runs.terminate())
    treat_user_signals_as_termination()
    # A run outlives its terminal. The command that follows it turns an interrupt into a request.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    state = runs.run()
    code = BadInput.exit_code if runs.refusal else EXIT_CODES[state]
    if args.job and state == "stopped" and runs.is_saved:
        code = SAVED
    if runs.refusal and args.report is not None:
        os.write(args.report, msgspec.json.encode(runs.refusal))
    if runs.gave_up:  # a normal exit could wait for the abandoned worker
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
