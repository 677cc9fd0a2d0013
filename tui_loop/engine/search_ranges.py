"""What the sampler samples: ranges that were stated, or some around the best so far."""

from __future__ import annotations

import math
from typing import Any, get_args

import msgspec

from tui_loop.core.config.schema import GROUPS, SEED, Config, hints_of
from tui_loop.core.config.settings import full_name, parse_value, with_settings
from tui_loop.core.config.validation import read_config
from tui_loop.core.divergence import HIGHEST_OF_USE
from tui_loop.core.errors import BadInput
from tui_loop.core.record.iteration import diverged_at
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.suggestion_source import History

DECADE = 10
"""A range whose ends lie as far apart as this is sampled by its logarithm."""

RATE = "training.learning_rate"
RANKS = (4, 8, 16, 32)
MOST_EPOCHS = 8


class Range(msgspec.Struct, frozen=True):
    """What a field may be: `choices`, or a number from `low` to `high`."""

    field: str
    low: float = 0
    high: float = 0
    is_whole: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def is_log(self) -> bool:
        return self.low > 0 and self.high / self.low >= DECADE

    @property
    def words(self) -> str:
        """`learning_rate 1e-5 to 1e-2`, `r 4, 8 or 16`."""
        label = self.field.partition(".")[2]
        if not self.choices:
            return f"{label} {brief(self.low)} to {brief(self.high)}"
        *others, last = map(brief, self.choices)
        return f"{label} {', '.join(others)} or {last}" if others else f"{label} {last}"


def default_ranges(config: Config, history: History | None = None) -> list[Range]:
    """What is sampled where nothing else is stated: the rate, the epochs, LoRA's rank.

    Around what the best of `history` has, where there is one; the rate within what did not diverge.
    """
    best = history.best if history is not None else None
    known = _config_of(best) if best is not None else None
    config = known or config
    has_lora = config.lora.enabled
    low, high = (1e-5, 1e-2) if has_lora else (1e-6, 1e-3)
    if history is not None and known is not None:
        low, high = _rates_around(known.training.learning_rate, history)
    ranges = [Range(RATE, low, high)]
    if config.training.max_steps is None:
        most = max(MOST_EPOCHS, math.ceil(2 * config.training.num_train_epochs) if known else 0)
        ranges.append(Range("training.num_train_epochs", 1, most, is_whole=True))
    if has_lora and config.model.init_adapter is None:
        ranks = {*RANKS, config.lora.r} if known else set(RANKS)
        ranges.append(Range("lora.r", choices=tuple(sorted(ranks))))
    return ranges


def _rates_around(best: float, history: History) -> tuple[float, float]:
    """A tenth of the best one's rate to ten times it, at most half of any above that diverged."""
    configs = [_config_of(each) for each in history.trained if diverged_at(each) is not None]
    rates = [config.training.learning_rate for config in configs if config is not None]
    high = min(DECADE * best, HIGHEST_OF_USE, *(rate / 2 for rate in rates if rate > best))
    return float(f"{best / DECADE:.2g}"), float(f"{max(high, best):.2g}")


def _config_of(iteration: Iteration) -> Config | None:
    try:
        return read_config(iteration.config or {})
    except BadInput:
        return None


def read_range(text: str, config: Config) -> Range:
    """`learning_rate=1e-5..1e-2` or `r=4,8,16`; raises BadInput."""
    key, equals, told = text.partition("=")
    example = "--range learning_rate=1e-5..1e-2, --range r=4,8,16"
    if not equals or not told:
        raise BadInput(f"--range {text}: must be FIELD=LOW..HIGH or FIELD=A,B,C", example)
    name = full_name(key.strip())
    if name.startswith(("data.", "evaluation.", "run.")) or name == SEED:
        raise BadInput(
            f"--range {name}: changes what is measured or by which luck, not the training",
            "sample fields of training and lora",
        )
    group, _, field = name.partition(".")
    hint = hints_of(GROUPS[group]).get(field)
    low, dots, high = told.partition("..")
    parts = [low, high] if dots else told.split(",")
    for part in parts:
        with_settings(config, [f"{name}={part.strip()}"])
    values = [parse_value(part.strip(), hint) for part in parts]
    if not dots:
        return Range(name, choices=tuple(values))
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values):
        raise BadInput(f"--range {name}: {told} is no range of numbers", example)
    if values[0] >= values[1]:
        raise BadInput(f"--range {name}: {low} is not below {high}", example)
    whole = all(isinstance(each, int) for each in values) or (hint is not None and _is_int(hint))
    return Range(name, values[0], values[1], is_whole=whole)


def _is_int(hint: Any) -> bool:
    """Whether a field takes whole numbers alone."""
    return hint is int or (bool(get_args(hint)) and get_args(hint)[0] is int)
