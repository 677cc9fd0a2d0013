"""The cost of one journal append, on the training thread."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.measure import Result
from benchmarks.scale import sized
from tui_loop.core.record.events import MetricsLogged
from tui_loop.core.record.journal import Journal

APPENDS = sized(50_000, 500)
VALUES = {
    "loss": 1.2345678,
    "grad_norm": 0.8123,
    "learning_rate": 1e-4,
    "entropy": 2.345,
    "mean_token_accuracy": 0.71,
    "num_tokens": 123456.0,
}


def results() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.jsonl")
        costs = []
        for step in range(APPENDS):
            event = MetricsLogged(step=step, epoch=step / 100, values=VALUES)
            started = time.perf_counter()
            journal.append(event)
            costs.append(time.perf_counter() - started)
        journal.close()
    costs.sort()
    note = f"median of {APPENDS}; p99 {1e6 * costs[int(0.99 * APPENDS)]:.0f} us"
    return [Result("journal append", 1e6 * median(costs), 50, " us", note=note)]
