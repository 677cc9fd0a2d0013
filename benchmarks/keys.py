"""From a key to its frame in every pane, while nothing runs, a run begins, and it trains."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

from benchmarks.bench_app import ENDLESS, RunLog, begin_run, draft, open_app, recorded_loop
from benchmarks.measure import Result, at_share, spread
from benchmarks.scale import sized
from benchmarks.screen import Screen

KEYS, MANY, STEPS = sized((300, 10_000, 30), (8, 10_000, 1))
PARENT = 6
PAUSE_SECONDS = (0.08, 0.2)
LOST_AFTER_SECONDS = 60.0
LIMIT_MS = 50

REACH = 8
"""Rows that a cursor goes in one direction."""

CURSOR = r"step (\d+)  loss \S+  lr"
"""What the chart shows at its cursor; lines of the log have another order."""

Typed = list[tuple[float, float]]
"""(when, in unix seconds; how long until its frame, in seconds)"""


def results() -> list[Result]:
    pauses = random.Random(0)
    with recorded_loop() as loop:
        draft(loop, PARENT, max_steps=ENDLESS)
        with open_app(loop) as screen:
            hand = _Hand(screen, pauses)
            screen.wait_for(rf"▸ +{PARENT} ")
            time.sleep(2)
            idle = hand.in_iterations(KEYS // 2, PARENT) + hand.in_failures(KEYS // 2)
            at = len(screen.reads)
            log = RunLog(begin_run(screen, loop))
            screen.wait_for(rf"▸ +{log.folder.number} ", since=at)
            begun = hand.in_iterations(MANY, log.folder.number, lambda: _trains(log))
            log.wait_for_steps(screen, STEPS)
            steps = len(log.read().metrics)
            began = time.monotonic()
            chart, lines = hand.in_chart(KEYS // 2), hand.in_log(KEYS // 2)
            hand.go_to_row(PARENT - 1)
            trains = hand.in_iterations(KEYS // 2, PARENT - 1)
            lists = hand.in_failures(KEYS // 2)
            fields = hand.in_config(KEYS // 2)
            rate = (len(log.read().metrics) - steps) / (time.monotonic() - began)
    begun = [(when, cost) for when, cost in begun if when < (log.training_at or 0)]
    beside = f"160x48, {rate:.0f} steps a second beside it"
    importing = f"while the stack is imported: {_spread(begun)}"
    return [
        _result("in the iterations", trains, f"{beside}; {importing}"),
        _result("in the config", fields, beside),
        _result("in the chart of the live run", chart, beside),
        _result("in the failures", lists, beside),
        _result("in the log of the live run", lines, beside),
        _result("anywhere, nothing running", idle, "160x48"),
    ]


def _result(where: str, typed: Typed, note: str) -> Result:
    return Result(
        f"key to frame {where}, p95",
        1000 * at_share([cost for _, cost in typed], 0.95),
        LIMIT_MS,
        " ms",
        note=f"{_spread(typed)}; {note}",
    )


class _Hand:
    """Presses keys that move a cursor, and waits for the cursor's new row."""

    def __init__(self, screen: Screen, pauses: random.Random) -> None:
        self._screen, self._pauses = screen, pauses

    def in_iterations(
        self, count: int, row: int, is_over: Callable[[], bool] = lambda: False
    ) -> Typed:
        """Up and down the iterations from number `row`, never to one that has no examples."""
        self._go("1")
        typed: Typed = []
        step = -1
        for _ in range(count):
            if is_over():
                break
            step = -1 if row >= PARENT else 1 if row <= 1 else step
            row += step
            typed.append(self._press("j" if step > 0 else "k", rf"▸ +{row} "))
        return typed

    def in_failures(self, count: int) -> Typed:
        """Down the failures and up again."""
        self._go("4")
        self._go("gg")
        return [self._press(_there_and_back(turn), r"▸ [✗✓] ") for turn in range(count)]

    def in_config(self, count: int) -> Typed:
        """Down the fields and up again."""
        self._go("2")
        self._go("gg")
        return [self._press(_there_and_back(turn), r"▸ +[a-z_]+ ") for turn in range(count)]

    def in_log(self, count: int) -> Typed:
        """Up the lines of a log that grows, and down again."""
        self._go("5")
        self._go("k" * (2 * REACH))
        return [self._press(_there_and_back(turn), r"▸ +\d\d:\d\d:\d\d") for turn in range(count)]

    def in_chart(self, count: int) -> Typed:
        """The cursor to the left and to the right, from one logged step to another."""
        self._go("3")
        self._go("h")
        typed: Typed = []
        shown = self._cursor_step(0)
        for turn in range(count):
            at = len(self._screen.reads)
            key = "h" if turn // REACH % 2 == 0 else "l"
            typed.append(self._press(key, CURSOR.replace(r"\d+", rf"(?!{shown} )\d+")))
            shown = self._cursor_step(at)
        return typed

    def _cursor_step(self, since: int) -> str:
        """The step at the chart's cursor, as last drawn."""
        return str(re.findall(CURSOR, self._screen.text(since))[-1])

    def go_to_row(self, row: int) -> None:
        """Puts the cursor of the iterations on number `row`, which is also their row."""
        self._go("1")
        self._go("gg")
        for number in range(1, row + 1):
            self._press("j", rf"▸ +{number} ")

    def _go(self, key: str) -> None:
        self._screen.send(key)
        time.sleep(0.5)

    def _press(self, key: str, wanted: str) -> tuple[float, float]:
        at, when = len(self._screen.reads), time.time()
        sent = self._screen.send(key)
        seen = self._screen.wait_for(wanted, since=at, seconds=LOST_AFTER_SECONDS)
        time.sleep(max(0.0, self._pauses.uniform(*PAUSE_SECONDS) - (time.perf_counter() - sent)))
        return when, seen - sent


def _there_and_back(turn: int) -> str:
    return "j" if turn // REACH % 2 == 0 else "k"


def _trains(log: RunLog) -> bool:
    return log.read().training_at is not None


def _spread(typed: Typed) -> str:
    return spread([cost for _, cost in typed])
