"""`tui-loop evaluate LOOP`: has a live run evaluated now, from any terminal."""

from __future__ import annotations

import argparse

from tui_loop.cli.asking import add_target, ask_all
from tui_loop.cli.output import Output

HELP = "evaluate a live run's weights now"


def add(parser: argparse.ArgumentParser) -> None:
    add_target(parser, "return with the eval loss")


def run(args: argparse.Namespace, out: Output) -> int:
    return ask_all(
        args,
        out,
        "evaluate",
        heard="is being evaluated",
        unheard="it is evaluated after the step under way, or not if training is over",
    )
