"""Converts, merges and compares configs as tables by group and field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tui_loop.core.config.data_sources import SOURCE_FIELDS
from tui_loop.core.config.schema import GROUPS, Config, hints_of, is_optional

Tables = dict[str, dict[str, Any]]
"""Config values by group and field, as in a TOML file."""


def with_unset(tables: Mapping[str, Any]) -> Tables:
    """Returns the tables of a record with None for absent optional fields."""
    optional = {
        group: {field: None for field, hint in hints_of(kind).items() if is_optional(hint)}
        for group, kind in GROUPS.items()
    }
    whole = {name: table for name, table in tables.items() if isinstance(table, Mapping)}
    odd = {name: table for name, table in tables.items() if name not in whole}
    return {**merge(optional, whole), **odd}  # `read_config` reports what is not a table


def to_tables(config: Config) -> Tables:
    """Returns the config by group and field, None for unset, with the fields of no declaration."""
    tables: Tables = {name: msgspec.to_builtins(getattr(config, name)) for name in GROUPS}
    tables["training"].update(config.other)
    tables["lora"].update(config.other_lora)
    return tables


def flatten(config: Config) -> dict[str, Any]:
    """Returns the config as {"group.field": value}."""
    return {
        f"{group}.{field}": value
        for group, table in to_tables(config).items()
        for field, value in table.items()
    }


def changed_fields(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """Returns {"group.field": (old, new)} for every field that differs, in schema order.

    Where both have several sources of data, these differ by their own fields:
    `data.train.orders.weight`.
    """
    before, after = flatten(old), flatten(new)
    for name in SOURCE_FIELDS:
        tables = before[name], after[name]
        if all(isinstance(table, dict) for table in tables):
            for values in (before, after):
                values.update(_by_source(name, values.pop(name)))
    names = [*after, *(name for name in before if name not in after)]
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def _by_source(name: str, sources: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the fields of sources as {"data.train.NAME.weight": value}."""
    return {
        f"{name}.{source}.{field}": value
        for source, table in sources.items()
        for field, value in table.items()
    }


def merge(base: Mapping[str, Mapping[str, Any]], over: Mapping[str, Mapping[str, Any]]) -> Tables:
    """Returns `base` with the fields of `over` on top."""
    merged = {group: dict(table) for group, table in base.items()}
    for group, table in over.items():
        merged.setdefault(group, {}).update(table)
    return merged
