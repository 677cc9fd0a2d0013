"""The queue: the draft is added to it, and it is edited and run from a screen of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from tui_loop.core.errors import TuiLoopError, file_error
from tui_loop.core.text.figures import counted
from tui_loop.core.workflow.draft import Draft, new_draft
from tui_loop.core.workflow.queue import (
    QueuedDraft,
    add,
    draft_of,
    editing_queue,
    problem_of,
    queued_draft,
    read_queue,
)
from tui_loop.core.workflow.unattended import doing
from tui_loop.tui.screens.ask import AskScreen
from tui_loop.tui.screens.queue import Change, QueueScreen, QueueSeen
from tui_loop.tui.workbench.drafting import Drafting

LOOK_SECONDS = 2.0


class Queueing(Drafting):
    """What is done with the queue."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._queue_screen: QueueScreen | None = None
        self._queue_turn = asyncio.Lock()
        self._queue_edits = 0
        self._queue_wake = asyncio.Event()

    def action_queue(self) -> None:
        """Opens the queue."""
        self._queue_screen = QueueScreen(self, self.loop.name)
        self.app.push_screen(self._queue_screen)
        self.run_worker(self._watch_queue(self._queue_screen), group="queue", exclusive=True)

    def action_enqueue(self) -> None:
        """Adds the draft to the queue; the next one begins where it began."""
        draft, snapshot = self.draft, self.snapshot
        if snapshot is None:
            return
        if draft is None:
            self.say(snapshot.draft_problem or snapshot.problem or "there is no draft to add")
            return
        if draft.problems:
            self.say(f"it could not run: {draft.problems[0]}")
            return
        if not draft.changed and draft.parent:
            self.say(f"nothing is changed in the draft: it would run {draft.parent} again")
            return
        self.run_worker(self._enqueue(draft), group="draft")

    def edit_queue(self, change: Change) -> None:
        """Changes the queue on disk, after all changes before."""
        self._queue_edits += 1
        self.run_worker(self._edit_queue(change), group="queue-edit")

    def load_queued(self, draft: QueuedDraft) -> None:
        """Takes a draft out of the queue to be edited; the one there takes its place."""
        self.run_worker(self._load_queued(draft), group="draft")

    def run_queue(self, count: int) -> None:
        """Asks, and has the queue run in a process of its own."""

        def answered(answer: str | None) -> None:
            if answer:
                self.run_worker(self._run_queue(), group="queue-run", exclusive=True)

        told = "one after the other, in the background; each is kept whatever comes of it"
        answers = [("r", "run all that waits", "run"), ("c", "not yet", "")]
        title = f"Run {counted(count, 'draft')}?"
        self.app.push_screen(AskScreen(title, [[(told, "muted")]], answers), answered)

    async def _enqueue(self, draft: Draft) -> None:
        try:
            async with self._queue_turn:
                count = await self.elsewhere(lambda: add(self.loop, queued_draft(draft)))
            fresh = await self.elsewhere(new_draft, self.loop, draft.parent)
        except TuiLoopError as error:
            self.tell(error)
            return
        waiting = "1 draft waits" if count == 1 else f"{count} drafts wait"
        self.say(f"added to the queue: {waiting}, Q shows them")
        await self.save_draft(fresh)

    async def _edit_queue(self, change: Change) -> None:
        def work() -> None:
            with editing_queue(self.loop) as queue:
                change(queue)

        try:
            async with self._queue_turn:
                await self.elsewhere(work)
        except TuiLoopError as error:
            self.tell(error)
        finally:
            self._queue_edits += 1
            self._queue_wake.set()

    async def _load_queued(self, queued: QueuedDraft) -> None:
        before = self.draft

        def work() -> Draft | None:
            fresh = draft_of(self.loop, queued)
            with editing_queue(self.loop) as queue:
                if queued not in queue:
                    return None
                at = queue.index(queued)
                kept = before is not None and (before.changed or before.why)
                queue[at : at + 1] = [queued_draft(before)] if before is not None and kept else []
            return fresh

        try:
            async with self._queue_turn:
                fresh = await self.elsewhere(work)
        except TuiLoopError as error:
            self.tell(error)
            return
        if fresh is None:
            self.say("it is in the queue no more")
            return
        if before is not None and (before.changed or before.why):
            self.say("the draft that was here took its place in the queue")
        await self.save_draft(fresh)
        self.show_draft()

    async def _run_queue(self) -> None:
        try:
            told = await self.elsewhere(self.backend.run_queue, self.loop)
        except TuiLoopError as error:
            self.tell(error)
            return
        self.say(told)
        self._queue_wake.set()
        self.look_again()

    async def _watch_queue(self, screen: QueueScreen) -> None:
        """Shows the queue again and again while its screen is open; not what an edit overtook."""
        while not self.is_leaving():
            self._queue_wake.clear()
            edits = self._queue_edits
            seen = await asyncio.to_thread(self._see_queue)
            if not screen.is_attached or self.is_leaving():
                return
            if edits == self._queue_edits:
                screen.show(seen)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._queue_wake.wait(), LOOK_SECONDS)

    def _see_queue(self) -> QueueSeen:
        by_itself = doing(self.loop)
        is_running, is_auto = by_itself == "queue", by_itself == "auto"
        try:
            drafts = tuple(read_queue(self.loop))
            problems = tuple(problem_of(self.loop, each) for each in drafts)
        except (TuiLoopError, OSError) as error:
            fault = error if isinstance(error, TuiLoopError) else file_error(error)
            return QueueSeen(is_running=is_running, is_auto=is_auto, fault=fault)
        return QueueSeen(drafts, problems, is_running, is_auto)
