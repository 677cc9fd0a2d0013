"""Keeps the newest weights whose loss was still sound, for a run that diverges."""

from __future__ import annotations

import time
from typing import Any

import torch

Weights = dict[str, torch.Tensor]

LARGEST_BYTES = 1 << 30
"""Larger trainable weights are not copied to host memory: such a run relies on checkpoints."""
SHARE = 0.01
"""The share of the training time that copying may take; a lower one keeps older weights."""


class LastGoodWeights:
    """Copies of a model's trainable weights in host memory.

    Weights count as good once a later log (whose loss is measured on the weights before its step)
    or an evaluation shows a sound loss. `step` is the step of the good weights, None without any.
    """

    def __init__(self) -> None:
        self.step: int | None = None
        self._weights: Weights = {}
        self._candidate: tuple[int, Weights] | None = None
        self._next_at = 0.0

    def begin(self, model: Any, step: int) -> None:
        """Copies the weights that training starts from."""
        self._copy(model, step)

    def note(self, model: Any, step: int, *, is_sound: bool) -> None:
        """Notes a log at `step`; `is_sound`: so were the weights that its loss was measured on.

        Confirms or drops the previous copy first, since the loss is that of earlier weights.
        """
        self._settle_candidate(is_sound=is_sound)
        if is_sound and time.monotonic() >= self._next_at:
            self._copy(model, step)

    def note_evaluation(self, model: Any, step: int, *, is_sound: bool) -> None:
        """Notes an evaluation, which measures the current weights: copies before it confirms."""
        if is_sound and time.monotonic() >= self._next_at:
            self._copy(model, step)
        self._settle_candidate(is_sound=is_sound)

    def restore(self, model: Any) -> int | None:
        """Restores the model's good weights; returns their step, None without any."""
        if self.step is None:
            return None
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in self._weights:
                    parameter.copy_(self._weights[name].to(parameter.device))
        return self.step

    def _settle_candidate(self, *, is_sound: bool) -> None:
        """Keeps the newest copy as the good weights, or drops it."""
        if is_sound and self._candidate is not None:
            self.step, self._weights = self._candidate
        self._candidate = None

    def _copy(self, model: Any, step: int) -> None:
        started = time.monotonic()
        trainable = {n: each for n, each in model.named_parameters() if each.requires_grad}
        if sum(each.numel() * each.element_size() for each in trainable.values()) > LARGEST_BYTES:
            return
        # clone(): on a CPU, cpu() returns the parameter's own memory, which training changes.
        self._candidate = step, {n: each.detach().cpu().clone() for n, each in trainable.items()}
        spent = time.monotonic() - started
        self._next_at = started + spent / SHARE
