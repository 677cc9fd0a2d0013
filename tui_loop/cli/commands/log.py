"""`tui-loop log LOOP/N`: what a run said, in order; follows a live one."""

from __future__ import annotations

import argparse
import time

import msgspec

from tui_loop.cli.arguments import count, iteration_of_args
from tui_loop.cli.output import Output
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.events import AnyEvent
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.lock import LockWatcher
from tui_loop.core.record.log_lines import clock, has_line, log_line

HELP = "print a run's log"
LOUD = ("warning", "error")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("-n", "--lines", type=count, metavar="K", help="only the last K lines")
    parser.add_argument("-f", "--follow", action="store_true", help="go on while the run lives")
    parser.add_argument("--json", action="store_true", help="print the events, one a line")


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    follower, watch = Follower(folder.journal), LockWatcher(folder.lock)
    lines = _printed(follower.read_all(), args.json)
    if args.lines is not None:
        lines = lines[max(0, len(lines) - args.lines) :]
    _print(lines, args.json, out)
    alive = args.follow
    while alive:
        time.sleep(0.3)
        alive = watch.poll() != "gone"
        _print(_printed(follower.read_all(), args.json), args.json, out)
    if follower.bad_lines:
        out.note(f"{follower.bad_lines} lines of the journal could not be read")
    return 0


def _print(lines: list[str], as_json: bool, out: Output) -> None:
    for line in lines:
        if as_json:
            out.record_line(line)
        else:
            out.line(line)


def _printed(events: list[AnyEvent], as_json: bool) -> list[str]:
    if as_json:
        return [to_json(msgspec.to_builtins(event)).decode() for event in events]
    lines = [log_line(event) for event in events if has_line(event)]
    return [
        f"{clock(line.t)}  {line.level + ': ' if line.level in LOUD else ''}{line.text}"
        for line in lines
    ]
