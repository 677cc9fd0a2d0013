"""`tui-loop list`: lists the loops of a folder."""

from __future__ import annotations

import argparse
from typing import Any

from tui_loop.cli.arguments import add_json
from tui_loop.cli.output import Output
from tui_loop.core.compare.loop_list import LoopEntry, LoopsReader
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.text.figures import loss, percent

HELP = "list the loops"


def add(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    loops = LoopsReader(LoopsFolder(args.loops)).look()
    if args.json:
        out.record({"loops": [_record(each) for each in loops]})
        return 0
    if not loops:
        out.line(
            f"no loops in {args.loops}; begin with tui-loop demo, or tui-loop new LOOP --data PATH"
        )
        return 0
    out.table(
        ["loop", "state", "iterations", "best", "updated", "goal"],
        [
            [
                each.name,
                each.state,
                str(each.iterations),
                _best(each),
                f"{each.updated_at.astimezone():%Y-%m-%d %H:%M}" if each.updated else "",
                _goal(each),
            ]
            for each in loops
        ],
        right=(2,),
        flexible=(5,),
    )
    return 0


def _record(loop: LoopEntry) -> dict[str, Any]:
    return {
        "name": loop.name,
        "goal": _goal(loop),
        "state": loop.state,
        "iterations": loop.iterations,
        "best": loop.best,
        "updated": loop.updated_at.isoformat(timespec="seconds"),
    }


def _goal(loop: LoopEntry) -> str:
    return f"cannot be read: {loop.problem}" if loop.problem else loop.goal


def _best(loop: LoopEntry) -> str:
    """Returns the best iteration with its score, such as `2: 66%`, else with its loss.

    The number is the mean over the runs of that config.
    """
    if loop.best is None:
        return ""
    value = percent(loop.metrics.get("score")) or loss(loop.metrics.get("eval_loss"))
    return f"{loop.best}: {value}" if value else str(loop.best)
