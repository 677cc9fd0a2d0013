"""Reads configs from tables and validates them; every problem is collected before it raises.

Reading collects every problem before it raises, so that one round fixes them all.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, get_type_hints

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.data_sources import (
    SOURCE_FIELDS,
    SOURCE_NAME,
    DataSource,
    sources_of,
    weighted_count,
)
from tui_loop.core.config.earlier_versions import RENAMED, upgraded
from tui_loop.core.config.further_fields import other_fields, owned_fields
from tui_loop.core.config.lora_fields import changes_base, initialization_problem
from tui_loop.core.config.schema import GROUPS, Config, choices_of, hints_of, is_optional
from tui_loop.core.config.tables import with_unset
from tui_loop.core.errors import BadInput

NO_VALUE = ("none", "unset", "null")
"""Words with which `--set K=V` unsets an optional field."""

INIT = "lora.init_lora_weights"

FIELD_HINT = f"all fields: {command('new', '--help')}"


class ConfigError(BadInput):
    """A config with problems; `problems` has each as `group.field: problem`."""

    def __init__(self, problems: list[str], where: str = "") -> None:
        self.problems = problems
        count = "" if len(problems) == 1 else f"{len(problems)} problems: "
        place = f"{where}: " if where else ""
        super().__init__(
            place + count + "; ".join(problems),
            f"change the named field and try again ({FIELD_HINT})",
        )


def read_config(tables: Mapping[str, Any], where: str = "") -> Config:
    """Reads the config in `tables`, also of earlier versions.

    Raises ConfigError with every problem.
    """
    tables = upgraded(tables)
    problems: list[str] = []
    tables = _without_device_number(tables, problems)
    groups: dict[str, Any] = {}
    other: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        if name not in GROUPS:
            problems.append(f"{name}: no such group{did_you_mean(name, GROUPS)}")
        elif not isinstance(table, Mapping):
            problems.append(f"{name}: must be a table of fields, not {shown(table)}")
        else:
            further = other.setdefault(name, {})
            groups[name] = _read_group(name, table, further, problems)
    if problems:
        raise ConfigError(problems, where)
    read: dict[str, Any] = {name: GROUPS[name](**values) for name, values in groups.items()}
    config = Config(**read, other=other.get("training", {}), other_lora=other.get("lora", {}))
    if contradictions := _contradictions(config):
        raise ConfigError(contradictions, where)
    return config


_NUMBERED_DEVICE = re.compile(r"cuda:(\d+)", re.ASCII)


def _without_device_number(tables: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any]:
    """Returns `tables` with `cuda` and the GPU's number in `run.gpus` for a device `cuda:N`."""
    run = tables.get("run")
    device = run.get("device") if isinstance(run, Mapping) else None
    found = _NUMBERED_DEVICE.fullmatch(device) if isinstance(device, str) else None
    if found is None:
        return tables
    assert isinstance(run, Mapping)
    gpus, gpu = run.get("gpus"), int(found[1])
    if gpus not in (None, [gpu]) and not _is_no_value(gpus):
        problems.append(f"run.device: {device} and run.gpus name different GPUs; set only one")
    return {**tables, "run": {**run, "device": "cuda", "gpus": [gpu]}}


def _contradictions(config: Config) -> list[str]:
    """Returns a problem for each set of conflicting fields."""
    training = config.training
    never_evaluates = training.eval_steps == 0
    rules = {
        "training.keep: the value best needs evaluations during the run, but eval_steps is 0": (
            training.keep == "best" and never_evaluates
        ),
        "training.early_stopping_patience: needs evaluations, but eval_steps is 0": (
            training.early_stopping_patience is not None and never_evaluates
        ),
        "training.packing: needs a training.max_length": (
            training.packing and training.max_length is None
        ),
        "model.quantization: a quantized base model needs lora.enabled": (
            config.model.quantization != "none" and not config.lora.enabled
        ),
        "run.gpus: must name at least one GPU": config.run.gpus == [],
        "model.init_adapter: needs lora.enabled": (
            config.model.init_adapter is not None and not config.lora.enabled
        ),
        "data.prompt_template: must contain {prompt}": (
            config.data.prompt_template is not None
            and "{prompt}" not in config.data.prompt_template
        ),
        "data.train: give a weight to all sources, or to none": (
            0 < weighted_count(config.data.train) < len(sources_of(config.data.train))
        ),
        "data.eval: evaluation sources cannot have weights; to limit a source, use its max_rows": (
            config.data.eval is not None and weighted_count(config.data.eval) > 0
        ),
    }
    return [problem for problem, broken in (rules | _lora_rules(config)).items() if broken]


def _lora_rules(config: Config) -> dict[str, bool]:
    """Returns a problem for each set of conflicting fields of an adapter, and whether it is one."""
    lora, other = config.lora, config.other_lora
    if not lora.enabled:
        return {}
    targets = lora.target_modules
    names_layers = isinstance(targets, list) or targets.lower() == "all-linear"
    changes = changes_base(lora.init_lora_weights)
    named = f"{INIT}: {lora.init_lora_weights}"
    return {
        "lora.layers_to_transform: needs all-linear or a list of names in lora.target_modules": (
            lora.layers_to_transform is not None and not names_layers
        ),
        "lora.layers_pattern: needs lora.layers_to_transform": (
            "layers_pattern" in other and lora.layers_to_transform is None
        ),
        "lora.layers_pattern: must be a name or a list of names (letters, digits, _ and .)": any(
            not isinstance(each, str) or not re.fullmatch(r"[\w.]+", each)
            for each in _listed(other.get("layers_pattern", []))
        ),
        f"{named} needs a base model that is not quantized": (
            changes and config.model.quantization != "none"
        ),
        f"{named} does not work with lora.use_dora": changes and lora.use_dora,
        f"{named} needs an even lora.r": lora.init_lora_weights == "orthogonal" and lora.r % 2 == 1,
        "lora.lora_bias: needs lora.init_lora_weights to be true or false": (
            bool(other.get("lora_bias")) and not isinstance(lora.init_lora_weights, bool)
        ),
        "lora.lora_bias: does not work with lora.use_dora": (
            bool(other.get("lora_bias")) and lora.use_dora
        ),
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def read_effective(tables: Mapping[str, Any], where: str = "") -> Config:
    """Reads the config of a record, where an absent key means unset, not the default."""
    return read_config(with_unset(tables), where)


KNOWN_TABLES, LARGEST_KNOWN_TABLE = 256, 4_000

_valid_tables: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
"""Fields of valid tables: the iterations of a loop have few different ones, and checking takes
longer than all else in reading a summary."""


def _read_group(
    group: str, table: Mapping[str, Any], other: dict[str, Any], problems: list[str]
) -> dict[str, Any]:
    key = f"{group} {table}"
    known = _valid_tables.get(key)
    if known is None:
        found: dict[str, Any] = {}
        count = len(problems)
        known = _checked_group(group, table, found, problems), found
        if len(problems) > count or len(key) > LARGEST_KNOWN_TABLE:
            other.update(found)
            return known[0]
        if len(_valid_tables) >= KNOWN_TABLES:
            _valid_tables.clear()
        _valid_tables[key] = known
    other.update(known[1])
    return dict(known[0])


def _checked_group(
    group: str, table: Mapping[str, Any], other: dict[str, Any], problems: list[str]
) -> dict[str, Any]:
    hints = hints_of(GROUPS[group])
    values: dict[str, Any] = {}
    for key, value in table.items():
        field = RENAMED.get(f"{group}.{key}", key)
        name = f"{group}.{field}"
        if field in hints:
            values[field] = _checked(name, value, hints[field], problems)
        elif field in owned_fields(group):
            problems.append(f"{name}: cannot be set ({owned_fields(group)[field]})")
        elif field in other_fields(group):
            if not _is_no_value(value):
                kind = other_fields(group)[field]
                other[field] = _checked_other(name, value, kind, problems)
        else:
            known = {**hints, **other_fields(group)}
            problems.append(f"{name}: no such field{did_you_mean(field, known)}")
    return values


def _checked(name: str, value: Any, hint: Any, problems: list[str]) -> Any:
    if is_optional(hint) and _is_no_value(value):
        value = None
    if name == INIT and (problem := initialization_problem(value)):
        problems.append(f"{name}: {problem}, not {shown(value)}")
        return value
    if name == "data.columns" and isinstance(value, Mapping):
        _check_roles(name, value, problems)
        return value
    if name in SOURCE_FIELDS and isinstance(value, Mapping):
        return _checked_sources(name, value, problems)
    if not _is_finite(value):
        problems.append(f"{name}: must be a finite number, not {shown(value)}")
        return value
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        problems.append(f"{name}: {in_words(str(error), choices_of(hint))}, not {shown(value)}")
        return value


def _checked_sources(
    name: str, table: Mapping[str, Any], problems: list[str]
) -> dict[str, DataSource]:
    """Returns the sources in a table; the path alone may take the place of a source's table."""
    hints = get_type_hints(DataSource, include_extras=True)
    sources = {}
    if not table:
        problems.append(f"{name}: must name at least one source")
    for source, given in table.items():
        place = f"{name}.{source}"
        fields = {"path": given} if isinstance(given, str) else given
        count = len(problems)
        if not SOURCE_NAME.fullmatch(source):
            problems.append(
                f"{place}: a source name has 1 to 40 characters of a-z, A-Z, 0-9, - and _"
            )
        elif not isinstance(fields, Mapping):
            problems.append(f"{place}: must be a path or a table of fields, not {shown(given)}")
        elif "path" not in fields:
            problems.append(f"{place}: needs a path")
        else:
            values: dict[str, Any] = {}
            for key, value in fields.items():
                if key not in hints:
                    problems.append(f"{place}.{key}: no such field{did_you_mean(key, hints)}")
                elif key == "columns" and isinstance(value, Mapping):
                    _check_roles(f"{place}.columns", value, problems)
                    values[key] = value
                else:
                    values[key] = _checked(f"{place}.{key}", value, hints[key], problems)
            if len(problems) == count:
                sources[source] = DataSource(**values)
    return sources


def _check_roles(name: str, columns: Mapping[str, Any], problems: list[str]) -> None:
    roles = (
        *("prompt", "completion", "text", "messages", "instruction", "input", "output", "id"),
        *("system", "history", "tools"),
    )
    for role, column in columns.items():
        if role not in roles:
            problems.append(f"{name}.{role}: no such role{did_you_mean(role, roles)}")
        elif not isinstance(column, str):
            problems.append(f"{name}.{role}: must be text, not {shown(column)}")


def _checked_other(
    name: str, value: Any, kind: type | tuple[type, ...], problems: list[str]
) -> Any:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not _is_finite(value):
        problems.append(f"{name}: must be a finite number, not {shown(value)}")
        return value
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        words = kinds_in_words(each.__name__ for each in kinds)
        problems.append(f"{name}: must be {words}, not {shown(value)}")
    return value


def _is_no_value(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.lower() in NO_VALUE)


def _is_finite(value: Any) -> bool:
    """Returns whether TOML can represent every number in `value`: finite, integers in 64 bits."""
    if isinstance(value, Mapping):
        return all(_is_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_finite(item) for item in value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return not isinstance(value, float) or math.isfinite(value)


_MEANT = {
    "lr": "learning_rate",
    "rate": "learning_rate",
    "epochs": "num_train_epochs",
    "steps": "max_steps",
    "batch_size": "per_device_train_batch_size",
    "batch": "per_device_train_batch_size",
    "rank": "r",
    "lora_r": "r",
    "lora_rank": "r",
    "alpha": "lora_alpha",
    "dropout": "lora_dropout",
    "warmup": "warmup_steps",
}
"""Other common names of fields, too different from ours for a fuzzy match."""

_KIND_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "list": "a list",
    "object": "a table",
    "dict": "a table",
    "null": "unset",
}


def shown(value: Any) -> str:
    """Returns a given value as text, shortened."""
    try:
        text = repr(value)
    except ValueError:  # thousands of digits
        return "a number that long"
    return text if len(text) <= 60 else text[:57] + "..."


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Returns `, did you mean lora.r?` where one of the `known` names is similar, else ""."""
    meant = _MEANT.get(name.lower().replace("-", "_"))
    close = [meant] if meant in known else difflib.get_close_matches(name, list(known), 1, 0.6)
    return f", did you mean {close[0]}?" if close else ""


def in_words(error: str, choices: Sequence[str]) -> str:
    """Rewords msgspec's message on a value, with the allowed `choices` if there are any."""
    if choices:
        return f"must be one of {', '.join(choices)}"
    text = error.partition(" - at ")[0].partition(", got")[0].replace("Expected ", "must be ")
    text = text.replace("of length >= 1", "that is not empty")
    text = re.sub("`([^`]*)`", lambda kinds: kinds_in_words(kinds[1].split(" | ")), text)
    for sign, word in (
        (">= ", "of at least "),
        ("<= ", "of at most "),
        ("> ", "above "),
        ("< ", "below "),
    ):
        text = text.replace(sign, word)
    return text.replace(r" matching regex '\\D'", " that is not a number")


def kinds_in_words(kinds: Iterable[str]) -> str:
    """Returns the names of types: `a whole number or unset`."""
    return " or ".join(_KIND_WORDS.get(kind, kind) for kind in kinds)
