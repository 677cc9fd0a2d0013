"""A long run from its selection to the complete grid of charts, compared with reading its journal.

Both are measured in one process in turn: the journal of the run is decoded and folded; then its
points go to a chart pane that shows the grid, until every chart in sight is drawn.
"""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
import time
from pathlib import Path

from textual.app import App, ComposeResult

from benchmarks.measure import Result, seconds
from benchmarks.scale import sized
from tui_loop.core.record.events import MetricsLogged
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.state import RunState, fold
from tui_loop.tui.chart.curves import ChartRun
from tui_loop.tui.chart.pane import ChartPane
from tui_loop.tui.chart.plot import warm_up
from tui_loop.tui.chart.view import ChartView
from tui_loop.tui.themes import VARIABLES

STEPS, TURNS = sized((100_000, 5), (500, 1))
SIZE = (160, 48)
LIMIT = 2.5
METRICS = ("loss", "grad_norm", "learning_rate", "entropy", "mean_token_accuracy", "num_tokens")


def results() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        _write(path)
        ratios, read, drawn, worst = asyncio.run(_measured(path))
    note = f"median of {TURNS}; read {1000 * read:.0f} ms, grid {1000 * drawn:.0f} ms"
    return [
        Result(f"grid of {STEPS:,} steps x 7 metrics, of reading them", ratios, LIMIT, note=note),
        Result("longest turn without keys meanwhile", 1000 * worst, 100, " ms"),
    ]


def _write(path: Path) -> None:
    draw = random.Random(1)
    journal = Journal(path)
    for step in range(1, STEPS + 1):
        values = {name: 2.0 + math.sin(step / 999) + draw.random() for name in METRICS}
        values |= {"num_tokens": 512.0 * step, "aux_loss": draw.random()}
        journal.append(MetricsLogged(step=step, epoch=step / STEPS, values=values))
    journal.close()


class _Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.pane = ChartPane()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def compose(self) -> ComposeResult:
        yield self.pane


async def _measured(path: Path) -> tuple[float, float, float, float]:
    """Median ratio, its two parts in seconds, and the longest time without a turn."""
    warm_up()
    app = _Host()
    reads, draws, worst = [], [], 0.0
    async with app.run_test(size=SIZE) as pilot:
        app.pane.restore(ChartView(layout="grid"))
        await pilot.pause()
        for turn in range(TURNS + 1):
            state = RunState()
            read = seconds(lambda state=state: fold(state, Follower(path).read_all()))
            run = ChartRun(f"loop/{turn + 1}", str(turn + 1), state.metrics)
            started = last = time.perf_counter()
            app.pane.show(run)
            while app.pane.chart.runs.is_behind or not app.pane.grid.is_complete:
                await asyncio.sleep(0)
                now = time.perf_counter()
                worst, last = max(worst, now - last) if turn else 0.0, now
            if turn:  # the first one imports and warms up
                reads.append(read)
                draws.append(time.perf_counter() - started)
    pairs = sorted((drawn / read, read, drawn) for read, drawn in zip(reads, draws, strict=True))
    return *pairs[len(pairs) // 2], worst
