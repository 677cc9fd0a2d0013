"""Letting the loop go by itself, and ending that between two runs."""

from __future__ import annotations

from collections.abc import Sequence

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.workflow.unattended import end
from tui_loop.tui.screens.ask import AskScreen
from tui_loop.tui.screens.auto import AutoDialog, Budget
from tui_loop.tui.workbench.running import Running

NAMES = {"auto": "auto", "queue": "the queue"}
"""What goes through a loop by itself, as it is called."""


class Automating(Running):
    """What `B` begins; what it does is followed in the record."""

    def action_auto(self) -> None:
        """Asks for a budget and says what comes first; from the selected iteration, or the best."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        if snapshot.unattended is not None:
            self.say(f"{NAMES[snapshot.unattended]} is at work: s stops it and what it runs")
            return
        if snapshot.settings.closed is not None:
            self.say("the loop is closed")
            return
        chosen = self.iteration
        ended = chosen is not None and chosen.number > 0 and chosen.state in ("finished", "failed")
        start = chosen.number if chosen is not None and ended else None
        dialog = AutoDialog(self.loop.name, start)

        def answered(budget: Budget | None) -> None:
            if budget is not None:
                self.run_worker(self._run_auto(start, budget), group="queue-run", exclusive=True)

        self.app.push_screen(dialog, answered)
        self.run_worker(self._look_ahead(dialog, start), group="preview", exclusive=True)

    def action_stop(self) -> None:
        """Stops the live run; between two runs, what goes through the loop by itself."""
        snapshot = self.snapshot
        if snapshot is None or snapshot.live is not None or snapshot.unattended is None:
            super().action_stop()
            return
        name = NAMES[snapshot.unattended]

        def answered(answer: str | None) -> None:
            if answer:
                self.run_worker(self._end(name), group="ask")

        self.app.push_screen(
            AskScreen(
                f"End {name}?",
                [[("it is between two runs; what was run, and what waits, stays", "muted")]],
                [("e", f"end {name}", "end"), ("c", "let it go on", "")],
            ),
            answered,
        )

    async def _look_ahead(self, dialog: AutoDialog, start: int | None) -> None:
        found: Sequence[str] | TuiLoopError
        try:
            found = await self.elsewhere(self.backend.auto_preview, self.loop, start)
        except TuiLoopError as error:
            found = error
        if dialog.is_attached:
            dialog.show(found)

    async def _run_auto(self, start: int | None, budget: Budget) -> None:
        try:
            told = await self.elsewhere(
                self.backend.run_auto, self.loop, start, budget.iterations, budget.hours
            )
        except TuiLoopError as error:
            self.tell(error)
            return
        self.say(told)
        self.look_again()

    async def _end(self, name: str) -> None:
        try:
            await self.elsewhere(end, self.loop)
        except TuiLoopError as error:
            self.tell(error)
            return
        self.say(f"{name} has been asked to end")
        self.look_again()
