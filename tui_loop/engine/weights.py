"""An iteration's trained weights: checked before loading, the last sound ones kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.safe_open import (
    SMALL_FILE_BYTES,
    check_regular,
    check_within,
    read_bounded,
)
from tui_loop.core.record.structs import LIVE

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
_NOT_OURS = ("megatron_config", "auto_mapping", "layer_replication", "modules_to_save")
"""Settings that import code or change the base beside the adapter; this program sets none."""


def has_weights(folder: IterationFolder) -> bool:
    """Whether trained weights of the iteration are on this machine."""
    return any(folder.adapter.glob("*.safetensors"))


def checked_weights(folder: IterationFolder, *, is_adapter: bool) -> Path:
    """The folder of an iteration's trained weights; raises BadInput where it cannot be used."""
    adapter = folder.adapter
    if not has_weights(folder):
        if (state := iteration_of(folder).state) in LIVE:
            raise BadInput(f"{folder} is {state}: its weights are saved at its end", "wait for it")
        raise BadInput(
            f"{folder} has no weights on this machine",
            f"copy {adapter} here from where it was trained (git does not carry it)",
        )
    folder.check_place()
    check_within(adapter, folder.path)
    for path in adapter.iterdir():
        check_regular(path)
    if is_adapter:
        _check_adapter(adapter)
    return adapter


def shares_base(adapter: Path) -> bool:
    """Whether an adapter leaves the base as it was, so that others may stand on it too."""
    return _settings(adapter).get("bias", "none") == "none"


def _check_adapter(adapter: Path) -> None:
    if not (adapter / ADAPTER_WEIGHTS).is_file():
        raise BadInput(f"{adapter}: has no {ADAPTER_WEIGHTS}", "train the iteration again")
    settings = _settings(adapter)
    odd = [name for name in _NOT_OURS if settings.get(name)]
    if settings.get("peft_type") != "LORA":
        odd.append("peft_type")
    if not isinstance(settings.get("init_lora_weights", True), bool):
        odd.append("init_lora_weights")
    if odd:
        raise BadInput(
            f"{adapter / ADAPTER_CONFIG}: {', '.join(odd)} is not as this program writes it",
            "train the iteration again",
        )


def _settings(adapter: Path) -> dict[str, Any]:
    path = adapter / ADAPTER_CONFIG
    try:
        return codec.from_json(read_bounded(path, SMALL_FILE_BYTES), dict, str(path))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "train the iteration again") from error


LARGEST_BYTES = 1 << 30
"""Of trainable weights; above, only checkpoints are kept."""

SHARE = 0.01
"""Of the training time that copying may take; what is copied less often is a little older."""

Weights = dict[str, torch.Tensor]


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
