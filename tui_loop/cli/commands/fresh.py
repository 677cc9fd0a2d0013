"""`tui-loop fresh LOOP`: drafts an iteration on a new split, after long tuning on the old one."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import add_json, add_parent, count
from tui_loop.cli.output import Output
from tui_loop.cli.training_row_search import read_any
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iterations_of
from tui_loop.core.workflow.fresh_split import create_fresh_split

HELP = "draft an iteration on a new split: train on the old eval rows too, hold out different rows"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP")
    add_parent(parser)
    parser.add_argument(
        "--why", default="", metavar="TEXT", help="the reason, stored with the draft"
    )
    parser.add_argument("--seed", type=count, metavar="S", help="seed of the new split")
    parser.add_argument("--force", action="store_true", help="replace an existing draft")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    loop = LoopsFolder(args.loops).loop(args.loop)
    if args.parent is None:
        readable = [each.number for each in iterations_of(loop) if each.config is not None]
        parent = readable[-1] if readable else None
    else:
        parent = loop.existing(args.parent).number
    split = create_fresh_split(
        loop, parent, why=args.why, seed=args.seed, overwrite=args.force, read=read_any
    )
    draft = split.draft
    if split.warning:
        out.note(f"warning: {split.warning}")
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
    for line in split.messages:
        out.paragraph(line)
    out.paragraph(
        "scores before and after the new split are not comparable; the next run evaluates the base "
        "again"
    )
    if "model.init_adapter" in draft.changed:
        out.paragraph(
            "model.init_adapter is now unset: that adapter was trained on rows now held out"
        )
    parent_text = f"parent {draft.parent}" if draft.parent else "no parent"
    out.advice(f"run the draft ({parent_text}): tui-loop run {loop.name} --draft")
    return 0
