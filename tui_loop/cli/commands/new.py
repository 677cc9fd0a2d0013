"""`tui-loop new LOOP --data PATH`: creates a loop; asks for nothing that the data shows."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from tui_loop.cli.arguments import add_settings
from tui_loop.cli.output import Output
from tui_loop.core.config import Tables, all_fields, field_help, merge, read_config, settings_tables
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.errors import BadInput
from tui_loop.core.schema import Config
from tui_loop.core.scoring import NO_METRIC
from tui_loop.core.store import LoopSettings, LoopsFolder, check_loop_name
from tui_loop.core.wording import brief

HELP = "create a loop from a data file"
LABEL_TEMPLATE = "{prompt}\nLabel:"
"""Sets a message off from its label where the data itself does not."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP", help="a new name: a-z, 0-9, '.', '_', '-'")
    parser.add_argument(
        "--data",
        required=True,
        metavar="PATH",
        help="training data: JSONL, JSON, CSV, Parquet, a folder, or a hub id",
    )
    parser.add_argument(
        "--eval", metavar="PATH", help="held-out data (default: a part of the data)"
    )
    parser.add_argument("--holdout", metavar="PATH", help="data kept for the final judgement")
    parser.add_argument(
        "--model", metavar="ID", help="tiny, smollm2, a folder, a .gguf file, a hub id"
    )
    parser.add_argument("--metric", metavar="NAME", help="how outputs are scored")
    parser.add_argument("--goal", default="", metavar="TEXT", help="what the loop is for")
    add_settings(parser, "a config field, e.g. lora.r=8 (all fields below)")
    parser.epilog = "config fields:\n" + "\n".join(_field_line(name) for name in all_fields())


def run(told: argparse.Namespace, out: Output) -> int:
    from tui_loop.engine.scorers import check_metric
    from tui_loop.engine.sources import read_source

    check_loop_name(told.loop)
    loops = LoopsFolder(told.loops)
    root = told.loops.resolve().parent
    given: dict[str, dict[str, Any]] = {"data": {}, "model": {}, "evaluation": {}}
    for field in ("train", "eval", "holdout"):
        value = getattr(told, "data" if field == "train" else field)
        if value is not None:
            given["data"][field] = recorded_path(value, root)
    if told.model is not None:
        given["model"]["id"] = _recorded_model(told.model, root)
    if told.metric is not None:
        given["evaluation"]["metric"] = told.metric
    tables: Tables = merge(given, settings_tables(told.settings))
    config = read_config(tables)
    check_metric(config.evaluation.metric)
    data = load_data(config, root, read_source)
    if "metric" not in tables["evaluation"] and data.mapping.shape == "text":
        tables["evaluation"]["metric"] = NO_METRIC
    metric = tables["evaluation"].pop("metric", config.evaluation.metric)
    if metric != NO_METRIC and data.mapping.shape == "text":
        raise BadInput(
            f"evaluation.metric: {metric} needs prompts, and plain text has none", "--metric none"
        )
    _check_model(config, root, out)
    tables["data"] |= _seen(config, data)
    if (loops.path / told.loop).exists():
        raise BadInput(f"{loops.path / told.loop}: is there already", "choose another name")
    loop = loops.create(
        told.loop,
        LoopSettings(
            goal=told.goal,
            metric=metric,
            defaults={group: table for group, table in tables.items() if table},
        ),
    )
    _report(loop.name, config, data, metric, out)
    return 0


def recorded_path(entry: str, root: Path) -> str:
    """A data path as the record keeps it: relative to the folder above `loops/` where it can be."""
    path = Path(os.path.expanduser(entry))
    if not path.exists():
        return entry
    absolute = path.resolve()
    if absolute.is_relative_to(root):
        return absolute.relative_to(root).as_posix()
    if not path.is_absolute() and root == Path.cwd().resolve():
        return path.as_posix()
    return absolute.as_posix()


def _recorded_model(entry: str, root: Path) -> str:
    looks_like_path = entry.startswith((".", "/", "~")) or entry.endswith(".gguf")
    return recorded_path(entry, root) if looks_like_path or Path(entry).is_dir() else entry


def _check_model(config: Config, root: Path, out: Output) -> None:
    """Refuses a model that cannot be; a hub id is asked for where the stack is there."""
    from tui_loop.engine.extras import has_train
    from tui_loop.engine.models import SMOLLM2, check_model, find_model

    if config.model.id == SMOLLM2:
        return  # may be fetched later; run says so
    source = find_model(config.model.id, root)
    if source.is_local:
        return
    if has_train():
        check_model(config.model.id, config.model.revision, root)
    else:
        out.note(f"model {config.model.id} is checked when it is first run")


def _seen(config: Config, data: LoadedData) -> dict[str, Any]:
    """What was understood of the data, for loop.toml: shape, columns, a template for labels."""
    seen: dict[str, Any] = {"shape": data.mapping.shape}
    if any(role != column for role, column in data.mapping.columns.items()):
        seen["columns"] = data.mapping.columns
    by_label = config.evaluation.metric == "label" and data.mapping.shape == "prompt_completion"
    glued = [
        row
        for row in data.train
        if not row.prompt.endswith((":", "\n", " ")) and not row.reference[:1].isspace()
    ]
    if by_label and config.data.prompt_template is None and len(glued) * 2 > len(data.train):
        seen["prompt_template"] = LABEL_TEMPLATE
    return seen


def _report(name: str, config: Config, data: LoadedData, metric: str, out: Output) -> None:
    out.line(
        f"{name}: {len(data.train)} rows to train on, {len(data.eval)} held out, "
        f"model {config.model.id}, metric {metric}"
    )
    roles = ", ".join(f"{role} = {column}" for role, column in data.mapping.columns.items())
    out.line(f"read as {data.mapping.shape.replace('_', '/')} ({roles})")
    if data.labels:
        shown = ", ".join(data.labels[:12]) + (" ..." if len(data.labels) > 12 else "")
        out.line(f"{len(data.labels)} labels: {shown}")
    for notice in data.notices:
        out.line(notice)
    for warning in data.warnings:
        out.note(f"warning: {warning}")
    out.line(f"next: tui-loop run {name} --why 'a baseline'")


def _field_line(name: str) -> str:
    text, default = field_help(name)
    return f"  {name} = {brief(default)}\n      {text}"
