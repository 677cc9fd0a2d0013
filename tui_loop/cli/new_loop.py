"""Reads the data of a new loop and creates the loop, for the command and the app."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.cli.start import refuse_secrets
from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import Tables, merge
from tui_loop.core.config.validation import read_config
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.scoring import NO_METRIC
from tui_loop.core.workflow.readiness import checked_target

LABEL_TEMPLATE = "{prompt}\nLabel:"
"""Separates a message from its label where the data itself does not."""

LABEL = "label"
MAX_LABELS, MIN_ROWS_PER_LABEL, MAX_LABEL_LENGTH = 100, 5, 60
"""References that are few, short and repeated within these limits count as labels."""


class Prepared(msgspec.Struct, frozen=True):
    """A loop that can be created. `defaults` goes into its `loop.toml`."""

    config: Config
    data: LoadedData
    metric: str
    defaults: Tables


def requested_tables(
    root: Path,
    *,
    data: str | None = None,
    eval_data: str | None = None,
    holdout: str | None = None,
    model: str | None = None,
    metric: str | None = None,
) -> Tables:
    """Returns the user's choices as config tables, with paths as the record stores them."""
    tables: Tables = {"data": {}, "model": {}, "evaluation": {}}
    for field, entry in (("train", data), ("eval", eval_data), ("holdout", holdout)):
        if entry is not None:
            tables["data"][field] = recorded_path(entry, root)
    if model is not None:
        tables["model"]["id"] = _recorded_model(model, root)
    if metric is not None:
        tables["evaluation"]["metric"] = metric
    return tables


def prepare(root: Path, requested: Tables) -> Prepared:
    """Reads the data and fills in what it shows: shape, columns, template, metric.

    `requested` holds what `requested_tables` returned, and further settings. Loads no model, and
    uses the network only where `data.*` names a hub id. Raises TuiLoopError.
    """
    from tui_loop.engine.scorers import check_metric
    from tui_loop.engine.sources import read_source

    tables = merge({"data": {}, "evaluation": {}}, requested)
    config = read_config(tables)
    refuse_secrets(config)
    check_metric(config.evaluation.metric)
    data = load_data(config, root, read_source)
    is_text = data.mapping.shape == "text"
    if "metric" not in tables["evaluation"] and is_text:
        tables["evaluation"]["metric"] = NO_METRIC
    metric = tables["evaluation"].pop("metric", config.evaluation.metric)
    if metric != NO_METRIC and is_text:
        raise BadInput(
            f"evaluation.metric: {metric} needs prompts, and plain text has none", "--metric none"
        )
    tables["data"] |= _detected(config, data)
    return Prepared(config, data, metric, {name: table for name, table in tables.items() if table})


def prepare_with_metric(root: Path, requested: Tables) -> tuple[Prepared, str]:
    """Prepares a loop and chooses metric label, where none is requested and the data has labels.

    Returns a notice about the choice, "" where the metric was requested or is the default.
    """
    if "metric" in requested.get("evaluation", {}):
        return prepare(root, requested), ""
    try:
        prepared = prepare(root, requested)
    except BadInput as unclear:
        labelled = _prepare_labelled(root, requested)
        if labelled is None:
            raise unclear from None
    else:
        if prepared.data.mapping.shape != "text" and not has_labels(prepared.data):
            return prepared, ""
        labelled = _prepare_labelled(root, requested)
        if labelled is None or not has_labels(labelled.data):
            return prepared, ""
    rows = len(labelled.data.train) + len(labelled.data.eval)
    return labelled, f"metric label: {len(labelled.data.labels)} labels in {rows} rows"


def _prepare_labelled(root: Path, requested: Tables) -> Prepared | None:
    """Prepares a loop with metric label; returns None where the data cannot be read that way."""
    try:
        return prepare(root, merge(requested, {"evaluation": {"metric": LABEL}}))
    except BadInput:
        return None


def create(
    loops: LoopsFolder, name: str, goal: str, prepared: Prepared, target: float | None = None
) -> LoopFolder:
    """Writes the loop's folder; raises BadInput where the name exists or is invalid.

    `target`: the score that is good enough, or the eval loss under metric none.
    """
    ready: dict[str, Any] = {}
    if target is not None:
        ready["target"] = checked_target(target, prepared.metric, "--target")
    if (loops.path / name).exists():
        raise BadInput(f"{loops.path / name} already exists", "choose another name")
    settings = LoopSettings(
        goal=goal, metric=prepared.metric, ready=ready, defaults=prepared.defaults
    )
    return loops.create(name, settings)


def check_base(config: Config, root: Path) -> str:
    """Refuses a base model that does not exist; checks a hub id where the stack is installed.

    Returns a notice, "" where there is none.
    """
    from tui_loop.engine.extras import has_train
    from tui_loop.engine.model_source import SMOLLM2, check_model, find_model

    if config.model.id == SMOLLM2:
        return ""  # may be fetched later; run says so
    source = find_model(config.model.id, root)
    if source.is_local:
        return ""
    if has_train():
        check_model(config.model.id, config.model.revision, root)
        return ""
    return f"model {config.model.id} is checked by the first run"


def has_labels(data: LoadedData) -> bool:
    """Whether the references are a small set of repeated labels rather than free text."""
    if data.mapping.shape != "prompt_completion":
        return False
    rows = [*data.train, *data.eval]
    counts = Counter(row.reference.strip() for row in rows)
    is_small_set = 2 <= len(counts) <= min(MAX_LABELS, len(rows) // MIN_ROWS_PER_LABEL)
    return is_small_set and all(
        len(label) <= MAX_LABEL_LENGTH and any(character.isalpha() for character in label)
        for label in counts
    )


def recorded_path(entry: str, root: Path) -> str:
    """Returns a data path as the record stores it: relative to the folder above `loops/` if inside.

    So a project can be moved or cloned without edits.
    """
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


def _detected(config: Config, data: LoadedData) -> dict[str, Any]:
    """Returns what the data shows, for loop.toml: shape, columns, a template for labels."""
    detected: dict[str, Any] = {"shape": data.mapping.shape}
    if any(role != column for role, column in data.mapping.columns.items()):
        detected["columns"] = data.mapping.columns
    by_label = config.evaluation.metric == LABEL and data.mapping.shape == "prompt_completion"
    without_separator = [
        row
        for row in data.train
        if not row.prompt.endswith((":", "\n", " ")) and not row.reference[:1].isspace()
    ]
    is_common = len(without_separator) * 2 > len(data.train)
    if by_label and config.data.prompt_template is None and is_common:
        detected["prompt_template"] = LABEL_TEMPLATE
    return detected
