"""Builds all that a run builds, on torch's meta device: weights have a shape and no values.

What transformers, PEFT or TRL refuse is collected: the setting that caused an error is taken back
to its default, and everything is built again, until nothing is refused.
"""

from __future__ import annotations

import copy
import math
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch
from datasets import Dataset
from peft import get_peft_model
from trl import SFTTrainer

from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import flatten
from tui_loop.core.consent import NeedsConsent
from tui_loop.core.errors import BadInput, NeedsExtra, TuiLoopError
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, error, errors_of
from tui_loop.core.preflight.effort import steps_of
from tui_loop.core.preflight.setting_checks import check_settings, without_fields
from tui_loop.engine.models import (
    COPY_AGAIN,
    LoadedModel,
    choose_device,
    choose_dtype,
    sentence_of,
)
from tui_loop.engine.preflight.loss_mask import LossMasker, MaskedTokens
from tui_loop.engine.preflight.model_checks import check_packing, check_weights
from tui_loop.engine.preflight.schedule_checks import check_schedule
from tui_loop.engine.preflight.target_checks import check_targets
from tui_loop.engine.preflight.token_checks import Sizes, base_sizes, meta_model
from tui_loop.engine.trainer_arguments import lora_config, sft_config
from tui_loop.engine.training_rows import record_of

MOST_REFUSALS = 8
"""Building is given up after so many refusals; each costs another model without weights."""

STEPS_TRIED = 100
"""The length of a schedule where packing decides the number of steps."""

_OPTIMIZER = ("optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay")
_SCHEDULER = ("lr_scheduler_kwargs", "lr_scheduler_type", "warmup_steps")


class Built(msgspec.Struct, frozen=True):
    """What was refused, and the sizes of the run; None where no trainer could be built."""

    results: list[CheckResult]
    sizes: Sizes | None


class _Refused(Exception):
    """A library refused something; `fields` of `group` may have caused it."""

    def __init__(self, fault: BaseException, group: str, fields: Sequence[str]) -> None:
        super().__init__(str(fault))
        self.fault, self.group = fault, group
        self.fields = [f"{group}.{field}" for field in fields]


class _MetaTrainer(SFTTrainer):
    """An SFTTrainer whose model has no weights that could be moved to a device."""

    def _move_model_to_device(self, model: Any, device: torch.device) -> None:
        """Leaves the model where it is."""


def dry_run(
    config: Config, root: Path, masker: LossMasker, rows: Sequence[MaskedTokens], total: int
) -> Built:
    """Builds a run of `config` on `total` rows, of which `rows` are rendered."""
    results = list(check_schedule(config))
    known = [each.field for each in [*results, *errors_of(check_settings(config))]]
    config = without_fields(config, known)
    records = (record_of(each.ids, each.trained) for each in rows if each.has_loss)
    build = _Build(root, masker, next(records, None))
    for _ in range(MOST_REFUSALS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                targets, sizes = build.of(config, steps_of(config, total) or STEPS_TRIED)
            return Built([*results, *targets], sizes)
        except _Refused as refused:
            result, config_without = _explained(refused, config)
            results.append(result)
            if config_without is None:
                break
            config = config_without
    return Built(results, None)


class _Build(msgspec.Struct, frozen=True):
    """Builds runs whose data is one rendered row, or none where no row is trained on."""

    root: Path
    masker: LossMasker
    record: dict[str, list[int]] | None

    def of(self, config: Config, steps: int) -> tuple[list[CheckResult], Sizes]:
        """Builds model, adapter and trainer; returns findings on the adapter, and the sizes.

        Raises _Refused.
        """
        with _refusals("model", ("attn_implementation", "dtype")):
            model = meta_model(config, self.root)
        base = base_sizes(config, model)
        findings = [*check_weights(config, model, self.root), *check_packing(config, model)]
        findings += check_targets(config, model) if config.lora.enabled else []
        config = without_fields(config, [each.field for each in errors_of(findings)])
        with _refusals("lora", Config().lora.__struct_fields__):
            adapter = lora_config(config, model) if config.lora.enabled else None
            if adapter is not None:
                adapter.init_lora_weights = True  # others decompose weights, which have no values
        if self.record is None:
            return findings, _sizes_without_trainer(base, config, model, adapter)
        with tempfile.TemporaryDirectory() as folder:
            trainer = self._trainer(config, model, adapter, Path(folder))
        _try_training(trainer, steps)
        return findings, base.of_adapter(trainer.model, config) if config.lora.enabled else base

    def _trainer(self, config: Config, model: Any, adapter: Any, folder: Path) -> SFTTrainer:
        device = choose_device(config.run.device)
        dtype = choose_dtype(config.model.dtype, device, trained_whole=not config.lora.enabled)
        tokenizer = copy.deepcopy(self.masker.tokenizer)  # a trainer changes it
        loaded = LoadedModel(model, tokenizer, torch.device(device), dtype)
        with _refusals("training", ()):
            return _MetaTrainer(
                model=model,
                args=sft_config(config, folder, loaded),
                train_dataset=Dataset.from_list([self.record]),
                processing_class=tokenizer,
                peft_config=adapter,
            )


def _sizes_without_trainer(base: Sizes, config: Config, model: Any, adapter: Any) -> Sizes:
    """Returns the sizes of a run for which no trainer can be built. Raises _Refused."""
    if adapter is None:
        return base
    with _refusals("lora", Config().lora.__struct_fields__):
        return base.of_adapter(get_peft_model(model, adapter), config)


def _try_training(trainer: SFTTrainer, steps: int) -> None:
    """Makes a batch, the optimizer and a schedule of `steps` steps. Raises _Refused."""
    arguments = trainer.args
    with _refusals("training", ("activation_checkpointing", "activation_checkpointing_kwargs")):
        if arguments.gradient_checkpointing:
            trainer.model.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs=arguments.gradient_checkpointing_kwargs or {}
            )
    with _refusals("training", ("train_sampling_strategy", "pad_to_multiple_of")):
        trainer.get_train_dataloader()
        trainer.data_collator([dict(each) for each in trainer.train_dataset])
    with _refusals("training", _OPTIMIZER):
        trainer.create_optimizer()
    with _refusals("training", _SCHEDULER):
        _try_schedule(trainer, steps)


def _try_schedule(trainer: SFTTrainer, steps: int) -> None:
    """Computes the learning rate at the start, in the middle and at the end of `steps` steps."""
    schedule = trainer.create_scheduler(num_training_steps=steps)
    for rate in getattr(schedule, "lr_lambdas", ()):
        for step in (0, 1, steps // 2, steps - 1, steps):
            if not math.isfinite(rate(step)):  # raises TypeError for a complex number
                raise ValueError(f"the learning rate at step {step} is not a finite number")


@contextmanager
def _refusals(group: str, fields: Sequence[str]) -> Iterator[None]:
    """Raises _Refused for whatever the libraries raise; `fields` are the settings in question."""
    try:
        yield
    except (NeedsConsent, NeedsExtra):
        raise
    except Exception as fault:  # any of them would end the run
        raise _Refused(fault, group, fields) from fault


def _explained(refused: _Refused, config: Config) -> tuple[CheckResult, Config | None]:
    """Returns the refusal as an error, and the config without the settings that caused it.

    None instead of a config where no setting is at fault, as far as anyone can tell.
    """
    fault = refused.fault
    message = fault.message if isinstance(fault, TuiLoopError) else sentence_of(fault)
    default, values = flatten(Config()), flatten(config)
    changed = {name for name, value in values.items() if value != default.get(name)}
    named = [name for name in sorted(changed) if _is_named(name, message, refused.group)]
    at_fault = named or [name for name in refused.fields if name in changed]
    if not at_fault and refused.group == "model":
        text = f"{config.model.id}: the file config.json cannot be used: {message}"
        return error(CheckKind.MODEL, text, COPY_AGAIN), None
    if not at_fault:
        hint = "change the setting that the message names, or choose another model"
        return error(CheckKind.CONFIG, f"the run cannot be set up: {message}", hint), None
    field = at_fault[0]
    text = message if message.startswith(field) else f"{field}: {message}"
    hint = fault.hint if isinstance(fault, BadInput) else f"--set {field}=none, its default"
    return error(CheckKind.CONFIG, text, hint, field=field), without_fields(config, at_fault)


def _is_named(name: str, message: str, group: str) -> bool:
    """Whether a message names a setting; short names of other groups are ordinary words."""
    if own := re.match(r"([a-z]+\.[a-z_]+):", message):
        return own[1] == name
    owner, _, field = name.partition(".")
    is_word = owner != group and "_" not in field
    return not is_word and re.search(rf"\b{re.escape(field)}\b", message) is not None
