"""LoraConfig fields beyond those that the schema declares: settable ones, and those refused.

Names are PEFT 0.21's; a test compares them with the LoraConfig that is installed.
"""

from __future__ import annotations

import re

OWNED_LORA_FIELDS: dict[str, str] = {
    **dict.fromkeys(
        ("peft_type", "task_type", "peft_version"),
        "every adapter is a LoRA adapter of a causal language model",
    ),
    "inference_mode": "a run always trains its adapter",
    "fan_in_fan_out": "PEFT sets the value from the layer type",
    "base_model_name_or_path": "use model.id",
    "revision": "use model.revision",
    "runtime_config": "a run keeps all layers on one device",
    **dict.fromkeys(
        ("auto_mapping", "megatron_config", "megatron_core"),
        "tui-loop never loads adapters that import code",
    ),
    **dict.fromkeys(
        ("layer_replication", "kasa_config"),
        "the setting changes the base model, so the saved adapter would not fit the original one",
    ),
    "arrow_config": "a run trains only one adapter",
    "alora_invocation_tokens": "evaluation needs an adapter that is active for every token",
    **dict.fromkeys(
        ("eva_config", "corda_config", "lora_ga_config", "loftq_config"),
        "only the initializations of lora.init_lora_weights are supported",
    ),
}
"""LoraConfig fields that the program sets itself or cannot evaluate, with the hint for users."""

OTHER_LORA_FIELDS: dict[str, type | tuple[type, ...]] = {
    "exclude_modules": (str, list),
    "layers_pattern": (str, list),
    "lora_bias": bool,
    "ensure_weight_tying": bool,
    "use_qalora": bool,
    "qalora_group_size": int,
    "velora_config": dict,
    "monteclora_config": dict,
    "use_bdlora": dict,
}
"""The remaining fields of PEFT 0.21's LoraConfig, settable under `lora`; a test compares."""

INITIALIZATIONS = ("gaussian", "orthogonal", "mica", "olora", "pissa")
"""Names that `lora.init_lora_weights` takes, besides true, false and `pissa_niter_N`."""

_REFUSED_INITIALIZATIONS = {
    **dict.fromkeys(("eva", "corda", "lora_ga"), "must be an initialization that needs no data"),
    "loftq": "must be an initialization that does not quantize the base model",
}
_PISSA_STEPS = re.compile(r"pissa_niter_[0-9]{1,3}")


def initialization_problem(value: object) -> str:
    """Returns what is wrong with a value of `lora.init_lora_weights`, "" where nothing is."""
    if isinstance(value, bool) or value in INITIALIZATIONS:
        return ""
    if isinstance(value, str):
        if _PISSA_STEPS.fullmatch(value):
            return ""
        if reason := _REFUSED_INITIALIZATIONS.get(value):
            return reason
    return f"must be one of true, false, {', '.join(INITIALIZATIONS)}, pissa_niter_N"


def changes_base(initialization: object) -> bool:
    """Whether an initialization moves a part of the base's weights into the adapter."""
    return isinstance(initialization, str) and initialization.startswith(("pissa", "olora"))
