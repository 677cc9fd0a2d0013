"""Running the draft, and stopping what runs: the questions before, and the requests."""

from __future__ import annotations

from functools import partial

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.reader import RunView
from tui_loop.core.record.requests import RequestName, append_request
from tui_loop.core.record.structs import RESUMABLE
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.backend import Preview
from tui_loop.tui.screens.ask import AskScreen
from tui_loop.tui.screens.run_dialog import RunDialog
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.widgets.toned import Part
from tui_loop.tui.workbench.drafting import Drafting

ASKED: dict[RequestName, str] = {
    "pause": "pause: it rests after this step or batch, and keeps its memory",
    "continue": "go on",
    "evaluate": "evaluate: it does after this step",
    "checkpoint": "write a checkpoint: it does after this step",
}


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
        number, attempt = live.number, live.run.asked_attempt
        unit = "steps" if live.run.phase == "training" else "rows"
        done = f"{live.run.done} of {live.run.total or '?'} {unit}"

        def answered(answer: str | None) -> None:
            if answer:
                how = {"save": answer != "drop", "evaluate": answer == "evaluate"}
                told = f"{number} has been asked to stop"
                self.run_worker(self._ask(number, attempt, "stop", told, **how), group="ask")

        lines: list[list[Part]] = [
            [("it has done ", "muted"), (done, "")],
            [("p pauses it, D quits and leaves it running", "muted")],
        ]
        if self.snapshot is not None and (unattended := self.snapshot.unattended) is not None:
            lines.append([(f"{unattended} goes through the loop by itself: it ends too", "warn")])
        self.app.push_screen(
            AskScreen(
                f"Stop {number}?",
                lines,
                [
                    ("e", "save the weights and evaluate them", "evaluate"),
                    ("s", "save the weights", "save"),
                    ("x", "throw the weights away", "drop"),
                    ("c", "let it run", ""),
                ],
            ),
            answered,
        )

    def action_pause(self) -> None:
        live = self._live_to_ask()
        if live is not None:
            self._ask_now(live, "continue" if live.run.is_paused else "pause")

    def action_evaluate(self) -> None:
        live = self._live_to_ask()
        if live is not None:
            self._ask_now(live, "evaluate")

    def action_checkpoint(self) -> None:
        live = self._live_to_ask()
        if live is not None:
            self._ask_now(live, "checkpoint")

    def action_resume(self) -> None:
        snapshot, chosen = self.snapshot, self.iteration
        if snapshot is None or chosen is None:
            self.say("select an iteration that did not finish")
        elif snapshot.live is not None or self.backend.hosted():
            running = snapshot.live.number if snapshot.live else self.backend.hosted()
            self.say(f"{running} is running: one run at a time")
        elif chosen.state not in (*RESUMABLE, "queued"):
            self.say(f"{chosen.number} is {chosen.state}: only what did not finish goes on")
        else:
            self.run_worker(self._offer_resume(chosen.number), group="resume", exclusive=True)

    def _live_to_ask(self) -> RunView | None:
        """The live run, unless it is about to end; says so where there is none."""
        live = self.snapshot.live if self.snapshot else None
        if live is None:
            self.say("nothing is running")
        elif live.state == "stopping":
            self.say(f"{live.number} is stopping")
        else:
            return live
        return None

    def _ask_now(self, live: RunView, name: RequestName) -> None:
        told = f"{live.number} has been asked to {ASKED[name]}"
        if live.run.is_paused and name in ("evaluate", "checkpoint"):
            told = (
                f"{live.number} has been asked: it is done in the pause, on the weights as they are"
            )
        if live.run.phase != "training" and name in ("evaluate", "checkpoint"):
            told = f"{live.number} is not training now: it is done in training, if there is any"
        number, attempt = live.number, live.run.asked_attempt
        self.run_worker(self._ask(number, attempt, name, told), group="ask")

    async def _offer_resume(self, number: int) -> None:
        self.say(f"looking at the checkpoints of {number} ...")
        try:
            told, notices = await self.elsewhere(self.backend.resumption, self.loop, number)
        except TuiLoopError as error:
            self.tell(error)
            return
        if self.is_leaving():
            return

        def answered(answer: str | None) -> None:
            if answer:
                self.run_worker(self._resume(number), group="start", exclusive=True)

        lines: list[list[Part]] = [[("it goes on from ", "muted"), (told, "")]]
        lines += [[("! ", "warn"), (notice, "warn")] for notice in notices]
        answers = [("r", "go on with it", "resume"), ("c", "leave it as it is", "")]
        self.app.push_screen(AskScreen(f"Resume {number}?", lines, answers), answered)

    async def _resume(self, number: int) -> None:
        try:
            await self.elsewhere(self.backend.resume, self.loop, number)
        except TuiLoopError as error:
            self.tell(error)
            return
        self.selected, self.follows_run, self.seen_live = number, number, None
        self.watched.add(number)
        if not self.is_leaving():
            self.look_again()
            self.go_to("chart")

    async def _preview(self, dialog: RunDialog, draft: Draft) -> None:
        found: Preview | TuiLoopError
        try:
            found = await self.elsewhere(self.backend.preview, self.loop, draft)
        except TuiLoopError as error:
            found = error
        if dialog.is_attached:
            dialog.show(found)

    def _run_answered(self, why: str | None) -> None:
        if why is not None and self.draft is not None:
            self.run_worker(self._start(self.draft.with_why(why)), group="start", exclusive=True)

    async def _start(self, draft: Draft) -> None:
        try:
            async with self._draft_turn:  # an edit that is still being written comes first
                number = await self.elsewhere(self.backend.start, self.loop, draft)
        except TuiLoopError as error:
            await self.save_draft(draft, is_told=False)  # its reason is new; one error is enough
            self.tell(error)
            return
        self.draft, self.has_unsaved_draft = None, False
        self.edits += 1
        self.selected, self.follows_run, self.seen_live = number, number, None
        self.watched.add(number)
        if not self.is_leaving():
            self.look_again()
            self.go_to("chart")

    async def _ask(
        self,
        number: int,
        attempt: int,
        name: RequestName,
        told: str,
        *,
        save: bool = True,
        evaluate: bool = False,
    ) -> None:
        path = self.loop.iteration(number).requests
        try:
            await self.elsewhere(
                partial(append_request, path, attempt, name, save=save, evaluate=evaluate)
            )
        except TuiLoopError as error:
            self.tell(TuiLoopError(f"cannot ask {number} to {name}: {error.message}", error.hint))
            return
        self.say(told)
        self.look_again()
