"""Several runs at once, each in a process of its own, for the queue and `auto`.

A run starts when a slot is free, and a GPU where it needs one. What one of them does never ends
another; an interrupt ends all of them.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

import msgspec

from tui_loop.cli.output import Output
from tui_loop.cli.run_process import EXIT_CODES, start_runs
from tui_loop.core.config.schema import Run
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.record.events import WAITING_FOR_GPU
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.lock import LockWatcher
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.requests import append_request, asks_to_stop
from tui_loop.core.record.structs import LIVE, Iteration
from tui_loop.core.text.secrets import redact_file
from tui_loop.core.workflow.draft import return_unstarted

ALL_GPUS = "gpus"
"""As many slots as there are GPUs."""


class Ended(msgspec.Struct, frozen=True):
    """Runs of one process that has ended.

    `iterations`: those that ran, up to the first that did not finish. `refusal`: why the gate
    refused them all. `is_stopped`: someone asked them to stop.
    """

    folders: tuple[IterationFolder, ...]
    iterations: tuple[Iteration, ...] = ()
    refusal: tuple[CheckResult, ...] = ()
    is_stopped: bool = False


class _Live(msgspec.Struct):
    """The runs of one process. `attempts`: the attempt of each iteration."""

    folders: list[IterationFolder]
    attempts: dict[int, int]
    process: Any
    _is_settled: bool = False

    @property
    def current(self) -> IterationFolder:
        """The iteration that runs now, or the first one that will."""
        begun = [each for each in self.folders if each.path.exists() and self.has_started(each)]
        return begun[-1] if begun else self._first

    @property
    def _first(self) -> IterationFolder:
        return next((each for each in self.folders if each.number > 0), self.folders[0])

    def has_started(self, folder: IterationFolder) -> bool:
        return read_run(folder).attempt >= self.attempts[folder.number]

    def is_settled(self) -> bool:
        """Whether the process holds its GPUs, and has measured the base if that is among its runs.

        It claims the GPUs before anything else. What was so once remains so: a journal may be long.
        """
        self._is_settled = self._is_settled or (self._has_claimed() and not self._measures_base())
        return self._is_settled

    def _has_claimed(self) -> bool:
        return self.has_started(self.current) or _phase(self._first) not in (None, WAITING_FOR_GPU)

    def _measures_base(self) -> bool:
        base = self.folders[0]
        return base.number == 0 and not (
            base.path.exists() and iteration_of(base).state == "finished"
        )

    def stop(self, *, save: bool) -> None:
        folder = self.current
        append_request(
            folder.requests, self.attempts[folder.number], "stop", save=save, evaluate=False
        )


class ParallelRuns:
    """Runs at most `slots` processes at once.

    Within `with`, the first interrupt requests that all runs save their weights and stop, the
    second that they stop at once, the third kills them. `stop_requested` says that one came, or
    that all live runs were asked to stop.
    """

    def __init__(self, loop: LoopFolder, out: Output, slots: int) -> None:
        self._loop, self._out, self._slots = loop, out, slots
        self._live: list[_Live] = []
        self._interrupts = 0
        self._handled = 0
        self._handlers: dict[signal.Signals, Any] = {}
        self.stop_requested = False

    def __enter__(self) -> ParallelRuns:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def count(self) -> int:
        """How many processes run."""
        return len(self._live)

    def has_room(self) -> bool:
        """Whether another process may start: beside the other runs of the loop, and the base.

        Everything else is compared with the base, so nothing starts before that is measured. A
        process that has not yet claimed its GPU could get the one that is free now.
        """
        if len(self._live) >= self._slots or not all(each.is_settled() for each in self._live):
            return False
        if any(not each.folders[-1].path.exists() for each in self._live):
            return False  # it was refused: its number would be given again before its process ends
        if LockWatcher(self._loop.iteration(0).lock).poll() == "alive":
            return False
        own = {folder.number for each in self._live for folder in each.folders}
        numbers = (number for number in self._loop.numbers() if number not in own)
        others = sum(iteration_of(self._loop.iteration(number)).state in LIVE for number in numbers)
        return len(self._live) + others < self._slots

    def start(self, folders: list[IterationFolder]) -> None:
        """Starts a process that runs these iterations in order."""
        attempts, process = start_runs(self._loop, folders)
        self._live.append(_Live(folders, attempts, process))

    def ended(self) -> list[Ended]:
        """Acts on interrupts; returns the runs whose process has exited since the last call."""
        self._act_on_interrupts()
        done = [each for each in self._live if each.process.poll() is not None]
        self._live = [each for each in self._live if each not in done]
        found = [self._collect(each) for each in done]
        if any(each.is_stopped for each in found) and all(
            asks_to_stop(each.current, each.attempts[each.current.number]) for each in self._live
        ):
            self.stop_requested = True  # of the whole loop, or of the last run
        return found

    def _collect(self, live: _Live) -> Ended:
        folders = tuple(live.folders)
        if refusal := live.process.refusal():
            return Ended(folders, refusal=tuple(refusal))
        for folder in folders:
            redact_file(folder.output)  # the process does this itself, unless it was killed
        iterations = []
        for folder in folders:
            if not folder.path.exists():
                continue
            iterations.append(iteration_of(folder))
            if iterations[-1].state != "finished":
                break
        for text in return_unstarted(list(folders)):
            self._out.note(self._out.spelled_out(text))
        ran = tuple(each for each in iterations if each.state != "queued")
        was_stopped = live.process.returncode == EXIT_CODES["stopped"]
        return Ended(folders, ran, is_stopped=was_stopped)

    def _on_signal(self, number: int, _: object) -> None:
        self.stop_requested = True
        if number == signal.SIGTERM:
            for each in self._live:
                each.process.terminate()
        else:
            self._interrupts += 1

    def _act_on_interrupts(self) -> None:
        """Acts on interrupts outside the signal handler, since it writes files."""
        if self._interrupts == self._handled:
            return
        self._handled = self._interrupts
        for each in self._live:
            if self._interrupts > 2:
                each.process.kill()
            else:
                each.stop(save=self._interrupts == 1)
        texts = (
            "stopping all runs after saving their weights (interrupt again to stop immediately)",
            "stopping all runs immediately (interrupt again to kill their processes)",
            "killing the processes of all runs",
        )
        self._out.note(texts[min(self._interrupts, 3) - 1])


def slots_of(parallel: str) -> int:
    """Returns how many runs may run at once for `--parallel`: a number, or `gpus`.

    Raises BadInput for anything else.
    """
    if parallel == ALL_GPUS:
        return max(1, len(_usable()))
    if not parallel.isdecimal() or int(parallel) < 1:
        raise BadInput(
            f"--parallel {parallel}: must be a number of at least 1, or gpus", "--parallel 2"
        )
    return int(parallel)


def has_free_gpus(run: Run) -> bool:
    """Whether a run would get its GPUs at once; True for one that uses none.

    Raises BadInput where it asks for GPUs that there are not.
    """
    from tui_loop.engine.gpus.claim import candidates, checked_request, use_of

    request = checked_request(run)
    if request is None:
        return True
    return sum(not use_of(gpu) for gpu in candidates(request)) >= request.count


def _usable() -> Sequence[object]:
    from tui_loop.engine.gpus.claim import usable_gpus, uses_cuda
    from tui_loop.engine.gpus.listing import GpusUnreadable

    try:
        return usable_gpus() if uses_cuda() else []
    except GpusUnreadable:
        return []


def _phase(folder: IterationFolder) -> str | None:
    return read_run(folder).phase if folder.journal.exists() else None
