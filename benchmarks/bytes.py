"""Bytes that the app writes to its terminal in a second, idle and training, and its idle CPU."""

from __future__ import annotations

import time

from benchmarks.bench_app import ENDLESS, RunLog, begin_run, draft, open_app, recorded_loop
from benchmarks.measure import Result
from benchmarks.processes import use_of
from benchmarks.scale import is_tiny, sized
from benchmarks.screen import Screen

SECONDS, SETTLING, STEPS = sized((10.0, 4.0, 50), (0.5, 0.5, 2))
WIDE, NARROW = (160, 48), (80, 24)
WIDE_LIMIT, NARROW_LIMIT = 40, 20
"""KB a second: a slow link carries them, beside whatever else it is for."""


def results() -> list[Result]:
    narrow = _at(NARROW, "", ("3", "5"), NARROW_LIMIT)
    return narrow if is_tiny() else [*_at(WIDE, "all panes", ("",), WIDE_LIMIT), *narrow]


def _at(size: tuple[int, int], panes: str, keys: tuple[str, ...], limit: int) -> list[Result]:
    columns, lines = size
    where = f"at {columns}x{lines}"
    with recorded_loop() as loop:
        draft(loop, 6, max_steps=ENDLESS)
        with open_app(loop, columns=columns, lines=lines) as screen:
            spent, began = use_of(screen.process).cpu, time.perf_counter()
            idle = _rate(screen)
            busy = 100 * (use_of(screen.process).cpu - spent) / (time.perf_counter() - began)
            log = RunLog(begin_run(screen, loop)).wait_for_steps(screen, STEPS)
            measured = [
                Result(f"bytes a second, idle {where}", idle, 0, " B/s"),
                Result(f"CPU of the app, idle {where}", busy, 1, "%"),
            ]
            for key in keys:
                screen.send(key)
                steps = len(log.read().metrics)
                rate = _rate(screen) / 1000
                speed = (len(log.read().metrics) - steps) / (SECONDS + SETTLING)
                pane = panes or {"3": "the chart", "5": "the log"}[key]
                what = f"bytes a second, training {where}, {pane}"
                note = f"{SECONDS:.0f} s, {speed:.0f} steps a second, each logged"
                measured.append(Result(what, rate, limit, " KB/s", note=note))
    return measured


def _rate(screen: Screen) -> float:
    """Bytes a second, once what was asked for has been drawn."""
    time.sleep(SETTLING)
    begin = time.perf_counter()
    time.sleep(SECONDS)
    return screen.bytes_between(begin, begin + SECONDS) / SECONDS
