"""The draft: edits, saves, what replaces it, and the editor for the files behind the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tui_loop.core.data.offered_files import offers
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.completion import Completion
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text.figures import brief, counted
from tui_loop.core.workflow.draft import Draft, draft_text, new_draft, read_draft, write_draft
from tui_loop.tui.cells import flat
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.keys import in_keys
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.widgets.styled_lines import Span

VALUE_LENGTH = 40

MODEL = "model.id"
FILES = ("data.train", "data.eval", "data.holdout")

Fill = Callable[[Draft], Draft]
"""Fills a new draft in."""


class DraftsController:
    """Edits and saves the draft of the loop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.turn = asyncio.Lock()
        """Held while the draft is written or becomes an iteration: edits keep their order."""

    async def save(self, draft: Draft, *, is_quiet: bool = False) -> None:
        """Keeps the draft, in memory first, then on disk; `is_quiet`: an error is not shown.

        Drafts are written in the order of their edits, and the newest one stays in memory.
        """
        context = self._context
        context.bench.replace_draft(draft, is_unsaved=True)
        async with self.turn:
            if context.state.draft is not draft:  # a newer edit waits for its turn
                return
            try:
                saved = await context.in_thread(write_draft, context.loop, draft)
            except TuiLoopError as error:
                if not is_quiet:
                    message = f"{error.message}; the draft is only in memory"
                    context.notify_error(TuiLoopError(message, error.hint))
                return
            if context.state.draft is draft:
                context.bench.replace_draft(saved)
        context.bench.poll_now()

    def completions(self, name: str, typed: str) -> list[Completion]:
        """Returns the files, folders and models with which a text for a field could begin."""
        if name not in (*FILES, MODEL):
            return []
        known = self._context.backend.models() if name == MODEL else []
        offered = offers(self._context.loop.root, typed).rows
        paths = [
            each.path for each in offered if each.is_plain and (name in FILES or each.is_folder)
        ]
        return [
            Completion(each[len(typed) :], each)
            for each in (*known, *paths)
            if each.startswith(typed) and each != typed
        ]

    def reset(self) -> None:
        """Asks, and sets all fields to the parent's values."""
        draft = self._context.state.draft
        if draft is None or not draft.changed:
            self._context.notify("Nothing is changed in the draft.")
        else:
            self._context.run(self._reset(draft), "draft", is_exclusive=False)

    async def _reset(self, draft: Draft) -> None:
        answer = await self._context.ask(
            "Undo all changes?",
            [[(f"{counted(len(draft.changed), 'field')} will have the parent's value again.", "")]],
            [("u", "undo them", "reset"), ("k", "keep them", "")],
        )
        if answer:
            await self.save(draft.reset())

    def draft_next(self) -> None:
        """Drafts the next iteration from the selected one; asks before it replaces a draft."""
        iteration = self._context.iteration
        if iteration is None:
            self._context.bench.go_to("config")
        else:
            self.draft_from(iteration)

    def draft_from(self, iteration: Iteration, fill: Fill | None = None) -> None:
        """Drafts the next one from an iteration, filled in; asks before it replaces a draft."""
        if iteration.config is None:
            self._context.notify(f"The config of iteration {iteration.number} cannot be read.")
        else:
            self._context.run(self._draft_from(iteration.number, fill), "draft", is_exclusive=False)

    async def _draft_from(self, number: int, fill: Fill | None) -> None:
        context, state = self._context, self._context.state
        is_unreadable = state.draft is None and context.loop.draft.exists()
        if is_unreadable or state.has_draft_to_lose:
            answer = await context.ask(
                "There is a draft already",
                [self.description()],
                [
                    ("e", "keep it", ""),
                    ("r", f"replace it with a draft from iteration {number}", "replace"),
                ],
            )
            if not answer:
                return
        draft = await context.in_thread(new_draft, context.loop, number)
        await self.save(draft if fill is None else fill(draft))
        self.show()

    def description(self) -> list[Span]:
        """Returns what would be lost with the draft."""
        draft, snapshot = self._context.state.draft, self._context.snapshot
        if draft is None:
            problem = snapshot.draft_problem if snapshot is not None else ""
            return [("It cannot be read: ", "muted"), (problem, "bad")]
        changed = ", ".join(
            f"{name.partition('.')[2]} {flat(brief(old), VALUE_LENGTH)} → "
            f"{flat(brief(new), VALUE_LENGTH)}"
            for name, (old, new) in draft.changed.items()
        )
        return [("It changes ", "muted"), (changed or "nothing yet, but has a reason", "")]

    def show(self) -> None:
        """Selects the draft and shows its first change in the form."""
        self._context.bench.select(DRAFT)
        self._context.bench.go_to("config")
        self._context.pane(ConfigPane).go_to_changed()

    def edit_file(self) -> None:
        """Opens the draft in $EDITOR; what was typed is not lost if it cannot be read."""
        self._context.run(self._edit_file(), "edit")

    async def _edit_file(self) -> None:
        context, draft = self._context, self._context.state.draft
        if draft is None:
            self.open_editor(context.loop.draft)
            context.bench.poll_now()
            return
        before = draft_text(draft)
        await context.in_thread(write_draft, context.loop, draft)
        while True:
            self.open_editor(context.loop.draft)
            try:
                edited = await context.in_thread(read_draft, context.loop)
            except TuiLoopError as error:
                hint = in_keys(error.hint, context.services.keys)
                answer = await context.ask(
                    "The draft cannot be read",
                    [[(error.message, "bad")], [(hint, "muted")]],
                    [
                        ("e", "edit it again", "edit"),
                        ("r", "restore the earlier version", "restore"),
                    ],
                )
                if answer != "restore":
                    continue
                await context.in_thread(write_atomically, context.loop.draft, before)
                context.bench.poll_now()
                return
            if edited is not None:
                await self.save(edited)
            return

    def open_editor(self, path: Path, line: int | None = None) -> None:
        """Opens a file in $EDITOR and waits; reports what went wrong."""
        if problem := self._context.services.edit(path, line):
            self._context.notify_error(TuiLoopError(problem))
