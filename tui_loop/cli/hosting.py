"""Hosting runs for the app: one at a time, in a worker thread or in a process of its own."""

from __future__ import annotations

import subprocess
import threading

from tui_loop.cli.checking import Preflight, preflight_of_draft, start_findings
from tui_loop.cli.starting import check_start, create, forget_unbegun
from tui_loop.core.draft import Draft, plan_of
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.reader import read_run
from tui_loop.core.requests import ask
from tui_loop.core.secrets import mask_file
from tui_loop.core.store import IterationFolder, LoopFolder
from tui_loop.tui.backend import Preview


class AppRuns:
    """Starts runs and knows the one that this process hosts.

    `runner = "thread"` keeps it in this process; `"process"` gives it a session of its own.
    """

    def __init__(self, *, allow_code: bool) -> None:
        self._allow_code = allow_code
        self._host: threading.Thread | None = None
        self._current: IterationFolder | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._fault: TuiLoopError | None = None
        self._stopping = threading.Event()

    def preview(self, loop: LoopFolder, draft: Draft) -> Preview:
        """What running the draft would do; raises TuiLoopError for whatever would fail."""
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
            notices=start.notices,
            findings=start_findings(start),
        )

    def preflight(self, loop: LoopFolder, draft: Draft) -> Preflight:
        """The checks of a draft, of whose config nothing is required; raises TuiLoopError."""
        return preflight_of_draft(loop, draft, allow_code=self._allow_code)

    def start(self, loop: LoopFolder, draft: Draft) -> int:
        """Creates the iteration and starts its run; gives its number. Raises TuiLoopError."""
        from tui_loop.engine.extras import require_train

        require_train("training")
        if self.hosted():
            raise BadInput(f"{self.hosted()} is running here", "one run at a time: stop it first")
        start = check_start(loop, plan_of(loop, draft), allow_code=self._allow_code)
        folders = create(loop, start)
        self._stopping.clear()
        in_thread = draft.config.run.runner == "thread"
        work = self._host_here if in_thread else self._host_apart
        self._current = folders[0]
        self._host = threading.Thread(target=self._guarded, args=(work, folders), name="host")
        self._host.start()
        return folders[-1].number

    def hosted(self) -> str:
        """`loop/N` of the run that ends with this process, empty if there is none."""
        if self._host is None or not self._host.is_alive() or self._process is not None:
            return ""
        return str(self._current) if self._current is not None else ""

    def stop_hosted(self) -> None:
        """Asks the run that this process hosts to save its weights and end."""
        self._stopping.set()
        if self.hosted() and self._current is not None:
            attempt = read_run(self._current).attempt
            ask(self._current.requests, attempt, "stop", save=True, evaluate=False)

    def wait(self) -> None:
        """Waits for the hosted run to end."""
        if self._host is not None and self._process is None:
            self._host.join()

    def take_fault(self) -> TuiLoopError | None:
        """What kept a start from becoming a run, told once."""
        fault, self._fault = self._fault, None
        return fault

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
            self._process = None
            forget_unbegun(folders)

    def _host_here(self, folders: list[IterationFolder]) -> None:
        from tui_loop.engine.host import RunHost
        from tui_loop.engine.quiet import output_to

        for folder in folders:
            if self._stopping.is_set():
                return
            self._current = folder
            with output_to(folder.output):
                state = RunHost(folder, runner="thread", allow_code=self._allow_code).run()
            if state != "finished":
                return

    def _host_apart(self, folders: list[IterationFolder]) -> None:
        from tui_loop.engine.launch import start_host

        numbers = [folder.number for folder in folders]
        self._process = start_host(folders[0].loop, numbers, allow_code=self._allow_code)
        self._process.wait()
        for folder in folders:
            mask_file(folder.output)
