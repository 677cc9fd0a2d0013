"""Runs: starting the draft, requests to the live run, resuming, and how a run ended."""

from __future__ import annotations

from functools import partial

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.preflight.check_result import ChecksFailed
from tui_loop.core.record.iteration import is_bare
from tui_loop.core.record.reader import RunView
from tui_loop.core.record.requests import RequestName, append_request
from tui_loop.core.record.structs import RESUMABLE, Iteration
from tui_loop.core.snapshot import LoopSnapshot
from tui_loop.core.text.figures import counted, percent
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.cells import flat
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.drafts import DraftsController
from tui_loop.tui.controllers.jobs import JobsController
from tui_loop.tui.controllers.unattended import AutopilotController
from tui_loop.tui.keys import with_keys
from tui_loop.tui.screens.dialogs import ScriptScreen
from tui_loop.tui.screens.run_dialogs import RunChoice, RunDialog
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.widgets.styled_lines import Span

WILL: dict[RequestName, str] = {
    "pause": "will pause after this step; its memory stays allocated",
    "continue": "continues",
    "evaluate": "will evaluate after this step",
    "checkpoint": "will write a checkpoint after this step",
}

DOES: dict[RequestName, str] = {"evaluate": "evaluates", "checkpoint": "writes a checkpoint"}

OTHER_WAYS = "{run.pause} pauses the run. {run.detach} quits the app; the run continues."
"""What to do in place of stopping a run."""


class RunsController:
    """Starts, stops and resumes runs."""

    def __init__(
        self,
        context: Context,
        drafts: DraftsController,
        autopilot: AutopilotController,
        jobs: JobsController,
    ) -> None:
        self._context, self._drafts = context, drafts
        self._autopilot, self._jobs = autopilot, jobs
        self._watched: set[int] = set()
        """Iterations whose end is reported: those that were live, or started here."""

    def start(self) -> None:
        """Shows what running the draft would do; enter starts it."""
        context = self._context
        if context.snapshot is None:
            return
        if running := context.hosted_or_live:
            context.notify(
                f"Run {running} is live. {{run.stop}} stops it; {{loop.enqueue}} queues the draft."
            )
            return
        draft = context.draft_to("run")
        if draft is None:
            return
        if draft.problems:
            context.bench.select(DRAFT)
            context.bench.go_to("config")
            context.pane(ConfigPane).action_next_problem()
            context.notify(f"The draft has {counted(len(draft.problems), 'problem')}.")
        else:
            context.run(self._start(draft), "start", is_exclusive=False)

    async def _start(self, draft: Draft) -> None:
        context = self._context
        dialog = RunDialog(draft, context.next_number, draft.config.model.id)
        context.run(self._preview(dialog, draft), "preview")
        choice = await context.wait_for(dialog)
        if choice is None:
            return
        draft = draft.with_why(choice.why)
        if choice.runner == "job" and not await self._confirm_job(draft, choice.sbatch):
            await self._drafts.save(draft, is_quiet=True)
            return
        try:
            async with self._drafts.turn:  # an edit that is still being written comes first
                number = await self._begin(draft, choice)
        except TuiLoopError as error:
            await self._drafts.save(draft, is_quiet=True)  # the reason is new
            if isinstance(error, ChecksFailed):
                context.show_refusal(error)
                return
            raise
        context.bench.replace_draft(None)
        self._follow(number)

    async def _begin(self, draft: Draft, choice: RunChoice) -> int:
        """Starts or submits the draft; returns the number of its iteration."""
        context = self._context
        backend = context.backend
        if choice.runner != "job":
            start = partial(backend.start, context.loop, draft, choice.runner)
            return await context.in_thread(start)
        submit = partial(backend.submit, context.loop, draft, choice.sbatch)
        number, job = await context.in_thread(submit)
        context.notify(f"Iteration {number} is job {job}. {{run.stop}} cancels it.")
        return number

    async def _confirm_job(self, draft: Draft, sbatch: str) -> bool:
        """Shows the script and asks whether to submit it."""
        context = self._context
        script = await context.in_thread(context.backend.job_script, context.loop, draft, sbatch)
        shown = "\n".join(flat(line, 400) for line in script.splitlines())
        answers = [("s", "submit the job", "submit"), ("c", "not yet", "")]
        chosen: str | None = await context.wait_for(
            ScriptScreen("Submit this script?", shown, answers)
        )
        return bool(chosen)

    async def _preview(self, dialog: RunDialog, draft: Draft) -> None:
        context = self._context
        found = await context.read_for(dialog, context.backend.preview, context.loop, draft)
        if found is not None:
            dialog.show(found)

    def stop(self) -> None:
        """Asks how the live run should end, or whether to stop the process between two runs."""
        waiting = self._jobs.waiting(self._context.state.number)
        if waiting is not None:
            self._jobs.cancel(waiting)
            return
        if self._autopilot.stop():
            return
        live = self._live()
        if live is not None:
            self._context.run(self._stop(live), "request")

    async def _stop(self, live: RunView) -> None:
        number, run = live.number, live.run
        unit = "steps" if run.phase == "training" else "rows"
        lines: list[list[Span]] = [
            [(f"{run.done} of {run.total or '?'} {unit} are done.", "")],
            [(with_keys(OTHER_WAYS, self._context.services.keys), "muted")],
        ]
        snapshot = self._context.snapshot
        if snapshot is not None and snapshot.unattended is not None:
            lines.append([(f"{snapshot.unattended} stops, too.", "warn")])
        answer = await self._context.ask(
            f"Stop {number}?",
            lines,
            [
                ("e", "save the weights and evaluate them", "evaluate"),
                ("s", "save the weights", "save"),
                ("x", "discard the weights", "drop"),
                ("c", "let it run", ""),
            ],
        )
        now = self._context.snapshot
        if answer and (now is None or now.live is None or now.live.number != number):
            self._context.notify(
                f"Run {number} has ended. {{run.stop}} stops the run that is live now."
            )
        elif answer:
            message = f"Run {number} will stop."
            how = {"save": answer != "drop", "evaluate": answer == "evaluate"}
            await self._request(live, "stop", message, **how)

    def pause(self) -> None:
        """Pauses the live run, or continues it."""
        live = self._live()
        if live is not None:
            self._ask_run(live, "continue" if live.run.is_paused else "pause")

    def evaluate(self) -> None:
        """Evaluates the live run after its current step."""
        if (live := self._live()) is not None:
            self._ask_run(live, "evaluate")

    def checkpoint(self) -> None:
        """Writes a checkpoint of the live run after its current step."""
        if (live := self._live()) is not None:
            self._ask_run(live, "checkpoint")

    def resume(self) -> None:
        """Shows where the selected iteration would continue, and asks."""
        context, chosen = self._context, self._context.iteration
        if context.snapshot is None or chosen is None:
            context.notify("Select a stopped, failed or interrupted iteration to resume.")
        elif running := context.hosted_or_live:
            context.notify(f"Run {running} is live. Only one run is possible at a time.")
        elif chosen.state not in (*RESUMABLE, "queued"):
            context.notify(
                f"Run {chosen.number} is {chosen.state}. Only stopped, failed or interrupted runs "
                "can be resumed."
            )
        else:
            context.run(self._resume(chosen.number), "resume", is_exclusive=False)

    async def _resume(self, number: int) -> None:
        context = self._context
        context.notify(f"Reading the checkpoints of run {number} ...")
        place, notices = await context.in_thread(context.backend.resumption, context.loop, number)
        if context.is_leaving():
            return
        lines: list[list[Span]] = [[("It continues from ", "muted"), (f"{place}.", "")]]
        lines += [[("! ", "warn"), (notice, "warn")] for notice in notices]
        answers = [("r", "resume it", "resume"), ("c", "leave it as it is", "")]
        if await context.ask(f"Resume {number}?", lines, answers):
            await context.in_thread(context.backend.resume, context.loop, number)
            self._follow(number)

    def report_ends(self, snapshot: LoopSnapshot) -> None:
        """Reports the runs that ended since the last snapshot, and a fault of a start."""
        if (fault := self._context.backend.take_fault()) is not None:
            self._context.notify_error(fault)
        live = set(snapshot.live_numbers)
        for number in sorted(self._watched - live):
            iteration = snapshot.iteration(number)
            if iteration is not None and iteration.state == "finished" and is_bare(iteration):
                continue  # its summary is being written
            if iteration is None or iteration.state != "queued":
                self._watched.discard(number)
            if iteration is not None and iteration.state != "queued":
                self._report_end(iteration)
        self._watched |= live

    def _report_end(self, iteration: Iteration) -> None:
        number = iteration.number
        if iteration.error:
            message = f"{number} failed: {iteration.error.get('message')}"
            hint = str(iteration.error.get("hint") or "")
            self._context.notify_error(TuiLoopError(message, hint))
        elif number:
            score = iteration.metrics.get("score")
            scored = f", score {percent(score)}" if score is not None else ""
            hint = ". {run.resume} resumes it." if iteration.state == "interrupted" else ""
            self._context.notify(f"{number} {iteration.state}{scored}{hint}")

    def _live(self) -> RunView | None:
        """The live run, unless it is about to end; says so where there is none."""
        live = self._context.snapshot.live if self._context.snapshot else None
        if live is None:
            self._context.notify("Nothing is running.")
        elif live.state == "stopping":
            self._context.notify(
                f"Run {live.number} is stopping. It ends after this step or batch."
            )
        else:
            return live
        return None

    def _ask_run(self, live: RunView, name: RequestName) -> None:
        message = f"Run {live.number} {WILL[name]}."
        if live.run.is_paused and name in ("evaluate", "checkpoint"):
            message = f"Run {live.number} {DOES[name]} now, while paused."
        if live.run.phase != "training" and name in ("evaluate", "checkpoint"):
            message = (
                f"Run {live.number} is not training now. It {DOES[name]} once it trains again."
            )
        self._context.run(self._request(live, name, message), "request", is_exclusive=False)

    async def _request(
        self,
        live: RunView,
        name: RequestName,
        message: str,
        *,
        save: bool = True,
        evaluate: bool = False,
    ) -> None:
        context, number, attempt = self._context, live.number, live.run.asked_attempt
        path = context.loop.iteration(number).requests
        try:
            await context.in_thread(
                partial(append_request, path, attempt, name, save=save, evaluate=evaluate)
            )
        except TuiLoopError as error:
            message = f"cannot send the request {name} to run {number}: {error.message}"
            raise TuiLoopError(message, error.hint) from error
        context.notify(message)
        context.bench.poll_now()

    def _follow(self, number: int) -> None:
        """Selects a run that was started here and follows it."""
        self._watched.add(number)
        self._context.bench.select(number, follow=True)
        if not self._context.is_leaving():
            self._context.bench.go_to("chart")
