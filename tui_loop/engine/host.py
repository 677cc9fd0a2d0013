"""The run host: an iteration in a worker thread, and beside it lock, beat, requests and signals.

Whatever happens in the worker, the run's end is written. As a process of its own it is
`python -m tui_loop.engine.host LOOP NUMBER...`; its output goes to the iteration's output.log.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.config import ConfigError, to_tables
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.events import LineLogged, RequestSeen, RunEnded, RunStarted
from tui_loop.core.journal import Journal
from tui_loop.core.ledger import write_ledger
from tui_loop.core.liveness import RunLock
from tui_loop.core.overview import described
from tui_loop.core.reader import read_run
from tui_loop.core.records import NO_METRICS, EndState, RunError
from tui_loop.core.requests import RequestReader
from tui_loop.core.store import IterationFolder, LoopFolder
from tui_loop.core.wording import brief_number
from tui_loop.engine.control import Control, StopAsked
from tui_loop.engine.extras import installed_versions
from tui_loop.engine.iteration import Diverged, Outcome, Run, run_iteration
from tui_loop.engine.quiet import logging_to, masked, output_to, set_environment

POLL_SECONDS = 0.2
EXIT_CODES: dict[EndState, int] = {"finished": 0, "failed": 1, "stopped": 3}


class RunHost:
    """Hosts one run of one iteration; `run` blocks until it has ended."""

    def __init__(self, folder: IterationFolder, *, runner: str, allow_code: bool = False) -> None:
        self.folder, self.runner, self.allow_code = folder, runner, allow_code
        self.control = Control()

    def run(self) -> EndState:
        """Runs the iteration to its end and returns how it ended. Raises BadInput if it is held."""
        self.folder.check_own()
        with RunLock(self.folder.lock):
            attempt = read_run(self.folder).attempt + 1
            self.folder.forget_measurement()
            journal = Journal(self.folder.journal)
            journal.append(self._started(attempt))
            run = _Run(self.folder, journal, self.control, self.allow_code)
            worker = threading.Thread(target=run.work, name="run")
            worker.start()
            requests = RequestReader(self.folder.requests, attempt)
            while worker.is_alive():
                worker.join(POLL_SECONDS)
                for request in requests.read():
                    journal.append(RequestSeen(id=request.id, name=request.name))
                    if request.name == "stop":
                        self.control.ask_stop(save=request.save, evaluate=request.evaluate)
            journal.append(
                RunEnded(
                    state=run.state,
                    error=None if run.error is None else msgspec.to_builtins(run.error),
                )
            )
            journal.close()
            self._write_summary(run)
        write_ledger(self.folder.loop)
        return run.state

    def _started(self, attempt: int) -> RunStarted:
        return RunStarted(
            loop=self.folder.loop.name,
            iteration=self.folder.number,
            attempt=attempt,
            pid=os.getpid(),
            host=socket.gethostname(),
            versions=installed_versions(),
            device=self.folder.read_config().run.device,
            runner=self.runner,
        )

    def _write_summary(self, run: _Run) -> None:
        folder, state = self.folder, read_run(self.folder)
        config = to_tables(folder.read_config())
        told = described(folder.number, folder.read_decision(), config, state, run.state)
        folder.write_summary(
            msgspec.structs.replace(
                told, metrics=run.outcome.metrics, fingerprint=run.outcome.fingerprint
            )
        )


class _Run:
    """The worker thread's side: runs, and turns every way to end into a state and an error."""

    def __init__(
        self, folder: IterationFolder, journal: Journal, control: Control, allow_code: bool
    ) -> None:
        self._folder, self._journal = folder, journal
        self.outcome = Outcome(metrics=dict(NO_METRICS))
        self._run = Run(folder, folder.read_config(), journal, control, self.outcome, allow_code)
        self.state: EndState = "failed"
        self.error: RunError | None = RunError("crashed", "the run ended without a word", "")

    def work(self) -> None:
        try:
            set_environment()
            with logging_to(self._journal):
                run_iteration(self._run)
            self.state, self.error = "stopped" if self.outcome.stopped else "finished", None
        except StopAsked:
            self.state, self.error = "stopped", None
        except BaseException as error:  # the run's edge: recorded, never raised into the host
            self.error = self._explained(error)
            self._journal.append(
                LineLogged(level="error", source=self.error.kind, text=self.error.message)
            )

    def _explained(self, error: BaseException) -> RunError:
        """`_told`, with known secrets masked."""
        told = self._told(error)
        return msgspec.structs.replace(told, message=masked(told.message), hint=masked(told.hint))

    def _told(self, error: BaseException) -> RunError:
        """The error in the record's words; nobody's mistake leaves a traceback in output.log."""
        step = self.outcome.metrics.get("steps")
        if isinstance(error, Diverged):
            return RunError(
                "diverged",
                str(error),
                f"lower the learning rate (it was {brief_number(error.rate)}; "
                f"try {brief_number(error.rate / 10)})",
                error.step,
            )
        if isinstance(error, ConfigError):
            return RunError("config", error.message, error.hint, step)
        if isinstance(error, TuiLoopError):
            return RunError("data", error.message, error.hint, step)
        traceback.print_exception(error)
        message = f"{type(error).__name__}: {_first_line(error)}"
        if type(error).__name__ == "OutOfMemoryError":
            return RunError(
                "oom",
                message,
                "lower per_device_train_batch_size (and raise gradient_accumulation_steps), "
                "or training.max_length",
                step,
            )
        if isinstance(error, OSError) and error.errno in (28, 122):
            return RunError("disk", message, "make room, then run it again", step)
        return RunError("crashed", message, f"the traceback is in {self._folder.output}", step)


def main(arguments: list[str] | None = None) -> int:
    """Hosts the runs of some iterations of a loop, one after the other; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tui_loop.engine.host")
    parser.add_argument("loop", type=Path)
    parser.add_argument("numbers", type=int, nargs="+")
    parser.add_argument("--allow-code", action="store_true")
    told = parser.parse_args(arguments)
    hosts: list[RunHost] = []
    terminated = threading.Event()

    def on_terminate(*_: Any) -> None:
        terminated.set()
        if hosts:
            hosts[-1].control.ask_stop(save=True, evaluate=False)

    signal.signal(signal.SIGTERM, on_terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop = LoopFolder(told.loop)
    for number in told.numbers:
        folder = loop.existing(number)
        hosts.append(RunHost(folder, runner="process", allow_code=told.allow_code))
        if terminated.is_set():  # between two runs, or before the first
            return EXIT_CODES["stopped"]
        with output_to(folder.output):
            state = hosts[-1].run()
        if state != "finished":
            return EXIT_CODES[state]
    return 0


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"


if __name__ == "__main__":
    sys.exit(main())
