"""Configs as values: read from tables, changed by `--set`, compared, written as TOML.

Reading collects every problem before it raises, so that one round mends them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints

import msgspec

from tui_loop.core.codec import from_toml
from tui_loop.core.config_words import did_you_mean, in_words, kinds_in_words, shown
from tui_loop.core.errors import BadInput
from tui_loop.core.schema import GROUPS, Config, Group
from tui_loop.core.sft_fields import OTHER_TRAINING_FIELDS, OWNED_TRAINING_FIELDS

Tables = dict[str, dict[str, Any]]
"""Config values by group and field, as a TOML file has them."""

NO_VALUE = ("none", "unset", "null")
"""Words that `--set K=V` takes to unset an optional field."""


RENAMED = {"run.on_nonfinite": "on_divergence"}
"""Fields of earlier versions' records, by the name that they have now."""

FIELD_HINT = "tui-loop new --help lists every field"


class ConfigError(BadInput):
    """A config with problems; `problems` holds each as `group.field: what is wrong`."""

    def __init__(self, problems: list[str], where: str = "") -> None:
        self.problems = problems
        count = "" if len(problems) == 1 else f"{len(problems)} problems: "
        place = f"{where}: " if where else ""
        super().__init__(
            place + count + "; ".join(problems),
            f"change the named field and try again ({FIELD_HINT})",
        )


def read_config(tables: Mapping[str, Any], where: str = "") -> Config:
    """The config in `tables`; raises ConfigError with every problem found."""
    problems: list[str] = []
    groups: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for name, table in tables.items():
        if name not in GROUPS:
            problems.append(f"{name}: no such group{did_you_mean(name, GROUPS)}")
        elif not isinstance(table, Mapping):
            problems.append(f"{name}: must be a table of fields, not {shown(table)}")
        else:
            groups[name] = _read_group(name, table, other, problems)
    if problems:
        raise ConfigError(problems, where)
    read: dict[str, Any] = {name: GROUPS[name](**values) for name, values in groups.items()}
    config = Config(**read, other=other)
    if contradictions := _contradictions(config):
        raise ConfigError(contradictions, where)
    return config


def _contradictions(config: Config) -> list[str]:
    """Fields that cannot be had together, each as a problem."""
    training = config.training
    never_evaluates = training.eval_steps == 0
    rules = {
        "training.keep: best needs evaluations within the run, and eval_steps is 0": (
            training.keep == "best" and never_evaluates
        ),
        "training.early_stopping_patience: needs evaluations, and eval_steps is 0": (
            training.early_stopping_patience is not None and never_evaluates
        ),
        "training.packing: needs a training.max_length": (
            training.packing and training.max_length is None
        ),
        "model.quantization: a quantised base is trained with lora.enabled only": (
            config.model.quantization != "none" and not config.lora.enabled
        ),
        "model.init_adapter: needs lora.enabled": (
            config.model.init_adapter is not None and not config.lora.enabled
        ),
        "data.prompt_template: must contain {prompt}": (
            config.data.prompt_template is not None
            and "{prompt}" not in config.data.prompt_template
        ),
    }
    return [problem for problem, broken in rules.items() if broken]


def read_effective(tables: Mapping[str, Any], where: str = "") -> Config:
    """The config of a record, where an absent key means unset rather than the default."""
    return read_config(with_unset(tables), where)


def with_unset(tables: Mapping[str, Any]) -> Tables:
    """The tables of a record with None where an optional field is absent."""
    optional = {
        group: {field: None for field, hint in hints_of(kind).items() if is_optional(hint)}
        for group, kind in GROUPS.items()
    }
    whole = {name: table for name, table in tables.items() if isinstance(table, Mapping)}
    odd = {name: table for name, table in tables.items() if name not in whole}
    return {**merge(optional, whole), **odd}  # what is no table is a problem that reading tells


def to_tables(config: Config) -> Tables:
    """The config by group and field; None = unset. Further SFTConfig fields are in `training`."""
    tables: Tables = {name: msgspec.to_builtins(getattr(config, name)) for name in GROUPS}
    tables["training"].update(config.other)
    return tables


def flatten(config: Config) -> dict[str, Any]:
    """The config as {"group.field": value}."""
    return {
        f"{group}.{field}": value
        for group, table in to_tables(config).items()
        for field, value in table.items()
    }


def changed_fields(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """{"group.field": (old, new)} for every field that differs, in schema order."""
    before, after = flatten(old), flatten(new)
    names = [*after, *(name for name in before if name not in after)]
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def with_settings(config: Config, settings: list[str]) -> Config:
    """`config` with each `K=V` applied; raises ConfigError with every problem."""
    return read_config(_applied(to_tables(config), settings))


def settings_tables(settings: list[str]) -> Tables:
    """Only what the `K=V`s name, by group and field, checked against the schema."""
    tables = _applied({}, settings)
    read_config(tables)
    return tables


def merge(base: Mapping[str, Mapping[str, Any]], over: Mapping[str, Mapping[str, Any]]) -> Tables:
    """`base` with the fields of `over` on top."""
    merged = {group: dict(table) for group, table in base.items()}
    for group, table in over.items():
        merged.setdefault(group, {}).update(table)
    return merged


def field_help(name: str) -> tuple[str, Any]:
    """(help, default) of `group.field`."""
    group, _, field = name.partition(".")
    hint = hints_of(GROUPS[group])[field]
    default = getattr(GROUPS[group](), field)
    texts = [meta.description for meta in hint.__metadata__ if meta.description]
    return (texts[-1] if texts else ""), default


def all_fields() -> list[str]:
    """Every declared `group.field`, in schema order."""
    return [f"{group}.{field}" for group, kind in GROUPS.items() for field in hints_of(kind)]


def full_name(key: str) -> str:
    """`group.field` for a key that may lack its group; raises BadInput with a suggestion."""
    group, dot, _ = key.partition(".")
    if dot:
        if group not in GROUPS:
            raise BadInput(f"{key}: no such group{did_you_mean(group, GROUPS)}", FIELD_HINT)
        return key
    owners = [name for name, kind in GROUPS.items() if key in hints_of(kind)]
    if len(owners) == 1:
        return f"{owners[0]}.{key}"
    if owners:
        choices = " or ".join(f"{owner}.{key}" for owner in owners)
        raise BadInput(f"{key}: is in several groups, write {choices}", FIELD_HINT)
    if key in OTHER_TRAINING_FIELDS or key in OWNED_TRAINING_FIELDS:
        return f"training.{key}"
    known = {field.partition(".")[2]: field for field in all_fields()}
    known |= {name: f"training.{name}" for name in OTHER_TRAINING_FIELDS}
    raise BadInput(f"{key}: no such field{did_you_mean(key, known)}", FIELD_HINT)


def _applied(tables: Tables, settings: list[str]) -> Tables:
    problems: list[str] = []
    for setting in settings:
        try:
            _apply(tables, setting)
        except BadInput as error:
            problems.append(error.message)
    if problems:
        raise ConfigError(problems)
    return tables


def _apply(tables: Tables, setting: str) -> None:
    key, equals, raw = setting.partition("=")
    key = key.strip()
    if not equals or not key:
        raise BadInput(f"{setting!r}: must be K=V, for example learning_rate=1e-4")
    name = full_name(key)
    group, _, field = name.partition(".")
    field, dot, entry = field.partition(".")
    value = parse_value(raw, None if dot else hints_of(GROUPS[group]).get(field))
    if dot:
        if not _is_table(group, field):
            raise BadInput(f"{name}: no such field, {group}.{field} is no table")
        before = tables.setdefault(group, {}).get(field)
        tables[group][field] = {**(before if isinstance(before, dict) else {}), entry: value}
    else:
        tables.setdefault(group, {})[field] = value


def parse_value(raw: str, hint: Any = None) -> Any:
    """`raw` as TOML where that fits the field's type `hint`, else as the text it is."""
    try:
        table = from_toml(f"value = {raw}\n", "--set")
    except BadInput:
        return raw
    value = table["value"] if len(table) == 1 else raw
    plain = hint is not None and not isinstance(value, (str, list, dict))
    if plain and not _fits(value, hint) and _fits(raw, hint):
        return raw  # a revision 1234567, a file named 2024-01-01
    return value


def _fits(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True


def _is_table(group: str, field: str) -> bool:
    further = OTHER_TRAINING_FIELDS.get(field) if group == "training" else None
    return (group, field) == ("data", "columns") or further is dict


def _read_group(
    group: str, table: Mapping[str, Any], other: dict[str, Any], problems: list[str]
) -> dict[str, Any]:
    hints = hints_of(GROUPS[group])
    values: dict[str, Any] = {}
    for told, value in table.items():
        field = RENAMED.get(f"{group}.{told}", told)
        name = f"{group}.{field}"
        if field in hints:
            values[field] = _checked(name, value, hints[field], problems)
        elif group == "training" and field in OWNED_TRAINING_FIELDS:
            problems.append(f"{name}: cannot be set, {OWNED_TRAINING_FIELDS[field]}")
        elif group == "training" and field in OTHER_TRAINING_FIELDS:
            if not _is_no_value(value):
                other[field] = _checked_other(name, value, problems)
        else:
            known = {**hints, **(OTHER_TRAINING_FIELDS if group == "training" else {})}
            problems.append(f"{name}: no such field{did_you_mean(field, known)}")
    return values


def _checked(name: str, value: Any, hint: Any, problems: list[str]) -> Any:
    if is_optional(hint) and _is_no_value(value):
        value = None
    if name == "data.columns" and isinstance(value, Mapping):
        _check_roles(value, problems)
        return value
    if not _is_finite(value):
        problems.append(f"{name}: must be a finite number, not {shown(value)}")
        return value
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        problems.append(f"{name}: {in_words(str(error), choices_of(hint))}, not {shown(value)}")
        return value


def _check_roles(columns: Mapping[str, Any], problems: list[str]) -> None:
    roles = ("prompt", "completion", "text", "messages", "instruction", "input", "output", "id")
    for role, column in columns.items():
        if role not in roles:
            problems.append(f"data.columns.{role}: no such role{did_you_mean(role, roles)}")
        elif not isinstance(column, str):
            problems.append(f"data.columns.{role}: must be text, not {shown(column)}")


def _checked_other(name: str, value: Any, problems: list[str]) -> Any:
    kind = OTHER_TRAINING_FIELDS[name.partition(".")[2]]
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
    """Whether every number in `value` is one that TOML has: finite, whole ones in 64 bits."""
    if isinstance(value, Mapping):
        return all(_is_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_finite(item) for item in value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return not isinstance(value, float) or math.isfinite(value)


def choices_of(hint: Any) -> list[str]:
    """The values of a Literal within `hint`, if it holds one."""
    found: list[str] = []
    for part in getattr(hint, "__args__", ()):
        found.extend([part] if isinstance(part, str) else choices_of(part))
    return found


def is_optional(hint: Any) -> bool:
    """Whether a field may be unset."""
    inner = hint.__args__[0] if hasattr(hint, "__origin__") else hint
    return type(None) in getattr(inner, "__args__", ())


@cache
def hints_of(kind: type[Group]) -> dict[str, Any]:
    """The annotated type of each field of a group."""
    return get_type_hints(kind, include_extras=True)
