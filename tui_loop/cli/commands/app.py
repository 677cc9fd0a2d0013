"""`tui-loop open` and `keys`: opens the app, and lists its keys."""

from __future__ import annotations

import argparse
import difflib

from tui_loop.cli.arguments import Command, add_allow_code, add_json
from tui_loop.cli.output import Output
from tui_loop.core.commands import COMMANDS
from tui_loop.core.errors import NotFound


def _add_open(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP[/N]", nargs="?")
    add_allow_code(parser)


def _run_open(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.cli.launch_app import open_app

    try:
        return open_app(args.loops, args.target, out, allow_code=args.allow_code)
    except NotFound as error:
        similar = difflib.get_close_matches(str(args.target), sorted(COMMANDS), n=1)
        hint = (
            f"did you mean tui-loop {similar[0]}?"
            if similar
            else "tui-loop list shows the loops; tui-loop --help shows the commands"
        )
        raise NotFound(error.message, hint) from error


def _add_keys(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def _run_keys(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.core.record.files import user_settings_file
    from tui_loop.tui.actions import ACTIONS, SCOPES
    from tui_loop.tui.keys import keys_of
    from tui_loop.tui.settings import read_settings

    path = user_settings_file()
    settings = read_settings(path)
    keys = settings.keys
    for warning in settings.warnings:
        out.note(warning)
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
    out.line(f"\nto remap an action, add its id and the new key to {path}:")
    out.line('  [keys]\n  "run.start" = "ctrl+r"')
    return 0


SUBCOMMANDS = {
    "open": Command(
        "open the app on a loop (default: the one changed last); the word `open` may be omitted",
        _add_open,
        _run_open,
    ),
    "keys": Command(
        "list the app's keys and how to remap them",
        _add_keys,
        _run_keys,
    ),
}
