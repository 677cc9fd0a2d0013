"""Reads what configs of earlier versions say in fields that no longer exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {"run.on_nonfinite": "on_divergence"}
"""Renamed fields, with their current names."""

MASKS = ("assistant_only_loss", "completion_only_loss")
"""Fields of `training` that `data.train_on` has replaced; every older record has them."""


def upgraded(tables: Mapping[str, Any], *, as_run: bool = True) -> Mapping[str, Any]:
    """Returns `tables` with `data.train_on` in place of the fields that it has replaced.

    `as_run`: it says what a run of that version trained on, which was every token of a
    conversation. Else it is the default, unless the tables chose something else.
    """
    training, data = tables.get("training"), tables.get("data", {})
    if not isinstance(training, Mapping) or not isinstance(data, Mapping):
        return tables
    if not any(name in training for name in MASKS):
        return tables
    kept = {name: value for name, value in training.items() if name not in MASKS}
    trained_all = as_run and data.get("shape") == "messages"
    if training.get("assistant_only_loss") is True:
        trained_all = False
    elif training.get("completion_only_loss") is False:
        trained_all = True
    train_on = {"train_on": "all" if trained_all else "assistant"}
    return {**tables, "training": kept, "data": {**train_on, **data}}
