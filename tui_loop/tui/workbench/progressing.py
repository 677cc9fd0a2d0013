"""The loop's progress, read beside the screen, and the repeats that would decide something."""

from __future__ import annotations

from typing import Any

from tui_loop.core.compare.progress import Pair, Progress, ProgressReader
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.text.figures import counted
from tui_loop.core.workflow.plan import plan_next, replicates
from tui_loop.core.workflow.queue import QueuedDraft, editing_queue, queued_plan
from tui_loop.tui.latest import Latest
from tui_loop.tui.screens.progress import ProgressScreen
from tui_loop.tui.workbench.comparing import Comparing
from tui_loop.tui.workbench.queueing import Queueing

States = tuple[tuple[int, str], ...]
"""The iterations with their states: figures change when these do."""


class Progressing(Comparing, Queueing):
    """What `I` opens."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._progress_screen: ProgressScreen | None = None
        self._progress_reader = ProgressReader(LoopReader(self.loop))
        self._progress_looks: Latest[States, Progress | Exception] = Latest(
            self._read_progress, self._hear_progress
        )

    def action_progress(self) -> None:
        """Shows score and loss over the iterations."""
        self._progress_screen = ProgressScreen(self, self.loop.name, self.shown_number)
        self.app.push_screen(self._progress_screen)
        self.run_worker(self._progress_looks.run(), group="progress", exclusive=True)
        self._ask_for_progress(again=True)

    def look_at_progress_again(self) -> None:
        """Has it read anew where it is on the screen and an iteration has changed."""
        screen = self._progress_screen
        if screen is not None and screen in self.app.screen_stack:
            self._ask_for_progress()

    def select_from_progress(self, number: int) -> None:
        """Selects an iteration in the workbench."""
        self.follows_run = None
        self.select(number)
        self.go_to("iterations")

    def enqueue_repeats(self, pair: Pair) -> None:
        """Adds the runs to the queue that would decide between two configs."""
        self.run_worker(self._enqueue_repeats(pair), group="draft")

    async def _enqueue_repeats(self, pair: Pair) -> None:
        def work() -> tuple[int, int]:
            repeats = self._repeats(pair)
            with editing_queue(self.loop) as queue:
                fresh = [each for each in repeats if each not in queue]
                queue.extend(fresh)
                return len(fresh), len(queue)

        try:
            async with self._queue_turn:
                added, count = await self.elsewhere(work)
        except TuiLoopError as error:
            self.tell(error)
            return
        waiting = "1 draft waits" if count == 1 else f"{count} drafts wait"
        told = f"added to the queue: {counted(added, 'repeat')}" if added else "they wait already"
        self.say(f"{told}; {waiting}, Q shows them")

    def _repeats(self, pair: Pair) -> list[QueuedDraft]:
        runs = pair.reach.runs if pair.reach is not None else None
        found: list[QueuedDraft] = []
        for number, have in zip((pair.a, pair.b), pair.replicates, strict=True):
            lacking = (runs or 0) - have
            if lacking > 0:
                why = f"is {pair.b} better than {pair.a} by more than training noise?"
                plan = plan_next(self.loop, parent=number, settings=[], why=why)
                found += map(queued_plan, replicates(self.loop, plan, lacking))
        return found

    def _ask_for_progress(self, *, again: bool = False) -> None:
        if self.snapshot is not None:
            states = tuple((each.number, each.state) for each in self.snapshot.iterations)
            self._progress_looks.ask(states, again=again)

    def _read_progress(self, _: States) -> Progress | Exception:
        try:
            return self._progress_reader.poll()
        except Exception as error:  # told on the screen, which is not to end with it
            return error

    def _hear_progress(self, _: States, answer: Progress | Exception) -> None:
        screen = self._progress_screen
        if screen is None or screen not in self.app.screen_stack:
            return
        if isinstance(answer, Exception):
            fault = answer if isinstance(answer, TuiLoopError) else self.fault_of(answer)
            screen.show_fault(fault)
            return
        screen.show(answer)
