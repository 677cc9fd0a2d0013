"""Preflight with the tokenizer and the model's shape: row lengths, trained tokens, sizes.

The model is built on torch's meta device, where weights have sizes and no values, and gets its
adapter there as PEFT makes it.
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
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_kinds import CheckKind
from tui_loop.core.preflight.check_result import (
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
from tui_loop.engine import loss_mask
from tui_loop.engine.loss_mask import MaskedTokens
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import LoadedModel, choose_device, choose_dtype, pretrained_arguments

LITTLE = 0.01
"""A share of trained tokens below this is warned of."""

MaskedRow = tuple[Row, MaskedTokens]


def token_findings(
    training: Training, rows: Sequence[MaskedRow], total: int, context: Context
) -> list[CheckResult]:
    """Lengths, what is cut, what is trained on; of `total` training rows these were looked at."""
    return _Counting(training, rows, total).findings(context) if rows else []


class _Counting(msgspec.Struct, frozen=True):
    training: Training
    rows: Sequence[MaskedRow]
    total: int

    def findings(self, context: Context) -> list[CheckResult]:
        enough = min(max(len(each.ids) + each.cut for _, each in self.rows), context.tokens)
        hint = f"--set training.max_length={enough}"
        found = [self._lengths(), *self._trained(hint), *self._too_long(hint)]
        return [*found, *self._beyond(context), *self._padding()]

    def _lengths(self) -> CheckResult:
        lengths = sorted(len(each.ids) + each.cut for _, each in self.rows)
        longest, row = max(((len(each.ids) + each.cut, row) for row, each in self.rows), key=_first)
        of = "" if self.is_whole else f" (of {len(self.rows):,} sampled rows)"
        return info(
            CheckKind.TOKENS,
            f"a row has {lengths[len(lengths) // 2]} tokens (median), 95% have up to "
            f"{lengths[(95 * len(lengths) - 1) // 100]}, the longest has {longest}{of}",
            count=longest,
            rows=(shown("train", row),),
        )

    def _trained(self, longer: str) -> list[CheckResult]:
        total = sum(len(each.ids) for _, each in self.rows)
        trained = sum(sum(each.trained) for _, each in self.rows)
        words = f"{share(trained, total)} of the tokens are trained on"
        make = warning if trained < LITTLE * total else info
        hint = f"see which ones: {command('check', 'LOOP', '--row', 1)}"
        found = [make(CheckKind.TRAINED_SHARE, words, hint, count=trained)]
        masked = [row for row, each in self.rows if not any(each.trained)]
        if masked:
            all_of_them = self.is_whole and len(masked) == len(self.rows)
            report = error if all_of_them else warning
            limit = self.training.max_length
            found.append(
                report(
                    CheckKind.FULLY_MASKED,
                    f"{of_all(len(masked), len(self.rows), self.words)} "
                    f"{'has' if len(masked) == 1 else 'have'} no trained token within "
                    f"{limit} tokens and {'is' if len(masked) == 1 else 'are'} left out",
                    longer,
                    count=len(masked),
                    rows=evidence(shown("train", row) for row in masked),
                )
            )
        return found

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
                f"{of_all(len(long), len(self.rows), self.words)} "
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
        """Rows that the model itself cannot take: with learned positions that is an error."""
        report = error if context.is_hard else warning
        limit = self.training.max_length
        if self.training.packing and limit is not None:
            if limit <= context.tokens:
                return []
            return [
                report(
                    CheckKind.BEYOND_CONTEXT,
                    f"rows are packed to training.max_length = {limit} tokens, and the model was "
                    f"made for {context.tokens}",
                    f"--set training.max_length={context.tokens}",
                )
            ]
        beyond = [row for row, each in self.rows if len(each.ids) > context.tokens]
        if not beyond:
            return []
        return [
            report(
                CheckKind.BEYOND_CONTEXT,
                f"{of_all(len(beyond), len(self.rows), self.words)} "
                f"{'is' if len(beyond) == 1 else 'are'} longer than the {context.tokens} tokens "
                "that the model was made for",
                f"--set training.max_length={context.tokens}",
                count=len(beyond),
                rows=evidence(shown("train", row) for row in beyond),
            )
        ]

    def _padding(self) -> list[CheckResult]:
        """Share of padding in shuffled batches of this size."""
        training = self.training
        batch = training.per_device_train_batch_size
        if training.packing or batch == 1:
            return []
        lengths = [len(each.ids) for _, each in self.rows]
        random.Random(training.seed).shuffle(lengths)
        batches = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
        computed = sum(max(each) * len(each) for each in batches)
        waste = computed - sum(lengths)
        return [info(CheckKind.PADDING, f"{share(waste, computed)} of what is computed is padding")]

    @property
    def is_whole(self) -> bool:
        """Whether these are all training rows, not a sample (a template may refuse some)."""
        return self.total <= loss_mask.SAMPLED_ROWS

    @property
    def words(self) -> str:
        return "training rows" if self.is_whole else "sampled training rows"


def _first(pair: tuple[int, Row]) -> int:
    return pair[0]


ADAPTER_BYTES = 4
"""PEFT keeps adapters in float32, also beside a base in half precision."""

QUANTIZED_BYTES = {"4bit": 0.56, "8bit": 1.0}
"""Bytes a weight: 4-bit ones have a scale for each block of 64 (QLoRA, section 3)."""

OPTIMIZER_BYTES = {"8bit": 2.0, "sgd": 0.0, "lion": 4.0, "adafactor": 0.1, "lomo": 0.0}
ADAM_BYTES = 8.0
"""Two float32 moments for each trained weight; other optimizers by a part of their name."""


class Context(msgspec.Struct, frozen=True):
    """The longest sequence of a model; `is_hard` where a longer one fails, not only degrades."""

    tokens: int
    is_hard: bool


class Sizes(msgspec.Struct, frozen=True):
    """Parameters and bytes of a run."""

    parameters: int
    trained: int
    weight_bytes: int
    trained_bytes: int
    optimizer_bytes: int
    vocabulary: int
    context: Context

    @property
    def checkpoint_bytes(self) -> int:
        """Trained weights and the optimizer's state."""
        return self.trained_bytes + self.optimizer_bytes

    @property
    def standing_bytes(self) -> int:
        """Memory that is taken whatever a batch is: weights, gradients, optimizer's state."""
        return self.weight_bytes + 2 * self.trained_bytes + self.optimizer_bytes


def sizes_of(config: Config, root: Path) -> Sizes:
    """The sizes of a run of `config`; raises BadInput where the shape cannot be had."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from tui_loop.engine.evaluation import context_of
    from tui_loop.engine.trainer_arguments import lora_config

    source = find_model(config.model.id, root)
    shape = AutoConfig.from_pretrained(source.name, **pretrained_arguments(config, source))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            shape, trust_remote_code=config.model.trust_remote_code
        )
    parameters = sum(each.numel() for each in model.parameters())
    weight_bytes = _weight_bytes(config, model)
    if config.lora.enabled:
        from peft import get_peft_model

        try:
            model = get_peft_model(model, lora_config(config.lora, model))
        except ValueError as fault:
            raise BadInput(f"lora.target_modules: {fault}", "name layers of this model") from fault
        trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
        trained_bytes = trained * ADAPTER_BYTES
        context = context_of(model.base_model.model)
    else:
        trained, trained_bytes, context = parameters, weight_bytes, context_of(model)
    return Sizes(
        parameters,
        trained,
        weight_bytes,
        trained_bytes,
        round(trained * _optimizer_bytes(config.training.optim)),
        int(shape.get_text_config().vocab_size),
        Context(context, is_hard=hasattr(shape, "n_positions")),
    )


def argument_problems(config: Config) -> list[str]:
    """What the trainer's own arguments refuse of a config, each as `training: what`."""
    from tui_loop.engine.trainer_arguments import sft_config

    device = torch.device(choose_device(config.run.device))
    nothing: Any = None  # arguments hang on the device alone
    loaded = LoadedModel(nothing, nothing, device, torch.float32)
    try:
        sft_config(config, Path("."), loaded)
    except ConfigError as error:
        return error.problems
    return []


def size_findings(
    config: Config, sizes: Sizes, folder: Path, rows: int, longest: int
) -> list[CheckResult]:
    """Memory and disk of a run whose longest batch has rows of `longest` tokens."""
    training = config.training
    count = checkpoints_of(training, steps_of(config, rows), rows)
    needed = sizes.checkpoint_bytes * count + sizes.trained_bytes
    times = f" and {count} checkpoints" if count > 1 else " and a checkpoint" if count else ""
    return [
        info(
            CheckKind.SIZES,
            f"{sizes.trained:,} of {sizes.parameters:,} parameters are trained "
            f"({100 * sizes.trained / max(1, sizes.parameters):.3g}%)"
            if config.lora.enabled
            else f"all {sizes.parameters:,} parameters are trained",
        ),
        _memory(config, sizes, longest),
        *disk_findings(folder, needed, f"the weights{times}"),
    ]


def _memory(config: Config, sizes: Sizes, longest: int) -> CheckResult:
    """What is certain to be needed, against the device's memory.

    Activations are left out, since they hang on the attention's implementation; the logits of
    one batch, as float32, are named beside it.
    """
    device = choose_device(config.run.device)
    total = _memory_of(device)
    logits = 4 * config.training.per_device_train_batch_size * longest * sizes.vocabulary
    needed = sizes.standing_bytes
    words = (
        f"{size(needed)} for weights, gradients and the optimizer, without activations "
        f"(the logits of a longest batch are {size(logits)}); {device} has {size(total)}"
    )
    if needed > total:
        return error(
            CheckKind.MEMORY, words, "a smaller model, lora.enabled, or model.quantization"
        )
    if needed + logits > total:
        return warning(
            CheckKind.MEMORY, words, "a smaller per_device_train_batch_size or max_length"
        )
    return info(CheckKind.MEMORY, words, count=needed)


def _memory_of(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return int(psutil.virtual_memory().total)


def _weight_bytes(config: Config, model: Any) -> int:
    """Bytes of the base's weights as they are loaded."""
    device = choose_device(config.run.device)
    dtype = choose_dtype(config.model.dtype, device, trained_whole=not config.lora.enabled)
    each_weight = torch.empty(0, dtype=dtype).element_size()
    quantized = QUANTIZED_BYTES.get(config.model.quantization)
    if quantized is None:
        return each_weight * sum(each.numel() for each in model.parameters())
    linear = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head")
    )
    others = sum(each.numel() for each in model.parameters()) - linear
    return round(linear * quantized + others * each_weight)


def _optimizer_bytes(optimizer: str) -> float:
    told = optimizer.lower()
    return next((each for name, each in OPTIMIZER_BYTES.items() if name in told), ADAM_BYTES)
