"""`tui-loop checkpoint LOOP`: has a live run write a checkpoint now, from any terminal."""

from __future__ import annotations

import argparse

from tui_loop.cli.asking import add_target, ask_all
from tui_loop.cli.output import Output

HELP = "have a live run write a checkpoint now"


def add(parser: argparse.ArgumentParser) -> None:
    add_target(parser, "return when it is written")


def run(args: argparse.Namespace, out: Output) -> int:
    return ask_all(
        args,
        out,
        "checkpoint",
        heard="is writing a checkpoint",
        unheard="it writes one after the step under way, or none if training is over",
    )
