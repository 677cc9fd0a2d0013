"""What a new loop's data is read as, and creating the loop: for the command and for the app."""

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
"""Sets a message off from its label where the data itself does not."""

LABEL = "label"
LABELS_AT_MOST, ROWS_A_LABEL, LABEL_LENGTH = 100, 5, 60
"""Answers that are few, come up again and again, and are short are a set of labels."""


class Prepared(msgspec.Struct, frozen=True):
    """A loop that can be created: `defaults` is what `loop.toml` will hold."""

    config: Config
    data: LoadedData
    metric: str
    defaults: Tables


def asked(
    root: Path,
    *,
    data: str | None = None,
    eval_data: str | None = None,
    holdout: str | None = None,
    model: str | None = None,
    metric: str | None = None,
) -> Tables:
    """What was told of a new loop, as config tables; paths are as the record keeps them."""
    tables: Tables = {"data": {}, "model": {}, "evaluation": {}}
    for field, entry in (("train", data), ("eval", eval_data), ("holdout", holdout)):
        if entry is not None:
            tables["data"][field] = recorded_path(entry, root)
    if model is not None:
        tables["model"]["id"] = _recorded_model(model, root)
    if metric is not None:
        tables["evaluation"]["metric"] = metric
    return tables


def understand(root: Path, told: Tables) -> Prepared:
    """Reads the data and settles what it shows; `told` is what `asked` gave, and settings.

    Touches neither a model nor a network unless `data.*` names a hub id. Raises TuiLoopError.
    """
    from tui_loop.engine.scorers import check_metric
    from tui_loop.engine.sources import read_source

    tables = merge({"data": {}, "evaluation": {}}, told)
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
    tables["data"] |= _seen(config, data)
    return Prepared(config, data, metric, {name: table for name, table in tables.items() if table})


def understand_with_metric(root: Path, told: Tables) -> tuple[Prepared, str]:
    """`understand`, for one who has not chosen a metric: labels are found where there are some.

    Gives a remark on the choice, "" if the metric was told or is the usual one.
    """
    if "metric" in told.get("evaluation", {}):
        return understand(root, told), ""
    try:
        prepared = understand(root, told)
    except BadInput as unclear:
        labelled = _labelled(root, told)
        if labelled is None:
            raise unclear from None
    else:
        if prepared.data.mapping.shape != "text" and not has_labels(prepared.data):
            return prepared, ""
        labelled = _labelled(root, told)
        if labelled is None or not has_labels(labelled.data):
            return prepared, ""
    rows = len(labelled.data.train) + len(labelled.data.eval)
    return labelled, f"metric label: {rows} rows have {len(labelled.data.labels)} different answers"


def _labelled(root: Path, told: Tables) -> Prepared | None:
    """The data read as messages with labels, None where it cannot be."""
    try:
        return understand(root, merge(told, {"evaluation": {"metric": LABEL}}))
    except BadInput:
        return None


def create(
    loops: LoopsFolder, name: str, goal: str, prepared: Prepared, target: float | None = None
) -> LoopFolder:
    """Writes the loop's folder; raises BadInput where the name is taken or cannot be one.

    `target`: the score, or under metric none the eval loss, from which on it is good enough.
    """
    ready: dict[str, Any] = {}
    if target is not None:
        ready["target"] = checked_target(target, prepared.metric, "--target")
    if (loops.path / name).exists():
        raise BadInput(f"{loops.path / name}: is there already", "choose another name")
    settings = LoopSettings(
        goal=goal, metric=prepared.metric, ready=ready, defaults=prepared.defaults
    )
    return loops.create(name, settings)


def check_base(config: Config, root: Path) -> str:
    """Refuses a model that cannot be; a hub id is asked for where the stack is there.

    Gives a remark, "" if there is none.
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
    return f"model {config.model.id} is checked when it is first run"


def has_labels(data: LoadedData) -> bool:
    """Whether the references are a set of labels rather than answers of their own."""
    if data.mapping.shape != "prompt_completion":
        return False
    rows = [*data.train, *data.eval]
    counts = Counter(row.reference.strip() for row in rows)
    few = 2 <= len(counts) <= min(LABELS_AT_MOST, len(rows) // ROWS_A_LABEL)
    return few and all(
        len(label) <= LABEL_LENGTH and any(sign.isalpha() for sign in label) for label in counts
    )


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


def _seen(config: Config, data: LoadedData) -> dict[str, Any]:
    """What was understood of the data, for loop.toml: shape, columns, a template for labels."""
    seen: dict[str, Any] = {"shape": data.mapping.shape}
    if any(role != column for role, column in data.mapping.columns.items()):
        seen["columns"] = data.mapping.columns
    by_label = config.evaluation.metric == LABEL and data.mapping.shape == "prompt_completion"
    glued = [
        row
        for row in data.train
        if not row.prompt.endswith((":", "\n", " ")) and not row.reference[:1].isspace()
    ]
    if by_label and config.data.prompt_template is None and len(glued) * 2 > len(data.train):
        seen["prompt_template"] = LABEL_TEMPLATE
    return seen
