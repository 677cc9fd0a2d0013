"""Preflight checks of what an adapter trains against the layers that a model has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import ConfigError, did_you_mean
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, error, warning
from tui_loop.engine.lora_targets import adapter_problems

FIELD = "lora.target_modules"
NAMES_SHOWN = 12
_LAYERS = (torch.nn.Linear, torch.nn.Embedding, torch.nn.Conv1d, torch.nn.Conv2d, Conv1D)


def check_targets(config: Config, model: Any) -> list[CheckResult]:
    """Returns an error where no listed name is a layer, and for what cannot be trained or merged.

    A name that matches nothing beside others that do is a warning: it has no effect.
    """
    return [*_missing_names(config, model), *_problems(config, model)]


def _problems(config: Config, model: Any) -> list[CheckResult]:
    hint = "change the named field"
    try:
        found = adapter_problems(config, model)
    except BadInput as fault:  # a pattern
        found = fault.problems if isinstance(fault, ConfigError) else [fault.message]
        hint = fault.hint or hint
    return [error(CheckKind.TARGETS, each, hint, field=each.partition(":")[0]) for each in found]


def _missing_names(config: Config, model: Any) -> list[CheckResult]:
    targets = config.lora.target_modules
    if isinstance(targets, str):  # all-linear, or a pattern, which `adapter_problems` checks
        return []
    names = [name for name, _ in model.named_modules() if name]
    missing = [each for each in targets if not _matches(each, names)]
    if missing:
        exist = layer_names(model)
        guess = did_you_mean(missing[0], exist)
        severity = error if len(missing) == len(targets) else warning
        return [
            severity(
                CheckKind.TARGETS,
                f"{FIELD}: this model has no layer {', '.join(missing)}{guess}",
                f"choose from {', '.join(exist[:NAMES_SHOWN])}, or --set {FIELD}=all-linear",
                field=FIELD,
            )
        ]
    return []


def layer_names(model: Any) -> list[str]:
    """Returns the last parts of the names of layers that can have an adapter, each once."""
    return list(
        dict.fromkeys(
            name.rpartition(".")[2]
            for name, module in model.named_modules()
            if isinstance(module, _LAYERS)
        )
    )


def _matches(target: str, names: Sequence[str]) -> bool:
    """Whether PEFT would find a layer for a listed name: the whole name, or its end."""
    return any(name == target or name.endswith(f".{target}") for name in names)
