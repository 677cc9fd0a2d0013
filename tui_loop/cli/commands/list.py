"""`tui-loop list`: every loop here."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from tui_loop.cli.arguments import add_json
from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.overview import best_of, loop_state
from tui_loop.core.reader import iterations_of
from tui_loop.core.store import LoopFolder, LoopsFolder

HELP = "list the loops"


def add(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(told: argparse.Namespace, out: Output) -> int:
    folder = LoopsFolder(told.loops)
    loops = [_described(folder.loop(name)) for name in folder.names()]
    if told.json:
        out.record({"loops": loops})
        return 0
    if not loops:
        out.line(
            f"no loops in {told.loops}; begin with tui-loop demo, or tui-loop new LOOP --data PATH"
        )
        return 0
    out.table(
        ["loop", "state", "iterations", "best", "updated", "goal"],
        [
            [
                str(loop[key]) if loop[key] is not None else ""
                for key in ("name", "state", "iterations", "best", "updated", "goal")
            ]
            for loop in loops
        ],
        right=(2, 3),
        flexible=(5,),
    )
    return 0


def _described(loop: LoopFolder) -> dict[str, Any]:
    try:
        goal = loop.read_settings().goal
    except BadInput as error:
        goal = f"cannot be read: {error.message}"
    iterations = iterations_of(loop)
    files = [path for path in (loop.ledger, loop.settings_file) if path.exists()]
    updated = max((path.stat().st_mtime for path in files), default=0.0)
    return {
        "name": loop.name,
        "goal": goal,
        "state": loop_state(iterations),
        "iterations": len(iterations),
        "best": best_of(iterations),
        "updated": datetime.fromtimestamp(updated, UTC).isoformat(timespec="seconds"),
    }
