"""The SFTConfig and LoraConfig of a run, and their effective values for the record."""

from __future__ import annotations

import copy
import dataclasses
import enum
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from transformers.pytorch_utils import Conv1D
from trl import SFTConfig, SFTTrainer

from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import ConfigError
from tui_loop.engine.lora_targets import (
    adapter_problems,
    excluded_modules,
    patterns,
    target_modules,
)
from tui_loop.engine.models import LoadedModel

_OWN_FIELDS = ("precision", "keep", "early_stopping_patience")
"""Fields of `training` that this program applies itself; they are no SFTConfig arguments."""

_PRIVATE = ("output_dir", "logging_dir", "run_name", "hub_token", "hub_model_id")
"""Arguments that the record leaves out: paths of this machine, and secrets."""


def sft_config(config: Config, folder: Path, loaded: LoadedModel) -> SFTConfig:
    """Returns the SFTConfig of a run; raises ConfigError for a value that it refuses."""
    training = config.training
    known = {field.name for field in dataclasses.fields(SFTConfig)}
    values: dict[str, Any] = {
        name: getattr(training, name)
        for name in training.__struct_fields__
        if name not in _OWN_FIELDS and name in known
    }
    precision = choose_precision(training.precision, loaded)
    values |= {
        "output_dir": str(folder),
        "max_steps": training.max_steps or -1,
        "gradient_checkpointing": training.activation_checkpointing,
        "bf16": precision == "bf16",
        "fp16": precision == "fp16",
        "use_cpu": loaded.device.type == "cpu",
        "eval_strategy": "no",
        "eval_steps": None,
        "save_strategy": "steps" if training.save_steps else "no",
        "save_steps": training.save_steps or 500,
        "logging_strategy": "steps",
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "save_total_limit": None,  # JournalCallback removes old ones once a new one is recorded
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": loaded.device.type == "cuda",
        "trust_remote_code": config.model.trust_remote_code,
        **config.other,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            arguments = SFTConfig(**values)
    except (ValueError, TypeError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError([f"training: {first}"]) from error
    if arguments.n_gpu > 1:
        # Trainer would wrap the model in nn.DataParallel, which multiplies the batch by the number
        # of visible GPUs (and which SFTTrainer refuses). A run uses the first of them.
        arguments._n_gpu = 1
    return arguments


def lora_config(config: Config, model: Any) -> LoraConfig:
    """Returns a new LoraConfig for the model; TRL modifies the one that it gets.

    Raises ConfigError for what PEFT refuses, or what the model has no layers for.
    """
    lora, other = config.lora, dict(config.other_lora)
    if problems := adapter_problems(config, model):
        raise ConfigError(problems)
    if "exclude_modules" in other:
        other["exclude_modules"] = excluded_modules(other["exclude_modules"], model)
    values = {name: getattr(lora, name) for name in lora.__struct_fields__ if name != "enabled"}
    values |= {
        "target_modules": target_modules(lora, model),
        "rank_pattern": patterns("rank_pattern", lora.rank_pattern, model),
        "alpha_pattern": patterns("alpha_pattern", lora.alpha_pattern, model),
        "fan_in_fan_out": any(isinstance(module, Conv1D) for module in model.modules()),
        "task_type": "CAUSAL_LM",
        **other,
    }
    try:
        return LoraConfig(**copy.deepcopy(values))
    except (ValueError, TypeError) as error:
        raise ConfigError([f"lora: {str(error).strip().splitlines()[0]}"]) from error


def choose_precision(precision: str, loaded: LoadedModel) -> str:
    """Returns fp32, bf16 or fp16; raises ConfigError for what the device does not support."""
    on_gpu = loaded.device.type == "cuda"
    if precision == "auto":
        return "bf16" if on_gpu and torch.cuda.is_bf16_supported() else "fp32"
    if precision != "fp32" and not on_gpu:
        raise ConfigError([f"training.precision: {precision} needs a CUDA device"])
    return precision


def effective_arguments(trainer: SFTTrainer) -> dict[str, Any]:
    """Returns the trainer's SFTConfig and LoraConfig as TOML types, without paths and secrets."""
    arguments = {
        field.name: _plain(getattr(trainer.args, field.name))
        for field in dataclasses.fields(trainer.args)
        if field.name not in _PRIVATE and not field.name.startswith("_")
    }
    effective = {"sft_config": arguments}
    if isinstance(trainer.model, PeftModel):
        adapter = trainer.model.peft_config["default"]
        names = {field.name for field in dataclasses.fields(LoraConfig)} - {
            "base_model_name_or_path",
            "runtime_config",
            "auto_mapping",
        }
        effective["lora_config"] = {name: _plain(getattr(adapter, name)) for name in sorted(names)}
    return effective


def _plain(value: Any) -> Any:
    """Converts `value` to TOML types; a dataclass becomes a table."""
    if isinstance(value, enum.Enum):
        value = value.value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (set, frozenset)):
        return sorted(str(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value if item is not None]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    return str(value)
