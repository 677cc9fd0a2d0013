"""`tui-loop new LOOP --data PATH`: creates a loop and detects what the data shows."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_json, add_settings
from tui_loop.cli.new_loop import (
    CHAT_MODEL,
    Prepared,
    check_base,
    create,
    prepare,
    read_as,
)
from tui_loop.cli.output import Output, ReadingNotes, shell_hints
from tui_loop.cli.requested_data import requested_tables
from tui_loop.core.commands import command
from tui_loop.core.config.schema import Config, all_fields, field_help
from tui_loop.core.config.settings import settings_tables
from tui_loop.core.data.source_shares import shares_of
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.shipped import shipped
from tui_loop.core.text.figures import brief, counted

HELP = "create a loop from a data file"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "loop", metavar="LOOP", help="name of the new loop: a-z, 0-9, '.', '_', '-'"
    )
    parser.add_argument(
        "--data",
        required=True,
        action="append",
        metavar="[NAME=]PATH",
        help="training data: a JSONL, JSON, CSV, text, Parquet or Arrow file, a folder, a hub id, "
        "dataset_info.json#NAME or an axolotl config; repeat --data for several sources",
    )
    parser.add_argument(
        "--eval",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="evaluation data (default: split off from --data); repeat --eval for several sources",
    )
    parser.add_argument(
        "--holdout", metavar="PATH", help="holdout data, locked until the final evaluation"
    )
    parser.add_argument(
        "--model",
        metavar="ID",
        help="base model: tiny, smollm2, a folder, a .gguf file or a hub id",
    )
    parser.add_argument(
        "--metric",
        metavar="NAME",
        help="metric that scores the outputs (default: chosen from the references)",
    )
    parser.add_argument(
        "--target",
        type=float,
        metavar="SCORE",
        help="the score to reach, from 0 to 1; with metric none, the eval loss to reach",
    )
    parser.add_argument("--goal", default="", metavar="TEXT", help="the purpose of the loop")
    add_settings(parser, "set a config field, e.g. lora.r=8 (fields are listed below)")
    add_json(parser)
    parser.epilog = "config fields:\n" + "\n".join(_field_line(name) for name in all_fields())


def run(args: argparse.Namespace, out: Output) -> int:
    LoopsFolder(args.loops).check_free(args.loop)
    root = args.loops.resolve().parent
    requested, notes = requested_tables(
        root,
        data=args.data,
        eval_data=args.eval,
        holdout=args.holdout,
        model=args.model,
        metric=args.metric,
    )
    for note in notes:
        out.note(note)
    prepared = prepare(root, settings_tables(args.settings, onto=requested), ReadingNotes(out))
    if notice := check_base(prepared.config, root):
        out.note(notice)
    loop = create(LoopsFolder(args.loops), args.loop, args.goal, prepared, args.target)
    steps = next_steps(loop.name, prepared, root)
    if args.json:
        record = {**_record(loop, prepared), "next": [out.spelled_out(step) for step in steps]}
        out.record(shell_hints(record, "hint"))
        return 0
    _report(loop.name, prepared, out)
    for label, step in zip(["next:", *["then:"] * len(steps)], steps, strict=False):
        out.advice(f"{label} {step}")
    return 0


TOOLS_TEMPLATE = ("sample_data", "support-chats", "calls.jinja")
"""A ChatML template with tools, among the files that are shipped."""


def next_steps(name: str, prepared: Prepared, root: Path) -> list[str]:
    """Returns what to type next, up to the first run: installing, fetching a model, running.

    A base without the chat template that the rows need is replaced in the first run. Where a
    template cannot express the tools of the rows, the first run takes the one of the sample data.
    """
    from tui_loop.engine.model_source import SMOLLM2, find_model

    model, settings = prepared.config.model.id, []
    if prepared.lacks_chat_template:
        model = CHAT_MODEL
        settings.append(f"model.id={model}")
        if prepared.capped:  # by the context of the model that is replaced
            settings.append(f"training.max_length={field_help('training.max_length')[1]}")
    if prepared.lacks_tools:
        settings.append(shlex.quote(f"data.chat_template={shipped(*TOOLS_TEMPLATE)}"))
    is_fetched = True
    if model == SMOLLM2:
        try:
            find_model(model, root)
        except BadInput:
            is_fetched = False
    options = [option for setting in settings for option in ("--set", setting)]
    if _runs_own_code(prepared.config, root):
        options.append("--allow-code")
    extras = _missing_extras(prepared.config, model, is_fetched=is_fetched)
    return [
        *([f'pip install "tui-loop[{",".join(extras)}]"'] if extras else []),
        *([] if is_fetched else [command("fetch", model)]),
        command("run", name, *options, "--why", "'a baseline'"),
    ]


def _missing_extras(config: Config, model: str, *, is_fetched: bool) -> list[str]:
    """Returns the extras that the first run needs and that are not installed."""
    from tui_loop.engine.extras import has_train, is_installed

    reads_gguf = model.endswith(".gguf") or not is_fetched
    needed = {
        "train": not has_train(),
        "smollm2": reads_gguf and not is_installed("gguf"),
        "quant": config.model.quantization != "none" and not is_installed("bitsandbytes"),
    }
    return [extra for extra, is_missing in needed.items() if is_missing]


def _runs_own_code(config: Config, root: Path) -> bool:
    """Whether the first run needs consent to code of the model or the metric."""
    from tui_loop.core.consent import NeedsConsent
    from tui_loop.engine.extras import has_train
    from tui_loop.engine.foreign_code import require_config_consent

    if config.model.trust_remote_code and not has_train():
        return True  # whether there is code can only be seen with the hub's client
    try:
        require_config_consent(config, root)
    except NeedsConsent:
        return True
    except BadInput:  # the run reports a module that does not exist
        return False
    return False


def _report(name: str, prepared: Prepared, out: Output) -> None:
    data = prepared.data
    out.line(
        f"{name}: {counted(len(data.train), 'training row')}, "
        f"{counted(len(data.eval), 'evaluation row')}, "
        f"model {prepared.config.model.id}, metric {prepared.metric}"
    )
    for line in read_as(data):
        out.line(line)
    if data.labels:
        shown = ", ".join(data.labels[:12]) + (" ..." if len(data.labels) > 12 else "")
        out.line(f"{len(data.labels)} labels: {shown}")
    for each in prepared.notices:
        hint = f" ({each.hint})" if each.hint and each.severity == "info" else ""
        if each.severity == "info":
            out.line(each.message + hint)
    for each in prepared.notices:
        if each.severity == "warning":
            out.note(f"warning: {each.message}")
            if each.hint:
                out.note(f"  hint: {each.hint}")


def _record(loop: LoopFolder, prepared: Prepared) -> dict[str, Any]:
    data = prepared.data
    return {
        "loop": loop.name,
        "model": prepared.config.model.id,
        "metric": prepared.metric,
        "shape": data.mapping.shape,
        "columns": data.mapping.columns,
        "train_rows": len(data.train),
        "eval_rows": len(data.eval),
        "sources": {
            name: {
                "path": data.splits["train"].sources[name].path,
                "rows": data.splits["train"].sources[name].rows,
                "shape": mapping.shape,
                "columns": mapping.columns,
                "share": shares_of(prepared.config.data.train).get(name),
            }
            for name, mapping in data.mappings.items()
            if name
        },
        "epoch_rows": data.epoch_rows,
        "labels": data.labels,
        "defaults": prepared.defaults,
        "notices": [msgspec.to_builtins(each) for each in prepared.notices],
    }


def _field_line(name: str) -> str:
    text, default = field_help(name)
    return f"  {name} = {brief(default)}\n      {text}"
