"""What `stop`, `pause`, `continue`, `evaluate` and `checkpoint` have in common."""

from __future__ import annotations

import argparse
import time

from tui_loop.cli.arguments import loop_of_args
from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.requests import (
    POLL_SECONDS,
    Request,
    RequestName,
    is_acknowledged,
    send_request,
)
from tui_loop.core.record.state import RunState
from tui_loop.core.record.structs import LIVE
from tui_loop.core.text import figures

ANSWER_SECONDS = 5.0


def add_target(parser: argparse.ArgumentParser, wait: str) -> None:
    """LOOP[/N] and --wait, with what is waited for."""
    parser.add_argument("target", metavar="LOOP[/N]")
    parser.add_argument("--wait", action="store_true", help=wait)


def live_runs(args: argparse.Namespace) -> list[IterationFolder]:
    """The live runs of the named loop or iteration; raises BadInput where there is none."""
    loop, wanted = loop_of_args(args)
    numbers = loop.numbers() if wanted is None else [loop.existing(wanted).number]
    folders = [loop.iteration(number) for number in numbers]
    live = [folder for folder in folders if iteration_of(folder).state in LIVE]
    if not live:
        raise BadInput(f"{args.target}: nothing is running", f"tui-loop status {loop.name}")
    return live


def ask_all(
    args: argparse.Namespace,
    out: Output,
    name: RequestName,
    *,
    heard: str,
    unheard: str,
    save: bool = True,
    evaluate: bool = True,
) -> int:
    """Asks every live run; says whether it answered. With --wait, returns when it is done."""
    for folder in live_runs(args):
        before = read_run(folder)
        request = send_request(folder, name, save=save, evaluate=evaluate)
        if is_acknowledged(folder, request, ANSWER_SECONDS):
            out.line(f"{folder} {heard}")
        elif iteration_of(folder).state in LIVE:
            rests = read_run(folder).is_paused
            out.line(f"{folder} has been asked; {'it is paused' if rests else unheard}")
        if args.wait:
            _wait(folder, request, before, out)
    return 0


def _wait(folder: IterationFolder, request: Request, before: RunState, out: Output) -> None:
    while iteration_of(folder).state in LIVE:
        done = _done(request, before, read_run(folder))
        if done:
            out.line(f"{folder} {done}")
            return
        time.sleep(POLL_SECONDS)
    out.line(f"{folder} {iteration_of(folder).state}")


def _done(request: Request, before: RunState, now: RunState) -> str:
    """What came of a request that does not end the run, "" while nothing has."""
    if request.name == "evaluate" and len(now.evaluations) > len(before.evaluations):
        last = now.evaluations[-1]
        return f"step {last.step}  eval loss {figures.loss(last.values.get('eval_loss'))}"
    if request.name == "checkpoint" and len(now.checkpoints) > len(before.checkpoints):
        return f"has a checkpoint of step {now.checkpoints[-1].step}"
    is_obeyed = any(seen.id == request.id for seen in now.requests)
    return "has done so" if request.name in ("pause", "continue") and is_obeyed else ""
