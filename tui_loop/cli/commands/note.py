"""`tui-loop note LOOP/N [TEXT]`: adds a note to an iteration, or prints its notes."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import add_json, iteration_of_args
from tui_loop.cli.output import Output

HELP = "add a note to an iteration, or print its notes"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("text", metavar="TEXT", nargs="?", help="a paragraph to add")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    if args.text:
        folder.add_note(args.text)
    notes = folder.read_notes()
    if args.json:
        out.record({"iteration": folder.number, "notes": notes})
    else:
        out.line(notes or f"{folder} has no notes yet")
    return 0
