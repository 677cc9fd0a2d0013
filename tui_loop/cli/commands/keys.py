"""`tui-loop keys`: lists the app's actions with their keys, and how to remap them."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import add_json
from tui_loop.cli.output import Output

HELP = "list the app's keys and how to remap them"


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
    out.table(["where", "keys", "action", "id"], rows)
    out.line(f"\nto remap a key, write its id into {path}:")
    out.line('  [keys]\n  "run.start" = "ctrl+r"')
    return 0
