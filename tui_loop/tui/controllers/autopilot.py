"""Autopilot: iterations without a person, and stopping it between two runs."""

from __future__ import annotations

from tui_loop.core.workflow.unattended import Doing, end
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.screens.auto import AutoDialog

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
            context.notify(f"{NAMES[snapshot.unattended]} is running. s stops it and its run.")
        elif snapshot.settings.closed is not None:
            context.notify("The loop is closed. g f reopens it.")
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
            message = await context.in_thread(
                context.backend.run_auto, context.loop, start, budget.iterations, budget.hours
            )
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
            [[("It is between two runs. Finished runs and queued drafts stay.", "muted")]],
            [("e", f"stop {name.lower()}", "end"), ("c", "let it continue", "")],
        )
        if answer:
            await self._context.in_thread(end, self._context.loop)
            self._context.notify(f"{name} will stop.")
            self._context.bench.poll_now()
