"""`tui-loop close LOOP --why TEXT`: closes a loop with its last decision, or reopens it."""

from __future__ import annotations

import argparse

from tui_loop.cli.output import Output
from tui_loop.core.compare.best import best_of
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.errors import BadInput
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader, iterations_of
from tui_loop.core.record.requests import live_run_in
from tui_loop.core.workflow.closing import close_loop, closed_words, reopen_loop
from tui_loop.core.workflow.run_end import restore_ends

HELP = "close a loop with its last decision, or reopen it"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP")
    parser.add_argument("--why", default="", metavar="TEXT", help="why the loop ends here")
    parser.add_argument(
        "--iteration", type=int, metavar="N", help="the final iteration (default: the best)"
    )
    parser.add_argument("--reopen", action="store_true", help="reopen a closed loop")


def run(args: argparse.Namespace, out: Output) -> int:
    loop = LoopsFolder(args.loops).loop(args.loop)
    if args.reopen:
        if args.why or args.iteration is not None:
            raise BadInput(
                "--reopen takes neither --why nor --iteration",
                f"tui-loop close {loop.name} --reopen",
            )
        previous = reopen_loop(loop)
        out.line(f"{loop.name} is open again; it was {closed_words(previous)}")
        return 0
    if live := live_run_in(loop):
        raise BadInput(f"{live} is running", f"tui-loop stop {loop.name}, then close it")
    restore_ends(loop)
    number = (
        best_of(Comparer(LoopReader(loop)), iterations_of(loop))
        if args.iteration is None
        else loop.existing(args.iteration).number
    )
    closed = close_loop(loop, args.why, number)
    out.line(f"{loop.name} {closed_words(closed)}")
    return 0
