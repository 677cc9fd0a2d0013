"""Preflight checks of the model: whether it is a causal language model, and fits its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.models.auto import modeling_auto as auto

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
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line
from tui_loop.engine.architectures import packing_leak
from tui_loop.engine.loss_mask import LossMasker, MaskedTokens
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import pretrained_arguments

CAUSAL_ONLY = "tui-loop trains causal language models only, such as Llama, Qwen, Gemma or Mistral"

_OTHER_KINDS = (
    ("a vision-language model", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"),
    ("a speech model", "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES"),
    ("an encoder-decoder model", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES"),
    ("an encoder, which sees both sides of a token", "MODEL_FOR_MASKED_LM_MAPPING_NAMES"),
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


def check_architecture(config: Config, root: Path) -> list[CheckResult]:
    """Returns an error where the model cannot be trained and evaluated as a causal one."""
    source = find_model(config.model.id, root)
    name = config.model.id
    try:
        shape = AutoConfig.from_pretrained(source.name, **pretrained_arguments(config, source))
    except (ValueError, KeyError) as fault:
        return [_unknown_type(name, config, fault)]
    remote = getattr(shape, "auto_map", None) or {}
    if remote and not config.model.trust_remote_code and not _is_causal_type(shape):
        return [_needs_code(name)]
    if kind := _other_kind(shape, remote):
        return [error(CheckKind.MODEL, f"{name} is {kind}", CAUSAL_ONLY)]
    heads = [each for each in shape.architectures or () if each.endswith(_OTHER_HEADS)]
    if heads:
        text = f"{name} has the weights of {heads[0]}, without the head of a language model"
        return [error(CheckKind.MODEL, text, CAUSAL_ONLY)]
    return []


def _unknown_type(name: str, config: Config, fault: Exception) -> CheckResult:
    if not config.model.trust_remote_code and "trust_remote_code" in str(fault):
        return _needs_code(name)
    from transformers import __version__

    reason = one_line(str(fault), 160)
    return error(
        CheckKind.MODEL,
        f"{name}: transformers {__version__} does not know this model: {reason}",
        "choose another model, or one that brings its code: --set model.trust_remote_code=true",
    )


def _needs_code(name: str) -> CheckResult:
    return error(
        CheckKind.MODEL,
        f"{name} needs Python code of its own, which runs only with your consent",
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
            f"{field}: {config.model.id} cannot keep the rows of one sequence apart: {reason}",
            f"--set {field}=false",
            field=field,
        )
    ]


def check_tokenizer(
    config: Config,
    masker: LossMasker,
    rows: Sequence[tuple[Row, MaskedTokens]],
    embeddings: int,
) -> list[CheckResult]:
    """Returns an error where rows have tokens for which the model has no embedding."""
    known = len(masker.tokenizer)
    beyond = [row for row, each in rows if max(each.ids, default=0) >= embeddings]
    sizes = f"the tokenizer has {known:,} tokens, {config.model.id} has {embeddings:,} embeddings"
    if beyond:
        return [
            error(
                CheckKind.MODEL,
                f"{sizes}: {counted(len(beyond), 'training row')} have tokens beyond them",
                "take the tokenizer that belongs to this model",
                count=len(beyond),
                rows=evidence(shown("train", row) for row in beyond),
            )
        ]
    if known > embeddings:
        text = f"{sizes}: a row with one of the others would end the run"
        hint = "take the tokenizer that belongs to this model"
        return [warning(CheckKind.MODEL, text, hint)]
    return []
