"""Looking at one loop again and again, and what is selected in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from tui_loop.core.consent import NeedsConsent, allow_code
from tui_loop.core.errors import BadInput, TuiLoopError, file_error
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Iteration
from tui_loop.core.snapshot import LoopPoller, LoopSnapshot, SnapshotRequest
from tui_loop.core.text.figures import percent
from tui_loop.core.text.secrets import redacted
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.backend import Backend
from tui_loop.tui.cells import flat
from tui_loop.tui.chart.plot import warm_up
from tui_loop.tui.hints import in_keys
from tui_loop.tui.screens.consent import ConsentScreen
from tui_loop.tui.services import AppServices, services_of
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.workbench.frame import Frame

T = TypeVar("T")

LIVE_SECONDS = 0.5
IDLE_SECONDS = 2.0
MORE_SECONDS = 0.02
"""Before the next look where this one had no time for everything."""


class LoopScreen(Frame):
    """A screen on one loop; a subclass shows `snapshot` whenever `show_snapshot` is called."""

    def __init__(self, loop: LoopFolder, backend: Backend, number: int | None = None) -> None:
        super().__init__()
        self.loop, self.backend = loop, backend
        self.observer = LoopPoller(loop)
        self.snapshot: LoopSnapshot | None = None
        self.draft: Draft | None = None
        self.selected: int | str | None = number
        self.marked: int | None = None
        self.current: str = "iterations"
        self.edits = 0
        self.has_unsaved_draft = False
        """Whether the draft is in memory alone, since its file could not be written."""
        self.follows_run: int | None = None
        """The run begun here by hand that the selection goes along with, its base first."""
        self.seen_live: int | None = None
        self.watched: set[int] = set()
        """Iterations whose end is told: those seen alive, or begun here."""
        self._wake = asyncio.Event()

    @property
    def services(self) -> AppServices:
        return services_of(self)

    def show_snapshot(self) -> None:
        """Shows what is known now."""
        raise NotImplementedError

    def go_to(self, pane: str) -> None:
        """Gives the focus to a pane."""
        raise NotImplementedError

    def select(self, key: int | str) -> None:
        """Selects an iteration by its number, or the draft."""
        raise NotImplementedError

    def edit_example(self) -> None:
        """Opens the data file of the example under the cursor."""
        raise NotImplementedError

    def rows_in_view(self) -> tuple[int, ...]:
        """Numbers of the iterations that are on the screen."""
        raise NotImplementedError

    def look_again(self) -> None:
        """Has the record looked at at once."""
        self._wake.set()

    @property
    def shown_number(self) -> int | None:
        """The iteration that chart, failures and log show: of a draft, the one it derives from."""
        if isinstance(self.selected, int):
            return self.selected
        return self.draft.parent if self.draft is not None else None

    @property
    def iteration(self) -> Iteration | None:
        """The selected iteration; None where the draft is selected."""
        number = self.selected if isinstance(self.selected, int) else None
        return self.snapshot.iteration(number) if self.snapshot else None

    def is_leaving(self) -> bool:
        """Whether the screen is being taken down: its widgets go before its workers end."""
        return not self.display

    def begin_looking(self) -> None:
        """Begins to look; called once, when the screen is drawn."""
        self.run_worker(self._observe(), name="observe", exclusive=True, group="observe")

    def tell(self, error: TuiLoopError) -> None:
        """Shows an error with its hint."""
        keys = self.services.keys
        message, hint = (redacted(in_keys(text, keys)) for text in (error.message, error.hint))
        text = f"{flat(message, 600)}\n{flat(hint, 300)}".strip()
        self.notify(text, severity="error", timeout=15, markup=False)

    def say(self, text: str) -> None:
        """Shows a remark for a moment."""
        self.notify(flat(text, 400), markup=False)

    async def elsewhere(self, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` gives, done off the screen's thread.

        Asks first where the work would run foreign code. Raises TuiLoopError, also for a file
        that cannot be read or written, and for a fault of the work itself, which is reported: the
        screen is not to end with it. Whatever writes is called by this.
        """
        try:
            while True:
                try:
                    return await asyncio.to_thread(work, *arguments)
                except NeedsConsent as error:
                    await self._ask_consent(error)
        except TuiLoopError:
            raise
        except Exception as error:  # the app's edge
            raise self.fault_of(error) from error

    async def _ask_consent(self, error: NeedsConsent) -> None:
        """Asks whether code may run, and remembers it; raises BadInput where it may not."""
        if not await self.app.push_screen_wait(ConsentScreen(error.code)):
            raise BadInput(error.message, "press the key again to allow it")
        await asyncio.to_thread(allow_code, error.code)

    def fault_of(self, error: Exception) -> TuiLoopError:
        """Returns an error as the screen shows it; a fault of the program is also reported."""
        if isinstance(error, OSError):
            return file_error(error)
        self.services.report(error)
        place = self.services.crash_report or "no report could be written"
        return TuiLoopError(
            f"{type(error).__name__}: {error}", f"this is a bug in tui-loop: {place}"
        )

    async def _observe(self) -> None:
        await asyncio.to_thread(warm_up)
        while not self.is_leaving():
            self._wake.clear()
            edits, wanted = self.edits, self._wanted()
            snapshot = await asyncio.to_thread(self.observer.poll, wanted)
            if self.is_leaving():
                return
            if edits == self.edits and not self.has_unsaved_draft:
                self.draft = snapshot.draft
            self.snapshot = snapshot
            self._choose_first()
            self.show_snapshot()
            if self._wanted() != wanted:  # what is shown first has put other rows in view
                self._wake.set()
            self._tell_fault()
            self._tell_end()
            pause = LIVE_SECONDS if snapshot.live or self.backend.hosted() else IDLE_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._wake.wait(), pause if snapshot.is_complete else MORE_SECONDS
                )

    def _wanted(self) -> SnapshotRequest:
        return SnapshotRequest(self.shown_number, self.marked, self.rows_in_view())

    def _choose_first(self) -> None:
        """Selects something on the first look, and goes along with a run that was started here."""
        assert self.snapshot is not None
        numbers = [each.number for each in self.snapshot.iterations]
        live = self.snapshot.live.number if self.snapshot.live else None
        mine = self.follows_run is not None and live is not None and live <= self.follows_run
        if mine and live != self.seen_live:
            self.selected = self.seen_live = live
        if self.selected is None or (self.selected != DRAFT and self.selected not in numbers):
            newest = numbers[-1] if numbers else DRAFT
            self.selected = live if live is not None else newest

    def _tell_end(self) -> None:
        """Says how the watched runs ended; one that was begun here may wait for the base."""
        assert self.snapshot is not None
        live = {self.snapshot.live.number} if self.snapshot.live else set[int]()
        for number in sorted(self.watched - live):
            iteration = self.snapshot.iteration(number)
            if iteration is not None and iteration.state == "finished" and is_bare(iteration):
                continue  # its figures come in a moment
            if iteration is None or iteration.state != "queued":
                self.watched.discard(number)
            if iteration is not None and iteration.state != "queued":
                self._tell_end_of(iteration)
        self.watched |= live

    def _tell_end_of(self, iteration: Iteration) -> None:
        number = iteration.number
        if iteration.error:
            self.tell(
                TuiLoopError(
                    f"{number} failed: {iteration.error.get('message')}",
                    str(iteration.error.get("hint") or ""),
                )
            )
        elif number:
            score = iteration.metrics.get("score")
            told = f", score {percent(score)}" if score is not None else ""
            goes_on = ": a goes on with it" if iteration.state == "interrupted" else ""
            self.say(f"{number} {iteration.state}{told}{goes_on}")

    def _tell_fault(self) -> None:
        fault = self.backend.take_fault()
        if fault is not None:
            self.tell(fault)


def is_bare(iteration: Iteration) -> bool:
    """Whether the iteration is known by its journal alone: its summary is being written."""
    return all(value is None for value in iteration.metrics.values())
