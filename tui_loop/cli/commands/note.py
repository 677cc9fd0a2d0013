"""`tui-loop note LOOP/N [TEXT]`: the user's own words on an iteration."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import add_json, told_iteration
from tui_loop.cli.output import Output

HELP = "add a note to an iteration, or print its notes"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("text", metavar="TEXT", nargs="?", help="a paragraph to add")
    add_json(parser)


def run(told: argparse.Namespace, out: Output) -> int:
    folder = told_iteration(told)
    if told.text:
        folder.add_note(told.text)
    notes = folder.read_notes()
    if told.json:
        out.record({"iteration": folder.number, "notes": notes})
    else:
        out.line(notes or f"{folder} has no notes yet")
    return 0
