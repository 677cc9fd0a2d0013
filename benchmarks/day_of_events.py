"""The memory of the app while it follows a day of a run: ten logs a second, seven metrics each.

This process writes the journal and holds the run's lock, as a trainer would. The app follows the
run in a terminal, with the grid of all charts in view.
"""

from __future__ import annotations

import random
import time

from benchmarks.bench_app import open_app, recorded_loop
from benchmarks.measure import Result
from benchmarks.processes import use_of
from benchmarks.scale import sized
from benchmarks.screen import Screen
from tui_loop.core.record.events import MetricsLogged, PhaseStarted, Progressed, RunStarted
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import RunLock
from tui_loop.core.workflow.plan import create_iteration, plan_next

LOGS, FIRST, BURST = sized((864_000, 2_000, 10_000), (300, 50, 100))
PARENT = 6
WAIT_SECONDS = 600.0
LIMIT_MB = 120
METRICS = ("loss", "grad_norm", "learning_rate", "entropy", "mean_token_accuracy", "aux_loss")


def results() -> list[Result]:
    with recorded_loop() as loop:
        plan = plan_next(loop, parent=PARENT, settings=[], why="a day of it")
        splits = loop.iteration(PARENT).read_splits()
        folder = create_iteration(loop, plan, splits)
        with RunLock(folder.lock), open_app(loop) as screen:
            run = _Run(folder)
            at = len(screen.reads)
            screen.send("3")
            screen.send("gG")
            run.log(FIRST, screen, at)
            time.sleep(2)
            before = use_of(screen.process)
            began = time.monotonic()
            while run.step < LOGS:
                at = len(screen.reads)
                run.log(min(BURST, LOGS - run.step), screen, at)
            seconds = time.monotonic() - began
            after = use_of(screen.process)
            run.close()
    grown = (after.memory - before.memory) / 1e6
    cost = 1e6 * (after.cpu - before.cpu) / (LOGS - FIRST)
    note = f"{LOGS:,} logs of 7 metrics, followed in {seconds:.0f} s; {cost:.0f} µs of CPU each"
    return [Result("growth of the app over a day of events", grown, LIMIT_MB, " MB", note=note)]


class _Run:
    """The journal of a live run."""

    def __init__(self, folder: IterationFolder) -> None:
        self._journal, self._draw, self.step = Journal(folder.journal), random.Random(1), 0
        started = RunStarted(
            loop=folder.loop.name, iteration=folder.number, attempt=1, pid=1, host="box"
        )
        self._journal.append(started)
        self._journal.append(PhaseStarted(name="training"))

    def log(self, count: int, screen: Screen, since: int) -> None:
        """Logs steps, and waits until the app shows the last one."""
        for _ in range(count):
            self.step += 1
            values = {name: 1.0 + self._draw.random() for name in METRICS}
            values["num_tokens"] = 512.0 * self.step
            self._journal.append(
                MetricsLogged(step=self.step, epoch=self.step / LOGS, values=values)
            )
        self._journal.append(Progressed(phase="training", done=self.step, total=LOGS))
        screen.wait_for(rf"\b{self.step}/{LOGS}\b", since=since, seconds=WAIT_SECONDS)

    def close(self) -> None:
        self._journal.close()
