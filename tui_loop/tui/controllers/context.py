"""What the workbench gives its controllers: the selection, the loop, the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from textual.screen import Screen
from textual.widget import Widget

from tui_loop.core.consent import NeedsConsent, allow_code
from tui_loop.core.errors import BadInput, TuiLoopError, file_error
from tui_loop.core.preflight.check_result import ChecksFailed
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Iteration
from tui_loop.core.snapshot import LoopPoller, LoopSnapshot
from tui_loop.core.text.secrets import redacted
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.backend import Backend
from tui_loop.tui.cells import flat
from tui_loop.tui.keys import in_keys
from tui_loop.tui.screens.dialogs import Answer, AskScreen, ConsentScreen
from tui_loop.tui.services import AppServices, services_of
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.widgets.styled_lines import Span
from tui_loop.tui.workbench.layout import PANES

T = TypeVar("T")
P = TypeVar("P", bound="Process")
AnyWidget = TypeVar("AnyWidget", bound=Widget)

MESSAGE_LENGTH, HINT_LENGTH = 600, 300
ERROR_SECONDS = 15.0
MAX_MARKS = 4


class SelectionState(msgspec.Struct, frozen=True):
    """What is selected, marked, followed and drafted. The workbench alone replaces it.

    `selected`: the number of an iteration, DRAFT, or None before the first snapshot. `marked`: the
    iterations to overlay, the newest mark last. `followed_run`: the run started here that the
    selection follows, its base first; `follows_unattended`: it follows the runs of auto or the
    queue; `seen_live`: the live run that it went to. `draft_edits`
    counts the edits, so that a poll that began before one does not undo it. `is_draft_unsaved`:
    the draft is in memory alone.
    """

    pane: str = "iterations"
    selected: int | str | None = None
    marked: tuple[int, ...] = ()
    followed_run: int | None = None
    follows_unattended: bool = False
    seen_live: int | None = None
    draft: Draft | None = None
    draft_edits: int = 0
    is_draft_unsaved: bool = False

    @property
    def number(self) -> int | None:
        """Returns the number of the selected iteration; None where the draft is selected."""
        return self.selected if isinstance(self.selected, int) else None

    @property
    def shown_number(self) -> int | None:
        """Returns the iteration that chart, failures and log show: of a draft, its parent."""
        if self.number is not None:
            return self.number
        return self.draft.parent if self.draft is not None else None

    @property
    def newest_mark(self) -> int | None:
        """Returns the iteration to compare with: the newest mark beside the selection."""
        others = [each for each in self.marked if each != self.shown_number]
        return others[-1] if others else None

    @property
    def has_draft_to_lose(self) -> bool:
        """Returns whether the draft has a change or a reason."""
        return self.draft is not None and bool(self.draft.changed or self.draft.why)


def remembered(state: SelectionState) -> dict[str, Any]:
    """Returns what is remembered of the selection, as JSON types."""
    return {"pane": state.pane, "selected": state.selected, "marked": list(state.marked)}


def with_remembered(state: SelectionState, known: Any) -> SelectionState:
    """Returns the selection as it was remembered; ignores what is broken or of another version."""
    if not isinstance(known, dict):
        return state
    pane, selected, marked = (known.get(name) for name in ("pane", "selected", "marked"))
    numbers = marked if isinstance(marked, list) else []
    return msgspec.structs.replace(
        state,
        pane=pane if pane in PANES else state.pane,
        selected=selected if _is_number(selected) or selected == DRAFT else None,
        marked=tuple(each for each in numbers if _is_number(each))[:MAX_MARKS],
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Bench(Protocol):
    """The workbench as its controllers know it: the writer of the selection."""

    @property
    def state(self) -> SelectionState:
        """Returns the selection."""

    @property
    def snapshot(self) -> LoopSnapshot | None:
        """Returns the newest snapshot, None before the first."""

    def select(self, key: int | str, *, follow: bool = False) -> None:
        """Selects an iteration or the draft; `follow`: the selection follows the run."""

    def follow_unattended(self) -> None:
        """Lets the selection follow the runs of auto or the queue, until another is selected."""

    def toggle_mark(self, number: int) -> None:
        """Marks an iteration, or removes its mark."""

    def replace_draft(self, draft: Draft | None, *, is_unsaved: bool = False) -> None:
        """Puts another draft in place of the one that is edited."""

    def go_to(self, pane: str) -> None:
        """Gives the focus to a pane."""

    def poll_now(self) -> None:
        """Reads the record again at once."""


class FaultScreen(Protocol):
    """A screen that can say why it has nothing to show."""

    @property
    def is_attached(self) -> bool:
        """Returns whether the screen is open."""

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why there is nothing, or nothing newer."""


class Process(Protocol):
    """A process that the backend started."""

    def close(self) -> None:
        """Ends the process at once; further calls do nothing."""


class Context:
    """What a controller uses. Workers end with the workbench, and their errors are shown."""

    def __init__(self, screen: Screen[None], bench: Bench, loop: LoopFolder, backend: Backend):
        self._screen, self.bench = screen, bench
        self.loop, self.backend = loop, backend
        self.poller = LoopPoller(loop)
        self.show_refusal: Callable[[ChecksFailed], None] = self._show_error
        """Shows the checks for which a run was refused."""

    @property
    def services(self) -> AppServices:
        return services_of(self._screen)

    @property
    def state(self) -> SelectionState:
        return self.bench.state

    @property
    def snapshot(self) -> LoopSnapshot | None:
        return self.bench.snapshot

    @property
    def iteration(self) -> Iteration | None:
        """Returns the selected iteration; None where the draft is selected."""
        return self.snapshot.iteration(self.state.number) if self.snapshot is not None else None

    def draft_to(self, use: str) -> Draft | None:
        """Returns the draft; without one, says why it cannot be run, checked or queued."""
        snapshot, draft = self.snapshot, self.state.draft
        if draft is None and snapshot is not None:
            why = snapshot.draft_problem or snapshot.problem
            self.notify(why or f"There is no draft to {use}.")
        return draft if snapshot is not None else None

    @property
    def next_number(self) -> int:
        """Returns the number that the draft will have as an iteration."""
        known = self.snapshot.iterations if self.snapshot is not None else ()
        return max((each.number for each in known), default=0) + 1

    @property
    def hosted_or_live(self) -> str:
        """Returns what runs in the loop, "" where nothing does."""
        live = self.snapshot.live if self.snapshot is not None else None
        return str(live.number) if live is not None else self.backend.hosted()

    @property
    def top_screen(self) -> Screen[Any]:
        """Returns the screen that has the keys."""
        return self._screen.app.screen

    def is_leaving(self) -> bool:
        """Returns whether the workbench is being removed: its widgets go before its workers."""
        return not self._screen.display

    def is_open(self, screen: Screen[Any] | None) -> bool:
        """Returns whether a screen is on the stack, on top or below others."""
        return screen is not None and screen in self._screen.app.screen_stack

    def pane(self, kind: type[AnyWidget]) -> AnyWidget:
        """Returns the workbench's widget of a class."""
        return self._screen.query_one(kind)

    def push_screen(self, screen: Screen[Any]) -> None:
        self._screen.app.push_screen(screen)

    def run(
        self, work: Coroutine[Any, Any, None], group: str, *, is_exclusive: bool = True
    ) -> None:
        """Runs a coroutine as a worker of the workbench; an error of the program's tree is shown.

        `is_exclusive`: another worker of the group is cancelled.
        """
        self._screen.run_worker(self._reported(work), group=group, exclusive=is_exclusive)

    async def ask(
        self, title: str, lines: Sequence[Sequence[Span]], answers: Sequence[Answer]
    ) -> str:
        """Asks a question and returns the value of the answer, "" for esc; only in `run`."""
        return await self.wait_for(AskScreen(title, lines, answers)) or ""

    async def wait_for(self, dialog: Screen[T]) -> T | None:
        """Shows a dialog and returns its result; only in `run`."""
        return await self._screen.app.push_screen_wait(dialog)

    async def in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs `work` in a thread and returns its result. Everything that writes goes through it.

        Asks first where the work would run foreign code. Raises TuiLoopError, also for a file
        that cannot be read or written, and for a fault of the work itself, which is reported.
        """
        try:
            while True:
                try:
                    return await asyncio.to_thread(work, *arguments)
                except NeedsConsent as error:
                    if not await self.wait_for(ConsentScreen(error.code)):
                        raise BadInput(
                            error.message, "repeat the command and answer y to allow it"
                        ) from error
                    await asyncio.to_thread(allow_code, error.code)
        except TuiLoopError:
            raise
        except Exception as error:  # the app's edge
            raise self.fault_of(error) from error

    async def start_process(self, work: Callable[..., P], *arguments: Any) -> P:
        """Runs `work`, which starts a process, as `in_thread` does.

        A worker that is cancelled meanwhile leaves no process behind.
        """
        started: list[P] = []
        is_cancelled = False

        def start() -> P:
            process = work(*arguments)
            started.append(process)
            if is_cancelled:
                process.close()
            return process

        try:
            return await self.in_thread(start)
        except asyncio.CancelledError:
            is_cancelled = True
            for process in started:
                process.close()
            raise

    async def read_for(
        self, screen: FaultScreen, work: Callable[..., T], *arguments: Any
    ) -> T | None:
        """Runs `work` in a thread for an open screen, which shows an error; None where it closed.

        None, too, after an error.
        """
        try:
            found = await self.in_thread(work, *arguments)
        except TuiLoopError as fault:
            if screen.is_attached:
                screen.show_fault(fault)
            return None
        return found if screen.is_attached else None

    def notify(self, text: str) -> None:
        """Shows a message for a moment."""
        self._screen.notify(flat(text, MESSAGE_LENGTH), markup=False)

    def notify_error(self, error: TuiLoopError) -> None:
        """Shows an error with its hint; failed checks get a screen that lists them."""
        if isinstance(error, ChecksFailed):
            self.show_refusal(error)
        else:
            self._show_error(error)

    def copy(self, text: str, what: str) -> None:
        """Copies a text to the clipboard and names it."""
        self._screen.app.copy_to_clipboard(text)
        self.notify(f"copied: {what}")

    def fault_of(self, error: Exception) -> TuiLoopError:
        """Returns an error as a screen shows it; a fault of the program is also reported."""
        if isinstance(error, TuiLoopError):
            return error
        if isinstance(error, OSError):
            return file_error(error)
        self.services.report(error)
        path = self.services.crash_report
        report = f"the crash report is {path}" if path else "no crash report could be written"
        return TuiLoopError(
            f"{type(error).__name__}: {error}", f"this is a bug in tui-loop; {report}"
        )

    async def _reported(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except TuiLoopError as error:
            if not self.is_leaving():
                self.notify_error(error)

    def _show_error(self, error: TuiLoopError) -> None:
        keys = self.services.keys
        message, hint = (redacted(in_keys(text, keys)) for text in (error.message, error.hint))
        text = f"{flat(message, MESSAGE_LENGTH)}\n{flat(hint, HINT_LENGTH)}".strip()
        self._screen.notify(text, severity="error", timeout=ERROR_SECONDS, markup=False)
