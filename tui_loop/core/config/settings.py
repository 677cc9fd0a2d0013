"""Applies `--set K=V` to configs."""

from __future__ import annotations

import re
from typing import Any, Union

import msgspec

from tui_loop.core.config.data_sources import SOURCE_FIELDS, source_name
from tui_loop.core.config.earlier_versions import MASKS
from tui_loop.core.config.further_fields import (
    all_other_fields,
    group_of,
    other_fields,
    owned_fields,
)
from tui_loop.core.config.schema import GROUPS, Config, all_fields, hints_of
from tui_loop.core.config.tables import Tables, to_tables
from tui_loop.core.config.validation import (
    FIELD_HINT,
    NO_VALUE,
    ConfigError,
    did_you_mean,
    read_config,
)
from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import from_toml


def with_settings(config: Config, settings: list[str]) -> Config:
    """Returns `config` with each `K=V` applied; raises ConfigError with every problem."""
    return read_config(_applied(to_tables(config), settings))


def settings_tables(settings: list[str], onto: Tables | None = None) -> Tables:
    """Applies the `K=V` settings to a copy of `onto` and checks the result."""
    tables = _applied({group: dict(table) for group, table in (onto or {}).items()}, settings)
    read_config(tables)
    return tables


def full_name(key: str) -> str:
    """Returns `group.field` for a key with or without group; raises BadInput with a suggestion."""
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
        raise BadInput(f"{key}: several groups have this field; write {choices}", FIELD_HINT)
    if owner := group_of(key):
        return f"{owner}.{key}"
    known = {field.partition(".")[2]: field for field in all_fields()} | all_other_fields()
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
    if group == "training" and field in MASKS:  # read from a file, they are those of a record
        raise BadInput(f"{name}: cannot be set ({owned_fields(group)[field]})")
    field, dot, entry = field.partition(".")
    value = parse_value(raw, None if dot else type_of(group, field))
    if not dot:
        tables.setdefault(group, {})[field] = value
        return
    if not _is_table(group, field):
        raise BadInput(f"{name}: no such field: {group}.{field} is not a table")
    table = tables.setdefault(group, {})
    if f"{group}.{field}" not in SOURCE_FIELDS:
        table[field] = {**_as_table(table.get(field)), entry: value}
        return
    *parents, last = entry.split(".")  # names of sources and their fields, which have no dots
    if isinstance(table.get(field), str) and table[field]:  # the single path becomes a named source
        table[field] = {source_name(table[field]): table[field]}
    for parent in (field, *parents):
        before = table.get(parent)
        is_path = parent in parents and isinstance(before, str)
        table[parent] = {"path": before} if is_path else dict(_as_table(before))
        table = table[parent]
    if isinstance(value, str) and value in NO_VALUE:
        table.pop(last, None)
    else:
        table[last] = value


def _as_table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


_NUMBER = re.compile(
    r"[+-]? (?: \d+(?:_\d+)* \.? | (?:\d+(?:_\d+)*)? \.\d+(?:_\d+)* ) (?: [eE][+-]?\d+ )?",
    re.ASCII | re.VERBOSE,
)
"""Numbers as people type them; TOML wants digits on both sides of the point: `.05`, `5.`, `5.e3`.

A whole number with zeros before it stays text: it may be a date or an id.
"""

_LONGEST_NUMBER = 100
"""Characters; more are no number that a person typed."""


def parse_value(raw: str, hint: Any = None) -> Any:
    """Parses `raw` as TOML or as a number if that fits the field's type `hint`, else as text."""
    try:
        table = from_toml(f"value = {raw}\n", "--set")
        value = table["value"] if len(table) == 1 else raw
    except BadInput:
        is_number = "." in raw and len(raw) <= _LONGEST_NUMBER and _NUMBER.fullmatch(raw.strip())
        value = float(raw) if is_number else raw
    plain = hint is not None and not isinstance(value, (str, list, dict))
    if plain and not _fits(value, hint) and _fits(raw, hint):
        return raw  # a revision 1234567, a file named 2024-01-01
    return value


def type_of(group: str, field: str) -> Any:
    """Returns the type hint of a field, None for an undeclared field in a stranger's record."""
    if group not in GROUPS:
        return None
    further = other_fields(group).get(field)
    kinds = further if isinstance(further, tuple) else (further,)
    return Union[kinds] if further else hints_of(GROUPS[group]).get(field)  # noqa: UP007


def _fits(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True


def _is_table(group: str, field: str) -> bool:
    hint = hints_of(GROUPS[group]).get(field)
    return other_fields(group).get(field) is dict or (hint is not None and _fits({}, hint))
