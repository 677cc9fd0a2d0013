"""Checks an iteration's trained weights before they are loaded.

A loop may come from a stranger: only safetensors are loaded, only from regular files inside the
iteration's folder, and only an adapter whose config has no settings beyond this program's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tui_loop.core.config.lora_fields import changes_base, initialization_problem
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
from tui_loop.core.safetensors_header import DamagedFile, read_header

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
_FOREIGN_SETTINGS = (
    *("megatron_config", "auto_mapping", "layer_replication", "arrow_config", "kasa_config"),
    *("eva_config", "corda_config", "lora_ga_config", "loftq_config", "alora_invocation_tokens"),
)
"""Settings that import code, read further files or change the base; this program sets none."""
_OWN_BASE_SETTINGS = (
    *("modules_to_save", "trainable_token_indices", "target_parameters", "ensure_weight_tying"),
)
"""Settings with which an adapter replaces layers of its base, where others would need them."""


def has_weights(folder: IterationFolder) -> bool:
    """Whether trained weights of the iteration are on this machine."""
    return any(folder.adapter.glob("*.safetensors"))


def checked_weights(folder: IterationFolder, *, is_adapter: bool) -> Path:
    """Returns the folder of an iteration's trained weights; raises BadInput if it is unusable."""
    adapter = folder.adapter
    if not has_weights(folder):
        if (state := iteration_of(folder).state) in LIVE:
            raise BadInput(
                f"{folder} is {state}: the weights are saved when the run ends", "wait for the end"
            )
        raise BadInput(
            f"{folder} has no weights on this machine",
            f"copy {adapter} from the machine that trained it (git does not track it)",
        )
    folder.check_place()
    check_within(adapter, folder.path)
    for path in adapter.rglob("*"):
        if path.is_symlink() or not path.is_dir():  # a tokenizer may have a folder of templates
            check_regular(path)
    if is_adapter:
        check_adapter(adapter)
    elif (adapter / ADAPTER_CONFIG).exists():  # transformers would load the base that it names
        raise BadInput(f"{adapter}: unexpected {ADAPTER_CONFIG}", "train the iteration again")
    return adapter


def shares_base(adapter: Path) -> bool:
    """Whether an adapter leaves its base unchanged, so that other adapters can share it."""
    settings = adapter_settings(adapter)
    replaces = any(settings.get(name) for name in _OWN_BASE_SETTINGS)
    return settings.get("bias", "none") == "none" and not replaces


def check_adapter(adapter: Path, hint: str = "train the iteration again") -> None:
    """Raises BadInput for an adapter without safetensors, or with settings that are not loaded."""
    weights = adapter / ADAPTER_WEIGHTS
    if not weights.is_file():
        raise BadInput(f"{adapter}: has no {ADAPTER_WEIGHTS}", hint)
    try:
        read_header(weights)
    except DamagedFile as error:
        raise BadInput(f"{weights}: {error}", "copy the file again") from error
    settings = adapter_settings(adapter)
    unexpected = [name for name in _FOREIGN_SETTINGS if settings.get(name)]
    if settings.get("peft_type") != "LORA":
        unexpected.append("peft_type")
    initialization = settings.get("init_lora_weights", True)
    if initialization_problem(initialization) or changes_base(initialization):
        unexpected.append("init_lora_weights")
    if unexpected:
        raise BadInput(
            f"{adapter / ADAPTER_CONFIG}: unexpected value of {', '.join(unexpected)}", hint
        )


def adapter_settings(adapter: Path) -> dict[str, Any]:
    """Returns the content of an adapter's config; raises BadInput where it is unreadable."""
    path = adapter / ADAPTER_CONFIG
    try:
        return codec.from_json(read_bounded(path, SMALL_FILE_BYTES), dict, str(path))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "train the iteration again") from error
