"""Hosting runs for the app: one at a time, in a worker thread or in a process of its own."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from tui_loop.core.errors import BadInput, RunStopped, TuiLoopError
from tui_loop.core.process import dangers_to_background
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.requests import append_request
from tui_loop.core.text.secrets import redact_file
from tui_loop.core.workflow.draft import Draft, drop_draft, plan_of, return_unstarted
from tui_loop.tui.backend import Preview

if TYPE_CHECKING:
    from tui_loop.cli.preflight_report import Preflight
    from tui_loop.engine.host import RunHost

WAIT_SECONDS = 0.5
"""A wait is cut into these, so that signals are heard during it."""

DEVICE_FAULT = (
    "a CUDA fault has left this process unable to use the GPU: the run gets a process of its own"
)
LEFT_BEHIND = (
    "a run that did not stop still hangs in this process and may hold memory until the app is "
    "closed: the run gets a process of its own"
)


class AppRuns:
    """Starts runs and knows the one that this process hosts.

    `runner = "thread"` keeps it in this process; `"process"` gives it a session of its own. What a
    start needs is imported for it, not for the app's first frame.
    """

    def __init__(self, *, allow_code: bool) -> None:
        self._allow_code = allow_code
        self._host: threading.Thread | None = None
        self._current: IterationFolder | None = None
        self._run_host: RunHost | None = None
        self._is_apart = False
        self._has_device_fault = False
        self._left_worker_behind = False
        self._fault: TuiLoopError | None = None
        self._stopping = threading.Event()

    def preview(self, loop: LoopFolder, draft: Draft) -> Preview:
        """What running the draft would do; raises TuiLoopError for whatever would fail."""
        from tui_loop.cli.preflight_report import start_findings
        from tui_loop.cli.start import check_start
        from tui_loop.engine.extras import require_train

        require_train("training")
        plan = plan_of(loop, draft)
        start = check_start(loop, plan, allow_code=self._allow_code)
        return Preview(
            number=max(loop.numbers(), default=0) + 1,
            changes=start.plans[0].changes,
            base_first=start.base_first,
            train_rows=len(start.data.train),
            eval_rows=len(start.data.eval),
            steps=start.steps,
            notices=[*self._home_notices(), *start.notices],
            findings=start_findings(start),
        )

    def preflight(self, loop: LoopFolder, draft: Draft) -> Preflight:
        """The checks of a draft, of whose config nothing is required; raises TuiLoopError."""
        from tui_loop.cli.preflight_report import preflight_of_draft

        checks = preflight_of_draft(loop, draft, allow_code=self._allow_code)
        checks.require_consent()
        return checks

    def start(self, loop: LoopFolder, draft: Draft) -> int:
        """Makes the draft an iteration and runs it; gives its number. Raises TuiLoopError."""
        from tui_loop.cli.start import check_start, create
        from tui_loop.engine.extras import require_train

        require_train("training")
        self._refuse_second()
        start = check_start(loop, plan_of(loop, draft), allow_code=self._allow_code)
        folders = create(loop, start)
        drop_draft(loop)
        self._begin(folders, draft.config.run.runner)
        return folders[-1].number

    def resumption(self, loop: LoopFolder, number: int) -> tuple[str, list[str]]:
        """Where an iteration would go on, and what is to be noted; raises TuiLoopError."""
        from tui_loop.cli.start import check_resume
        from tui_loop.engine.extras import require_train

        require_train("training")
        resume = check_resume(loop.existing(number), allow_code=self._allow_code)
        return resume.description, [*resume.notices, *self._home_notices()]

    def resume(self, loop: LoopFolder, number: int) -> None:
        """Goes on with an iteration; raises TuiLoopError."""
        from tui_loop.cli.start import check_resume

        self._refuse_second()
        folder = loop.existing(number)
        resume = check_resume(folder, allow_code=self._allow_code)
        self._begin(resume.create(), folder.read_config().run.runner)

    def dangers(self) -> list[str]:
        """What here may end a run that is left in the background."""
        return dangers_to_background()

    def hosted(self) -> str:
        """`loop/N` of the run that ends with this process, empty if there is none."""
        if self._host is None or not self._host.is_alive() or self._is_apart:
            return ""
        return str(self._current) if self._current is not None else ""

    def stop_hosted(self) -> None:
        """Asks the run that this process hosts to save its weights and end."""
        self._stopping.set()
        if self.hosted() and self._current is not None:
            attempt = read_run(self._current).attempt
            append_request(self._current.requests, attempt, "stop", save=True, evaluate=False)

    def terminate_hosted(self) -> None:
        """Has the hosted run save a checkpoint and end, within the host's grace."""
        self._stopping.set()
        if self._run_host is not None:
            self._run_host.terminate()

    def wait(self) -> None:
        """Waits for the hosted run to end; see `end_if_left_behind`."""
        if self._host is not None and not self._is_apart:
            while self._host.is_alive():
                self._host.join(WAIT_SECONDS)
        self.end_if_left_behind(RunStopped.exit_code)

    def end_if_left_behind(self, code: int) -> None:
        """Ends the process where the worker of a run hangs in it: an exit might wait for that."""
        if self._left_worker_behind:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def take_fault(self) -> TuiLoopError | None:
        """What kept a start from becoming a run, told once."""
        fault, self._fault = self._fault, None
        return fault

    def _refuse_second(self) -> None:
        if self.hosted():
            raise BadInput(f"{self.hosted()} is running here", "one run at a time: stop it first")

    def _home_notices(self) -> list[str]:
        reasons = (DEVICE_FAULT, self._has_device_fault), (LEFT_BEHIND, self._left_worker_behind)
        return [notice for notice, holds in reasons if holds]

    def _begin(self, folders: list[IterationFolder], runner: str) -> None:
        """Gives runs their home: a thread here, or a process that needs nobody."""
        self._stopping.clear()
        self._is_apart = runner == "process" or bool(self._home_notices())
        work = self._host_apart if self._is_apart else self._host_here
        self._current, self._run_host = folders[0], None
        self._host = threading.Thread(
            target=self._guarded, args=(work, folders), name="host", daemon=True
        )
        self._host.start()

    def _guarded(self, work: object, folders: list[IterationFolder]) -> None:
        """The host thread's edge: whatever happens is told, nothing is raised."""
        try:
            assert callable(work)
            work(folders)
        except TuiLoopError as error:
            self._fault = error
        except Exception as error:
            self._fault = TuiLoopError(
                f"the run could not be hosted: {type(error).__name__}: {error}",
                f"look into {folders[-1].output}",
            )
        finally:
            told = return_unstarted(folders)
            if told and self._fault is None:
                self._fault = TuiLoopError(told[0])

    def _host_here(self, folders: list[IterationFolder]) -> None:
        from tui_loop.engine.host import RunHost
        from tui_loop.engine.output_capture import output_to

        for folder in folders:
            if self._stopping.is_set():
                return
            self._current = folder
            self._run_host = RunHost(folder, runner="thread")
            if self._stopping.is_set():
                return
            with output_to(folder.output):
                state = self._run_host.run()
            self._has_device_fault |= self._run_host.has_device_fault
            self._left_worker_behind |= self._run_host.gave_up
            if state != "finished":
                return

    def _host_apart(self, folders: list[IterationFolder]) -> None:
        from tui_loop.engine.launch import start_host

        numbers = [folder.number for folder in folders]
        process = start_host(folders[0].loop, numbers)
        process.wait()
        for folder in folders:
            redact_file(folder.output)
