"""The time before a run starts, in which its host waits for a GPU and passes the gate.

The run is locked meanwhile, its requests are read, and the journal of a new one shows the progress.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from tui_loop.core.record.events import WAITING_FOR_GPU, LineLogged, PhaseStarted, Progressed
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.requests import RequestReader, request_ids
from tui_loop.engine.gpus.claim import NoneFree
from tui_loop.engine.output_capture import output_to
from tui_loop.engine.run_control import StopRequested


class BeforeRun:
    """Context manager for an iteration that is about to run.

    `is_terminated`: whether the host received a signal to end.
    """

    def __init__(self, folder: IterationFolder, is_terminated: Callable[[], bool]) -> None:
        self._folder, self._is_terminated = folder, is_terminated
        self._open = ExitStack()
        self._journal: Journal | None = None
        self._phase = ""

    def __enter__(self) -> BeforeRun:
        self._open.enter_context(output_to(self._folder.output))
        self._lock = self._open.enter_context(RunLock(self._folder.lock))
        run = read_run(self._folder)
        self._attempt = run.attempt
        self._earlier = request_ids(self._folder.requests)
        self._requests = RequestReader(self._folder.requests, run.attempt + 1)
        self._requests.add_attempt(run.attempt)  # readers of an interrupted run name that one
        if run.started is None:
            self._journal = Journal(self._folder.journal, self._lock.report_trouble)
            self._open.callback(self._journal.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.report_trouble("")
        self._open.close()

    def poll(self) -> None:
        """Raises StopRequested where a request or a signal asks for the end."""
        stops = [each for each in self._requests.read() if each.name == "stop"]
        is_new = any(each.attempt > self._attempt or each.id not in self._earlier for each in stops)
        if self._is_terminated() or is_new:
            raise StopRequested

    def begin(self, phase: str, text: str) -> None:
        """Shows that a phase begins."""
        self._phase = phase
        if self._journal is not None:
            self._journal.append(PhaseStarted(name=phase))
            self._log(text)

    def advance(self, done: int, total: int) -> None:
        """Shows the progress of the phase."""
        if self._journal is not None:
            self._journal.append(Progressed(phase=self._phase, done=done, total=total))

    def report_wait(self, fault: NoneFree) -> None:
        """Shows that the run waits for a GPU, and whose they are.

        A run that is resumed has an ended journal, so its lock says that it waits.
        """
        if self._journal is None:
            self._lock.report_trouble(f"{WAITING_FOR_GPU}: {fault}")
            return
        if self._phase != WAITING_FOR_GPU:
            self.begin(WAITING_FOR_GPU, "no GPU is free")
        for each in fault.taken:
            self._log(str(each))

    def _log(self, text: str) -> None:
        assert self._journal is not None
        self._journal.append(LineLogged(level="info", source="tui-loop", text=text))
