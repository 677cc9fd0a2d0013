"""`tui-loop continue LOOP`: lets a paused run go on, from any terminal."""

from __future__ import annotations

import argparse

from tui_loop.cli.asking import add_target, ask_all
from tui_loop.cli.output import Output

HELP = "let a paused run go on"


def add(parser: argparse.ArgumentParser) -> None:
    add_target(parser, "return when it goes on")


def run(args: argparse.Namespace, out: Output) -> int:
    return ask_all(
        args,
        out,
        "continue",
        heard="runs",
        unheard="it has not answered yet",
    )
