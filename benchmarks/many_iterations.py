"""Commands and the app's first snapshot on a loop of a thousand iterations, in seconds of CPU."""

from __future__ import annotations

import resource
import time

from benchmarks.bench_app import command, environment, recorded_loop
from benchmarks.long_loop import long_loop
from benchmarks.measure import Result
from benchmarks.processes import run
from benchmarks.scale import sized
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.ledger import write_ledger
from tui_loop.core.snapshot import LoopPoller, SnapshotRequest

ITERATIONS, EXAMPLES, TURNS = sized((1000, 20, 3), (12, 20, 1))
NAME = "long"
LIMITS = {
    ("show", NAME): 3.0,
    ("show", NAME, "--json"): 3.0,
    ("list",): 3.0,
    ("progress", NAME): 4.0,
    ("diagnose", f"{NAME}/{ITERATIONS - 1}"): 6.0,
    ("patterns",): 10.0,
    ("report", NAME, "-o", "report.md"): 15.0,
}
"""Seconds of CPU, which do not depend on what else the machine does."""

SNAPSHOT_LIMIT = LEDGER_LIMIT = 2.0
ROWS_ON_SCREEN = 30


def results() -> list[Result]:
    with recorded_loop() as recorded:
        loop = long_loop(recorded, NAME, ITERATIONS, EXAMPLES)
        figures = [
            Result(
                " ".join(("tui-loop", *words)), _seconds_of(loop, words), limit, " s", note=_NOTE
            )
            for words, limit in LIMITS.items()
        ]
        snapshot = min(_snapshot(loop) for _ in range(TURNS))
        ledger = min(_ledger(loop) for _ in range(TURNS))
    return [
        *figures,
        Result("first snapshot of the app", snapshot, SNAPSHOT_LIMIT, " s", note=_NOTE),
        Result("ledger.csv written", ledger, LEDGER_LIMIT, " s", note=_NOTE),
    ]


_NOTE = f"CPU, {ITERATIONS:,} iterations of {EXAMPLES} examples, best of {TURNS}"


def _seconds_of(loop: LoopFolder, words: tuple[str, ...]) -> float:
    return min(_once(loop, words) for _ in range(TURNS))


def _once(loop: LoopFolder, words: tuple[str, ...]) -> float:
    before = _children_seconds()
    run(command(loop, *words), folder=loop.root, environment=environment(loop.root))
    return _children_seconds() - before


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _snapshot(loop: LoopFolder) -> float:
    """Reads what the app shows first: the newest iteration, and the rows above it."""
    began = time.process_time()
    newest = ITERATIONS - 1
    rows = tuple(range(max(0, newest - ROWS_ON_SCREEN), newest + 1))
    LoopPoller(loop).poll(SnapshotRequest(selected=newest, rows=rows))
    return time.process_time() - began


def _ledger(loop: LoopFolder) -> float:
    began = time.process_time()
    write_ledger(loop)
    return time.process_time() - began
