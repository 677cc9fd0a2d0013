"""Suggestions from a sampler: Optuna's TPE over ranges of config fields.

It stores nothing: its trials are the loop's own iterations, read again for each suggestion.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec

from tui_loop.core.config.schema import GROUPS, SEED, TRAIN_ON, Config, hints_of
from tui_loop.core.config.settings import full_name, parse_value, with_settings
from tui_loop.core.config.tables import flatten
from tui_loop.core.config.validation import read_config
from tui_loop.core.diagnosis.apply_suggestions import SAMPLED
from tui_loop.core.divergence import HIGHEST_USEFUL_RATE
from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import number
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import diverged_at
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.suggestion_source import (
    History,
    Proposal,
    is_data,
    plan_of_proposal,
)
from tui_loop.engine.extras import require_search

STARTUP = 4
"""Random trials before TPE fits a model; Optuna's default of 10 would be a night of runs."""

DRAWS = 20
"""Draws in a row that repeat earlier iterations before the ranges count as exhausted."""


class SearchSource:
    """Suggestion source that samples config fields.

    Raises NeedsExtra without Optuna, BadInput for a range. Without `ranges` it samples around the
    best iteration of `history`.
    """

    def __init__(
        self, loop: LoopFolder, ranges: Sequence[str], seed: int, history: History | None = None
    ) -> None:
        require_search("--source search")
        self._seed = seed
        self._has_given_ranges = bool(ranges)
        if ranges:
            self._ranges = [read_range(each, loop.default_config()) for each in ranges]
        else:
            self._ranges = default_ranges(loop.default_config(), history)

    @property
    def words(self) -> str:
        """The ranges as text: `samples learning_rate 2e-4 to 1e-2; r 4, 8, 16 or 32`."""
        text = "; ".join(each.words for each in self._ranges)
        return f"samples {text}" + ("" if self._has_given_ranges else " (--range sets others)")

    def propose(self, history: History) -> Proposal | None:
        """Samples settings that no iteration has; None where the ranges seem exhausted."""
        best, newest = history.best, history.newest
        parent_iteration = best or newest
        parent = parent_iteration.number if parent_iteration is not None else None
        past = history.trained
        for draw in range(DRAWS):
            settings = self._sample(past, self._seed + len(past) + 1000 * draw)
            text = ", ".join(
                f"{name.partition('.')[2]} {brief(value)}" for name, value in settings.items()
            )
            proposal = Proposal(parent, f"sampled: {text}", settings, SAMPLED)
            config = plan_of_proposal(history.loop, proposal).config
            if not history.tried(config) and not history.has_known_harm(config, settings):
                return proposal
        return None

    def _sample(self, past: Sequence[Iteration], seed: int) -> dict[str, Any]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        distributions = {each.field: _distribution(each) for each in self._ranges}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=STARTUP, multivariate=True
            )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for params, value in trials_of(past, self._ranges):
            study.add_trial(
                optuna.trial.create_trial(params=params, distributions=distributions, value=value)
            )
        params = study.ask(distributions).params
        return {each.field: _rounded(params[each.field], each) for each in self._ranges}


def trials_of(
    past: Sequence[Iteration], ranges: Sequence[Range]
) -> list[tuple[dict[str, Any], float]]:
    """Returns (parameters, value) of the iterations within the ranges.

    The value is the score, or the negative eval loss where no iteration has a score. A failed
    iteration gets the worst value of the others.
    """
    finished = [each for each in past if each.state == "finished"]
    has_scores = any(number(each.metrics.get("score")) is not None for each in finished)
    name, sign = ("score", 1) if has_scores else ("eval_loss", -1)
    values = {}
    for each in finished:
        value = number(each.metrics.get(name))
        if value is not None and math.isfinite(value):
            values[each.number] = sign * value
    if not values:
        return []
    worst = min(values.values())
    trials = []
    for each in past:
        params = _params(each, ranges)
        if params is not None and (each.number in values or each.state == "failed"):
            trials.append((params, values.get(each.number, worst)))
    return trials


def _distribution(each: Range) -> Any:
    from optuna import distributions

    if each.choices:
        return distributions.CategoricalDistribution(each.choices)
    if each.is_whole:
        return distributions.IntDistribution(int(each.low), int(each.high), log=each.is_log)
    return distributions.FloatDistribution(each.low, each.high, log=each.is_log)


def _rounded(value: Any, each: Range) -> Any:
    """Rounds a sampled number to three digits within its range: more would mean nothing."""
    if each.choices or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.3g}"), each.low), each.high)


def _params(iteration: Iteration, ranges: Sequence[Range]) -> dict[str, Any] | None:
    """Returns an iteration's values of the sampled fields; None if one is outside its range."""
    try:
        values = flatten(read_config(iteration.config or {}))
    except BadInput:
        return None
    params = {each.field: _within(values, each) for each in ranges}
    return None if any(value is None for value in params.values()) else params


def _within(values: Mapping[str, Any], each: Range) -> Any:
    value = values.get(each.field)
    if each.choices:
        return value if value in each.choices else None
    if not isinstance(value, (int, float)) or not each.low <= value <= each.high:
        return None
    if each.is_whole:
        return int(value) if value == int(value) else None
    return float(value)


DECADE = 10
"""A range whose bounds differ by this factor or more is sampled on a log scale."""

RATE = "training.learning_rate"
RANKS = (4, 8, 16, 32)
MOST_EPOCHS = 8


class Range(msgspec.Struct, frozen=True):
    """The values of a field to sample: `choices`, or a number from `low` to `high`."""

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
    """Returns the default ranges: of the learning rate, the number of epochs and LoRA's rank.

    Where `history` has a best iteration, they are around its values, and the learning rate stays
    below those that diverged.
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
    """Returns a tenth of the best rate, and ten times it or half of a higher rate that diverged."""
    configs = [_config_of(each) for each in history.trained if diverged_at(each) is not None]
    diverged = [config.training.learning_rate for config in configs if config is not None]
    high = min(DECADE * best, HIGHEST_USEFUL_RATE, *(rate / 2 for rate in diverged if rate > best))
    return float(f"{best / DECADE:.2g}"), float(f"{max(high, best):.2g}")


def _config_of(iteration: Iteration) -> Config | None:
    try:
        return read_config(iteration.config or {})
    except BadInput:
        return None


def read_range(text: str, config: Config) -> Range:
    """Parses `learning_rate=1e-5..1e-2` or `r=4,8,16`; raises BadInput."""
    key, equals, bounds = text.partition("=")
    example = "--range learning_rate=1e-5..1e-2, --range r=4,8,16"
    if not equals or not bounds:
        raise BadInput(f"--range {text}: must be FIELD=LOW..HIGH or FIELD=A,B,C", example)
    name = full_name(key.strip())
    is_other_loss = name == TRAIN_ON and config.evaluation.metric == "none"
    if is_data(name) or name.startswith(("evaluation.", "run.")) or name == SEED or is_other_loss:
        raise BadInput(
            f"--range {name}: data, evaluation and seed cannot be sampled, only training settings",
            "use fields of training or lora, or data.train_on",
        )
    group, _, field = name.partition(".")
    type_hint = hints_of(GROUPS[group]).get(field)
    low, dots, high = bounds.partition("..")
    parts = [low, high] if dots else bounds.split(",")
    for part in parts:
        with_settings(config, [f"{name}={part.strip()}"])
    values = [parse_value(part.strip(), type_hint) for part in parts]
    if not dots:
        return Range(name, choices=tuple(values))
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values):
        raise BadInput(f"--range {name}: {bounds} is not a range of numbers", example)
    if values[0] >= values[1]:
        raise BadInput(f"--range {name}: {low} is not below {high}", example)
    is_whole = all(isinstance(each, int) for each in values) or (
        type_hint is not None and _is_int(type_hint)
    )
    return Range(name, values[0], values[1], is_whole=is_whole)


def _is_int(type_hint: Any) -> bool:
    """Whether a field only takes whole numbers."""
    return type_hint is int or (bool(get_args(type_hint)) and get_args(type_hint)[0] is int)
