"""`tui-loop list`: every loop here."""

from __future__ import annotations

import argparse
from typing import Any

from tui_loop.cli.arguments import add_json
from tui_loop.cli.output import Output
from tui_loop.core.listing import LoopEntry, LoopsReader
from tui_loop.core.store import LoopsFolder

HELP = "list the loops"


def add(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(told: argparse.Namespace, out: Output) -> int:
    loops = [_described(loop) for loop in LoopsReader(LoopsFolder(told.loops)).look()]
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


def _described(loop: LoopEntry) -> dict[str, Any]:
    return {
        "name": loop.name,
        "goal": f"cannot be read: {loop.problem}" if loop.problem else loop.goal,
        "state": loop.state,
        "iterations": loop.iterations,
        "best": loop.best,
        "updated": loop.updated_at.isoformat(timespec="seconds"),
    }
