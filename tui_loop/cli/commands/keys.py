"""`tui-loop keys`: every action of the app with its keys, and how to give it others."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import add_json
from tui_loop.cli.output import Output

HELP = "list the app's keys, and how to change them"


def add(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.tui.actions import ACTIONS, SCOPES, keys_of
    from tui_loop.tui.settings import read_settings, settings_file

    path = settings_file()
    keys = read_settings(path).keys
    rows = [
        (SCOPES[scope], " ".join(keys_of(action, keys)), action.description, action.id)
        for scope in SCOPES
        for action in ACTIONS
        if action.scope == scope
    ]
    if args.json:
        names = ("where", "keys", "does", "id")
        out.record(
            {"file": str(path), "keys": [dict(zip(names, row, strict=True)) for row in rows]}
        )
        return 0
    out.table(["where", "keys", "does", "id"], rows)
    out.line(f"\nother keys go into {path}, by id:")
    out.line('  [keys]\n  "run.start" = "ctrl+r"')
    return 0
