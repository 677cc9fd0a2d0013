"""From a key to its frame on an iteration whose texts have a million characters each."""

from __future__ import annotations

import time

import msgspec

from benchmarks.bench_app import open_app, recorded_loop
from benchmarks.measure import Result, spread
from benchmarks.scale import sized
from benchmarks.screen import Screen
from tui_loop.core.record.events import LineLogged
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.structs import TokenLosses

LENGTH, TURNS = sized((1_000_000, 5), (20_000, 1))
PIECE = "word \x1b[2J [/b] "
LONG_ROWS = 6
LIMIT_MS = 1000
REST_SECONDS = 0.2
UP, DOWN, HOME, END = "\x1b[A", "\x1b[B", "\x1b[H", "\x1b[F"
PAGE_UP, PAGE_DOWN, ESCAPE = "\x1b[5~", "\x1b[6~", "\x1b[27u"


def results() -> list[Result]:
    with recorded_loop() as loop:
        newest = max(loop.numbers())
        _lengthen(loop.iteration(newest))
        with open_app(loop, columns=80, lines=24) as screen:
            hand = _Hand(screen)
            keys, opened = [], []
            hand.press("4", r"▸ [✗✓] .*word")
            for _ in range(TURNS):
                keys += hand.press_all(DOWN, DOWN, UP, END, HOME)
                opened.append(hand.press("\r", r"(?s)Example 1 .*prompt .*word"))
                keys += hand.press_all(DOWN, PAGE_DOWN, UP, END, HOME)
                hand.press(ESCAPE, r"▸ [✗✓] ")
            logged = [hand.press("5", r"(?s)5 Log of .*word")]
            for _ in range(TURNS):
                logged += hand.press_all(HOME, DOWN, PAGE_DOWN, END, UP)
    times = f"{spread(keys)}; an example opened: {spread(opened, 'times')}"
    note = f"{LENGTH:,} characters each, at 80x24; {times}"
    return [
        Result("key to frame over long texts, worst", 1000 * max(keys), LIMIT_MS, " ms", note=note),
        Result(
            "key to frame in a log of long lines, worst",
            1000 * max(logged),
            LIMIT_MS,
            " ms",
            note=spread(logged),
        ),
    ]


def _lengthen(folder: IterationFolder) -> None:
    """Replaces texts by long ones in which a terminal and a markup parser would find orders.

    Their examples have the highest loss, so that they are listed first.
    """
    long = PIECE * (LENGTH // len(PIECE))
    examples, losses = folder.read_examples(), folder.read_tokens()
    failed = [row for row in examples if row.passed is False][:LONG_ROWS]
    longer = {
        row.id: msgspec.structs.replace(
            row, prompt=long, reference=long, output="x" * LENGTH, loss=99.0
        )
        for row in failed
    }
    tokens = [
        TokenLosses(row.id, [(long, 1.0)]) if row.id in longer else losses[row.id]
        for row in examples
    ]
    folder.write_examples([longer.get(row.id, row) for row in examples], tokens)
    events = [
        msgspec.structs.replace(event, text=long) if isinstance(event, LineLogged) else event
        for event in Follower(folder.journal).read_all()
    ]
    folder.journal.write_bytes(msgspec.json.Encoder().encode_lines(events))


class _Hand:
    """Presses keys in an app that draws nothing by itself, as no run is live."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def press(self, key: str, wanted: str) -> float:
        """Seconds until what the key leads to was drawn."""
        at, sent = len(self._screen.reads), self._screen.send(key)
        seen = self._screen.wait_for(wanted, since=at)
        time.sleep(REST_SECONDS)
        return seen - sent

    def press_all(self, *keys: str) -> list[float]:
        """Seconds until anything was drawn, for keys that each move something."""
        costs = []
        for key in keys:
            at, sent = len(self._screen.reads), self._screen.send(key)
            seen = self._screen.wait_until(lambda at=at: len(self._screen.reads) > at, repr(key))
            costs.append(seen - sent)
            time.sleep(REST_SECONDS)
        return costs
