"""What comes after the last iteration: an end, a report, other rows to hold out."""

from __future__ import annotations

from pathlib import Path

from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.workflow.draft import read_draft
from tui_loop.tui.cells import flat
from tui_loop.tui.screens.ask import AskScreen
from tui_loop.tui.screens.tell import TellDialog
from tui_loop.tui.widgets.toned import Part
from tui_loop.tui.workbench.drafting import Drafting


class Ending(Drafting):
    """What `X`, `W` and `Z` do; each says so first."""

    def action_close(self) -> None:
        """Asks why the loop ends and closes it; a closed one is opened again."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        if snapshot.live is not None or self.backend.hosted() or snapshot.unattended is not None:
            self.say("something runs in it: s stops that, then it can be closed")
            return
        if (closed := snapshot.settings.closed) is not None:
            self._ask_to_reopen(closed.why)
            return
        chosen = self.iteration
        number = chosen.number if chosen is not None and chosen.state == "finished" else None
        self.run_worker(self._ask_to_close(number or None), group="ending")

    async def _ask_to_close(self, selected: int | None) -> None:
        def look() -> tuple[int | None, list[str]]:
            from tui_loop.core.compare.best import best_of
            from tui_loop.core.compare.comparison import Comparer
            from tui_loop.core.record.reader import LoopReader, iterations_of
            from tui_loop.core.workflow.readiness import missing_for_ready

            best = best_of(Comparer(LoopReader(self.loop)), iterations_of(self.loop))
            number = selected or best
            return number, missing_for_ready(self.loop, number)

        try:
            number, missing = await self.elsewhere(look)
        except TuiLoopError as error:
            self.tell(error)
            return
        which = "the selected iteration" if selected else "the best iteration"
        ends = f"Its last iteration is {number}, {which}. " if number is not None else ""
        lines: list[list[Part]] = [[(f"{ends}A closed loop runs nothing new.", "muted")]]
        if missing:
            lines.append([("! Not ready: ", "warn"), (flat("; ".join(missing), 400), "")])

        def answered(why: str | None) -> None:
            if why:
                self.run_worker(self._close(why, number), group="ending")

        self.app.push_screen(
            TellDialog(
                f"Close {self.loop.name}?",
                lines,
                "why",
                does="closes it",
                placeholder="the last decision, kept in loop.toml",
            ),
            answered,
        )

    def action_report(self) -> None:
        """Asks for a file and writes the loop's report into it."""

        def answered(name: str | None) -> None:
            if name:
                self.run_worker(self._report(Path(name).expanduser()), group="ending")

        lines: list[list[Part]] = [
            [("all of the loop in one file: .html .md .csv .json by its suffix", "")],
            [(f"it is written into {Path.cwd()}, unless the path says otherwise", "muted")],
        ]
        self.app.push_screen(
            TellDialog(
                f"Write a report of {self.loop.name}",
                lines,
                "file",
                does="writes it",
                value=f"{self.loop.name}.html",
            ),
            answered,
        )

    def action_fresh(self) -> None:
        """Asks, and drafts the next iteration on another split."""
        snapshot, chosen = self.snapshot, self.iteration
        if snapshot is None:
            return
        readable = [each.number for each in snapshot.iterations if each.config is not None]
        newest = readable[-1] if readable else None
        parent = chosen.number if chosen is not None and chosen.config is not None else newest
        lines: list[list[Part]] = [
            [("the old eval rows are trained on, as many others are held out", "")],
            [("scores before and after are not comparable; the base is evaluated anew", "muted")],
        ]
        if self.draft is not None and (self.draft.changed or self.draft.why):
            lines.append([("! the draft that is here is replaced: ", "warn"), *self.what_it_has()])

        def answered(why: str | None) -> None:
            if why is not None:
                self.run_worker(self._fresh(parent, why), group="draft")

        self.app.push_screen(
            TellDialog(
                f"Draft the next one, from {parent or 'the defaults'}, on a fresh split?",
                lines,
                "why",
                does="drafts it",
                placeholder="may stay empty",
                is_needed=False,
            ),
            answered,
        )

    def _ask_to_reopen(self, why: str) -> None:
        def answered(answer: str | None) -> None:
            if answer:
                self.run_worker(self._reopen(), group="ending")

        self.app.push_screen(
            AskScreen(
                f"{self.loop.name} is closed",
                [[("because: ", "muted"), (why, "")]],
                [("c", "leave it closed", ""), ("o", "open it again", "open")],
            ),
            answered,
        )

    async def _close(self, why: str, number: int | None) -> None:
        from tui_loop.core.workflow.closing import close_loop, closed_words

        try:
            closed = await self.elsewhere(close_loop, self.loop, why, number)
        except TuiLoopError as error:
            self.tell(error)
            return
        self.say(f"{self.loop.name} {closed_words(closed)}")
        self.look_again()

    async def _reopen(self) -> None:
        from tui_loop.core.workflow.closing import reopen_loop

        try:
            await self.elsewhere(reopen_loop, self.loop)
        except TuiLoopError as error:
            self.tell(error)
            return
        self.say(f"{self.loop.name} is open again")
        self.look_again()

    async def _report(self, path: Path) -> None:
        def work() -> None:
            from tui_loop.core.report.files import format_of, write_report

            try:
                write_report(self.loop, path, format_of(path))
            except OSError as error:
                raise BadInput(f"{path}: {error.strerror or error}", "name another file") from error

        self.say("writing the report ...")
        try:
            await self.elsewhere(work)
        except TuiLoopError as error:
            self.tell(TuiLoopError(error.message, "W again, with another file"))
            return
        self.say(f"the report is in {path.absolute()}")

    async def _fresh(self, parent: int | None, why: str) -> None:
        try:
            told = await self.elsewhere(self.backend.draft_fresh_split, self.loop, parent, why)
            self.edits += 1
            self.draft = await self.elsewhere(read_draft, self.loop)
            self.has_unsaved_draft = False
        except TuiLoopError as error:
            self.tell(error)
            return
        self.show_draft()
        self.say("; ".join(told))
        self.look_again()
