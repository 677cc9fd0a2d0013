"""`tui-loop pause LOOP`: lets a live run rest, from any terminal."""

from __future__ import annotations

import argparse

from tui_loop.cli.asking import add_target, ask_all
from tui_loop.cli.output import Output

HELP = "let a live run rest; it keeps its memory"


def add(parser: argparse.ArgumentParser) -> None:
    add_target(parser, "return when it rests")


def run(args: argparse.Namespace, out: Output) -> int:
    return ask_all(
        args,
        out,
        "pause",
        heard="is paused",
        unheard="it rests after the step or batch under way",
    )
