"""Follows a run on the command line: progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tui_loop.cli.output import Output
from tui_loop.core.errors import RunFailed
from tui_loop.core.record.events import (
    AnyEvent,
    Evaluated,
    LineLogged,
    PhaseStarted,
    Recovered,
    RunStarted,
)
from tui_loop.core.record.folder_place import FolderPlace
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.requests import append_request
from tui_loop.core.record.state import RunState, fold
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures
from tui_loop.core.text.untrusted import one_line

POLL_SECONDS = 0.15
PLAIN_SECONDS = 5.0
"""Seconds between two progress lines where there is no terminal."""

SUMMARY_SECONDS = 30.0
"""The host writes `summary.json` after the journal's end; wait for it at most this long."""


class RunFollower:
    """Follows the runs of one host process until each has ended.

    Within `with`, the first interrupt requests a stop with saved weights (from each later run of
    the process, too), the second an immediate stop, and the third kills the process. A termination
    signal is passed on to the host, which saves and ends as stopped. `stop_requested` says that
    any of these came.
    """

    def __init__(self, process: subprocess.Popen[bytes], out: Output) -> None:
        self._process, self._out = process, out
        self.stop_requested = False
        self._interrupts = 0
        self._followed: tuple[IterationFolder, int] | None = None
        self._previous_handlers: dict[signal.Signals, Any] = {}
        self.killed = False

    def __enter__(self) -> RunFollower:
        handlers = {signal.SIGINT: self._on_interrupt, signal.SIGTERM: self._on_terminate}
        self._previous_handlers = {
            number: signal.signal(number, handler) for number, handler in handlers.items()
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def follow_gate(self, folders: Sequence[IterationFolder], attempts: dict[int, int]) -> None:
        """Shows the checks before the runs, until the first run starts or the process exits."""
        checked = next((each for each in folders if each.number > 0), folders[0])
        first = folders[0]
        self._followed = checked, attempts[checked.number]
        started, shown = Follower(first.journal), Follower(checked.journal)
        start, state = RunState(), RunState()
        view = _bars if sys.stderr.isatty() and not self._out.as_json else _lines
        with view(self._out, checked) as show:
            while start.attempt < attempts[first.number] and self._process.poll() is None:
                start = fold(RunState() if started.restarted else start, started.read())
                if start.attempt < attempts[first.number]:
                    events = shown.read()
                    state = fold(state, events)
                    self._show(show, state, events if state.started is None else [])
                    time.sleep(POLL_SECONDS)

    def follow(self, folder: IterationFolder, attempt: int) -> Iteration:
        """Shows `folder`'s run from attempt `attempt` on; returns the iteration after its end."""
        self._followed, place = (folder, attempt), FolderPlace(folder.loop.path)
        if self._interrupts:
            self._request_stop()
        state, follower, has_begun = RunState(), Follower(folder.journal), False
        view = _bars if sys.stderr.isatty() and not self._out.as_json else _lines
        with view(self._out, folder) as show:
            while True:
                # Polled before the read: what a process wrote before it exited is then still read.
                has_exited = self._process.poll() is not None
                events = follower.read()
                # Restarted: the journal was replaced or cut, and `events` begin at its start.
                state = fold(RunState() if follower.restarted else state, events)
                has_begun &= not follower.restarted
                shown = events if has_begun else _from_start(events, attempt)
                has_begun |= bool(shown)
                self._show(show, state, shown)
                ended = state.ended is not None and state.attempt >= attempt
                if ended or (has_exited and not events):
                    break
                time.sleep(POLL_SECONDS)
        if (moved := place.moved_to) is not None:
            raise RunFailed(
                f"{folder} ended because {folder.loop.path} was moved to {moved} during the run",
                "move the folder back, or resume the run in the new place",
            )
        return self._iteration_with_summary(folder, ended)

    def _show(self, show: Any, state: RunState, events: list[AnyEvent]) -> None:
        """Shows events; a closed output pipe does not end the run."""
        try:
            show(state, events)
        except BrokenPipeError:  # every later line would raise it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def _iteration_with_summary(self, folder: IterationFolder, ended: bool) -> Iteration:
        """Returns the iteration once its summary, written just after the end, exists."""
        deadline = time.monotonic() + SUMMARY_SECONDS
        while ended and not folder.summary.exists() and time.monotonic() < deadline:
            if self._process.poll() is not None:
                break  # nobody is left to write it
            time.sleep(0.02)
        return iteration_of(folder)

    def _on_interrupt(self, *_: Any) -> None:
        self._interrupts += 1
        self.stop_requested = True
        if self._interrupts > 2:
            self.killed = True
            self._process.kill()
            return
        is_immediate = self._interrupts == 2
        self._request_stop()
        self._out.note(
            "stopping immediately (interrupt again to kill the process)"
            if is_immediate
            else "stopping after saving the weights (interrupt again to stop immediately)"
        )

    def _on_terminate(self, *_: Any) -> None:
        self.stop_requested = True
        self._process.terminate()
        self._out.note("stopping after saving the weights")

    def _request_stop(self) -> None:
        if self._followed is not None:
            folder, attempt = self._followed
            append_request(
                folder.requests, attempt, "stop", save=self._interrupts < 2, evaluate=False
            )


def _from_start(events: list[AnyEvent], attempt: int) -> list[AnyEvent]:
    """Returns the events from the start of an attempt on.

    Those before are of earlier attempts and of the gate, and have been shown.
    """
    for place, event in enumerate(events):
        if isinstance(event, RunStarted) and event.attempt >= attempt:
            return events[place:]
    return []


@contextmanager
def _lines(out: Output, folder: IterationFolder) -> Iterator[Any]:
    shown_at, shown_step = 0.0, 0

    def show(state: RunState, events: list[AnyEvent]) -> None:
        nonlocal shown_at, shown_step
        for event in events:
            text = _event_text(event, folder)
            if text:
                out.line(text)
        now = time.monotonic()
        advanced = state.phase == "training" and state.done > 0 and state.done != shown_step
        if advanced and state.metrics and now - shown_at > PLAIN_SECONDS:
            shown_at, shown_step = now, state.done
            out.line(f"  {_progress_text(state)}")

    yield show


@contextmanager
def _bars(out: Output, folder: IterationFolder) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.text import Text

    console = Console(stderr=True, highlight=False, markup=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(f"{folder} {'starting':<10}", total=None, figures="")

        def show(state: RunState, events: list[AnyEvent]) -> None:
            for event in events:
                text = _event_text(event, folder)
                if text and not isinstance(event, PhaseStarted):
                    progress.console.print(Text(text), soft_wrap=True)
            if state.phase:
                progress.update(
                    bar,
                    description=f"{folder} {state.phase:<10}",
                    completed=state.done,
                    total=state.total,
                    figures=_progress_text(state),
                )

        yield show


def _event_text(event: AnyEvent, folder: IterationFolder) -> str:
    """Returns an event as a line, "" for events that only update a number."""
    match event:
        case RunStarted():
            return f"{folder} started" + (f", attempt {event.attempt}" if event.attempt > 1 else "")
        case PhaseStarted():
            return f"{folder} {event.name}"
        case LineLogged():
            prefix = "" if event.level == "info" else f"{event.level}: "
            return f"  {prefix}{one_line(event.text, 300)}"
        case Evaluated():
            parts = [
                f"step {event.step}",
                f"eval loss {figures.loss(event.values.get('eval_loss'))}",
            ]
            if event.values.get("score") is not None:
                parts.append(f"score {figures.percent(event.values['score'])}")
            return f"  {folder} " + "  ".join(parts)
        case Recovered():
            return f"  recovered from {event.kind}: {one_line(event.message, 300)}"
    return ""


def _progress_text(state: RunState) -> str:
    """Returns the progress, such as `step 41/76  loss 1.214  eta 1m 12s`."""
    if state.total is None:
        return ""
    seconds_left = state.seconds_left(time.time())
    unit = "step " if state.phase == "training" else ""
    parts = [f"{unit}{state.done}/{state.total}"]
    if state.phase == "training" and state.latest("loss") is not None:
        parts.append(f"loss {figures.loss(state.latest('loss'))}")
    if seconds_left is not None:
        parts.append(f"eta {figures.duration(seconds_left)}")
    return "  ".join(parts)
