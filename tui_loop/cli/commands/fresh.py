"""`tui-loop fresh LOOP`: another split, for an eval set that has been tuned on for long."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import add_json, count
from tui_loop.cli.output import Output
from tui_loop.cli.training_row_search import read_any
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iterations_of
from tui_loop.core.workflow.fresh_split import create_fresh_split

HELP = "draft the next iteration on another split: old eval rows are trained on, others held out"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP")
    parser.add_argument(
        "--from",
        type=int,
        metavar="N",
        dest="parent",
        help="derive from iteration N (default: the newest)",
    )
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason, kept with the draft")
    parser.add_argument("--seed", type=count, metavar="S", help="which rows are drawn")
    parser.add_argument("--force", action="store_true", help="replace the draft that is there")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    loop = LoopsFolder(args.loops).loop(args.loop)
    parent = _newest(loop) if args.parent is None else loop.existing(args.parent).number
    made = create_fresh_split(
        loop, parent, why=args.why, seed=args.seed, overwrite=args.force, read=read_any
    )
    draft = made.draft
    if args.json:
        out.record(
            {
                "loop": loop.name,
                "parent": draft.parent,
                "why": draft.why,
                "changes": {name: list(pair) for name, pair in draft.changed.items()},
                "train": draft.value("data.train"),
                "eval": draft.value("data.eval"),
                "split_seed": draft.value("data.split_seed"),
            }
        )
        return 0
    for line in made.messages:
        out.paragraph(line)
    out.paragraph(
        "scores before and after are not comparable: the base is evaluated again with the next run"
    )
    if "model.init_adapter" in draft.changed:
        out.paragraph(
            "model.init_adapter is unset: those weights have seen rows that are held out now"
        )
    out.advice(
        f"the draft, from {draft.parent or 'the defaults'}: tui-loop run {loop.name} --draft"
    )
    return 0


def _newest(loop: LoopFolder) -> int | None:
    """The newest iteration whose config can be read."""
    readable = [each.number for each in iterations_of(loop) if each.config is not None]
    return readable[-1] if readable else None
