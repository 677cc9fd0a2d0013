"""`tui-loop close LOOP --why TEXT`: closes a loop with its last decision, or reopens it."""

from __future__ import annotations

import argparse
import sys

from tui_loop.cli.output import Output
from tui_loop.core.compare.best import best_of
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader, iterations_of
from tui_loop.core.record.requests import live_run_in
from tui_loop.core.workflow.closing import close_loop, closed_words, reopen_loop
from tui_loop.core.workflow.readiness import missing_for_ready
from tui_loop.core.workflow.run_end import restore_ends

HELP = "close a loop with a final decision, or reopen a closed loop"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason for closing the loop")
    parser.add_argument(
        "--iteration",
        type=int,
        metavar="N",
        help="the iteration to choose as the result (default: the best)",
    )
    parser.add_argument(
        "--yes", action="store_true", help="close without asking, even if the loop is not ready"
    )
    parser.add_argument("--reopen", action="store_true", help="reopen a closed loop")


def _confirmed(loop: LoopFolder, number: int | None, out: Output) -> bool:
    """Lists what the loop lacks to be ready and asks; returns True where it lacks nothing.

    Raises BadInput where there is no terminal to ask on.
    """
    if loop.read_settings().closed is not None:
        return True  # which is an error of its own
    missing = missing_for_ready(loop, number)
    if not missing:
        return True
    out.note(f"{loop.name if number is None else f'{loop.name}/{number}'} is not ready:")
    for each in missing:
        out.note(f"  {each}")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput(
            f"{loop.name} is not ready, and there is no terminal to confirm on",
            f"tui-loop close {loop.name} --why '...' --yes",
        )
    print("close the loop anyway? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def run(args: argparse.Namespace, out: Output) -> int:
    loop = LoopsFolder(args.loops).loop(args.loop)
    if args.reopen:
        if args.why or args.iteration is not None:
            raise BadInput(
                "--reopen takes neither --why nor --iteration",
                f"tui-loop close {loop.name} --reopen",
            )
        previous = reopen_loop(loop)
        out.line(f"{loop.name} is open again; previously {closed_words(previous)}")
        return 0
    if live := live_run_in(loop):
        raise BadInput(f"{live} is running", f"tui-loop stop {loop.name}, then close the loop")
    restore_ends(loop)
    number = (
        best_of(Comparer(LoopReader(loop)), iterations_of(loop))
        if args.iteration is None
        else loop.existing(args.iteration).number
    )
    if args.why and not args.yes and not _confirmed(loop, number, out):
        out.note(f"{loop.name} stays open")
        return 0
    closed = close_loop(loop, args.why, number)
    out.line(f"{loop.name} {closed_words(closed)}")
    return 0
