"""What a screen that is refreshed gets: the result of its newest request, or the error."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from textual.screen import Screen

from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.live_screen import LiveScreen


class FakeContext:
    """The part of a context that a live screen uses."""

    def __init__(self) -> None:
        self.stack: list[Screen[Any]] = []
        self.is_gone = False
        self.workers: list[asyncio.Task[None]] = []

    @property
    def top_screen(self) -> Screen[Any] | None:
        return self.stack[-1] if self.stack else None

    def is_leaving(self) -> bool:
        return self.is_gone

    def is_open(self, screen: Screen[Any] | None) -> bool:
        return screen in self.stack

    def push_screen(self, screen: Screen[Any]) -> None:
        self.stack.append(screen)

    def run(self, work: Coroutine[Any, Any, None], group: str) -> None:
        assert group == "numbers"
        self.workers.append(asyncio.create_task(work))

    def fault_of(self, error: Exception) -> TuiLoopError:
        return error if isinstance(error, TuiLoopError) else TuiLoopError(f"a bug: {error}")


class FakeScreen:
    """A screen that counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def dismiss(self) -> None:
        self.closed += 1


class Bench:
    """A live screen on numbers, which `read` doubles, and what it was shown."""

    def __init__(self, read: Callable[[int], int] | None = None) -> None:
        self.context = FakeContext()
        self.read_numbers: list[int] = []
        self.shown: list[tuple[int, int]] = []
        self.faults: list[tuple[int, str]] = []
        self._double = read or (lambda number: 2 * number)
        self.live: LiveScreen[int, int] = LiveScreen(
            cast(Context, self.context),
            "numbers",
            self._read,
            lambda number, result: self.shown.append((number, result)),
            lambda number, fault: self.faults.append((number, fault.message)),
        )

    def _read(self, number: int) -> int:
        self.read_numbers.append(number)
        return self._double(number)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                await asyncio.sleep(0)

    async def settles(self) -> None:
        """Waits until a last request has its answer, so that all before it have theirs."""
        self.live.request(-1, again=True)
        await self.until(lambda: self.shown and self.shown[-1][0] == -1)
        self.shown.pop()
        self.read_numbers.remove(-1)


def on_bench(bench: Bench, steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        try:
            await steps()
        finally:
            for worker in bench.context.workers:
                worker.cancel()

    asyncio.run(main())


def test_a_result_comes_with_its_request() -> None:
    bench = Bench()

    async def steps() -> None:
        bench.live.request(3)
        await bench.until(lambda: bench.shown)
        assert bench.shown == [(3, 6)]
        bench.live.request(4)
        await bench.until(lambda: len(bench.shown) == 2)
        assert bench.shown == [(3, 6), (4, 8)]
        assert len(bench.context.workers) == 1, "one worker reads them all"

    on_bench(bench, steps)


def test_an_equal_request_is_read_again_only_where_that_is_asked_for() -> None:
    bench = Bench()

    async def steps() -> None:
        bench.live.request(3)
        await bench.until(lambda: bench.shown)
        bench.live.request(3)
        bench.live.request(3, again=True)
        await bench.until(lambda: len(bench.shown) == 2)
        bench.live.request(3)
        await bench.settles()
        assert bench.read_numbers == [3, 3]

    on_bench(bench, steps)


def test_of_requests_made_meanwhile_the_newest_alone_is_read_and_shown() -> None:
    may_go_on = threading.Event()

    def slowly(number: int) -> int:
        assert may_go_on.wait(PATIENCE_SECONDS)
        return 2 * number

    bench = Bench(slowly)

    async def steps() -> None:
        bench.live.request(1)
        await bench.until(lambda: bench.read_numbers == [1])
        for number in (2, 3, 4):
            bench.live.request(number)
        may_go_on.set()
        await bench.until(lambda: bench.shown)
        assert bench.read_numbers == [1, 4]
        assert bench.shown == [(4, 8)], "the first was outdated when its result came"

    on_bench(bench, steps)


@pytest.mark.parametrize(
    ("error", "said"),
    [(BadInput("no such record"), "no such record"), (ValueError("oh"), "a bug: oh")],
)
def test_an_error_is_shown_and_the_next_request_is_read(error: Exception, said: str) -> None:
    def read(number: int) -> int:
        if number == 1:
            raise error
        return 2 * number

    bench = Bench(read)

    async def steps() -> None:
        bench.live.request(1)
        await bench.until(lambda: bench.faults)
        assert bench.faults == [(1, said)]
        bench.live.request(2)
        await bench.until(lambda: bench.shown)
        assert bench.shown == [(2, 4)]

    on_bench(bench, steps)


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_shown_once_the_workbench_is_leaving(fails: bool) -> None:
    gone, may_go_on = threading.Event(), threading.Event()

    def read(number: int) -> int:
        gone.set()
        assert may_go_on.wait(PATIENCE_SECONDS)
        if fails:
            raise BadInput("too late")
        return number

    bench = Bench(read)

    async def steps() -> None:
        bench.live.request(1)
        await bench.until(gone.is_set)
        bench.context.is_gone = True
        may_go_on.set()
        bench.live.request(1, again=True)  # it is read after the first was delivered
        await bench.until(lambda: len(bench.read_numbers) == 2)
        assert bench.shown == []
        assert bench.faults == []

    on_bench(bench, steps)


def test_a_screen_is_closed_only_where_it_is_on_top() -> None:
    bench, screen, other = Bench(), FakeScreen(), FakeScreen()
    assert not bench.live.is_open
    bench.live.close()
    bench.live.open(cast(Screen[Any], screen))
    assert bench.live.is_open
    bench.context.push_screen(cast(Screen[Any], other))
    bench.live.close()
    assert bench.live.is_open, "below another screen it is open, too"
    assert (screen.closed, other.closed) == (0, 0)
    bench.context.stack.pop()
    bench.live.close()
    assert screen.closed == 1
