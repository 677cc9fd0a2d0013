"""`tui-loop stop LOOP`: asks a live run to stop, from any terminal."""

from __future__ import annotations

import argparse
import time

from tui_loop.cli.arguments import told_loop
from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.reader import iteration_of, read_run
from tui_loop.core.requests import ask
from tui_loop.core.store import IterationFolder

HELP = "ask a live run to stop"
ANSWER_SECONDS = 5.0


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP[/N]")
    parser.add_argument("--no-save", action="store_true", help="throw the weights away")
    parser.add_argument(
        "--evaluate", action="store_true", help="evaluate the weights before ending"
    )
    parser.add_argument("--wait", action="store_true", help="return when the run has ended")


def run(told: argparse.Namespace, out: Output) -> int:
    loop, wanted = told_loop(told)
    numbers = loop.numbers() if wanted is None else [loop.existing(wanted).number]
    live = [
        number
        for number in numbers
        if iteration_of(loop.iteration(number)).state in ("running", "stopping", "paused")
    ]
    if not live:
        raise BadInput(f"{told.target}: nothing is running", f"tui-loop status {loop.name}")
    for number in live:
        folder = loop.iteration(number)
        request = ask(
            folder.requests,
            read_run(folder).attempt,
            "stop",
            save=not told.no_save,
            evaluate=told.evaluate,
        )
        _await_answer(folder, request.id, out)
        if told.wait:
            while iteration_of(folder).state in ("running", "stopping", "paused"):
                time.sleep(0.2)
            out.line(f"{folder} {iteration_of(folder).state}")
    return 0


def _await_answer(folder: IterationFolder, request: str, out: Output) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        if any(seen.id == request for seen in read_run(folder).requests):
            out.line(f"{folder} is stopping")
            return
        time.sleep(0.1)
    out.line(f"{folder} has been asked to stop and has not answered yet")
