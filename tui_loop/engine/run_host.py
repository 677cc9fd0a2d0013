"""The run host: runs an iteration in a worker thread, and handles lock, requests and signals.

It writes the run's end whatever happens in the worker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tui_loop.core.data.loading import LoadedData
from tui_loop.core.errors import BadInput
from tui_loop.core.record.checkpoints import next_resumption
from tui_loop.core.record.events import LineLogged, RequestSeen
from tui_loop.core.record.files import FileGuard
from tui_loop.core.record.folder_place import FolderPlace
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.requests import TERMINATION, Request, RequestReader, request_ids
from tui_loop.core.record.results import Results
from tui_loop.core.record.structs import EndState
from tui_loop.core.text.secrets import redact_file
from tui_loop.core.workflow.run_end import write_end
from tui_loop.engine.attempts import Attempts
from tui_loop.engine.gpus.listing import Gpu
from tui_loop.engine.run_control import RunControl
from tui_loop.engine.run_errors import moved_error
from tui_loop.engine.system_sampler import SystemSampler

POLL_SECONDS = 0.2
"""The interval at which the host reads requests and checks the record's files."""

GRACE_SECONDS = 25.0
"""The time to save after a termination; then the host abandons the worker and the run ends as
stopped. Schedulers kill after 30 s."""

STOP_SECONDS = 30.0
"""The time for the current work to end after a stop request; then the host abandons it, too."""

MOVED_SECONDS = 5.0
"""The time for the worker to end after the run's folder was moved; then it is abandoned."""


class RunHost:
    """Hosts one run of one iteration; `run` blocks until it has ended.

    `may_refuse`: a first attempt that finds the settings or the data unfit before it trains is no
    run, so its end is not recorded; `refusal` has the reason.
    `data`: the iteration's data, where they have just been read.
    `gpus`: those that are claimed for the run.
    `gave_up`: the host abandoned its worker; the process must exit without waiting for it.
    `has_device_fault`: this process can no longer use its GPU.
    """

    def __init__(
        self,
        folder: IterationFolder,
        *,
        runner: str,
        may_refuse: bool = False,
        data: LoadedData | None = None,
        gpus: Sequence[Gpu] = (),
    ) -> None:
        self.folder, self.runner, self._may_refuse = folder, runner, may_refuse
        self._data, self._gpus = data, gpus
        self.refusal: BadInput | None = None
        self.control = RunControl()
        self.gave_up = False
        self.has_device_fault = False
        self._terminated_at: float | None = None

    def terminate(self) -> None:
        """Requests a checkpoint and the end within GRACE_SECONDS. Call it from any thread or
        signal handler."""
        if self._terminated_at is None:
            self._terminated_at = time.monotonic()
            # In a thread: the interrupted main thread may hold the journal's lock, which is needed.
            threading.Thread(target=self._stop, name="terminate").start()

    def run(self) -> EndState:
        """Runs the iteration to its end; returns its end state. Raises BadInput if it is locked."""
        with RunLock(self.folder.lock) as lock:
            place = FolderPlace(self.folder.path)
            earlier_requests = request_ids(self.folder.requests)
            before = read_run(self.folder)
            resumption = next_resumption(self.folder, before)
            journal = Journal(self.folder.journal, lock.report_trouble)
            self.control.acknowledge = _acknowledges_in(journal)
            sampler = SystemSampler(journal, self.folder, [gpu.uuid for gpu in self._gpus])
            attempts = Attempts(
                self.folder,
                journal,
                self.control,
                runner=self.runner,
                earlier=before.attempt,
                resumption=resumption,
                data=self._data,
                gpus=self._gpus,
                note_device=sampler.note_device,
            )
            attempts.begin()
            # A request that arrived before `begin`, which can take long, names the old attempt.
            new_requests = request_ids(self.folder.requests) - earlier_requests
            requests = RequestReader(self.folder.requests, attempts.attempt, new_requests)
            own_files = self.folder.config, self.folder.decision
            file_guard = FileGuard((*own_files, self.folder.loop.settings_file))
            with sampler:
                self._wait(attempts, journal, file_guard, requests, place)
            if self._may_refuse and attempts.refusal is not None:
                self.refusal = attempts.refusal
                journal.close()
                return "failed"
            file_guard.check()
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
        self,
        attempts: Attempts,
        journal: Journal,
        file_guard: FileGuard,
        requests: RequestReader,
        place: FolderPlace,
    ) -> None:
        """Passes requests to the worker until it has ended or its time to end is over."""
        worker = threading.Thread(target=attempts.work, name="run", daemon=True)
        worker.start()
        while worker.is_alive():
            worker.join(POLL_SECONDS)
            if (moved := place.moved_to) is not None:
                self._end_moved(attempts, worker, moved)
                return
            file_guard.check()
            requests.add_attempt(attempts.attempt)  # a retry begins another, which requests name
            for request in requests.read():
                self.control.submit(request)
            if (expired := self._expired_limit()) and worker.is_alive():
                self._give_up(attempts, journal, expired)
                return

    def _end_moved(self, attempts: Attempts, worker: threading.Thread, moved: Path) -> None:
        """Ends the run where its folder is now; the worker would write to the old path."""
        self.control.give_up()
        worker.join(MOVED_SECONDS)
        self.gave_up, self._may_refuse = worker.is_alive(), False
        attempts.state, attempts.error = "failed", moved_error(self.folder, moved)
        self.folder.follow(moved)
        redact_file(self.folder.output)  # at the end it is looked for at the old path

    def _expired_limit(self) -> str:
        """Returns which time limit the worker has exceeded, in words; "" while none."""
        since = self._terminated_at
        if since is not None and time.monotonic() - since > GRACE_SECONDS:
            return f"{GRACE_SECONDS:g} s after a termination signal"
        if self.control.is_stop_overdue(STOP_SECONDS):
            return f"{STOP_SECONDS:g} s after a stop request"
        return ""

    def _give_up(self, attempts: Attempts, journal: Journal, expired: str) -> None:
        """Abandons the worker: the run ends as stopped, whatever the worker still does."""
        self.gave_up = True
        self.control.give_up()
        attempts.state, attempts.error = "stopped", None
        phase = read_run(self.folder).phase or "starting"
        text = (
            f"the run was abandoned {expired}, while still in phase {phase}: unsaved work is lost"
        )
        journal.append(LineLogged(level="warning", source="tui-loop", text=text))

    def _stop(self) -> None:
        self.control.submit(
            Request(TERMINATION, 0, "stop", save=True, evaluate=False, by="termination")
        )


def _acknowledges_in(journal: Journal) -> Any:
    def acknowledge(request: Request) -> None:
        journal.append(RequestSeen(id=request.id, name=request.name))

    return acknowledge
