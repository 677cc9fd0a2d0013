"""From a model's name to loaded weights: tiny, smollm2, a folder, a GGUF file, a hub id."""

from __future__ import annotations

import difflib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from platformdirs import user_cache_path

from tui_loop.core.errors import BadInput
from tui_loop.core.hub_id import is_hub_id
from tui_loop.core.schema import Config
from tui_loop.core.shipped import shipped
from tui_loop.engine.extras import require_gguf, require_quant
from tui_loop.engine.hub import use_cache_where_unreachable

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TINY = "tiny"
SMOLLM2 = "smollm2"
_EDGE_BYTES = 1 << 20


class ModelSource(msgspec.Struct, frozen=True):
    """Where weights are loaded from: `name` is a folder or a hub id, `gguf` a file in it."""

    name: str
    gguf: str | None = None
    is_local: bool = True


class LoadedModel(msgspec.Struct, frozen=True):
    """A freshly loaded base with its tokenizer, on its device."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype


def cache_folder() -> Path:
    """Where converted models are kept; TUI_LOOP_CACHE moves it."""
    told = os.environ.get("TUI_LOOP_CACHE")
    return Path(told) if told else user_cache_path("tui-loop", appauthor=False)


def smollm2_folder() -> Path:
    """The converted SmolLM2-135M-Instruct, there or not."""
    return cache_folder() / "models" / "SmolLM2-135M-Instruct"


def find_model(model_id: str, root: Path) -> ModelSource:
    """Where `model_id` is; looks at the disk only. Raises BadInput for what cannot be a model."""
    if model_id == TINY:
        return ModelSource(str(shipped("sample_data", "tiny-base")))
    if model_id == SMOLLM2:
        folder = smollm2_folder()
        if not (folder / "model.safetensors").exists():
            raise BadInput("model smollm2 has not been fetched yet", "tui-loop fetch smollm2")
        return ModelSource(str(folder))
    path = Path(os.path.expanduser(model_id))
    path = path if path.is_absolute() else root / path
    if path.suffix == ".gguf":
        if not path.is_file():
            raise BadInput(f"model.id: {path}: no such file", "check the path")
        return ModelSource(str(path.parent), gguf=path.name)
    if path.is_dir():
        if not (path / "config.json").exists():
            raise BadInput(
                f"model.id: {path} has no config.json, so it is no model folder",
                "name a folder that save_pretrained wrote",
            )
        return ModelSource(str(path))
    if not is_hub_id(model_id):
        raise BadInput(
            f"model.id: {model_id!r} is neither a folder nor a hub id",
            "--model tiny, --model smollm2, a folder, a .gguf file, or ORG/NAME",
        )
    return ModelSource(model_id, is_local=False)


def check_model(model_id: str, revision: str | None, root: Path) -> ModelSource:
    """`find_model`, and for a hub id its config is fetched; raises BadInput if it cannot be had."""
    source = find_model(model_id, root)
    if source.is_local:
        return source
    use_cache_where_unreachable()
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(model_id, "config.json", revision=revision)
    except Exception as error:  # the hub's own tree of errors, OSError, ValueError
        close = difflib.get_close_matches(model_id, (TINY, SMOLLM2), n=1)
        guess = f", did you mean {close[0]}?" if close else ""
        raise BadInput(
            f"model.id: {model_id!r} is not on this machine and the hub did not give it "
            f"({type(error).__name__}){guess}",
            "check the id; --model tiny and --model smollm2 need no hub",
        ) from error
    return source


def load_model(config: Config, source: ModelSource, trained: Path | None = None) -> LoadedModel:
    """A fresh base and its tokenizer, never shared between runs.

    `trained`: a folder of whole fine-tuned weights that stand in the base's place.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = choose_device(config.run.device)
    dtype = choose_dtype(config.model.dtype, device, trained_whole=not config.lora.enabled)
    common: dict[str, Any] = {"trust_remote_code": config.model.trust_remote_code}
    if not source.is_local:
        common["revision"] = config.model.revision
    if source.gguf is not None:
        require_gguf("loading a GGUF file")
        common["gguf_file"] = source.gguf
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


def weights_print(source: ModelSource) -> str:
    """A short hash that changes with a local model's weights; empty for a hub id.

    Of each weights file its name, size, and first and last megabyte: a folder of many
    gigabytes is told apart in milliseconds.
    """
    if not source.is_local:
        return ""
    folder = Path(source.name)
    files = [folder / source.gguf] if source.gguf else sorted(folder.glob("*.safetensors"))
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(f"{path.name} {size}\n".encode())
            digest.update(file.read(_EDGE_BYTES))
            file.seek(max(0, size - _EDGE_BYTES))
            digest.update(file.read(_EDGE_BYTES))
    return digest.hexdigest()[:12]


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
