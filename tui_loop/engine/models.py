"""Loads a base model and its tokenizer onto a device, anew for every run."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop.core.config.schema import EOS, Config
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.consent import require_consent
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.model_folder import has_tokenizer
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.text.secrets import redacted
from tui_loop.core.text.untrusted import one_line
from tui_loop.engine.extras import require_attention, require_gguf, require_quant
from tui_loop.engine.foreign_code import hub_commit, model_code
from tui_loop.engine.gpus.process import use_one
from tui_loop.engine.model_source import ModelSource, find_model

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tui_loop.engine.base_identity import BaseIdentity


class LoadedModel(msgspec.Struct, frozen=True):
    """A loaded model with its tokenizer, its device and the type of its weights.

    `base`: what the record says of the base, where a run loaded it.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype
    base: BaseIdentity | None = None


def load_model(config: Config, source: ModelSource, trained: Path | None = None) -> LoadedModel:
    """Loads a base and its tokenizer. Never share them between runs: training changes the model.

    `trained`: a folder with a whole fine-tuned model, whose weights replace the base's.
    """
    import torch
    from transformers import AutoModelForCausalLM

    device = choose_device(config.run.device)
    dtype = choose_dtype(config.model.dtype, device, trained_whole=not config.lora.enabled)
    common = pretrained_arguments(config, source)
    if trained is not None:  # its folder may have code of its own
        require_consent(model_code(config.model, ModelSource(str(trained))))
    if source.gguf is not None:
        require_gguf("loading a GGUF file")
    tokenizer = load_tokenizer(config, source)
    quantized = _quantization(config, device, dtype)
    if source.gguf is None:
        common["use_safetensors"] = True  # never a pickle
    name = source.name
    if trained is not None:
        name, common["use_safetensors"] = str(trained), True
        common.pop("gguf_file", None)
        common.pop("revision", None)
    with attention_refusals(config):
        model = AutoModelForCausalLM.from_pretrained(
            name, dtype=dtype, **quantized, **attention_arguments(config), **common
        )
    if source.gguf is not None and trained is None:
        forget_quantization(model)
    _make_generation_saveable(model)
    if not quantized:
        model = model.to(device)
    model.eval()
    return LoadedModel(model, tokenizer, torch.device(device), dtype)


def _make_generation_saveable(model: Any) -> None:
    """Lets `save_pretrained` write the model's generation settings, of which it refuses some.

    Many models on the hub have a temperature without `do_sample`; they load, but cannot be saved.
    """
    settings = model.generation_config
    if settings is None:
        return
    for changes in ({}, {"do_sample": True}, {"num_beams": 2}):
        for name, value in changes.items():
            setattr(settings, name, value)
        try:
            settings.validate(strict=True)
            return
        except ValueError:
            continue


def load_whole_model(config: Config, folder: IterationFolder, trained: Path) -> LoadedModel:
    """Loads the whole fine-tuned model of an iteration from its folder of weights, `trained`.

    That of an earlier version has no tokenizer there: only then is the base needed, for its own.
    """
    if has_tokenizer(trained):
        return load_model(config, ModelSource(str(trained)))
    return load_model(config, find_model(config.model.id, folder.loop.root), trained)


def load_tokenizer(config: Config, source: ModelSource) -> PreTrainedTokenizerBase:
    """Loads a tokenizer with `training.eos_token` and a padding token.

    Raises BadInput for an end-of-sequence token that it does not have.
    """
    from transformers import AutoTokenizer

    arguments = pretrained_arguments(config, source)
    with damaged_files(config, "the tokenizer cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(source.name, **arguments)
    eos = config.other.get(EOS)
    if eos is not None:
        if eos not in tokenizer.get_vocab():
            special = ", ".join(one_line(each, 20) for each in tokenizer.all_special_tokens[:8])
            raise BadInput(
                f"training.eos_token: {eos!r} is not a token of {config.model.id}",
                f"choose one of its tokens, such as {special}"
                if special
                else "choose one of its tokens",
            )
        tokenizer.eos_token = eos
    if tokenizer.pad_token is None:
        # Padding is masked, so any token will do.
        first = tokenizer.convert_ids_to_tokens(0)
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or first
    return tokenizer


def attention_arguments(config: Config) -> dict[str, Any]:
    """Returns the arguments of `from_pretrained` and `from_config` for the kind of attention."""
    require_attention(config.model.attn_implementation)
    chosen = config.model.attn_implementation
    return {} if chosen == "auto" else {"attn_implementation": chosen}


COPY_AGAIN = "copy the model's files again, or choose another model"
"""What to do about a model whose files do not make sense."""


@contextlib.contextmanager
def damaged_files(config: Config, what: str) -> Iterator[None]:
    """Turns whatever a library raises over a model's files into BadInput that says `what`."""
    try:
        yield
    except TuiLoopError:
        raise
    except Exception as fault:  # each library has its own: KeyError, Exception, ...
        raise BadInput(f"{config.model.id}: {what}: {sentence_of(fault)}", COPY_AGAIN) from fault


_CLASS_NEEDED = (LookupError, ArithmeticError, AttributeError, TypeError, AssertionError)
"""Errors whose text means little without the name of their class."""


def sentence_of(fault: BaseException) -> str:
    """Returns the first sentence of an error's text, redacted, on one line, without Markdown."""
    text = " ".join(redacted(str(fault)).replace("`", "").split())
    if not text or isinstance(fault, _CLASS_NEEDED):
        text = ": ".join(filter(None, (type(fault).__name__, text)))
    first = re.split(r"(?<=[a-z)])\. (?=[A-Z])", text)[0]
    return one_line(first.rstrip("."), 300)


@contextlib.contextmanager
def attention_refusals(config: Config) -> Iterator[None]:
    """Turns what transformers says against the chosen attention into a ConfigError."""
    try:
        yield
    except (ValueError, ImportError) as error:
        chosen = config.model.attn_implementation
        message = str(error).strip().splitlines()[0]
        if chosen == "auto" or not re.search("attention|attn|sdpa", message, re.IGNORECASE):
            raise
        raise ConfigError([f"model.attn_implementation: {chosen}: {message}"]) from error


def generation_ends(config: Config, source: ModelSource) -> tuple[int, ...]:
    """Returns the token ids that end the generation of a base that is not loaded."""
    from transformers import AutoConfig, GenerationConfig

    arguments = pretrained_arguments(config, source)
    arguments.pop("trust_remote_code")
    gguf = arguments.pop("gguf_file", None)
    if gguf is None:
        with (
            damaged_files(config, "the file generation_config.json cannot be used"),
            contextlib.suppress(OSError),  # it has no such file, or none that is JSON
        ):
            return end_ids(GenerationConfig.from_pretrained(source.name, **arguments).eos_token_id)
    whole = AutoConfig.from_pretrained(source.name, **pretrained_arguments(config, source))
    return end_ids(getattr(whole.get_text_config(), "eos_token_id", None))


def end_ids(value: Any) -> tuple[int, ...]:
    """Returns the ids in the `eos_token_id` of a config, which may be a number, a list or None."""
    found = value if isinstance(value, (list, tuple)) else [value]
    return tuple(each for each in found if isinstance(each, int))


def pretrained_arguments(config: Config, source: ModelSource) -> dict[str, Any]:
    """Returns the arguments of every `from_pretrained` of a base.

    Raises NeedsConsent where loading would run foreign code without consent.
    """
    model = config.model
    if model.trust_remote_code and not source.is_local:  # pins the code that consent was given for
        commit = hub_commit(source.name, model.revision)
        model = msgspec.structs.replace(model, revision=commit)
    require_consent(model_code(model, source))
    arguments: dict[str, Any] = {"trust_remote_code": model.trust_remote_code}
    if source.gguf is not None:
        arguments["gguf_file"] = source.gguf
    if not source.is_local:
        arguments["revision"] = model.revision
    return arguments


def choose_device(device: str) -> str:
    """Returns cuda, mps or cpu for `run.device`; raises BadInput for an unavailable device.

    A process that has claimed no GPU then uses a single one.
    """
    import torch

    if device in ("auto", "cuda"):
        use_one()
    availability = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return next(name for name, is_available in availability.items() if is_available)
    if not availability[device]:
        raise BadInput(f"run.device: this machine has no {device} device", "--set run.device=auto")
    return device


def choose_dtype(dtype: str, device: str, *, trained_whole: bool) -> torch.dtype:
    """Returns the type of the weights for `model.dtype`.

    Training a whole model with `auto` keeps float32 master weights.
    """
    import torch

    if dtype != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            dtype
        ]
    if device == "cuda" and torch.cuda.is_bf16_supported() and not trained_whole:
        return torch.bfloat16
    return torch.float32


def forget_quantization(model: Any) -> None:
    """Removes the quantization marks of a model that was dequantized while loading.

    transformers refuses to train or save a model that has them.
    """
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config
    for name in ("hf_quantizer", "quantization_method"):
        if hasattr(model, name):
            delattr(model, name)
    model.is_quantized = False


def _quantization(config: Config, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Returns `from_pretrained` arguments for a quantized base, {} for any other."""
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
