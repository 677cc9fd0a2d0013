"""Reads the data of a new loop and creates the loop, for the command and the app."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.cli.start import refuse_secrets
from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import Tables, merge, to_tables
from tui_loop.core.config.validation import read_config
from tui_loop.core.data.columns import is_label_name
from tui_loop.core.data.loading import LoadedData, load_data, with_labels
from tui_loop.core.data.rows import RowRefused
from tui_loop.core.data.source_rows import ReadProgress, ReadSource, Source, no_progress
from tui_loop.core.data.source_shares import shares_of
from tui_loop.core.errors import BadInput
from tui_loop.core.metric_choice import LABEL, choose_metric, label_set
from tui_loop.core.model_files import ModelFiles, hub_folder, read_model_files
from tui_loop.core.preflight.check_result import (
    CheckKind,
    CheckResult,
    ChecksFailed,
    by_severity,
    info,
    warning,
)
from tui_loop.core.preflight.column_checks import column_findings
from tui_loop.core.preflight.data_checks import FEW_EVAL_ROWS, few_eval_rows
from tui_loop.core.preflight.row_checks import load_usable, skipped_rows
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.scoring import NO_METRIC
from tui_loop.core.text.figures import counted, share
from tui_loop.core.workflow.readiness import checked_target

LABEL_TEMPLATE = "{prompt}\nLabel:"
"""Separates a message from its label where the data itself does not."""

CHAT_MODEL = "smollm2"
"""The model with a chat template that needs no hub."""

LIBRARIES = {"rouge_l": "rouge_score", "chrf": "sacrebleu"}
"""The package of each metric that is not pure Python."""


class Prepared(msgspec.Struct, frozen=True):
    """A loop that can be created. `defaults` goes into its `loop.toml`.

    `notices`: what was chosen for the user and why, and what will be a problem. `lacks_tools`:
    whether the rows have tools and the model's template none. `capped`: whether the model's
    context lowers `training.max_length`.
    """

    config: Config
    data: LoadedData
    metric: str
    defaults: Tables
    notices: list[CheckResult]
    lacks_chat_template: bool = False
    lacks_tools: bool = False
    capped: bool = False


def prepare(root: Path, requested: Tables, poll: ReadProgress = no_progress) -> Prepared:
    """Reads the data and fills in what it shows: shape, columns, template, metric.

    `requested` holds what `requested_tables` returned, and further settings. Loads no model, and
    uses the network only where `data.*` names a hub id. Raises TuiLoopError. `poll` is called while
    rows are read, and may raise to end it.
    """
    from tui_loop.engine.scorers import check_metric
    from tui_loop.engine.sources import read_source

    tables = merge({"data": {}, "evaluation": {}, "training": {}}, requested)
    config = read_config(tables)
    refuse_secrets(config)
    check_metric(config.evaluation.metric)
    given = tables["evaluation"].pop("metric", None)
    if given is None:
        config, data, chosen = _read_and_choose(config, root, poll)
        notices = [chosen]
    else:
        data, notices = load_usable(config, root, read_source, is_whole=True, poll=poll), []
        _check_prompts(config, data)
    detected = _detected(config, data, tables["data"])
    tables["data"] = {**tables["data"], **detected}
    config = read_config(merge(tables, {"evaluation": {"metric": config.evaluation.metric}}))
    if detected.get("prompt_template") is not None:
        notices.append(_template_notice())
    files = _model_files(config, root)
    limit = _lowered_max_length(config, tables, files)
    if limit is not None:
        tables["training"]["max_length"] = limit
        notices.append(_length_notice(config, limit))
    lacks_template = _lacks_chat_template(config, data, files)
    if lacks_template:
        notices.append(_chat_template_warning(config))
    lacks_tools = _lacks_tools(config, data, files, lacks_template=lacks_template)
    if lacks_tools and not lacks_template:
        notices.append(_tools_warning(config))
    return Prepared(
        config,
        data,
        config.evaluation.metric,
        {name: table for name, table in tables.items() if table},
        by_severity([*notices, *_data_notices(config, data)]),
        lacks_chat_template=lacks_template,
        lacks_tools=lacks_tools,
        capped=limit is not None,
    )


def _check_prompts(config: Config, data: LoadedData) -> None:
    """Refuses a metric for plain text."""
    metric = config.evaluation.metric
    if metric != NO_METRIC and data.mapping.shape == "text":
        raise BadInput(
            f"evaluation.metric: {metric} needs prompts, and plain text has none", "--metric none"
        )


def _read_and_choose(
    config: Config, root: Path, poll: ReadProgress
) -> tuple[Config, LoadedData, CheckResult]:
    """Reads the data and chooses the metric that its references call for, with a notice on it."""
    from tui_loop.engine.extras import is_installed

    data, hint = _read_as_seen(config, root, poll)
    installed = [metric for metric, module in LIBRARIES.items() if is_installed(module)]
    choice = choose_metric(data, config.evaluation, installed)
    config = _with_metric(config, choice.metric)
    return config, with_labels(data, config), info(CheckKind.CONFIG, choice.message, hint)


def _read_as_seen(config: Config, root: Path, poll: ReadProgress) -> tuple[LoadedData, str]:
    """Returns the data, and how to read it otherwise ("" where one reading is possible).

    A message and its label are seen where the columns have no known shape, or where a column
    beside the text has a label's name: a language or a source beside it is no label.
    """
    read = _reading_once()
    data: LoadedData | None = None
    unclear = BadInput("")
    try:
        data = load_usable(config, root, read, is_whole=True, poll=poll)
    except (RowRefused, ChecksFailed):
        raise
    except BadInput as error:
        unclear = error
    if data is None or _may_be_labelled(config, data):
        try:
            labelled = load_data(_with_metric(config, LABEL), root, read, is_whole=True, poll=poll)
        except BadInput:
            labelled = None
        if labelled and label_set(labelled):
            return labelled, "" if data is None else "use --metric none to train on the text alone"
    if data is None:
        raise unclear
    return data, ""


def _may_be_labelled(config: Config, data: LoadedData) -> bool:
    """Whether plain text has a column beside it that is named like a label."""
    is_open = config.data.shape is None and not config.data.columns
    names = (each.name for each in data.use["train"].unused if each.rows)
    return data.mapping.shape == "text" and is_open and any(map(is_label_name, names))


def _reading_once() -> ReadSource:
    """Returns a reader that keeps what it has read: a second look at the columns costs no time."""
    from tui_loop.engine.sources import read_source

    sources: dict[str, Source] = {}

    def read(entry: str, root: Path, config: Config) -> Source:
        if entry not in sources:
            sources[entry] = read_source(entry, root, config)
        return sources[entry]

    return read


def _with_metric(config: Config, metric: str) -> Config:
    evaluation = msgspec.structs.replace(config.evaluation, metric=metric)
    return msgspec.structs.replace(config, evaluation=evaluation)


def create(
    loops: LoopsFolder, name: str, goal: str, prepared: Prepared, target: float | None = None
) -> LoopFolder:
    """Writes the loop's folder; raises BadInput where the name exists or is invalid.

    `target`: the score that is good enough, or the eval loss under metric none.
    """
    ready: dict[str, Any] = {}
    if target is not None:
        ready["target"] = checked_target(target, prepared.metric, "--target")
    settings = LoopSettings(
        goal=goal, metric=prepared.metric, ready=ready, defaults=prepared.defaults
    )
    return loops.create(name, settings)


def check_base(config: Config, root: Path) -> str:
    """Refuses a base model that does not exist or lacks files.

    Checks a hub id where the stack is installed.

    Returns a notice, "" where there is none.
    """
    from tui_loop.engine.extras import has_train
    from tui_loop.engine.model_source import SMOLLM2, check_model, find_model

    if config.model.id == SMOLLM2:
        return ""  # may be fetched later; run says so
    if find_model(config.model.id, root).is_local or has_train():
        check_model(config.model.id, config.model.revision, root)
        return ""
    return f"model {config.model.id} will be checked when the first run starts"


def _detected(config: Config, data: LoadedData, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the data shows, for loop.toml: shape, columns, a template for labels.

    `given` has the settings of `data` that the user named; even an unset template stays.
    """
    detected: dict[str, Any] = {}
    if isinstance(config.data.train, str):
        detected["shape"] = data.mapping.shape
        if any(role != column for role, column in data.mapping.columns.items()):
            detected["columns"] = data.mapping.columns
    else:
        sources = to_tables(config)["data"]["train"]
        for name, mapping in data.mappings.items():
            if any(role != column for role, column in mapping.columns.items()):
                sources[name]["columns"] = mapping.columns
        detected["train"] = sources
    has_prompts = data.mapping.shape in ("prompt_completion", "instruction")
    if config.evaluation.metric == LABEL and has_prompts and "prompt_template" not in given:
        without_separator = sum(
            not row.prompt.endswith((":", "\n", " ")) and not row.reference[:1].isspace()
            for row in data.train
        )
        if without_separator * 2 > len(data.train):
            detected["prompt_template"] = LABEL_TEMPLATE
    return detected


def read_as(data: LoadedData) -> list[str]:
    """Returns how each source was read."""
    lines = []
    for name, mapping in data.mappings.items():
        roles = ", ".join(f"{role} = {column}" for role, column in mapping.columns.items())
        rows = data.splits["train"].sources[name].rows if name else 0
        source = f"{name}: {counted(rows, 'training row')}, " if name else ""
        lines.append(f"{source}read as {mapping.shape.replace('_', '/')} ({roles})")
    return lines


def mix_text(config: Config, data: LoadedData) -> str:
    """Returns what an epoch has of several sources with weights, "" where they have none."""
    if data.mixed_rows is None:
        return ""
    shares = shares_of(config.data.train)
    parts = ", ".join(f"{share(part, 1)} {name}" for name, part in shares.items())
    return f"an epoch has about {counted(data.mixed_rows, 'row')}: {parts}"


def _template_notice() -> CheckResult:
    return info(
        CheckKind.CONFIG,
        f"added the prompt template {json.dumps(LABEL_TEMPLATE)}, because nothing in the data "
        "separates a prompt from its label",
        "--set data.prompt_template=TEXT replaces the template, =unset removes it",
    )


def _model_files(config: Config, root: Path) -> ModelFiles:
    """Returns what the files of the base model say, as far as they are on this machine."""
    from tui_loop.engine.model_source import find_model

    try:
        source = find_model(config.model.id, root)
    except BadInput:  # smollm2 may be fetched later; `check_base` reports the others
        return ModelFiles()
    folder = (
        Path(source.name) if source.is_local else hub_folder(source.name, config.model.revision)
    )
    return read_model_files(folder) if folder is not None and not source.gguf else ModelFiles()


def _lowered_max_length(config: Config, tables: Tables, files: ModelFiles) -> int | None:
    """Returns the model's context where the default of training.max_length is above it."""
    default = config.training.max_length
    if "max_length" in tables["training"] or files.context is None or default is None:
        return None
    return files.context if files.context < default else None


def _length_notice(config: Config, limit: int) -> CheckResult:
    model, default = config.model.id, config.training.max_length
    text = (
        f"training.max_length lowered from {default} to {limit}, the context length of model "
        f"{model}"
    )
    return info(CheckKind.CONFIG, text)


def _lacks_chat_template(config: Config, data: LoadedData, files: ModelFiles) -> bool:
    lacks = files.has_chat_template is False and not _has_own_template(config)
    return lacks and data.mapping.shape == "messages"


def _lacks_tools(
    config: Config, data: LoadedData, files: ModelFiles, *, lacks_template: bool
) -> bool:
    """Whether rows have tools that the model's template cannot express; CHAT_MODEL's cannot."""
    has_none = lacks_template or files.has_chat_template is False
    is_lacking = has_none or files.takes_tools is False or config.model.id == CHAT_MODEL
    is_lacking = is_lacking and not _has_own_template(config)
    return is_lacking and any(row.uses_tools for row in data.train)


def _has_own_template(config: Config) -> bool:
    return config.data.chat_template not in ("auto", "off")


def _tools_warning(config: Config) -> CheckResult:
    return warning(
        CheckKind.CONFIG,
        f"the chat template of model {config.model.id} does not support tools, but the rows use "
        "tools",
        "choose a model whose template supports tools, or name a template file: "
        "--set data.chat_template=FILE",
    )


def _chat_template_warning(config: Config) -> CheckResult:
    return warning(
        CheckKind.CONFIG,
        f"model {config.model.id} has no chat template, but the rows are chat messages",
        f"choose {CHAT_MODEL} or an instruct model, or name a template file: "
        "--set data.chat_template=FILE",
    )


def _data_notices(config: Config, data: LoadedData) -> list[CheckResult]:
    """Returns what to know about the rows before the first run."""
    results = [info(CheckKind.HELD_OUT, text) for text in data.notices]
    if text := mix_text(config, data):
        results.append(info(CheckKind.DATA, text))
    results += skipped_rows(data)
    results += [warning(CheckKind.UNTRAINED_LABELS, text) for text in data.warnings]
    if text := few_eval_rows(len(data.eval)):
        hint = _more_eval_rows(config, data)
        results.append(warning(CheckKind.FEW_EVAL_ROWS, text, hint, count=len(data.eval)))
    return [*results, *column_findings(data)]


def _more_eval_rows(config: Config, data: LoadedData) -> str:
    """Returns how to get enough evaluation rows, at most half of the training file's."""
    total = len(data.train) + len(data.eval)
    if not data.splits["eval"].held_out:
        return "add rows to the evaluation data"
    if config.data.max_eval_rows is not None and config.data.max_eval_rows < FEW_EVAL_ROWS:
        return f"hold out more rows: --set data.max_eval_rows={FEW_EVAL_ROWS}"
    if total < 2 * FEW_EVAL_ROWS:
        return "add rows to the data, or expect imprecise scores"
    share = math.ceil(100 * FEW_EVAL_ROWS / total) / 100
    return f"hold out more rows: --set data.eval_fraction={share}"
