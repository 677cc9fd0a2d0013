"""Fields that no declaration of the schema has, by group: settable ones, and those refused."""

from __future__ import annotations

from collections.abc import Mapping

from tui_loop.core.config.lora_fields import OTHER_LORA_FIELDS, OWNED_LORA_FIELDS
from tui_loop.core.config.sft_fields import OTHER_TRAINING_FIELDS, OWNED_TRAINING_FIELDS

Kinds = Mapping[str, type | tuple[type, ...]]

_OTHER: dict[str, Kinds] = {"training": OTHER_TRAINING_FIELDS, "lora": OTHER_LORA_FIELDS}
_OWNED: dict[str, Mapping[str, str]] = {
    "training": OWNED_TRAINING_FIELDS,
    "lora": OWNED_LORA_FIELDS,
}
CONSUMERS = {"training": "SFTConfig", "lora": "LoraConfig"}
"""The class that gets a group's further fields."""


def other_fields(group: str) -> Kinds:
    """Returns the settable fields of a group with their types."""
    return _OTHER.get(group, {})


def owned_fields(group: str) -> Mapping[str, str]:
    """Returns the fields of a group that cannot be set, each with the reason."""
    return _OWNED.get(group, {})


def group_of(field: str) -> str | None:
    """Returns the group of a further field's name; no two groups share one."""
    names = (group for group in _OTHER if field in _OTHER[group] or field in _OWNED[group])
    return next(names, None)


def all_other_fields() -> dict[str, str]:
    """Returns the full name of each settable field by its name without the group."""
    return {name: f"{group}.{name}" for group, kinds in _OTHER.items() for name in kinds}
