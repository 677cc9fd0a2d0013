"""Preflight checks that need the tokenizer or the model's shape: lengths, loss mask, memory.

The model and its adapter are built on torch's meta device, where weights have a shape and no
values, so that a check loads no weights.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil
import torch

from tui_loop.core.commands import command
from tui_loop.core.config.schema import Config, Training
from tui_loop.core.data.rows import Row
from tui_loop.core.preflight.check_result import (
    CheckKind,
    CheckResult,
    RowEvidence,
    error,
    evidence,
    info,
    shown,
    warning,
)
from tui_loop.core.preflight.effort import checkpoints_of, disk_findings, size, steps_of
from tui_loop.core.text.figures import of_all, share
from tui_loop.core.text.untrusted import one_line
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import (
    attention_arguments,
    attention_refusals,
    choose_device,
    choose_dtype,
    pretrained_arguments,
)
from tui_loop.engine.preflight import loss_mask
from tui_loop.engine.preflight.loss_mask import MaskedTokens

LITTLE = 0.01
"""A smaller share of trained tokens is a warning."""

MaskedRow = tuple[Row, MaskedTokens]


def check_tokens(
    training: Training, rows: Sequence[MaskedRow], total: int, context: Context
) -> list[CheckResult]:
    """Checks row lengths, truncation and trained tokens of `rows`, out of `total` training rows."""
    return _TokenChecks(training, rows, total).results(context) if rows else []


class _TokenChecks(msgspec.Struct, frozen=True):
    training: Training
    rows: Sequence[MaskedRow]
    total: int

    def results(self, context: Context) -> list[CheckResult]:
        enough = min(max(len(each.ids) + each.cut for _, each in self.rows), context.tokens)
        hint = f"--set training.max_length={enough}"
        results = [self._lengths(), *self._trained(hint), *self._too_long(hint)]
        return [*results, *self._beyond(context), *self._padding()]

    def _lengths(self) -> CheckResult:
        lengths = sorted(len(each.ids) + each.cut for _, each in self.rows)
        longest_row, longest_tokens = max(
            self.rows, key=lambda pair: len(pair[1].ids) + pair[1].cut
        )
        longest = len(longest_tokens.ids) + longest_tokens.cut
        sampled = "" if self.is_whole else f" (of {len(self.rows):,} sampled rows)"
        return info(
            CheckKind.TOKENS,
            f"tokens per row: median {lengths[len(lengths) // 2]}, 95th percentile "
            f"{lengths[(95 * len(lengths) - 1) // 100]}, longest {longest}{sampled}",
            count=longest,
            rows=(shown("train", longest_row),),
        )

    def _trained(self, longer: str) -> list[CheckResult]:
        total = sum(len(each.ids) for _, each in self.rows)
        trained = sum(sum(each.trained) for _, each in self.rows)
        message = f"{share(trained, total)} of the tokens are trained on"
        severity = warning if trained < LITTLE * total else info
        hint = f"see which ones: {command('check', 'LOOP', '--row', 1)}"
        results = [severity(CheckKind.TRAINED_SHARE, message, hint, count=trained)]
        masked = [row for row, each in self.rows if not each.has_loss]
        if masked:
            no_row_trains = self.is_whole and len(masked) == len(self.rows)
            severity = error if no_row_trains else warning
            limit = self.training.max_length
            within = f" within {limit} tokens" if limit is not None else ""
            results.append(
                severity(
                    CheckKind.FULLY_MASKED,
                    f"{of_all(len(masked), len(self.rows), self.row_noun)} "
                    f"{'has' if len(masked) == 1 else 'have'} no token to train on{within} "
                    f"and {'is' if len(masked) == 1 else 'are'} left out",
                    longer,
                    count=len(masked),
                    rows=evidence(shown("train", row) for row in masked),
                )
            )
        return results

    def _too_long(self, longer: str) -> list[CheckResult]:
        long = [(row, each) for row, each in self.rows if each.cut]
        if not long:
            return []
        trained = sum(sum(each.trained) + each.cut_trained for _, each in self.rows)
        lost = sum(each.cut_trained for _, each in self.rows)
        long.sort(key=lambda pair: -pair[1].cut)
        return [
            warning(
                CheckKind.TOO_LONG,
                f"{of_all(len(long), len(self.rows), self.row_noun)} "
                f"{'is' if len(long) == 1 else 'are'} longer than training.max_length = "
                f"{self.training.max_length}: {share(lost, trained)} of the tokens to "
                "train on are cut off",
                longer,
                count=len(long),
                rows=evidence(
                    RowEvidence(
                        "train",
                        row.line,
                        one_line(row.id, 80),
                        f"{len(each.ids) + each.cut} tokens: {shown('train', row).text}",
                    )
                    for row, each in long
                ),
            )
        ]

    def _beyond(self, context: Context) -> list[CheckResult]:
        """Rows beyond the model's context: an error with learned positions, else a warning."""
        severity = error if context.is_hard else warning
        limit = self.training.max_length
        if self.training.packing and limit is not None:
            if limit <= context.tokens:
                return []
            return [
                severity(
                    CheckKind.BEYOND_CONTEXT,
                    f"rows are packed to training.max_length = {limit} tokens, but the model's "
                    f"context is {context.tokens} tokens",
                    f"--set training.max_length={context.tokens}",
                )
            ]
        beyond = [row for row, each in self.rows if len(each.ids) > context.tokens]
        if not beyond:
            return []
        return [
            severity(
                CheckKind.BEYOND_CONTEXT,
                f"{of_all(len(beyond), len(self.rows), self.row_noun)} "
                f"{'is' if len(beyond) == 1 else 'are'} longer than the model's context of "
                f"{context.tokens} tokens",
                f"--set training.max_length={context.tokens}",
                count=len(beyond),
                rows=evidence(shown("train", row) for row in beyond),
            )
        ]

    def _padding(self) -> list[CheckResult]:
        """Estimates the share of padding in shuffled batches."""
        training = self.training
        batch = training.per_device_train_batch_size
        if training.packing or batch == 1:
            return []
        lengths = [len(each.ids) for _, each in self.rows]
        random.Random(training.seed).shuffle(lengths)
        batches = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
        computed = sum(max(each) * len(each) for each in batches)
        waste = computed - sum(lengths)
        return [
            info(
                CheckKind.PADDING, f"{share(waste, computed)} of the tokens in batches are padding"
            )
        ]

    @property
    def is_whole(self) -> bool:
        """Whether the rows are not a sample; even then a template may have rejected some."""
        return self.total <= loss_mask.SAMPLED_ROWS

    @property
    def row_noun(self) -> str:
        return "training rows" if self.is_whole else "sampled training rows"


ADAPTER_BYTES = 4
"""Bytes per adapter weight: PEFT keeps them in float32, even on a base in half precision."""

QUANTIZED_BYTES = {"4bit": 0.56, "8bit": 1.0}
"""Bytes per weight; 4-bit weights have a scale for each block of 64 (QLoRA, section 3)."""

ADAM_BYTES = 8.0
"""Bytes of optimizer state per trained weight: Adam has two float32 moments."""

OPTIMIZER_BYTES = {"8bit": 2.0, "sgd": 0.0, "lion": 4.0, "adafactor": 0.1, "lomo": 0.0}
"""The same for optimizers whose name contains the key."""


class Context(msgspec.Struct, frozen=True):
    """A model's context length; `is_hard`: a longer sequence fails rather than degrades."""

    tokens: int
    is_hard: bool


class Sizes(msgspec.Struct, frozen=True):
    """The numbers of parameters and bytes of a run; `embeddings`: rows of the input embedding."""

    parameters: int
    trained: int
    weight_bytes: int
    trained_bytes: int
    optimizer_bytes: int
    vocabulary: int
    embeddings: int
    context: Context

    @property
    def checkpoint_bytes(self) -> int:
        """Bytes of a checkpoint: trained weights and optimizer state."""
        return self.trained_bytes + self.optimizer_bytes

    @property
    def fixed_bytes(self) -> int:
        """Memory that does not depend on the batch: weights, gradients and optimizer state.

        Twice the trained bytes: adapter weights are not part of `weight_bytes`, and each trained
        weight has a gradient.
        """
        return self.weight_bytes + 2 * self.trained_bytes + self.optimizer_bytes

    def of_adapter(self, model: Any, config: Config) -> Sizes:
        """Returns the sizes of a run that trains only what is trainable in `model`."""
        trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
        return msgspec.structs.replace(
            self,
            trained=trained,
            trained_bytes=trained * ADAPTER_BYTES,
            optimizer_bytes=round(trained * _optimizer_bytes(config.training.optim)),
        )


def meta_model(config: Config, root: Path) -> Any:
    """Returns the model on torch's meta device: its weights have a shape and no values.

    Raises what transformers raises where it cannot build one.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    source = find_model(config.model.id, root)
    shape = AutoConfig.from_pretrained(source.name, **pretrained_arguments(config, source))
    with torch.device("meta"), attention_refusals(config):
        return AutoModelForCausalLM.from_config(
            shape,
            trust_remote_code=config.model.trust_remote_code,
            **attention_arguments(config),
        )


def base_sizes(config: Config, model: Any) -> Sizes:
    """Returns the sizes of a run that trains `model` as a whole."""
    from tui_loop.engine.evaluation import context_of

    parameters = sum(each.numel() for each in model.parameters())
    weight_bytes = _weight_bytes(config, model)
    return Sizes(
        parameters,
        parameters,
        weight_bytes,
        weight_bytes,
        round(parameters * _optimizer_bytes(config.training.optim)),
        int(model.config.get_text_config().vocab_size),
        int(model.get_input_embeddings().num_embeddings),
        Context(context_of(model), is_hard=hasattr(model.config, "n_positions")),
    )


def check_sizes(
    config: Config, sizes: Sizes, folder: Path, rows: int, longest: int
) -> list[CheckResult]:
    """Checks memory and disk space for a run whose longest row has `longest` tokens."""
    training = config.training
    count = checkpoints_of(training, steps_of(config, rows), rows)
    needed = sizes.checkpoint_bytes * count + sizes.trained_bytes
    checkpoints = f" and {count} checkpoints" if count > 1 else " and a checkpoint" if count else ""
    return [
        info(
            CheckKind.SIZES,
            f"{sizes.trained:,} of {sizes.parameters:,} parameters are trained "
            f"({100 * sizes.trained / max(1, sizes.parameters):.3g}%)"
            if config.lora.enabled
            else f"all {sizes.parameters:,} parameters are trained",
        ),
        _memory(config, sizes, longest),
        *disk_findings(folder, needed, f"the weights{checkpoints}"),
    ]


def _memory(config: Config, sizes: Sizes, longest: int) -> CheckResult:
    """Compares the least memory that the run needs with the device's.

    That does not include activations, which depend on the attention's implementation. The float32
    logits of one batch are stated separately.
    """
    device = choose_device(config.run.device)
    total = _memory_of(device)
    logits = 4 * config.training.per_device_train_batch_size * longest * sizes.vocabulary
    needed = sizes.fixed_bytes
    message = (
        f"weights, gradients and optimizer state need {size(needed)} of {size(total)} on {device}, "
        f"plus activations (logits of the longest batch: {size(logits)})"
    )
    if needed > total:
        return error(
            CheckKind.MEMORY, message, "use a smaller model, lora.enabled or model.quantization"
        )
    if needed + logits > total:
        return warning(CheckKind.MEMORY, message, "lower per_device_train_batch_size or max_length")
    return info(CheckKind.MEMORY, message, count=needed)


def _memory_of(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return int(psutil.virtual_memory().total)


def _weight_bytes(config: Config, model: Any) -> int:
    """Returns the bytes of the base's weights in memory."""
    device = choose_device(config.run.device)
    dtype = choose_dtype(config.model.dtype, device, trained_whole=not config.lora.enabled)
    unquantized = torch.empty(0, dtype=dtype).element_size()
    quantized = QUANTIZED_BYTES.get(config.model.quantization)
    if quantized is None:
        return unquantized * sum(each.numel() for each in model.parameters())
    linear = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head")
    )
    others = sum(each.numel() for each in model.parameters()) - linear
    return round(linear * quantized + others * unquantized)


def _optimizer_bytes(optimizer: str) -> float:
    name = optimizer.lower()
    return next((count for part, count in OPTIMIZER_BYTES.items() if part in name), ADAM_BYTES)
