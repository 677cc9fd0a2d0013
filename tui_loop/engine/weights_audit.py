"""Computes how far an adapter moved the weights of its base."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Any

import torch

from tui_loop.core.audit.structs import Moved, WeightsAudit

ADAPTER = "default"


def weights_audit(model: Any) -> WeightsAudit:
    """Returns the number of trained parameters, and the movement of each kind of layer."""
    by_name: dict[str, list[float]] = defaultdict(list)
    for name, module in model.named_modules():
        moved = _moved(module)
        if moved is not None:
            by_name[name.rpartition(".")[2]].append(moved)
    parameters = list(model.parameters())
    return WeightsAudit(
        trained=sum(each.numel() for each in parameters if each.requires_grad),
        parameters=sum(each.numel() for each in parameters),
        moved=tuple(
            Moved(name, len(found), *(_rounded(each) for each in _spread(found)))
            for name, found in sorted(by_name.items())
        ),
    )


@torch.no_grad()
def _moved(module: Any) -> float | None:
    """Returns the norm of a layer's adapter relative to that of its weights, None without one.

    ||B A||^2 is the trace of (A A^T) (B^T B), which needs no matrix of the layer's size. None too
    where the weights are quantized, or where either norm is not finite.
    """
    factors = getattr(module, "lora_A", None)
    if not factors or ADAPTER not in factors:
        return None
    base = module.get_base_layer().weight
    if not base.is_floating_point():
        return None
    down = factors[ADAPTER].weight.float()
    up = module.lora_B[ADAPTER].weight.float()
    squared = torch.sum((down @ down.T) * (up.T @ up))
    change = module.scaling[ADAPTER] * torch.sqrt(torch.clamp(squared, min=0.0))
    moved = float(change / torch.linalg.vector_norm(base.float()))
    return moved if torch.isfinite(torch.tensor(moved)) else None


def _spread(values: list[float]) -> tuple[float, float, float]:
    return min(values), median(values), max(values)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
