"""Asking something of a run, and seeing whether it was heard."""

from __future__ import annotations

import time

from tui_loop.core.reader import iteration_of, read_run
from tui_loop.core.records import LIVE
from tui_loop.core.requests import Request, RequestName, ask
from tui_loop.core.store import IterationFolder, LoopFolder

LOOK_SECONDS = 0.1


def ask_run(
    folder: IterationFolder, name: RequestName, *, save: bool = True, evaluate: bool = True
) -> Request:
    """Appends a request for the attempt that runs, or for the one that is about to begin."""
    run = read_run(folder)
    waits = run.started is None or run.ended is not None
    attempt = run.attempt + 1 if waits else run.attempt
    return ask(folder.requests, attempt, name, save=save, evaluate=evaluate)


def is_heard(folder: IterationFolder, request: Request, seconds: float) -> bool:
    """Whether the run acknowledges a request within some seconds, or ends."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(seen.id == request.id for seen in read_run(folder).requests):
            return True
        if iteration_of(folder).state not in LIVE:
            return False
        time.sleep(LOOK_SECONDS)
    return False


def live_in(loop: LoopFolder) -> str:
    """`loop/N` of a run of the loop that is under way, "" where there is none."""
    folders = (loop.iteration(number) for number in loop.numbers())
    return next((str(each) for each in folders if iteration_of(each).state in LIVE), "")
