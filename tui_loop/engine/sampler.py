"""Suggestions from a sampler: Optuna's TPE over stated ranges, given what the loop has tried.

It keeps nothing: the past trials are the loop's own iterations, read anew for each proposal.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec

from tui_loop.core.config.schema import GROUPS, SEED, Config, hints_of
from tui_loop.core.config.settings import full_name, parse_value, with_settings
from tui_loop.core.config.tables import flatten
from tui_loop.core.config.validation import read_config
from tui_loop.core.diagnosis.apply_suggestions import SAMPLED
from tui_loop.core.divergence import HIGHEST_OF_USE
from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import number
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import diverged_at
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.suggestion_source import History, Proposal, plan_of_proposal
from tui_loop.engine.extras import require_search

STARTUP = 4
"""Trials that are drawn at random before TPE fits anything; Optuna's 10 are a night of runs."""

DRAWS = 20
"""Draws that repeat what was tried, before the ranges count as searched."""


class SearchSource:
    """Proposes what a sampler draws. Raises NeedsExtra without Optuna, BadInput for a range.

    Without ranges that are `told` it takes some around the best of `history`.
    """

    def __init__(
        self, loop: LoopFolder, told: Sequence[str], seed: int, history: History | None = None
    ) -> None:
        """`history`: what ranges are taken around where none are told."""
        require_search("--source search")
        self._seed = seed
        self._is_told = bool(told)
        if told:
            self._ranges = [read_range(each, loop.default_config()) for each in told]
        else:
            self._ranges = default_ranges(loop.default_config(), history)

    @property
    def words(self) -> str:
        """The ranges in a sentence: `samples learning_rate 2e-4 to 1e-2, r 4, 8, 16, 32`."""
        text = "; ".join(each.words for each in self._ranges)
        return f"samples {text}" + ("" if self._is_told else " (--range states others)")

    def propose(self, history: History) -> Proposal | None:
        """A draw that no iteration had; None where there seems to be none left."""
        best, newest = history.best, history.newest
        ground = best or newest
        parent = ground.number if ground is not None else None
        past = history.trained
        for draw in range(DRAWS):
            settings = self._drawn(past, self._seed + len(past) + 1000 * draw)
            text = ", ".join(
                f"{name.partition('.')[2]} {brief(value)}" for name, value in settings.items()
            )
            proposal = Proposal(parent, f"sampled: {text}", settings, SAMPLED)
            if not history.tried(plan_of_proposal(history.loop, proposal).config):
                return proposal
        return None

    def _drawn(self, past: Sequence[Iteration], seed: int) -> dict[str, Any]:
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
    """What was tried within the ranges and how good it was: the score, else minus the eval loss.

    What failed is as bad as the worst that did not.
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
    found = []
    for each in past:
        params = _params(each, ranges)
        if params is not None and (each.number in values or each.state == "failed"):
            found.append((params, values.get(each.number, worst)))
    return found


def _distribution(each: Range) -> Any:
    from optuna import distributions

    if each.choices:
        return distributions.CategoricalDistribution(each.choices)
    if each.is_whole:
        return distributions.IntDistribution(int(each.low), int(each.high), log=each.is_log)
    return distributions.FloatDistribution(each.low, each.high, log=each.is_log)


def _rounded(value: Any, each: Range) -> Any:
    """Three digits are as many as a sampled number means, as long as it stays in its range."""
    if each.choices or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.3g}"), each.low), each.high)


def _params(iteration: Iteration, ranges: Sequence[Range]) -> dict[str, Any] | None:
    """What an iteration had of the sampled fields; None where one of them is out of its range."""
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
