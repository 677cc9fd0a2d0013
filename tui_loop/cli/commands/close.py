"""`tui-loop close LOOP --why TEXT`: ends a loop with its last decision, or opens it again."""

from __future__ import annotations

import argparse

from tui_loop.cli.output import Output
from tui_loop.core.compare.best import best_of
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader, iterations_of
from tui_loop.core.record.requests import live_run_in
from tui_loop.core.workflow.closing import close_loop, closed_words, reopen_loop
from tui_loop.core.workflow.run_end import restore_ends

HELP = "end a loop with its last decision, or open it again"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP")
    parser.add_argument("--why", default="", metavar="TEXT", help="why it ends here")
    parser.add_argument(
        "--iteration", type=int, metavar="N", help="the one it ends with (default: the best)"
    )
    parser.add_argument("--reopen", action="store_true", help="take the end back")


def run(args: argparse.Namespace, out: Output) -> int:
    loop = LoopsFolder(args.loops).loop(args.loop)
    if args.reopen:
        if args.why or args.iteration is not None:
            raise BadInput(
                "--reopen takes neither --why nor --iteration",
                f"tui-loop close {loop.name} --reopen",
            )
        known = reopen_loop(loop)
        out.line(f"{loop.name} is open again; it was {closed_words(known)}")
        return 0
    if live := live_run_in(loop):
        raise BadInput(f"{live} is running", f"tui-loop stop {loop.name}, then close it")
    restore_ends(loop)
    closed = close_loop(loop, args.why, _number(loop, args.iteration))
    out.line(f"{loop.name} {closed_words(closed)}")
    return 0


def _number(loop: LoopFolder, wanted: int | None) -> int | None:
    if wanted is not None:
        return loop.existing(wanted).number
    return best_of(Comparer(LoopReader(loop)), iterations_of(loop))
