"""Loading a base with its tokenizer, fresh for every run, on its device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.consent import require_consent
from tui_loop.core.errors import BadInput
from tui_loop.engine.extras import require_gguf, require_quant
from tui_loop.engine.foreign_code import hub_commit, model_code
from tui_loop.engine.model_source import ModelSource

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class LoadedModel(msgspec.Struct, frozen=True):
    """A freshly loaded base with its tokenizer, on its device."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype


def load_model(config: Config, source: ModelSource, trained: Path | None = None) -> LoadedModel:
    """A fresh base and its tokenizer, never shared between runs.

    `trained`: a folder of whole fine-tuned weights that stand in the base's place.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = choose_device(config.run.device)
    dtype = choose_dtype(config.model.dtype, device, trained_whole=not config.lora.enabled)
    common = pretrained_arguments(config, source)
    if trained is not None:  # it was saved with the base's code, or with a stranger's
        require_consent(model_code(config.model, ModelSource(str(trained))))
    if source.gguf is not None:
        require_gguf("loading a GGUF file")
    tokenizer = AutoTokenizer.from_pretrained(source.name, **common)
    quantized = _quantization(config, device, dtype)
    if source.gguf is None:
        common["use_safetensors"] = True  # never a pickle
    name = source.name
    if trained is not None:
        name, common["use_safetensors"] = str(trained), True
        common.pop("gguf_file", None)
        common.pop("revision", None)
    model = AutoModelForCausalLM.from_pretrained(name, dtype=dtype, **quantized, **common)
    if source.gguf is not None and trained is None:
        forget_quantization(model)
    if not quantized:
        model = model.to(device)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.eval()
    return LoadedModel(model, tokenizer, torch.device(device), dtype)


def pretrained_arguments(config: Config, source: ModelSource) -> dict[str, Any]:
    """What every `from_pretrained` of a base gets.

    Raises NeedsConsent where that would run code that nobody allowed.
    """
    model = config.model
    if model.trust_remote_code and not source.is_local:  # no newer code than the allowed one
        commit = hub_commit(source.name, model.revision)
        model = msgspec.structs.replace(model, revision=commit)
    require_consent(model_code(model, source))
    arguments: dict[str, Any] = {"trust_remote_code": model.trust_remote_code}
    if source.gguf is not None:
        arguments["gguf_file"] = source.gguf
    if not source.is_local:
        arguments["revision"] = model.revision
    return arguments


def choose_device(told: str) -> str:
    """`cuda`, `mps` or `cpu`; raises BadInput where the one told is not there."""
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if told == "auto":
        return next(name for name, available in there.items() if available)
    if not there[told]:
        raise BadInput(f"run.device: this machine has no {told}", "--set run.device=auto")
    return told


def choose_dtype(told: str, device: str, *, trained_whole: bool) -> torch.dtype:
    """The type of the weights; whole-model training on `auto` keeps float32 master weights."""
    import torch

    if told != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            told
        ]
    if device == "cuda" and torch.cuda.is_bf16_supported() and not trained_whole:
        return torch.bfloat16
    return torch.float32


def forget_quantization(model: Any) -> None:
    """Makes a model that was dequantised while loading an ordinary one.

    transformers still marks it as quantised, and then neither trains nor saves it.
    """
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config
    for name in ("hf_quantizer", "quantization_method"):
        if hasattr(model, name):
            delattr(model, name)
    model.is_quantized = False


def _quantization(config: Config, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """`from_pretrained` arguments for QLoRA loading; {} where the base is not quantised."""
    kind = config.model.quantization
    if kind == "none":
        return {}
    require_quant(f"model.quantization = {kind}")
    if device != "cuda":
        raise BadInput(
            f"model.quantization: {kind} needs a CUDA device", "--set model.quantization=none"
        )
    from transformers import BitsAndBytesConfig

    if kind == "8bit":
        settings = BitsAndBytesConfig(load_in_8bit=True)
    else:
        settings = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return {"quantization_config": settings, "device_map": {"": 0}}
