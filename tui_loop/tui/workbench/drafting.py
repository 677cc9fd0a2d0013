"""The draft: editing, saving, replacing, and the editor that opens files behind what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.draft import Draft, draft_text, new_draft, read_draft, write_draft
from tui_loop.tui.cells import flat
from tui_loop.tui.hints import in_keys
from tui_loop.tui.screens.ask import AskScreen
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.widgets.toned import Part
from tui_loop.tui.workbench.observing import LoopScreen

Filled = Callable[[Draft], Draft]
"""Fills a fresh draft in."""


class Drafting(LoopScreen):
    """What is done with the draft."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._draft_turn = asyncio.Lock()

    async def on_config_pane_edited(self, event: ConfigPane.Edited) -> None:
        await self.save_draft(event.draft)

    def on_config_pane_refused(self, event: ConfigPane.Refused) -> None:
        self.say(event.text)

    def on_config_pane_reset_wanted(self) -> None:
        draft = self.draft
        if draft is None or not draft.changed:
            self.say("nothing has been changed")
            return

        def answered(answer: str | None) -> None:
            if answer == "reset":
                self.run_worker(self.save_draft(draft.reset()), group="draft")

        count = len(draft.changed)
        self.app.push_screen(
            AskScreen(
                "Undo all changes?",
                [[(f"{count} field{'s' if count > 1 else ''} go back to the parent's", "")]],
                [("u", "undo them", "reset"), ("k", "keep them", "")],
            ),
            answered,
        )

    def action_draft(self) -> None:
        """Drafts the next iteration from the selected one; asks before a draft is replaced."""
        iteration = self.iteration
        if iteration is None:
            self.go_to("config")
            return
        self.draft_next(iteration)

    def draft_next(self, iteration: Iteration, filled: Filled | None = None) -> None:
        """Drafts the next one from an iteration, `filled` in; asks before a draft is replaced."""
        if iteration.config is None:
            self.say(f"{iteration.number} cannot be read, so nothing can be drafted from it")
            return
        broken = self.draft is None and self.loop.draft.exists()
        kept = self.draft is not None and bool(self.draft.changed or self.draft.why)
        if not broken and not kept:
            self.run_worker(self._draft_from(iteration.number, filled), group="draft")
            return

        def answered(answer: str | None) -> None:
            if answer == "replace":
                self.run_worker(self._draft_from(iteration.number, filled), group="draft")

        self.app.push_screen(
            AskScreen(
                "There is a draft already",
                [self.what_it_has()],
                [
                    ("e", "keep it", ""),
                    ("r", f"replace it by one from {iteration.number}", "replace"),
                ],
            ),
            answered,
        )

    def what_it_has(self) -> list[Part]:
        """What would be lost with the draft."""
        if self.draft is None:
            problem = self.snapshot.draft_problem if self.snapshot else ""
            return [("it cannot be read: ", "muted"), (problem, "bad")]
        told = (
            f"{name.partition('.')[2]} {flat(brief(old), 40)} → {flat(brief(new), 40)}"
            for name, (old, new) in self.draft.changed.items()
        )
        changed = ", ".join(told)
        return [("it changes ", "muted"), (changed or "nothing yet, but gives a reason", "")]

    def action_edit_file(self) -> None:
        """Opens the file behind what is selected: the draft, notes, or an example's data file."""
        if self.current == "failures":
            self.edit_example()
            return
        iteration = self.iteration
        if iteration is None:
            self.run_worker(self._edit_draft(), group="edit", exclusive=True)
            return
        folder = self.loop.iteration(iteration.number)
        if self.current == "log" and folder.output.exists():
            self._edit(folder.output)
            return
        self._edit(folder.notes)
        self.look_again()

    async def save_draft(self, draft: Draft, *, is_told: bool = True) -> None:
        """Keeps the draft, in memory first, then on disk; an error is shown unless it was.

        Drafts are written in the order of their edits, and the newest one stays in memory.
        """
        self.edits += 1
        self.draft = draft
        self.has_unsaved_draft = True  # so that no poll brings back the one on disk
        self.show_snapshot()
        async with self._draft_turn:
            if self.draft is not draft:  # a newer edit waits for its turn
                return
            try:
                saved = await self.elsewhere(write_draft, self.loop, draft)
            except TuiLoopError as error:
                if is_told:
                    self.tell(TuiLoopError(f"{error.message}; the draft is in memory", error.hint))
                return
            self.edits += 1
            if self.draft is draft:
                self.draft = saved
                self.has_unsaved_draft = False
        self.look_again()

    async def _draft_from(self, number: int, filled: Filled | None) -> None:
        try:
            draft = await self.elsewhere(new_draft, self.loop, number)
        except TuiLoopError as error:
            self.tell(error)
            return
        await self.save_draft(draft if filled is None else filled(draft))
        self.show_draft()

    def show_draft(self) -> None:
        """Goes to the draft in the form, to what is changed in it."""
        self.select(DRAFT)
        self.go_to("config")
        self.query_one(ConfigPane).go_to_changed()

    def _edit(self, path: Path) -> bool:
        problem = self.services.edit(path)
        if problem:
            self.notify(flat(problem, 300), severity="error", markup=False)
        return not problem

    async def _edit_draft(self) -> None:
        draft = self.draft
        if draft is None:
            self._edit(self.loop.draft)
            self.look_again()
            return
        before = draft_text(draft)
        try:
            await self.elsewhere(write_draft, self.loop, draft)
        except TuiLoopError as error:
            self.tell(error)
            return
        await self._edit_again(before)

    def _unreadable_draft(self, error: TuiLoopError, before: str) -> None:
        """What was typed is not lost: it is edited again, or the draft is as it was."""

        def answered(answer: str | None) -> None:
            if answer == "restore":
                self.run_worker(self._restore_draft(before), group="edit", exclusive=True)
            else:
                self.run_worker(self._edit_again(before), group="edit", exclusive=True)

        self.app.push_screen(
            AskScreen(
                "The draft cannot be read",
                [[(error.message, "bad")], [(in_keys(error.hint, self.services.keys), "muted")]],
                [("e", "edit it again", "edit"), ("r", "restore it as it was", "restore")],
            ),
            answered,
        )

    async def _restore_draft(self, before: str) -> None:
        try:
            await self.elsewhere(write_atomically, self.loop.draft, before)
        except TuiLoopError as error:
            self.tell(error)
            return
        self.look_again()

    async def _edit_again(self, before: str) -> None:
        self._edit(self.loop.draft)
        try:
            fresh = await self.elsewhere(read_draft, self.loop)
        except TuiLoopError as error:
            self._unreadable_draft(error, before)
            return
        if fresh is not None:
            await self.save_draft(fresh)
