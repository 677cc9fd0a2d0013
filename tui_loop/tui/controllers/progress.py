"""Progress over the iterations, and the replicates that would decide between two configs."""

from __future__ import annotations

from tui_loop.core.compare.progress import Pair, Progress, ProgressReader
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.text.figures import counted
from tui_loop.core.workflow.plan import plan_next, replicates
from tui_loop.core.workflow.queue import QueuedDraft, editing_queue, queued_plan
from tui_loop.tui.controllers.comparison import ComparisonController
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.live_screen import LiveScreen
from tui_loop.tui.controllers.queue import QueueController, waiting_words
from tui_loop.tui.screens.progress import ProgressScreen

States = tuple[tuple[int, str], ...]
"""The iterations with their states: the figures change when these do."""


class ProgressController:
    """Shows score and loss over the iterations."""

    def __init__(
        self, context: Context, comparison: ComparisonController, queue: QueueController
    ) -> None:
        self._context, self._comparison, self._queue = context, comparison, queue
        self.reader = ProgressReader(LoopReader(context.loop))
        self._live: LiveScreen[States, Progress] = LiveScreen(
            context, "progress", lambda _: self.reader.poll(), self._found, self._failed
        )
        self._screen: ProgressScreen | None = None

    def open(self) -> None:
        """Shows the progress of the loop."""
        context = self._context
        self._screen = ProgressScreen(self, context.loop.name, context.state.shown_number)
        self._live.open(self._screen)
        self._request(again=True)

    def refresh(self) -> None:
        """Reads it again where it is open and an iteration has changed."""
        if self._live.is_open:
            self._request()

    def select(self, number: int) -> None:
        """Selects an iteration in the workbench."""
        self._context.bench.select(number)
        self._context.bench.go_to("iterations")

    def compare(self, a: int, b: int) -> None:
        """Shows iteration `b` compared with `a`."""
        self._comparison.compare(a, b)

    def enqueue_replicates(self, pair: Pair) -> None:
        """Queues the runs that would decide between two configs."""
        self._context.run(self._enqueue_replicates(pair), "draft", is_exclusive=False)

    async def _enqueue_replicates(self, pair: Pair) -> None:
        def work() -> tuple[int, int]:
            wanted = self._replicates(pair)
            with editing_queue(self._context.loop) as queue:
                new = [each for each in wanted if each not in queue]
                queue.extend(new)
                return len(new), len(queue)

        async with self._queue.turn:
            added, count = await self._context.in_thread(work)
        what = f"Queued {counted(added, 'replicate')}" if added else "They are queued already"
        self._context.notify(f"{what}: {waiting_words(count)}. g q shows the queue.")

    def _replicates(self, pair: Pair) -> list[QueuedDraft]:
        runs = pair.reach.runs if pair.reach is not None else None
        found: list[QueuedDraft] = []
        for number, have in zip((pair.a, pair.b), pair.replicates, strict=True):
            lacking = (runs or 0) - have
            if lacking > 0:
                why = f"is {pair.b} better than {pair.a} by more than training noise?"
                plan = plan_next(self._context.loop, parent=number, settings=[], why=why)
                found += map(queued_plan, replicates(self._context.loop, plan, lacking))
        return found

    def _request(self, *, again: bool = False) -> None:
        if self._context.snapshot is not None:
            iterations = self._context.snapshot.iterations
            self._live.request(tuple((each.number, each.state) for each in iterations), again=again)

    def _found(self, _: States, found: Progress) -> None:
        if self._screen is not None and self._live.is_open:
            self._screen.show(found)

    def _failed(self, _: States, fault: TuiLoopError) -> None:
        if self._screen is not None and self._live.is_open:
            self._screen.show_fault(fault)
