"""The newest weights under which the loss was still sound, for a run that diverges."""

from __future__ import annotations

import time
from typing import Any

import torch

Weights = dict[str, torch.Tensor]

LARGEST_BYTES = 1 << 30
"""Of trainable weights; above, only checkpoints are kept."""
SHARE = 0.01
"""Of the training time that copying may take; what is copied less often is a little older."""


class LastGood:
    """Keeps copies of a model's trainable weights in host memory.

    Weights are good once a later log has shown a sound loss (the loss of a step is measured on
    the weights before it) or an evaluation has. `step` is theirs, None while there are none.
    """

    def __init__(self) -> None:
        self.step: int | None = None
        self._weights: Weights = {}
        self._candidate: tuple[int, Weights] | None = None
        self._next_at = 0.0

    def begin(self, model: Any, step: int) -> None:
        """The weights that training starts from."""
        self._take(model, step)

    def note(self, model: Any, step: int, *, is_sound: bool) -> None:
        """After a log at `step`: whether the weights that it was measured on were sound."""
        self._decide(is_sound=is_sound)
        if is_sound and time.monotonic() >= self._next_at:
            self._take(model, step)

    def note_evaluation(self, model: Any, step: int, *, is_sound: bool) -> None:
        """After an evaluation of the weights of `step`, which measures them as they are."""
        if is_sound and time.monotonic() >= self._next_at:
            self._take(model, step)
        self._decide(is_sound=is_sound)

    def put_back(self, model: Any) -> int | None:
        """Gives the model its good weights again; the step that they are of."""
        if self.step is None:
            return None
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in self._weights:
                    parameter.copy_(self._weights[name].to(parameter.device))
        return self.step

    def _decide(self, *, is_sound: bool) -> None:
        """Whether what was copied last is good."""
        if is_sound and self._candidate is not None:
            self.step, self._weights = self._candidate
        self._candidate = None

    def _take(self, model: Any, step: int) -> None:
        begun = time.monotonic()
        trainable = {n: each for n, each in model.named_parameters() if each.requires_grad}
        if sum(each.numel() * each.element_size() for each in trainable.values()) > LARGEST_BYTES:
            return
        self._candidate = step, {n: each.detach().cpu().clone() for n, each in trainable.items()}
        spent = time.monotonic() - begun
        self._next_at = begun + spent / SHARE
