"""From a run's first write to a full disk until the app says so.

The run is this process, which holds the lock and writes the journal; the app is another one.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.bench_app import open_app, recorded_loop
from benchmarks.measure import Result, spread
from benchmarks.scale import sized
from tui_loop.core.record.events import MetricsLogged, PhaseStarted, RunStarted
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import RunLock
from tui_loop.core.workflow.plan import create_iteration, plan_next

TURNS = sized(5, 1)
STEPS = 50
"""Logged before the disk is full: the lock's file, which is written then, must be no longer."""

LIMIT_MS = 2000
NOTICE = "disk full: 1 line waits"


def results() -> list[Result]:
    shown, gone = [], []
    with recorded_loop() as loop:
        plan = plan_next(loop, parent=6, settings=["seed=1"], why="a benchmark")
        folder = create_iteration(loop, plan, {})
        training = rf"▶ {folder.number} training"
        with open_app(loop) as screen, RunLock(folder.lock) as lock:
            journal = Journal(folder.journal, lock.report_trouble)
            journal.append(
                RunStarted(
                    loop=loop.name,
                    iteration=folder.number,
                    attempt=1,
                    pid=os.getpid(),
                    host=socket.gethostname(),
                )
            )
            journal.append(PhaseStarted(name="training"))
            for step in range(STEPS):
                journal.append(_logged(step))
            screen.wait_for(training)
            for turn in range(TURNS):
                at, full_at = len(screen.reads), time.perf_counter()
                with _full_disk(folder.journal.stat().st_size):
                    journal.append(_logged(STEPS + turn))
                    shown.append(screen.wait_for(NOTICE, since=at) - full_at)
                    at, room_at = len(screen.reads), time.perf_counter()
                gone.append(screen.wait_for(training, since=at) - room_at)
            journal.close()
    note = f"{spread(shown, 'times')}; gone once there is room: {spread(gone, 'times')}"
    return [Result("a full disk shows, worst", 1000 * max(shown), LIMIT_MS, " ms", note=note)]


def _logged(step: int) -> MetricsLogged:
    return MetricsLogged(step=step, epoch=step / 10, values={"loss": 1 / (step + 1)})


@contextmanager
def _full_disk(room: int) -> Iterator[None]:
    """No file of this process can grow beyond `room` bytes meanwhile, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
