"""Preflight checks of `lr_scheduler_kwargs`: what a schedule needs, and what it does not know."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION
from transformers.trainer_utils import SchedulerType

from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import did_you_mean
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, error

FIELD = "training.lr_scheduler_kwargs"

_FROM_TRAINER = {"optimizer", "num_warmup_steps", "num_training_steps", "last_epoch"}
"""Parameters of every schedule that the trainer fills in."""

_MINIMUM = ("min_lr", "min_lr_rate")
"""Parameters of which a schedule with a minimum needs exactly one (it raises without)."""


def check_schedule(config: Config) -> Iterator[CheckResult]:
    """Yields an error for keywords that the schedule does not know, and one for those it needs."""
    kind = config.training.lr_scheduler_type
    if kind == "reduce_lr_on_plateau":  # `check_settings` refuses it
        return
    given = config.other.get("lr_scheduler_kwargs") or {}
    parameters = inspect.signature(TYPE_TO_SCHEDULER_FUNCTION[SchedulerType(kind)]).parameters
    known = {name: each for name, each in parameters.items() if name not in _FROM_TRAINER}
    unknown = [name for name in given if name not in known]
    if unknown:
        guess = did_you_mean(unknown[0], list(known))
        takes = f"its parameters are {', '.join(known)}" if known else "it takes none"
        yield error(
            CheckKind.CONFIG,
            f"{FIELD}: schedule {kind} has no parameter {', '.join(unknown)} ({takes}){guess}",
            f"--set {FIELD}=none",
            field=FIELD,
        )
    needed = [name for name, each in known.items() if each.default is inspect.Parameter.empty]
    has_minimum = set(_MINIMUM) <= known.keys()
    if has_minimum and not any(name in given for name in _MINIMUM):
        needed = ["min_lr_rate"]
    missing = [name for name in needed if name not in given]
    if missing:
        either = " (or min_lr)" if has_minimum else ""
        yield error(
            CheckKind.CONFIG,
            f"training.lr_scheduler_type: schedule {kind} needs {', '.join(missing)}{either}",
            f"--set {FIELD}.{missing[0]}={_example(missing[0])}",
            field="training.lr_scheduler_type",
        )


def _example(name: str) -> str:
    return "0.1" if name == "min_lr_rate" else "20"
