"""Steps of a run in the app while nobody reads its terminal, against those while it is read."""

from __future__ import annotations

import math
import time
from statistics import mean

from benchmarks.bench_app import ENDLESS, RunLog, begin_run, draft, open_app, recorded_loop
from benchmarks.measure import Result
from benchmarks.scale import sized

SECONDS, STALLS, STEPS = sized((10, 3, 50), (0.5, 1, 5))


def results() -> list[Result]:
    with recorded_loop() as loop:
        draft(loop, 6, max_steps=ENDLESS)
        with open_app(loop) as screen:
            log = RunLog(begin_run(screen, loop)).wait_for_steps(screen, STEPS)
            begins: list[float] = []
            waiting: list[int] = []
            for turn in range(2 * STALLS + 1):
                if turn % 2:
                    screen.stop_reading()
                begins.append(time.time())
                time.sleep(SECONDS)
                if turn % 2:
                    at = time.perf_counter()
                    screen.go_on_reading()
                    time.sleep(0.2)
                    waiting.append(screen.bytes_between(at, at + 0.2))
            at = len(screen.reads)
            screen.send("1")
            screen.send("k")
            screen.wait_for(r"▸ +6 ", since=at)
            steps = [log.steps_between(begin, begin + SECONDS) for begin in begins]
    ratios = [
        2 * unread / (before + after) if before + after else math.nan
        for before, unread, after in zip(steps[::2], steps[1::2], steps[2::2], strict=False)
    ]
    note = (
        f"steps in {SECONDS} s, read and unread in turn: {' '.join(map(str, steps))}; ratios "
        f"{' '.join(f'{ratio:.2f}' for ratio in ratios)}; {min(waiting) / 1000:.0f} KB or more "
        "came at once when it was read again, and the app answered a key"
    )
    return [
        Result(
            "steps with an unread terminal / a read one",
            mean(ratios),
            0.95,
            at_least=True,
            note=note,
        )
    ]
