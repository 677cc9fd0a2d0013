"""`tui-loop [LOOP[/N]]`: opens the app."""

from __future__ import annotations

import argparse
import difflib

from tui_loop.cli.arguments import add_allow_code
from tui_loop.cli.output import Output
from tui_loop.core.commands import COMMANDS
from tui_loop.core.errors import NotFound

HELP = "open the app on a loop, by default the most recent (the word `open` may be omitted)"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP[/N]", nargs="?")
    add_allow_code(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.cli.launch_app import open_app

    try:
        return open_app(args.loops, args.target, out, allow_code=args.allow_code)
    except NotFound as error:
        similar = difflib.get_close_matches(str(args.target), sorted(COMMANDS), n=1)
        hint = (
            f"did you mean tui-loop {similar[0]}?"
            if similar
            else "tui-loop list, or tui-loop --help"
        )
        raise NotFound(error.message, hint) from error
