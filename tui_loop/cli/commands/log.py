"""`tui-loop log LOOP/N`: what a run said, in order; follows a live one."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from datetime import datetime

import msgspec

from tui_loop.cli import figures
from tui_loop.cli.arguments import count, told_iteration
from tui_loop.cli.output import Output
from tui_loop.core.codec import to_json
from tui_loop.core.events import (
    AnyEvent,
    CheckpointSaved,
    Evaluated,
    LineLogged,
    MetricsLogged,
    PhaseStarted,
    Recovered,
    RequestSeen,
    RunEnded,
    RunStarted,
)
from tui_loop.core.follower import Follower
from tui_loop.core.liveness import Watch

HELP = "print a run's log"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("-n", "--lines", type=count, metavar="K", help="only the last K lines")
    parser.add_argument("-f", "--follow", action="store_true", help="go on while the run lives")
    parser.add_argument("--json", action="store_true", help="print the events, one a line")


def run(told: argparse.Namespace, out: Output) -> int:
    folder = told_iteration(told)
    follower, watch = Follower(folder.journal), Watch(folder.lock)
    lines = _printed(follower.read_all(), told.json)
    if told.lines is not None:
        lines = lines[max(0, len(lines) - told.lines) :]
    _print(lines, told.json, out)
    alive = told.follow
    while alive:
        time.sleep(0.3)
        alive = watch.look() != "gone"
        _print(_printed(follower.read_all(), told.json), told.json, out)
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
    texts = [(event, _text(event)) for event in events]
    return [f"{_clock(event.t)}  {text}" for event, text in texts if text]


def _clock(t: float) -> str:
    try:
        return f"{datetime.fromtimestamp(t):%H:%M:%S}"
    except (ValueError, OverflowError, OSError):  # a journal may hold any number
        return "--:--:--"


def _text(event: AnyEvent) -> str:
    text = ""
    match event:
        case RunStarted():
            text = f"run started: attempt {event.attempt}, pid {event.pid} on {event.host}"
        case PhaseStarted():
            text = f"phase {event.name}"
        case MetricsLogged():
            text = f"step {event.step}  {_values(event.values)}"
        case Evaluated():
            text = f"evaluated at step {event.step}  {_values(event.values)}"
        case LineLogged():
            text = f"{event.level} {event.source}: {event.text}"
        case Recovered():
            text = f"recovered from {event.kind}: {event.message}"
        case CheckpointSaved():
            text = f"checkpoint at step {event.step}: {event.path}"
        case RequestSeen():
            text = f"asked to {event.name}"
        case RunEnded():
            why = f": {event.error.get('message')}" if event.error else ""
            text = f"run ended: {event.state}{why}"
    return text


def _values(values: Mapping[str, float | str | None]) -> str:
    return "  ".join(f"{name} {_number(value)}" for name, value in values.items())


def _number(value: float | str | None) -> str:
    if isinstance(value, float):
        return figures.rate(value) if abs(value) < 0.001 else f"{value:.4g}"
    return str(value)
