"""The run host: an iteration in a worker thread, and beside it lock, beat, requests and signals.

Whatever happens in the worker, the run's end is written. As a process of its own it is
`python -m tui_loop.engine.host LOOP NUMBER...`; its output goes to the iteration's output.log.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tui_loop.core.process import treat_user_signals_as_termination
from tui_loop.core.record.checkpoints import next_resumption
from tui_loop.core.record.events import LineLogged, RequestSeen
from tui_loop.core.record.files import FileGuard
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.requests import Request, RequestReader, request_ids
from tui_loop.core.record.results import Results
from tui_loop.core.record.structs import EndState
from tui_loop.core.workflow.draft import return_unstarted
from tui_loop.core.workflow.run_end import write_end
from tui_loop.engine.attempts import Attempts
from tui_loop.engine.output_capture import output_to
from tui_loop.engine.run_control import Control

POLL_SECONDS = 0.2
GRACE_SECONDS = 25.0
"""After a termination: what has not been saved by then is given up, and the run ends as stopped.
Schedulers kill after 30 s."""

STOP_SECONDS = 30.0
"""After a stop request: work that has not ended by then hangs, and is given up alike."""

EXIT_CODES: dict[EndState, int] = {"finished": 0, "failed": 1, "stopped": 3}


class RunHost:
    """Hosts one run of one iteration; `run` blocks until it has ended.

    `gave_up` says that its worker was left behind: the process is to end without waiting for it.
    `has_device_fault`: this process can use its GPU no more.
    """

    def __init__(self, folder: IterationFolder, *, runner: str) -> None:
        self.folder, self.runner = folder, runner
        self.control = Control()
        self.gave_up = False
        self.has_device_fault = False
        self._terminated_at: float | None = None

    def terminate(self) -> None:
        """Asks for a checkpoint and the end, within GRACE_SECONDS; from a signal or any thread."""
        if self._terminated_at is None:
            self._terminated_at = time.monotonic()
            threading.Thread(target=self._stop, name="terminate").start()

    def run(self) -> EndState:
        """Runs the iteration to its end and returns how it ended. Raises BadInput if it is held."""
        with RunLock(self.folder.lock) as lock:
            asked_before = request_ids(self.folder.requests)
            before = read_run(self.folder)
            resumption = next_resumption(self.folder, before)
            journal = Journal(self.folder.journal, lock.report_trouble)
            self.control.acknowledge = _acknowledges_in(journal)
            attempts = Attempts(
                self.folder,
                journal,
                self.control,
                runner=self.runner,
                earlier=before.attempt,
                resumption=resumption,
            )
            attempts.begin()
            # till then, which can take long, whoever asks can only name the attempt before
            asked_meanwhile = request_ids(self.folder.requests) - asked_before
            requests = RequestReader(self.folder.requests, attempts.attempt, asked_meanwhile)
            own = self.folder.config, self.folder.decision
            kept = FileGuard((*own, self.folder.loop.settings_file))
            self._wait(attempts, journal, kept, requests)
            kept.check()
            outcome = attempts.outcome
            write_end(
                self.folder,
                journal,
                lock,
                state=attempts.state,
                error=attempts.error,
                results=Results(outcome.metrics, outcome.fingerprint),
            )
        self.has_device_fault = attempts.has_device_fault
        return attempts.state

    def _wait(
        self, attempts: Attempts, journal: Journal, kept: FileGuard, requests: RequestReader
    ) -> None:
        """Hands requests to the worker until it has ended, or is left behind."""
        worker = threading.Thread(target=attempts.work, name="run", daemon=True)
        worker.start()
        while worker.is_alive():
            worker.join(POLL_SECONDS)
            kept.check()
            requests.add_attempt(attempts.attempt)
            for request in requests.read():
                self.control.ask(request)
            if (waited := self._waited_too_long()) and worker.is_alive():
                self._give_up(attempts, journal, waited)
                return

    def _waited_too_long(self) -> str:
        """What the worker had time enough for, "" while it has time."""
        since = self._terminated_at
        if since is not None and time.monotonic() - since > GRACE_SECONDS:
            return f"{GRACE_SECONDS:g} s after a termination"
        if self.control.is_stop_overdue(STOP_SECONDS):
            return f"{STOP_SECONDS:g} s after a stop request"
        return ""

    def _give_up(self, attempts: Attempts, journal: Journal, waited: str) -> None:
        """Leaves the worker behind: the run ends as stopped, whatever that one still does."""
        self.gave_up = True
        self.control.give_up()
        attempts.state, attempts.error = "stopped", None
        phase = read_run(self.folder).phase or "starting"
        text = f"given up {waited}, still in phase {phase}: what had not been saved is lost"
        journal.append(LineLogged(level="warning", source="tui-loop", text=text))

    def _stop(self) -> None:
        self.control.ask(
            Request("termination", 0, "stop", save=True, evaluate=False, by="termination")
        )


def main(arguments: list[str] | None = None) -> int:
    """Hosts the runs of some iterations of a loop, one after the other; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tui_loop.engine.host")
    parser.add_argument("loop", type=Path)
    parser.add_argument("numbers", type=int, nargs="+")
    args = parser.parse_args(arguments)
    hosts: list[RunHost] = []
    terminated = threading.Event()

    def on_terminate(*_: Any) -> None:
        terminated.set()
        if hosts:
            hosts[-1].terminate()

    signal.signal(signal.SIGTERM, on_terminate)
    treat_user_signals_as_termination()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop = LoopFolder(args.loop)
    folders = [loop.existing(number) for number in args.numbers]
    state: EndState = "finished"
    for folder in folders:
        hosts.append(RunHost(folder, runner="process"))
        if terminated.is_set():  # between two runs, or before the first
            state = "stopped"
            break
        with output_to(folder.output):
            state = hosts[-1].run()
        if state != "finished":
            break
    return_unstarted(folders)
    if hosts[-1].gave_up:
        os._exit(EXIT_CODES[state])
    return EXIT_CODES[state]


def _acknowledges_in(journal: Journal) -> Any:
    def acknowledge(request: Request) -> None:
        journal.append(RequestSeen(id=request.id, name=request.name))

    return acknowledge


if __name__ == "__main__":
    sys.exit(main())
