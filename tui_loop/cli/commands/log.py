"""`tui-loop log LOOP/N`: prints a run's log; follows a live run."""

from __future__ import annotations

import argparse
import time

import msgspec

from tui_loop.cli.arguments import add_json, count, iteration_of_args
from tui_loop.cli.output import Output
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.events import AnyEvent
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.lock import LockWatcher
from tui_loop.core.record.log_lines import clock, has_line, log_line
from tui_loop.core.text.figures import counted

HELP = "print a run's log"
SHOWN_LEVELS = ("warning", "error")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument(
        "-n", "--lines", type=count, metavar="K", help="print only the last K lines"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="follow a live run to its end")
    add_json(parser, "print the events as JSON, one per line")


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    follower, watch = Follower(folder.journal), LockWatcher(folder.lock)
    lines = _lines(follower.read_all(), args.json)
    if args.lines is not None:
        lines = lines[max(0, len(lines) - args.lines) :]
    _print(lines, args.json, out)
    is_alive = args.follow
    while is_alive:
        time.sleep(0.3)
        # Checked before the read, so that the last lines of a run that just ended are printed.
        is_alive = watch.poll() != "gone"
        _print(_lines(follower.read_all(), args.json), args.json, out)
    if follower.bad_lines:
        out.note(f"{counted(follower.bad_lines, 'line')} of the journal could not be read")
    return 0


def _print(lines: list[str], as_json: bool, out: Output) -> None:
    for line in lines:
        if as_json:
            out.record_line(line)
        else:
            out.line(line)


def _lines(events: list[AnyEvent], as_json: bool) -> list[str]:
    if as_json:
        return [to_json(msgspec.to_builtins(event)).decode() for event in events]
    lines = [log_line(event) for event in events if has_line(event)]
    return [
        f"{clock(line.t)}  {line.level + ': ' if line.level in SHOWN_LEVELS else ''}{line.text}"
        for line in lines
    ]
