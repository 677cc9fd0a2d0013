"""Preflight checks of settings alone: what no library accepts, and what has no effect.

They need neither data nor the training stack, so that they answer at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

from tui_loop.core.config.schema import Config, Lora
from tui_loop.core.config.tables import flatten
from tui_loop.core.config.validation import did_you_mean, read_config, shown
from tui_loop.core.divergence import HIGHEST_USEFUL_RATE, usual_rate
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, error, warning
from tui_loop.core.text.figures import brief

CHOICES = {
    "loss_type": ("nll", "dft", "chunked_nll"),
    "packing_strategy": ("bfd", "bfd_split", "wrapped", "bfd-requeue"),
    "truncation_mode": ("keep_start", "keep_end"),
    "train_sampling_strategy": ("random", "sequential", "group_by_length", "batch_rebalance"),
}
"""The values that TRL 1.16 and transformers 5.23 know of fields that they take as any text."""

AT_LEAST = {
    "neftune_noise_alpha": 0,
    "label_smoothing_factor": 0,
    "router_aux_loss_coef": 0,
    "torch_empty_cache_steps": 1,
    "data_seed": 0,
    "adam_epsilon": 0,
}
"""The lowest values that make sense of numbers that no library checks, or only in a step."""

BELOW = {"label_smoothing_factor": 1, "adam_beta1": 1, "adam_beta2": 1, "data_seed": 2**32}
"""The same for the highest, which are excluded."""

OPTIMIZERS = (
    *("adamw_torch", "adamw_torch_fused", "adamw_torch_4bit", "adamw_torch_8bit"),
    *("adamw_torch_xla", "adamw_torch_npu_fused", "adamw_anyprecision", "adafactor", "sgd"),
    *("adagrad", "rmsprop", "adamw_8bit", "adamw_bnb_8bit", "ademamix", "ademamix_8bit"),
    *("lion_32bit", "lion_8bit", "paged_adamw_32bit", "paged_adamw_8bit"),
    *("paged_ademamix_32bit", "paged_ademamix_8bit", "paged_lion_32bit", "paged_lion_8bit"),
    *("rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit", "galore_adamw"),
    *("galore_adamw_8bit", "galore_adafactor", "galore_adamw_layerwise"),
    *("galore_adamw_8bit_layerwise", "galore_adafactor_layerwise", "lomo", "adalomo"),
    *("grokadamw", "schedule_free_radam", "schedule_free_adamw", "schedule_free_sgd"),
    *("apollo_adamw", "apollo_adamw_layerwise", "stable_adamw"),
)
"""The optimizers of transformers 5.23; a test compares."""

OPTIMIZER_PACKAGES = (
    ("galore", "galore_torch", "galore-torch"),
    ("lomo", "lomo_optim", "lomo-optim"),
    ("apollo", "apollo_torch", "apollo-torch"),
    ("grokadamw", "grokadamw", "grokadamw"),
    ("schedule_free", "schedulefree", "schedulefree"),
    ("stable_adamw", "optimi", "torch-optimi"),
    ("adamw_torch_4bit", "torchao", "torchao"),
    ("adamw_torch_8bit", "torchao", "torchao"),
    ("anyprecision", "torchdistx", "torchdistx"),
    ("ademamix", "bitsandbytes", "bitsandbytes"),
    ("lion", "bitsandbytes", "bitsandbytes"),
    ("paged", "bitsandbytes", "bitsandbytes"),
    ("bnb", "bitsandbytes", "bitsandbytes"),
    ("8bit", "bitsandbytes", "bitsandbytes"),
)
"""(part of an optimizer's name, the module that it imports, its package); the first one counts."""

TAKES_TARGETS = ("galore", "apollo", "lomo")
"""Parts of the names of optimizers that read `optim_target_modules`."""

ONE_PROCESS = (
    "ddp_find_unused_parameters",
    "ddp_bucket_cap_mb",
    "ddp_broadcast_buffers",
    "ddp_static_graph",
    "ddp_backend",
    "ddp_timeout",
    "average_tokens_across_devices",
)
"""Fields of runs of several processes."""


def check_settings(config: Config) -> list[CheckResult]:
    """Returns errors for values that no run can have, and warnings for odd ones."""
    return [
        *_unknown_choices(config),
        *_out_of_range(config),
        *_unknown_optimizer(config),
        *_missing_packages(config),
        *_contradictions(config),
        *_leaking_rows(config),
        *_high_rate(config),
        *_without_effect(config),
    ]


def without_fields(config: Config, names: list[str]) -> Config:
    """Returns the config with the fields `group.field` at their defaults."""
    tables: dict[str, dict[str, Any]] = {}
    for name, value in flatten(config).items():
        if name not in names:
            group, _, field = name.partition(".")
            tables.setdefault(group, {})[field] = value
    return read_config(tables)


def _refused(field: str, problem: str, hint: str) -> CheckResult:
    """Returns the error of a field of `training`."""
    name = f"training.{field}"
    return error(CheckKind.CONFIG, f"{name}: {problem}", hint, field=name)


def _unknown_choices(config: Config) -> Iterator[CheckResult]:
    for field, choices in CHOICES.items():
        value = config.other.get(field)
        if value is not None and value not in choices:
            guess = did_you_mean(value, choices)
            problem = f"must be one of {', '.join(choices)}, not {shown(value)}{guess}"
            yield _refused(field, problem, f"--set training.{field}={choices[0]}")


def _out_of_range(config: Config) -> Iterator[CheckResult]:
    numbers = {name: each for name, each in config.other.items() if isinstance(each, int | float)}
    low = [(name, f"at least {AT_LEAST[name]}") for name in AT_LEAST if name in numbers]
    high = [(name, f"below {BELOW[name]}") for name in BELOW if name in numbers]
    broken = [
        *(each for each in low if numbers[each[0]] < AT_LEAST[each[0]]),
        *(each for each in high if numbers[each[0]] >= BELOW[each[0]]),
    ]
    for field, limit in broken:
        problem = f"must be {limit}, not {shown(numbers[field])}"
        yield _refused(field, problem, f"--set training.{field}=none, the default")


def _unknown_optimizer(config: Config) -> Iterator[CheckResult]:
    optimizer, arguments = config.training.optim, config.other.get("optim_args")
    if optimizer not in OPTIMIZERS:
        guess = did_you_mean(optimizer, OPTIMIZERS)
        yield _refused(
            "optim",
            f"transformers has no optimizer {shown(optimizer)}{guess}",
            f"choose from {', '.join(OPTIMIZERS[:5])}, {', '.join(OPTIMIZERS[8:11])} and others",
        )
    if arguments and not all(name and sign for name, sign, _ in _pairs(arguments)):
        yield _refused(
            "optim_args",
            f"must be NAME=VALUE,NAME=VALUE, not {shown(arguments)}",
            "--set training.optim_args=none",
        )


def _pairs(arguments: str) -> list[tuple[str, str, str]]:
    return [each.partition("=") for each in arguments.split(",")]


def _missing_packages(config: Config) -> Iterator[CheckResult]:
    optimizer = config.training.optim
    needed = next((each for each in OPTIMIZER_PACKAGES if each[0] in optimizer.lower()), None)
    if needed is not None and find_spec(needed[1]) is None:
        yield _refused(
            "optim",
            f"{optimizer} needs the package {needed[2]}, which is not installed",
            f"pip install {needed[2]}, or --set optim=adamw_torch",
        )
    if config.other.get("use_liger_kernel") and find_spec("liger_kernel") is None:
        yield _refused(
            "use_liger_kernel",
            "needs the package liger-kernel, which is not installed",
            "pip install liger-kernel, or --set training.use_liger_kernel=false",
        )


def _contradictions(config: Config) -> Iterator[CheckResult]:
    training = config.training
    if training.lr_scheduler_type == "reduce_lr_on_plateau":
        yield _refused(
            "lr_scheduler_type",
            "reduce_lr_on_plateau needs evaluations by the trainer, "
            "but tui-loop has its own evaluation",
            "--set lr_scheduler_type=cosine; to stop on a plateau, set "
            "training.early_stopping_patience",
        )
    if config.other.get("padding_free") and not training.packing and training.max_length:
        yield _refused(
            "padding_free",
            "needs packing: without packing, training.max_length has no effect",
            "--set packing=true, or --set training.max_length=none",
        )


def _leaking_rows(config: Config) -> Iterator[CheckResult]:
    if config.training.packing and config.other.get("packing_strategy") == "wrapped":
        yield warning(
            CheckKind.CONFIG,
            "training.packing_strategy = wrapped cuts rows where a sequence is full, and lets a "
            "row attend to the rows before it",
            "--set training.packing_strategy=bfd_split",
            field="training.packing_strategy",
        )


def _high_rate(config: Config) -> Iterator[CheckResult]:
    """Yields a warning on a rate that no known run did well with."""
    rate = config.training.learning_rate
    if rate > HIGHEST_USEFUL_RATE:
        yield warning(
            CheckKind.HIGH_RATE,
            f"training.learning_rate {brief(rate)}: above {brief(HIGHEST_USEFUL_RATE)}, runs "
            "diverge or destroy what the base model learned",
            f"choose at most {brief(HIGHEST_USEFUL_RATE)}; about "
            f"{brief(usual_rate(with_adapter=config.lora.enabled))} is usual: "
            "--set learning_rate=RATE",
            field="training.learning_rate",
        )


class _Unused(NamedTuple):
    """Fields that have no effect while `is_unused` holds, and the reason."""

    fields: tuple[str, ...]
    is_unused: Callable[[Config], bool]
    reason: str


_UNUSED = (
    _Unused(
        ("training.packing_strategy",),
        lambda config: not config.training.packing,
        "training.packing is off",
    ),
    _Unused(
        ("training.pad_to_multiple_of",),
        lambda config: config.training.packing or bool(config.other.get("padding_free")),
        "rows have no padding",
    ),
    _Unused(
        ("training.truncation_mode",),
        lambda config: config.training.max_length is None or config.training.packing,
        "no row is truncated",
    ),
    _Unused(
        ("training.liger_kernel_config",),
        lambda config: not config.other.get("use_liger_kernel"),
        "training.use_liger_kernel is off",
    ),
    _Unused(
        ("training.activation_checkpointing_kwargs", "training.gradient_checkpointing_kwargs"),
        lambda config: not config.training.activation_checkpointing,
        "training.activation_checkpointing is off",
    ),
    _Unused(
        ("training.optim_target_modules",),
        lambda config: not any(each in config.training.optim for each in TAKES_TARGETS),
        "only galore, apollo and lomo optimizers use this setting",
    ),
    _Unused(
        ("training.adam_beta1", "training.adam_beta2", "training.adam_epsilon"),
        lambda config: config.training.optim in ("sgd", "adagrad", "rmsprop", "adafactor"),
        "the optimizer is not Adam",
    ),
    _Unused(
        ("training.num_train_epochs",),
        lambda config: config.training.max_steps is not None,
        "training.max_steps is set",
    ),
    _Unused(
        ("training.save_total_limit",),
        lambda config: config.training.save_steps == 0,
        "training.save_steps is 0",
    ),
    _Unused(
        ("evaluation.temperature", "evaluation.top_p"),
        lambda config: not config.evaluation.do_sample,
        "evaluation.do_sample is off",
    ),
    _Unused(
        ("evaluation.pattern",),
        lambda config: config.evaluation.metric != "regex",
        "evaluation.metric is not regex",
    ),
    _Unused(
        tuple(f"training.{name}" for name in ONE_PROCESS),
        lambda config: True,
        "a run uses a single process",
    ),
    _Unused(
        tuple(f"lora.{name}" for name in Lora.__struct_fields__ if name != "enabled"),
        lambda config: not config.lora.enabled,
        "lora.enabled is off",
    ),
)


def _without_effect(config: Config) -> Iterator[CheckResult]:
    """Yields a warning for each reason for which settings beside the defaults have no effect."""
    default, values = flatten(Config()), flatten(config)
    for each in _UNUSED:
        fields = [name for name in each.fields if values.get(name) != default.get(name)]
        if fields and each.is_unused(config):
            verb = "has" if len(fields) == 1 else "have"
            yield warning(
                CheckKind.NO_EFFECT,
                f"{', '.join(fields)} {verb} no effect: {each.reason}",
                field=fields[0],
            )
