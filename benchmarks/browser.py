"""The failure browser on three iterations of 100,000 held-out examples: keys, searches, memory.

What is awaited is computed here from the same files: a frame counts when it has the right row under
the cursor and the right counts in its title.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.bench_app import open_app, recorded_loop
from benchmarks.large_loop import LABELS, large_loop, number_of
from benchmarks.measure import Result, at_share, seconds, spread
from benchmarks.scale import sized
from benchmarks.screen import Screen, plain
from tui_loop.core.examples.breakdown import breakdown_of
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.examples.matching import listed
from tui_loop.core.examples.query import parse
from tui_loop.core.examples.table import ExampleTable
from tui_loop.core.examples.view import ExampleView, Order
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import LoopReader

EXAMPLES, FEW = sized((100_000, 200), (400, 50))
OPEN_MS, KEY_MS, MEMORY_MB = 500, 100, 400
TURNS, LABEL_TURNS, PAGES, STEPS = sized((3, 12, 30, 12), (1, 1, 4, 2))
REST = sized(1.0, 0.2)
"""Times the seconds of each rest, which leaves the app idle before a key is measured."""
PAUSE_SECONDS = (0.08, 0.2)
LOST_AFTER_SECONDS = 60.0
UP, DOWN, HOME, END = "\x1b[5~", "\x1b[6~", "\x1b[H", "\x1b[F"
FAILED = "is:failed"
SEARCHES = sized(("refund", "gift", "parcel", "which", "again"), ("gift",))
LABEL = LABELS[7]
PATTERN = r"/\b(\w{8,})\b.*\1/"


def results() -> list[Result]:
    with recorded_loop() as recorded:
        large = large_loop(recorded, "large", EXAMPLES)
        small = large_loop(recorded, "small", FEW)
        usual = _peak_of_a_look(small)
        return [*_in_the_core(large), *_on_the_screen(large, usual)]


def _in_the_core(loop: LoopFolder) -> list[Result]:
    path, view = loop.iteration(2).examples, _view(loop, 2)
    view.table.texts()

    def sort() -> None:
        for order in Order:
            listed(ExampleView(view.table, against=view.against), parse(FAILED), order)

    figures: list[tuple[str, Callable[[], object]]] = [
        ("read", lambda: ExampleTable.read(path)),
        ("texts to search folded", lambda: ExampleTable.read(path).texts()),
        ("read with two others as history", lambda: _view(loop, 2)),
        ("failed ones listed", lambda: listed(view, parse(FAILED), Order.LOSS)),
        ("failed ones with a word", lambda: listed(view, parse("is:failed refund"), Order.LOSS)),
        ("one label", lambda: listed(view, parse(f"label:{LABEL}"), Order.LOSS)),
        ("a regular expression", lambda: listed(view, parse(PATTERN), Order.LOSS)),
        (f"{len(Order)} orders", sort),
        ("counted by cause, label, words", lambda: breakdown_of(view, LABELS)),
    ]

    def cold(action: Callable[[], object]) -> float:
        view.match_cache.clear()
        return seconds(action)

    told = [f"{what} {1000 * min(cold(each) for _ in range(3)):.0f} ms" for what, each in figures]
    read = min(seconds(lambda: ExampleTable.read(path)) for _ in range(3))
    note = f"without a terminal, best of 3: {', '.join(told)}"
    return [Result(f"{EXAMPLES:,} examples read", 1000 * read, OPEN_MS, " ms", note=note)]


def _on_the_screen(loop: LoopFolder, usual_mb: float) -> list[Result]:
    views = {number: _view(loop, number) for number in (0, 1, 2)}
    with open_app(loop) as screen:
        hand = _Browsing(screen, views)
        first = hand.wait_for_list(0) - screen.started
        strips = screen.wait_for(r"▸ [✗✓].{3}[✗✓]{3} ") - screen.started
        hand.rest(4.0)
        opened = [hand.select(key) for key in "[[]]"]
        with_strips = [hand.strips_after(key) for key in "[]"]
        hand.rest(2.0)
        screen.send("4")
        hand.rest(0.5)
        pages, ends = hand.page(PAGES), hand.jump(TURNS)
        orders, turned = hand.sort(), hand.turn(3 * TURNS)
        echoes, searches = hand.search()
        label = hand.filter(f"label:{LABEL}")
        found, lags = hand.filter_slowly(PATTERN)
        hand.back_to_failed()
        read, stepped = hand.read(STEPS)
        peak = _peak_mb(screen.process.pid)
    return [
        _result(
            "iteration selected to its failures listed, worst",
            opened,
            OPEN_MS,
            1.0,
            f"of {len(opened)}; the app's start to the first list {first:.2f} s, to history strips "
            f"{strips:.2f} s; selected to strips {_seconds(with_strips)}",
        ),
        _result("page up and down, p95", pages, KEY_MS),
        _result("home and end, p95", ends, KEY_MS),
        _result("another order, p95", orders, KEY_MS),
        _result("the other way round, p95", turned, KEY_MS),
        _result(
            "search as it is typed, its list, p95",
            searches,
            KEY_MS,
            note=f"the text typed is there: {spread(echoes)}",
        ),
        _result("a label's failures listed, p95", label, KEY_MS),
        _result(
            f"keys while {PATTERN} is looked for, p95",
            lags,
            KEY_MS,
            0.95,
            f"found after {found:.2f} s",
        ),
        _result("an example opened in full, worst", read, OPEN_MS, 1.0),
        _result("the next example in full, p95", stepped, KEY_MS),
        Result(
            "peak memory above a small loop's",
            peak - usual_mb,
            MEMORY_MB,
            " MB",
            note=f"{peak:.0f} MB and {usual_mb:.0f} MB; an evaluation's file has "
            f"{loop.iteration(2).examples.stat().st_size / 1e6:.0f} MB",
        ),
    ]


def _result(
    what: str, costs: list[float], limit: float, share: float = 0.95, note: str = ""
) -> Result:
    told = f"{spread(costs)}; {note}" if note else spread(costs)
    return Result(what, 1000 * at_share(costs, share), limit, " ms", note=told)


def _seconds(costs: list[float]) -> str:
    return ", ".join(f"{each:.2f} s" for each in costs)


def _view(loop: LoopFolder, number: int) -> ExampleView:
    """The examples of an iteration against its parent, with histories."""
    return Evaluations(LoopReader(loop)).view(number, number - 1 if number else None)[0]


def _peak_of_a_look(loop: LoopFolder) -> float:
    with open_app(loop) as screen:
        screen.wait_for(r"4 Failures of iteration 2 · ")
        for key in ("4", DOWN, END, "o", "\r"):
            screen.send(key)
            time.sleep(0.3)
        return _peak_mb(screen.process.pid)


def _peak_mb(process: int) -> float:
    """Of the app, a child of the process that watches over it."""
    peaks = []
    for each in (process, *(child.pid for child in psutil.Process(process).children())):
        told = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{each}/status").read_text())
        peaks.append(int(told[1]) / 1000 if told is not None else 0.0)
    return max(peaks)


class _Browsing:
    """Presses the browser's keys and waits for the frame that each must lead to."""

    def __init__(self, screen: Screen, views: dict[int, ExampleView]) -> None:
        self._screen, self._views = screen, views
        self._pauses = random.Random(0)
        self._number = max(views)
        self._query, self._order, self._is_reversed = FAILED, Order.LOSS, False
        self._rows = self._listed()
        self._at = 0

    def rest(self, seconds: float) -> None:
        time.sleep(REST * seconds)

    def wait_for_list(self, since: int) -> float:
        """The clock at which the list is there with its count, order and cursor."""
        return self._screen.wait_for(self._wanted(), since=since, seconds=LOST_AFTER_SECONDS)

    def select(self, key: str) -> float:
        self._number += 1 if key == "]" else -1
        self._rows, self._at = self._listed(), 0
        return self._press(key)

    def strips_after(self, key: str) -> float:
        """Until the list that another iteration's selection brings has its histories."""
        at = len(self._screen.reads)
        sent = self._screen.send(key)
        self._number += 1 if key == "]" else -1
        self._rows, self._at = self._listed(), 0
        strip = "[✗✓]" * (self._number + 1)
        pattern = rf"{self._wanted()}(?=.*▸ [✗✓].{{3}}{strip} )"
        seen = self._screen.wait_for(pattern, since=at, seconds=LOST_AFTER_SECONDS)
        self.rest(2.0)
        return seen - sent

    def page(self, count: int) -> list[float]:
        at = len(self._screen.reads)
        self._screen.send(DOWN)
        here = number_of(self._rows[self._at])
        self._screen.wait_for(rf"▸ [✗✓][^▸#]*(?!{here})#\d{{6}}", since=at)
        self.rest(0.5)
        numbers = re.findall(r"▸ .*?(#\d{6})", self._screen.text(at))
        self._at = page = [number_of(row) for row in self._rows].index(numbers[-1])
        costs = []
        for turn in range(count):
            step = 1 if turn < count // 2 else -1
            self._at += step * page
            costs.append(self._press(DOWN if step > 0 else UP))
        return costs

    def jump(self, turns: int) -> list[float]:
        costs = []
        for _ in range(turns):
            self._at = len(self._rows) - 1
            costs.append(self._press(END))
            self._at = 0
            costs.append(self._press(HOME))
        return costs

    def sort(self) -> list[float]:
        """Through all orders; each is shown from its top."""
        orders = list(Order)
        costs = []
        for _ in range(TURNS * len(orders)):
            self._order = orders[(orders.index(self._order) + 1) % len(orders)]
            costs.append(self._list_anew("o"))
        return costs

    def turn(self, turns: int) -> list[float]:
        costs = []
        for _ in range(2 * turns):
            self._is_reversed = not self._is_reversed
            costs.append(self._list_anew("gv"))
        return costs

    def search(self) -> tuple[list[float], list[float]]:
        """(until what is typed is told, until its list is there), key by key."""
        echoes, lists = [], []
        for word in SEARCHES:
            self._open_field()
            for end in range(1, len(word) + 1):
                before = len(self._rows)
                at, sent = self._type(word[end - 1], f"{FAILED} {word[:end]}")
                echo = self._screen.wait_for(re.escape(f"{self._query} "), since=at)
                echoes.append(echo - sent)
                if len(self._rows) != before:
                    lists.append(self.wait_for_list(at) - sent)
                self._pause(sent)
            at = len(self._screen.reads)
            self._screen.send("\r")
            self.rest(0.3)
            self._screen.send(HOME)
            self._at = 0
            self.wait_for_list(at)
            self._check_rows(at)
            self.back_to_failed()
        return echoes, lists

    def filter(self, term: str) -> list[float]:
        """Until the list is there, from the last key of a term."""
        costs = []
        for _ in range(LABEL_TURNS):
            self._open_field()
            self._screen.send(term[:-1])
            self.rest(1.5)
            at, sent = self._type(term[-1], f"{FAILED} {term}")
            costs.append(self.wait_for_list(at) - sent)
            self._screen.send("\r")
            self.rest(0.3)
            self.back_to_failed()
        return costs

    def filter_slowly(self, term: str) -> tuple[float, list[float]]:
        """(until the list is there, how long keys in the chart take meanwhile)"""
        self._open_field()
        self._screen.send(term[:-1])
        self.rest(1.5)
        begin, sent = self._type(term[-1], f"{FAILED} {term}")
        for key in "\r3":
            self._screen.send(key)
            self.rest(0.15)
        there = re.compile(self._title(), re.DOTALL)
        lags = []
        while not there.search(self._screen.text(begin)):
            at, when = len(self._screen.reads), self._screen.send("h")
            seen = self._screen.wait_for(r"step \d", since=at, seconds=LOST_AFTER_SECONDS)
            lags.append(seen - when)
            self._pause(when)
        found = next(
            read.at
            for number, read in enumerate(self._screen.reads)
            if number >= begin
            and there.search(
                plain(b"".join(e.data for e in self._screen.reads[begin : number + 1]))
            )
        )
        self._screen.send("4")
        return found - sent, lags

    def read(self, steps: int) -> tuple[list[float], list[float]]:
        """(an example opened in full, the next ones)"""
        opened, stepped = [], []
        for at in (0, len(self._rows) - 1 - steps, len(self._rows) // 2):
            self._go_to(at)
            opened.append(self._press("\r", self._example()))
            for _ in range(steps):
                self._at += 1
                stepped.append(self._press("]", self._example()))
            since = len(self._screen.reads)
            self._screen.send("\x1b")
            self._screen.wait_for(self._title(), since=since, seconds=LOST_AFTER_SECONDS)
            self.rest(0.6)
        return opened, stepped

    def back_to_failed(self) -> None:
        at = len(self._screen.reads)
        self._screen.send("\x1b")
        self._query = FAILED
        self._rows = self._listed()
        self._screen.wait_for(self._title(), since=at, seconds=LOST_AFTER_SECONDS)
        at = len(self._screen.reads)
        self.rest(0.5)
        self._screen.send(HOME + "j" + "k")
        self._at = 0
        self.wait_for_cursor(at)

    def wait_for_cursor(self, since: int) -> float:
        return self._screen.wait_for(self._cursor(), since=since, seconds=LOST_AFTER_SECONDS)

    def _go_to(self, at: int) -> None:
        """Puts the cursor on a row by the nearest end and single keys."""
        since = len(self._screen.reads)
        from_end = len(self._rows) - 1 - at
        keys = END + "kj" + "k" * from_end if from_end < 100 else HOME + "jk" + "j" * min(at, 100)
        self._screen.send(keys)
        self._at = at if from_end < 100 else min(at, 100)
        self.wait_for_cursor(since)
        self.rest(0.5)

    def _list_anew(self, key: str) -> float:
        self._rows = self._listed()
        self._at = 0
        return self._press(key)

    def _open_field(self) -> None:
        at = len(self._screen.reads)
        self._screen.send("f")
        self._screen.wait_for("is:failed", since=at)
        self._screen.send(END + " ")  # keeps the text, which is selected
        self.rest(0.5)

    def _type(self, key: str, query: str) -> tuple[int, float]:
        row = self._rows[self._at] if self._rows else None
        self._query = query
        self._rows = self._listed()
        self._at = (
            self._rows.index(row) if row in self._rows else min(self._at, len(self._rows) - 1)
        )
        at = len(self._screen.reads)
        return at, self._screen.send(key)

    def _check_rows(self, since: int) -> None:
        """Whether the rows drawn last are those that are to be listed."""
        drawn = list(dict.fromkeys(re.findall(r"#\d{6}", self._screen.text(since))))
        wanted = [number_of(row) for row in self._rows[: len(drawn)]]
        missing = [number for number in wanted[:10] if number not in drawn]
        if missing:
            raise RuntimeError(f"{self._query}: {missing} are not on the screen, but {drawn}")

    def _press(self, key: str, wanted: str = "") -> float:
        at = len(self._screen.reads)
        sent = self._screen.send(key)
        pattern = wanted or (self._cursor() if key in (UP, DOWN, HOME, END) else self._wanted())
        seen = self._screen.wait_for(pattern, since=at, seconds=LOST_AFTER_SECONDS)
        self._pause(sent)
        return seen - sent

    def _pause(self, sent: float) -> None:
        time.sleep(max(0.0, self._pauses.uniform(*PAUSE_SECONDS) - (time.perf_counter() - sent)))

    def _listed(self) -> list[int]:
        view = self._views[self._number]
        return listed(view, parse(self._query), self._order, is_reversed=self._is_reversed)

    def _wanted(self) -> str:
        return rf"(?s)\A(?={self._title()})(?=.*{self._cursor()})"

    def _title(self) -> str:
        counts = f"{len(self._rows):,} of {EXAMPLES:,}"
        what = f"{counts} failed" if self._query == FAILED else f"{counts} · {self._query}"
        turned = ", reversed" if self._is_reversed else ""
        return ".*" + re.escape(
            f"4 Failures of iteration {self._number} · {what} · by {self._order}{turned}"
        )

    def _cursor(self) -> str:
        return rf"▸ [✗✓][^▸]*?{number_of(self._rows[self._at])}"

    def _example(self) -> str:
        place = re.escape(f"Example {self._at + 1:,} of {len(self._rows):,}, iteration")
        return rf"(?s)\A(?=.*{place})(?=.*{number_of(self._rows[self._at])})"
