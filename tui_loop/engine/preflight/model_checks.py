"""Preflight checks of the model: whether it is a causal language model, and fits its tokenizer."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.models.auto import modeling_auto as auto
from transformers.quantizers.auto import get_hf_quantizer

from tui_loop.core.config.schema import Config
from tui_loop.core.data.rows import Row
from tui_loop.core.preflight.check_result import (
    CheckKind,
    CheckResult,
    error,
    evidence,
    shown,
    warning,
)
from tui_loop.core.safetensors_header import DamagedFile, TensorShape, read_header
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line
from tui_loop.engine.architectures import packing_leak
from tui_loop.engine.model_source import find_model, loaded_files
from tui_loop.engine.models import COPY_AGAIN, damaged_files, pretrained_arguments, sentence_of
from tui_loop.engine.preflight.loss_mask import LossMasker, MaskedTokens

CAUSAL_ONLY = "tui-loop trains causal language models only, such as Llama, Qwen, Gemma or Mistral"

_OTHER_KINDS = (
    ("a vision-language model", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"),
    ("a speech model", "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES"),
    ("an encoder-decoder model", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES"),
    ("an encoder with bidirectional attention", "MODEL_FOR_MASKED_LM_MAPPING_NAMES"),
    ("a classifier", "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"),
)
"""Kinds of models that are refused, with the table of transformers that lists their types."""

_OTHER_HEADS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
    "ForMaskedLM",
    "ForRewardModel",
)
"""Ends of class names whose weights have another head than that of a language model."""

_UNKNOWN = re.compile("model.?type|unrecognized|trust_remote_code", re.IGNORECASE)
"""What transformers says of a type of model that it does not know."""


def check_architecture(config: Config, root: Path) -> list[CheckResult]:
    """Returns an error where the model cannot be trained and evaluated as a causal one."""
    source = find_model(config.model.id, root)
    name = config.model.id
    arguments = pretrained_arguments(config, source)
    with damaged_files(config, "the file config.json cannot be used"):
        try:
            shape = AutoConfig.from_pretrained(source.name, **arguments)
        except (ValueError, KeyError) as fault:
            if not _UNKNOWN.search(str(fault)):
                raise
            return [_unknown_type(name, config, fault)]
    remote = getattr(shape, "auto_map", None) or {}
    if remote and not config.model.trust_remote_code and not _is_causal_type(shape):
        return [_needs_code(name)]
    if kind := _other_kind(shape, remote):
        return [error(CheckKind.MODEL, f"{name} is {kind}", CAUSAL_ONLY)]
    heads = [each for each in shape.architectures or () if str(each).endswith(_OTHER_HEADS)]
    if heads:
        text = f"{name} has the weights of {heads[0]}, but no language-model head"
        return [error(CheckKind.MODEL, text, CAUSAL_ONLY)]
    return []


def _unknown_type(name: str, config: Config, fault: Exception) -> CheckResult:
    if not config.model.trust_remote_code and "trust_remote_code" in str(fault):
        return _needs_code(name)
    from transformers import __version__

    reason = sentence_of(fault)
    return error(
        CheckKind.MODEL,
        f"{name}: transformers {__version__} does not support this model: {reason}",
        "choose another model; one with its own code needs --set model.trust_remote_code=true",
    )


def _needs_code(name: str) -> CheckResult:
    return error(
        CheckKind.MODEL,
        f"{name} needs its own Python code, which runs only with your consent",
        "read that code, then --set model.trust_remote_code=true",
    )


def _is_causal_type(shape: Any) -> bool:
    return shape.model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES


def _other_kind(shape: Any, remote: dict[str, Any]) -> str:
    """Returns what the model is, where it is no causal language model, else ""."""
    if getattr(shape, "is_encoder_decoder", False):
        return "an encoder-decoder model"
    is_causal = _is_causal_type(shape) or "AutoModelForCausalLM" in remote
    is_encoder = shape.model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not (
        getattr(shape, "is_decoder", False) or getattr(shape, "causal", False)
    )
    if is_causal and not (is_encoder and not remote):
        return ""
    for kind, table in _OTHER_KINDS:
        if shape.model_type in getattr(auto, table, {}):
            return kind
    return f"a model of type {one_line(shape.model_type, 40)}"


def check_packing(config: Config, model: Any) -> list[CheckResult]:
    """Returns an error where rows that share a sequence would see each other."""
    is_padding_free = bool(config.other.get("padding_free"))
    if not (config.training.packing or is_padding_free):
        return []
    reason = packing_leak(model)
    if not reason:
        return []
    field = "training.packing" if config.training.packing else "training.padding_free"
    return [
        error(
            CheckKind.CONFIG,
            f"{field}: {config.model.id} cannot keep packed rows apart: {reason}",
            f"--set {field}=false",
            field=field,
        )
    ]


def check_weights(config: Config, model: Any, root: Path) -> list[CheckResult]:
    """Returns an error where the weights files do not fit the model that config.json describes.

    Only names and shapes are read. A layer without weights would start from random values.
    """
    source = find_model(config.model.id, root)
    if getattr(model.config, "quantization_config", None) is not None:
        return _cannot_dequantize(config, model)
    if source.gguf is not None:
        return []  # stored in another form
    stored: dict[str, TensorShape] = {}
    for path in loaded_files(source, config.model.revision):
        with contextlib.suppress(DamagedFile, OSError):  # reported elsewhere, or not yet fetched
            stored |= read_header(path)
    own = {name: tuple(each.shape) for name, each in model.named_parameters()}
    other = [name for name in own if name in stored and stored[name].shape != own[name]]
    missing = _without_weights(model, own, stored)
    if not (other or missing):
        return []
    if other:
        sizes = f"{_size(stored[other[0]].shape)} instead of {_size(own[other[0]])}"
        text = (
            f"{counted(len(other), 'weight')} of a different size, such as {other[0]} with {sizes}"
        )
    else:
        text = f"no weights for {counted(len(missing), 'parameter')}, such as {missing[0]}"
    text = f"{config.model.id}: the weights files do not match config.json: they have {text}"
    return [error(CheckKind.MODEL, text, COPY_AGAIN)]


def _cannot_dequantize(config: Config, model: Any) -> list[CheckResult]:
    """Returns an error where the packages or the device for quantized weights are missing."""
    try:
        get_hf_quantizer(copy.deepcopy(model.config), None, None, True, {})
    except Exception as fault:  # ImportError, RuntimeError, ValueError ...
        text = f"{config.model.id}: the quantized weights cannot be loaded: {sentence_of(fault)}"
        return [error(CheckKind.MODEL, text, "choose an unquantized version of the model")]
    return []


def _without_weights(model: Any, own: Iterable[str], stored: Mapping[str, Any]) -> list[str]:
    """Returns the parameters that no file has, [] where files name weights in another way."""
    if not stored.keys() <= {*own, *(name for name, _ in model.named_buffers())}:
        return []
    optional = [
        *(getattr(model, "all_tied_weights_keys", None) or ()),
        *(model._keys_to_ignore_on_load_missing or ()),
    ]
    return [
        name
        for name in own
        if stored and name not in stored and not any(re.search(each, name) for each in optional)
    ]


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def check_tokenizer(
    config: Config,
    masker: LossMasker,
    rows: Sequence[tuple[Row, MaskedTokens]],
    embeddings: int,
) -> list[CheckResult]:
    """Returns an error where rows have tokens for which the model has no embedding."""
    known = len(masker.tokenizer)
    beyond = [row for row, each in rows if max(each.ids, default=0) >= embeddings]
    sizes = (
        f"the tokenizer has {known:,} tokens, but {config.model.id} has {embeddings:,} embeddings"
    )
    if beyond:
        return [
            error(
                CheckKind.MODEL,
                f"{sizes}: {counted(len(beyond), 'training row')} "
                f"{'has' if len(beyond) == 1 else 'have'} tokens without an embedding",
                "use the tokenizer that belongs to this model",
                count=len(beyond),
                rows=evidence(shown("train", row) for row in beyond),
            )
        ]
    if known > embeddings:
        text = f"{sizes}: a row that contains a token without an embedding would end the run"
        hint = "use the tokenizer that belongs to this model"
        return [warning(CheckKind.MODEL, text, hint)]
    return []
