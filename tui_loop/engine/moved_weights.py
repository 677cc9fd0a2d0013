"""Adapters that take over a part of the base's weights when they are made (PiSSA, OLoRA).

PEFT subtracts the adapter's initial product from the base, so that the trained adapter fits only
that changed base. It is saved as one of twice the rank that fits the untouched base:
`W - B0 A0 + B A = W + [B | -B0] [A ; A0]`. Everything else in the saved file is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tui_loop.core.config.lora_fields import changes_base
from tui_loop.core.record import codec
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.safe_open import SMALL_FILE_BYTES, read_bounded
from tui_loop.engine.weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS

_FACTORS = {"lora_A": 1, "lora_B": -1, "lora_embedding_A": 1, "lora_embedding_B": -1}
"""The matrices of an adapter, with the sign that their initial values get."""


class MovedWeights:
    """The initial matrices of a new adapter whose base has lost their product."""

    def __init__(self, model: Any) -> None:
        """Copies them."""
        self._initial = {
            name: parameter.detach().cpu().clone()
            for name, parameter in model.named_parameters()
            if _factor_of(name)
        }

    def make_whole(self, folder: Path) -> None:
        """Rewrites a saved adapter so that it fits the untouched base."""
        path = folder / ADAPTER_WEIGHTS
        tensors = load_file(path)
        by_saved_name = {_saved_name(name): (name, each) for name, each in self._initial.items()}
        for saved in list(tensors):
            if saved not in by_saved_name:
                continue
            name, initial = by_saved_name[saved]
            sign = _FACTORS[_factor_of(name)]
            axis = 0 if sign > 0 else 1
            initial = (sign * initial).to(tensors[saved].dtype)
            tensors[saved] = torch.cat([tensors[saved], initial], dim=axis).contiguous()
        save_file(tensors, path, metadata={"format": "pt"})
        _double_rank(folder / ADAPTER_CONFIG)


def moved_weights(model: Any) -> MovedWeights | None:
    """Returns what a model's new adapter took from the base, None for an adapter that took none."""
    adapters = getattr(model, "peft_config", {})
    if "default" in adapters and changes_base(adapters["default"].init_lora_weights):
        return MovedWeights(model)
    return None


def _double_rank(path: Path) -> None:
    """Doubles the ranks in an adapter's config, and keeps the scale of each layer."""
    values = codec.from_json(read_bounded(path, SMALL_FILE_BYTES), dict, str(path))
    factor = 2**0.5 if values.get("use_rslora") else 2
    values["init_lora_weights"] = True
    values["r"] *= 2
    values["lora_alpha"] *= factor
    for name, by in (("rank_pattern", 2), ("alpha_pattern", factor)):
        values[name] = {key: each * by for key, each in (values.get(name) or {}).items()}
    write_atomically(path, codec.to_pretty_json(values))


def _factor_of(name: str) -> str:
    """Returns which matrix of an adapter a parameter is, "" for any other parameter."""
    return next((part for part in name.split(".") if part in _FACTORS), "")


def _saved_name(name: str) -> str:
    """Returns the name of a parameter in a saved adapter, which does not name the adapter."""
    return name.replace(".default.", ".").removesuffix(".default")
