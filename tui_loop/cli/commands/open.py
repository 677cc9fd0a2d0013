"""`tui-loop [LOOP[/N]]`: opens the app."""

from __future__ import annotations

import argparse

from tui_loop.cli.output import Output

HELP = "open the app on a loop; without one on the most recent (the word may be left out)"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP[/N]", nargs="?")
    parser.add_argument(
        "--allow-code", action="store_true", help="let a metric module:function of the config run"
    )


def run(told: argparse.Namespace, out: Output) -> int:
    from tui_loop.cli.opening import open_app

    return open_app(told.loops, told.target, out, allow_code=told.allow_code)
