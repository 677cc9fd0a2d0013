"""Running the draft, and stopping what runs: the questions before, and the requests."""

from __future__ import annotations

import asyncio

from tui_loop.core.draft import Draft, drop_draft
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.requests import ask
from tui_loop.tui.backend import Preview
from tui_loop.tui.screens.ask import AskScreen
from tui_loop.tui.screens.run_dialog import RunDialog
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.workbench.drafting import Drafting


class Running(Drafting):
    """What is done with runs."""

    def action_run(self) -> None:
        snapshot, draft = self.snapshot, self.draft
        if snapshot is None:
            return
        if snapshot.live is not None or self.backend.hosted():
            running = snapshot.live.number if snapshot.live else self.backend.hosted()
            self.say(f"{running} is running: the draft waits, s stops the run")
            return
        if draft is None:
            self.say(snapshot.draft_problem or snapshot.problem or "there is no draft to run")
            return
        if draft.problems:
            self.select(DRAFT)
            self.go_to("config")
            self.query_one(ConfigPane).action_next_problem()
            count = len(draft.problems)
            self.say(f"{count} problem{'s' if count > 1 else ''} in the draft: n goes to the next")
            return
        number = max((each.number for each in snapshot.iterations), default=0) + 1
        dialog = RunDialog(draft, number, draft.config.model.id)
        self.app.push_screen(dialog, self._run_answered)
        self.run_worker(self._preview(dialog, draft), group="preview", exclusive=True)

    def action_stop(self) -> None:
        live = self.snapshot.live if self.snapshot else None
        if live is None:
            self.say("nothing is running")
            return
        if live.state == "stopping":
            self.say(f"{live.number} is stopping: it ends at the next step or batch")
            return
        number, attempt = live.number, live.run.attempt

        def answered(answer: str | None) -> None:
            if answer:
                self.run_worker(self._ask_stop(number, attempt, answer), group="stop")

        self.app.push_screen(
            AskScreen(
                f"Stop {number}?",
                [[("it has done ", "muted"), (f"{live.run.done} of {live.run.total or '?'}", "")]],
                [
                    ("e", "save the weights and evaluate them", "evaluate"),
                    ("s", "save the weights", "save"),
                    ("x", "throw the weights away", "drop"),
                    ("c", "let it run", ""),
                ],
            ),
            answered,
        )

    async def _preview(self, dialog: RunDialog, draft: Draft) -> None:
        found: Preview | TuiLoopError
        try:
            found = await asyncio.to_thread(self.backend.preview, self.loop, draft)
        except TuiLoopError as error:
            found = error
        if dialog.is_attached:
            dialog.show(found)

    def _run_answered(self, why: str | None) -> None:
        if why is not None and self.draft is not None:
            self.run_worker(self._start(self.draft.with_why(why)), group="start", exclusive=True)

    async def _start(self, draft: Draft) -> None:
        try:
            number = await asyncio.to_thread(self.backend.start, self.loop, draft)
            await asyncio.to_thread(drop_draft, self.loop)
        except (TuiLoopError, OSError) as error:
            await self.save_draft(draft)
            self.tell(error if isinstance(error, TuiLoopError) else TuiLoopError(str(error)))
            return
        self.draft = None
        self.edits += 1
        self.selected, self.follows_run, self.seen_live = number, True, None
        self.watched.add(number)
        if not self.is_leaving():
            self.look_again()
            self.go_to("chart")

    async def _ask_stop(self, number: int, attempt: int, how: str) -> None:
        path = self.loop.iteration(number).requests
        try:
            await asyncio.to_thread(
                ask, path, attempt, "stop", save=how != "drop", evaluate=how == "evaluate"
            )
        except OSError as error:
            self.tell(TuiLoopError(f"cannot ask {number} to stop: {error}"))
            return
        self.say(f"{number} has been asked to stop")
        self.look_again()
