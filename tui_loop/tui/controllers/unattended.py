"""Unattended runs: the queue of drafts, and auto."""

from __future__ import annotations

import asyncio

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
from tui_loop.core.workflow.unattended import Doing, doing, end
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.drafts import DraftsController
from tui_loop.tui.controllers.live_screen import LiveScreen
from tui_loop.tui.screens.queue import Change, QueueScreen, QueueSnapshot
from tui_loop.tui.screens.run_dialogs import AutoDialog, QueueDialog


class QueueController:
    """Adds drafts to the queue, edits it and runs it."""

    def __init__(self, context: Context, drafts: DraftsController) -> None:
        self._context, self._drafts = context, drafts
        self.turn = asyncio.Lock()
        """Held while the queue is edited, so that edits keep their order."""
        self._edits = 0
        self._live: LiveScreen[int, QueueSnapshot] = LiveScreen(
            context, "queue", self._read, self._found, self._failed
        )
        self._screen: QueueScreen | None = None

    def open(self) -> None:
        """Shows the queue."""
        self._screen = QueueScreen(self, self._context.loop.name)
        self._live.open(self._screen)
        self._live.request(self._edits, again=True)

    def refresh(self) -> None:
        """Reads the queue again where it is open: other processes edit it, too."""
        if self._live.is_open:
            self._live.request(self._edits, again=True)

    def enqueue(self) -> None:
        """Adds the draft to the queue; the next draft has the same parent."""
        context, draft = self._context, self._context.draft_to("queue")
        if draft is None:
            return
        if draft.problems:
            context.notify(f"The draft cannot run: {draft.problems[0]}")
        elif not draft.changed and draft.parent:
            context.notify(f"The draft changes nothing; it would repeat iteration {draft.parent}.")
        else:
            context.run(self._enqueue(draft), "draft", is_exclusive=False)

    def edit(self, change: Change) -> None:
        """Changes the queue on disk, after all changes before."""
        self._edits += 1
        self._context.run(self._edit(change), "queue-edit", is_exclusive=False)

    def load(self, queued: QueuedDraft) -> None:
        """Takes a draft out of the queue to edit it; the current draft takes its place."""
        self._context.run(self._load(queued), "draft", is_exclusive=False)

    def run_all(self, count: int) -> None:
        """Asks, and runs the queue in a process of its own."""
        self._context.run(self._run_all(count), "queue-run")

    async def _enqueue(self, draft: Draft) -> None:
        context = self._context
        async with self.turn:
            count = await context.in_thread(lambda: add(context.loop, queued_draft(draft)))
        next_draft = await context.in_thread(new_draft, context.loop, draft.parent)
        context.notify(f"Queued the draft; {queue_words(count)}. {{loop.queue}} shows the queue.")
        await self._drafts.save(next_draft)

    async def _edit(self, change: Change) -> None:
        def work() -> None:
            with editing_queue(self._context.loop) as queue:
                change(queue)

        try:
            async with self.turn:
                await self._context.in_thread(work)
        finally:
            self._edits += 1
            self.refresh()

    async def _load(self, queued: QueuedDraft) -> None:
        context, state = self._context, self._context.state
        kept = state.draft if state.has_draft_to_lose else None

        def work() -> Draft | None:
            loaded = draft_of(context.loop, queued)
            with editing_queue(context.loop) as queue:
                if queued not in queue:
                    return None
                at = queue.index(queued)
                queue[at : at + 1] = [queued_draft(kept)] if kept is not None else []
            return loaded

        async with self.turn:
            loaded = await context.in_thread(work)
        if loaded is None:
            context.notify("This draft is no longer in the queue.")
            return
        if kept is not None:
            context.notify("Your previous draft took the place of this one in the queue.")
        await self._drafts.save(loaded)
        self._drafts.show()

    async def _run_all(self, count: int) -> None:
        context = self._context
        gpus = await context.in_thread(context.backend.gpu_words)
        lines = [[("The drafts run in order in the background. Every run is recorded.", "muted")]]
        if gpus:
            lines.append([(f"This machine has {gpus}.", "muted")])
        at_once = await context.wait_for(QueueDialog(lines, count))
        if at_once:
            run_queue = context.backend.run_queue
            context.notify(await context.in_thread(run_queue, context.loop, at_once))
            context.bench.follow_unattended()
            self.refresh()
            context.bench.poll_now()

    def _read(self, _: int) -> QueueSnapshot:
        loop, process = self._context.loop, doing(self._context.loop)
        is_running, is_auto = process == "queue", process == "auto"
        try:
            drafts = tuple(read_queue(loop))
            problems = tuple(problem_of(loop, each) for each in drafts)
        except (TuiLoopError, OSError) as error:
            fault = error if isinstance(error, TuiLoopError) else file_error(error)
            return QueueSnapshot(is_running=is_running, is_auto=is_auto, fault=fault)
        return QueueSnapshot(drafts, problems, is_running, is_auto)

    def _found(self, edits: int, found: QueueSnapshot) -> None:
        if self._screen is not None and self._live.is_open and edits == self._edits:
            self._screen.show(found)

    def _failed(self, edits: int, fault: TuiLoopError) -> None:
        self._found(edits, QueueSnapshot(fault=fault))


def queue_words(count: int) -> str:
    """Returns how many drafts are queued: `the queue now has 2 drafts`."""
    return f"the queue now has {counted(count, 'draft')}"


NAMES: dict[Doing, str] = {"auto": "Auto", "queue": "The queue"}
"""The processes that run a loop unattended."""


class AutopilotController:
    """Starts auto in a process of its own; the record shows what it does."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._was_auto = False

    def open(self) -> None:
        """Shows what auto would do first and asks for a budget.

        It starts from the selected iteration if that has ended, else from the best one.
        """
        context, chosen = self._context, self._context.iteration
        snapshot = context.snapshot
        if snapshot is None:
            return
        if snapshot.unattended is not None:
            context.notify(
                f"{NAMES[snapshot.unattended]} is running. {{run.stop}} stops it and its run."
            )
        elif snapshot.settings.closed is not None:
            context.notify("The loop is closed. {loop.close} reopens it.")
        else:
            has_ended = chosen is not None and chosen.state in ("finished", "failed")
            start = chosen.number if chosen is not None and has_ended and chosen.number else None
            context.run(self._open(start), "queue-run")

    def refresh(self) -> None:
        """Reports why auto stopped."""
        snapshot = self._context.snapshot
        if snapshot is None:
            return
        if self._was_auto and snapshot.unattended is None and snapshot.auto_end is not None:
            self._context.notify(snapshot.auto_end.words)
        self._was_auto = snapshot.unattended == "auto"

    def stop(self) -> bool:
        """Asks, and stops the process between two runs; gives whether there is such a process."""
        snapshot = self._context.snapshot
        if snapshot is None or snapshot.live is not None or snapshot.unattended is None:
            return False
        self._context.run(self._stop(NAMES[snapshot.unattended]), "request")
        return True

    async def _open(self, start: int | None) -> None:
        context = self._context
        dialog = AutoDialog(context.loop.name, start)
        context.run(self._preview(dialog, start), "preview")
        budget = await context.wait_for(dialog)
        if budget is not None:
            run_auto, spent = context.backend.run_auto, (budget.iterations, budget.hours)
            message = await context.in_thread(run_auto, context.loop, start, *spent, budget.at_once)
            context.notify(message)
            context.bench.follow_unattended()
            context.bench.poll_now()

    async def _preview(self, dialog: AutoDialog, start: int | None) -> None:
        context = self._context
        found = await context.read_for(dialog, context.backend.auto_preview, context.loop, start)
        if found is not None:
            dialog.show(found)

    async def _stop(self, name: str) -> None:
        answer = await self._context.ask(
            f"Stop {name.lower()}?",
            [[("No run is live just now. Finished runs and queued drafts are kept.", "muted")]],
            [("e", f"stop {name.lower()}", "end"), ("c", "let it continue", "")],
        )
        if answer:
            await self._context.in_thread(end, self._context.loop)
            self._context.notify(f"{name} will stop.")
            self._context.bench.poll_now()
