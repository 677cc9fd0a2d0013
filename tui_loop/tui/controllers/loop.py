"""The loop as a whole: its settings, its report, a fresh split, and closing it."""

from __future__ import annotations

from pathlib import Path

from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.safe_open import read_text
from tui_loop.core.workflow.draft import read_draft
from tui_loop.tui.cells import flat
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.drafts import DraftsController
from tui_loop.tui.screens.dialogs import InputDialog
from tui_loop.tui.widgets.styled_lines import Span


class LoopController:
    """Edits the settings of the loop, closes and reopens it, writes its report."""

    def __init__(self, context: Context, drafts: DraftsController) -> None:
        self._context, self._drafts = context, drafts

    def close(self) -> None:
        """Asks why the loop ends and closes it; a closed one is reopened."""
        context, snapshot = self._context, self._context.snapshot
        if snapshot is None:
            return
        if context.hosted_or_live or snapshot.unattended is not None:
            context.notify("A run or a queue is active in this loop. {run.stop} stops it.")
        elif (closed := snapshot.settings.closed) is not None:
            context.run(self._reopen(closed.why), "loop")
        else:
            chosen = context.iteration
            number = chosen.number if chosen is not None and chosen.state == "finished" else None
            context.run(self._close(number or None), "loop")

    def write_report(self) -> None:
        """Asks for a file and writes the loop's report into it."""
        self._context.run(self._write_report(), "report", is_exclusive=False)

    def draft_fresh_split(self) -> None:
        """Asks, and drafts the next iteration on a fresh split."""
        self._context.run(self._draft_fresh_split(), "draft", is_exclusive=False)

    def edit_settings(self) -> None:
        """Opens loop.toml in $EDITOR: the goal, the target and the other criteria."""
        self._context.run(self._edit_settings(), "loop")

    async def _edit_settings(self) -> None:
        context, path = self._context, self._context.loop.settings_file
        before = await context.in_thread(read_text, path)
        while True:
            self._drafts.open_editor(path)
            try:
                await context.in_thread(self._check_settings)
            except TuiLoopError as error:
                answer = await context.ask(
                    "loop.toml cannot be used",
                    [[(error.message, "bad")], [(error.hint, "muted")]],
                    [
                        ("e", "edit it again", "edit"),
                        ("r", "restore the earlier version", "restore"),
                    ],
                )
                if answer != "restore":
                    continue
                await context.in_thread(write_atomically, path, before)
            break
        context.bench.poll_now()

    def _check_settings(self) -> None:
        """Reads all of loop.toml; raises BadInput."""
        from tui_loop.core.workflow.readiness import criteria_of

        loop = self._context.loop
        loop.default_config()
        criteria_of(loop)

    async def _close(self, selected: int | None) -> None:
        from tui_loop.core.workflow.closing import close_loop, closed_words

        context = self._context
        number, missing = await context.in_thread(self._last_and_missing, selected)
        which = "the selected one" if selected else "the best one"
        ends = f"The final iteration will be {number}, {which}. " if number is not None else ""
        lines: list[list[Span]] = [[(f"{ends}A closed loop starts no new runs.", "muted")]]
        if missing:
            lines.append([("! Not ready: ", "warn"), (flat("; ".join(missing), 400), "")])
        why = await context.wait_for(
            InputDialog(
                f"Close {context.loop.name}?",
                lines,
                "why",
                does="closes it",
                placeholder="why the loop ends; saved in loop.toml",
            )
        )
        if why:
            closed = await context.in_thread(close_loop, context.loop, why, number)
            context.notify(f"{context.loop.name} {closed_words(closed)}")
            context.bench.poll_now()

    def _last_and_missing(self, selected: int | None) -> tuple[int | None, list[str]]:
        """The last iteration of the loop, and what it lacks to be ready."""
        from tui_loop.core.compare.best import best_of
        from tui_loop.core.compare.comparison import Comparer
        from tui_loop.core.record.reader import LoopReader, iterations_of
        from tui_loop.core.workflow.readiness import missing_for_ready

        loop = self._context.loop
        number = selected or best_of(Comparer(LoopReader(loop)), iterations_of(loop))
        return number, missing_for_ready(loop, number)

    async def _reopen(self, why: str) -> None:
        from tui_loop.core.workflow.closing import reopen_loop

        context = self._context
        answer = await context.ask(
            f"{context.loop.name} is closed",
            [[("because: ", "muted"), (why, "")]],
            [("c", "leave it closed", ""), ("o", "reopen it", "open")],
        )
        if answer:
            await context.in_thread(reopen_loop, context.loop)
            context.notify(f"{context.loop.name} is open again")
            context.bench.poll_now()

    async def _write_report(self) -> None:
        context = self._context
        name = await context.wait_for(
            InputDialog(
                f"Write a report of {context.loop.name}",
                [
                    [("The suffix sets the format of the report: .html, .md, .csv or .json.", "")],
                    [(f"A relative path starts at {Path.cwd()}.", "muted")],
                ],
                "file",
                does="writes it",
                value=f"{context.loop.name}.html",
            )
        )
        if not name:
            return
        path = Path(name).expanduser()

        def write() -> None:
            from tui_loop.core.report.files import format_of, write_report

            try:
                write_report(context.loop, path, format_of(path))
            except OSError as error:
                raise BadInput(f"{path}: {error.strerror or error}") from error

        context.notify("writing the report ...")
        try:
            await context.in_thread(write)
        except TuiLoopError as error:
            raise TuiLoopError(error.message, "{loop.report} asks for another file") from error
        context.notify(f"wrote {path.absolute()}")

    async def _draft_fresh_split(self) -> None:
        context, snapshot, chosen = self._context, self._context.snapshot, self._context.iteration
        if snapshot is None:
            return
        readable = [each.number for each in snapshot.iterations if each.config is not None]
        newest = readable[-1] if readable else None
        parent = chosen.number if chosen is not None and chosen.config is not None else newest
        lines: list[list[Span]] = [
            [
                (
                    "The old evaluation rows become training rows; as many other rows are held "
                    "out.",
                    "",
                )
            ],
            [
                (
                    "Scores on different splits cannot be compared. The base is evaluated again.",
                    "muted",
                )
            ],
        ]
        if context.state.has_draft_to_lose:
            description = self._drafts.description()
            lines.append([("! The current draft is replaced: ", "warn"), *description])
        why = await context.wait_for(
            InputDialog(
                f"Draft the next iteration from {parent or 'the defaults'} on a fresh split?",
                lines,
                "why",
                does="drafts it",
                placeholder="may stay empty",
                is_needed=False,
            )
        )
        if why is None:
            return
        messages = await context.in_thread(
            context.backend.draft_fresh_split, context.loop, parent, why
        )
        context.bench.replace_draft(await context.in_thread(read_draft, context.loop))
        self._drafts.show()
        context.notify("; ".join(messages))
        context.bench.poll_now()
