"""`tui-loop stop`, `pause`, `continue`, `evaluate` and `checkpoint LOOP[/N]`: control live runs.

Each sends a request to every live run that the argument names, from any terminal.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import NamedTuple, get_args

from tui_loop.cli.arguments import Command, loop_of_args
from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.requests import (
    POLL_SECONDS,
    Request,
    RequestName,
    is_acknowledged,
    live_run_in,
    send_request,
)
from tui_loop.core.record.state import RunState
from tui_loop.core.record.structs import LIVE
from tui_loop.core.slurm.jobs import cancel_waiting, jobs_of
from tui_loop.core.text import figures
from tui_loop.core.workflow.unattended import end, is_unattended

ACKNOWLEDGE_SECONDS = 5.0
"""A run that is busy with a long step acknowledges later; the command does not wait for that."""


class _Texts(NamedTuple):
    """The texts of a command. `pending`: the run has not acknowledged the request yet."""

    help: str
    wait_help: str
    acknowledged: str
    pending: str


_TEXTS: dict[RequestName, _Texts] = {
    "stop": _Texts(
        "stop a live run",
        "wait until the run has ended",
        "is stopping",
        "has not acknowledged the request yet",
    ),
    "pause": _Texts(
        "pause a live run; its memory stays allocated",
        "wait until the run is paused",
        "is paused",
        "will pause after the current step or batch",
    ),
    "continue": _Texts(
        "continue a paused run",
        "wait until the run continues",
        "continues",
        "has not acknowledged the request yet",
    ),
    "evaluate": _Texts(
        "evaluate the current weights of a live run",
        "wait for the evaluation and print the eval loss",
        "is being evaluated",
        "will be evaluated after the current step, unless training has ended",
    ),
    "checkpoint": _Texts(
        "save a checkpoint of a live run now",
        "wait until the checkpoint is saved",
        "is saving a checkpoint",
        "will save a checkpoint after the current step, unless training has ended",
    ),
}


def add(name: RequestName, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP[/N]")
    parser.add_argument("--wait", action="store_true", help=_TEXTS[name].wait_help)
    if name == "stop":
        parser.add_argument(
            "--no-save", action="store_true", help="stop without saving the weights"
        )
        parser.add_argument(
            "--evaluate", action="store_true", help="evaluate the weights before stopping"
        )


def run(name: RequestName, args: argparse.Namespace, out: Output) -> int:
    if name == "stop":
        loop, number = loop_of_args(args)
        if number is None and is_unattended(loop) and not live_run_in(loop):
            out.line(f"{loop.name}: no run is live; the background process {end(loop)} will end")
            return 0
        cancelled = _cancel_waiting(args, out)
        if cancelled and not _live_in(args):
            return 0
        return _request(args, out, name, save=not args.no_save, evaluate=args.evaluate)
    return _request(args, out, name)


def _cancel_waiting(args: argparse.Namespace, out: Output) -> bool:
    """Cancels the named jobs that wait in SLURM's queue; returns whether there was one."""
    loop, number = loop_of_args(args)
    jobs = [
        job
        for job in jobs_of([loop]).values()
        if job.is_waiting and number in (None, job.folder.number)
    ]
    for job in jobs:
        messages = cancel_waiting(job)
        out.line(f"{job.folder}: job {job.record.id} was cancelled")
        for text in messages:
            out.note(out.spelled_out(text))
    return bool(jobs)


def _request(
    args: argparse.Namespace,
    out: Output,
    name: RequestName,
    *,
    save: bool = True,
    evaluate: bool = True,
) -> int:
    """Sends a request to every live run and prints what happens.

    With --wait it returns when the request has taken effect.
    """
    folders = _live_runs(args)
    befores = [read_run(folder) for folder in folders]
    # All at once: when the first run stops, the queue may otherwise start another one.
    requests = [send_request(each, name, save=save, evaluate=evaluate) for each in folders]
    for folder, before, request in zip(folders, befores, requests, strict=True):
        if is_acknowledged(folder, request, ACKNOWLEDGE_SECONDS):
            out.line(f"{folder} {_TEXTS[name].acknowledged}")
        elif iteration_of(folder).state in LIVE:
            is_paused = read_run(folder).is_paused
            paused = "is paused and has not acknowledged the request yet"
            out.line(f"{folder} {paused if is_paused else _TEXTS[name].pending}")
        if args.wait:
            _wait(folder, request, before, out)
    return 0


def _live_runs(args: argparse.Namespace) -> list[IterationFolder]:
    """Returns the live runs of the named loop or iteration; raises BadInput where none is live."""
    loop, _ = loop_of_args(args)
    live = _live_in(args)
    if not live:
        raise BadInput(f"{args.target}: nothing is running", f"tui-loop status {loop.name}")
    return live


def _live_in(args: argparse.Namespace) -> list[IterationFolder]:
    loop, number = loop_of_args(args)
    numbers = loop.numbers() if number is None else [loop.existing(number).number]
    folders = [loop.iteration(each) for each in numbers]
    return [folder for folder in folders if iteration_of(folder).state in LIVE]


def _wait(folder: IterationFolder, request: Request, before: RunState, out: Output) -> None:
    while iteration_of(folder).state in LIVE:
        effect = _effect(request, before, read_run(folder))
        if effect:
            out.line(f"{folder} {effect}")
            return
        time.sleep(POLL_SECONDS)
    out.line(f"{folder} {iteration_of(folder).state}")


def _effect(request: Request, before: RunState, now: RunState) -> str:
    """Returns the effect of a request that does not end the run, "" while there is none."""
    if request.name == "evaluate" and len(now.evaluations) > len(before.evaluations):
        last = now.evaluations[-1]
        return f"step {last.step}  eval loss {figures.loss(last.values.get('eval_loss'))}"
    if request.name == "checkpoint" and len(now.checkpoints) > len(before.checkpoints):
        return f"saved a checkpoint at step {now.checkpoints[-1].step}"
    if any(each.id == request.id for each in now.requests):
        return {"pause": "has paused", "continue": "has continued"}.get(request.name, "")
    return ""


SUBCOMMANDS = {
    name: Command(_TEXTS[name].help, partial(add, name), partial(run, name))
    for name in get_args(RequestName)
}
