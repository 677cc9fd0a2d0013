"""`tui-loop stop LOOP`: asks a live run to stop, from any terminal."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import loop_of_args
from tui_loop.cli.asking import add_target, ask_all
from tui_loop.cli.output import Output
from tui_loop.core.record.requests import live_run_in
from tui_loop.core.workflow.unattended import end, is_unattended

HELP = "ask a live run to stop"


def add(parser: argparse.ArgumentParser) -> None:
    add_target(parser, "return when the run has ended")
    parser.add_argument("--no-save", action="store_true", help="throw the weights away")
    parser.add_argument(
        "--evaluate", action="store_true", help="evaluate the weights before ending"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    loop, wanted = loop_of_args(args)
    if wanted is None and is_unattended(loop) and not live_run_in(loop):
        out.line(f"{loop.name}: process {end(loop)} has been asked to end, between two runs")
        return 0
    return ask_all(
        args,
        out,
        "stop",
        heard="is stopping",
        unheard="it has not answered yet",
        save=not args.no_save,
        evaluate=args.evaluate,
    )
