"""`tui-loop new LOOP --data PATH`: creates a loop and detects what the data shows."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import add_settings
from tui_loop.cli.new_loop import Prepared, check_base, create, prepare, requested_tables
from tui_loop.cli.output import Output
from tui_loop.core.config.schema import all_fields, field_help
from tui_loop.core.config.settings import settings_tables
from tui_loop.core.config.tables import merge
from tui_loop.core.preflight.check_result import messages_of
from tui_loop.core.preflight.column_checks import column_findings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.names import check_new_loop_name
from tui_loop.core.text.figures import brief

HELP = "create a loop from a data file"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP", help="a new name: a-z, 0-9, '.', '_', '-'")
    parser.add_argument(
        "--data",
        required=True,
        metavar="PATH",
        help="training data: JSONL, JSON, CSV, Parquet, a folder, or a hub id",
    )
    parser.add_argument(
        "--eval", metavar="PATH", help="evaluation data (default: a part of the data)"
    )
    parser.add_argument(
        "--holdout", metavar="PATH", help="data that is locked until the final evaluation"
    )
    parser.add_argument(
        "--model", metavar="ID", help="tiny, smollm2, a folder, a .gguf file, a hub id"
    )
    parser.add_argument("--metric", metavar="NAME", help="how outputs are scored")
    parser.add_argument(
        "--target",
        type=float,
        metavar="SCORE",
        help="the lowest score in [0, 1] that is good enough; with metric none, the highest eval "
        "loss",
    )
    parser.add_argument("--goal", default="", metavar="TEXT", help="the purpose of the loop")
    add_settings(parser, "set a config field, e.g. lora.r=8 (all fields below)")
    parser.epilog = "config fields:\n" + "\n".join(_field_line(name) for name in all_fields())


def run(args: argparse.Namespace, out: Output) -> int:
    check_new_loop_name(args.loop)
    root = args.loops.resolve().parent
    requested = requested_tables(
        root,
        data=args.data,
        eval_data=args.eval,
        holdout=args.holdout,
        model=args.model,
        metric=args.metric,
    )
    prepared = prepare(root, merge(requested, settings_tables(args.settings)))
    if notice := check_base(prepared.config, root):
        out.note(notice)
    loop = create(LoopsFolder(args.loops), args.loop, args.goal, prepared, args.target)
    _report(loop.name, prepared, out)
    return 0


def _report(name: str, prepared: Prepared, out: Output) -> None:
    data = prepared.data
    out.line(
        f"{name}: {len(data.train)} training rows, {len(data.eval)} evaluation rows, "
        f"model {prepared.config.model.id}, metric {prepared.metric}"
    )
    roles = ", ".join(f"{role} = {column}" for role, column in data.mapping.columns.items())
    out.line(f"read as {data.mapping.shape.replace('_', '/')} ({roles})")
    if data.labels:
        shown = ", ".join(data.labels[:12]) + (" ..." if len(data.labels) > 12 else "")
        out.line(f"{len(data.labels)} labels: {shown}")
    findings = column_findings(data)
    for notice in [*data.notices, *messages_of(findings, "info")]:
        out.line(notice)
    for warning in [*data.warnings, *messages_of(findings, "warning")]:
        out.note(f"warning: {warning}")
    out.line(f"next: tui-loop run {name} --why 'a baseline'")


def _field_line(name: str) -> str:
    text, default = field_help(name)
    return f"  {name} = {brief(default)}\n      {text}"
