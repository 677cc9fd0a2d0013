"""The best config so far, by one rule for lists, the report, `progress` and `auto`.

It ranks configs, not runs, since the luckiest of several runs of one config has little meaning.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import msgspec

from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.config.schema import SEED
from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import Iteration
from tui_loop.core.stats import sample_variance
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

BEST_SIGN = "★"
"""Marks the first run of the best config wherever iterations are listed."""

EARLIER_BEST_SIGN = "☆"
"""Marks what was the best when it finished."""

_FIGURES = ("score", "eval_loss", "train_loss")


def best_runs(comparer: Comparer, iterations: Sequence[Iteration]) -> tuple[Iteration, ...]:
    """Returns the finished runs of the config with the best mean score, in order; () without any.

    Ties, and loops without scores, are decided by the lowest mean eval loss, then by the earlier
    config. Only iterations that can be ranked with the newest finished one count. The first run
    gives the config its number.
    """
    ranked = _ranked(comparer, iterations)
    return tuple(ranked[0]) if ranked else ()


def _ranked(comparer: Comparer, iterations: Sequence[Iteration]) -> list[list[Iteration]]:
    """Returns the runs of all configs that can be ranked, the best config first."""
    finished = [each for each in iterations if each.state == "finished"]
    counting = [each for each in finished if each.number > 0 and can_rank(each, finished[-1])]
    groups = runs_by_config(comparer, counting)
    known = {each.number for runs in groups for each in runs}
    groups += [[each] for each in counting if each.number not in known]
    ranked = [
        (rank(score, loss), -runs[0].number, runs)
        for runs in groups
        for score, loss in [(spread_of(runs, "score"), spread_of(runs, "eval_loss"))]
        if score is not None or loss is not None
    ]
    ranked.sort(key=lambda each: each[:2], reverse=True)
    return [runs for _, _, runs in ranked]


def can_rank(one: Iteration, other: Iteration) -> bool:
    """Returns whether two iterations were evaluated alike, as far as their rank depends on it.

    `data.train_on` changes which tokens the eval loss counts and no score. So it is a choice of
    training like any other where both have a score.
    """
    if one.fingerprint is None or other.fingerprint is None:
        return True
    parts = one.fingerprint.differs_from(other.fingerprint)
    scores = (number(each.metrics.get("score")) for each in (one, other))
    return not parts or (parts == ["loss"] and all(score is not None for score in scores))


def best_of(comparer: Comparer, iterations: Sequence[Iteration]) -> int | None:
    """Returns the number of the first run of the best config."""
    runs = best_runs(comparer, iterations)
    return runs[0].number if runs else None


class Spread(msgspec.Struct, frozen=True):
    """A metric over the runs of one config.

    `deviation`: sample standard deviation, None of one run.
    """

    mean: float
    deviation: float | None
    runs: int


class Best(msgspec.Struct, frozen=True):
    """The best config: the numbers of its runs, their figures, and those of the next best one.

    `next`: the number of the next best config, None where there is no other.
    """

    runs: tuple[int, ...]
    score: Spread | None
    loss: Spread | None
    next: int | None = None
    next_score: Spread | None = None
    next_loss: Spread | None = None

    @property
    def number(self) -> int:
        """Returns the number of the first run, which is the one that is marked."""
        return self.runs[0]

    @property
    def words(self) -> str:
        """Returns `best: score 71%, one run of this config; next best: 47% (iteration 2)`."""
        by_score = self.score is not None
        mean = _figure(self.score if by_score else self.loss, by_score)
        name = "score" if by_score else "eval loss"
        runs = f"{name} {mean}, one run of this config"
        if len(self.runs) > 1:
            seeds = (self.score if by_score else self.loss) or self.loss
            with_seeds = (
                f", {counted(seeds.runs, 'seed')}"
                if seeds is not None and seeds.runs < len(self.runs)
                else ""
            )
            numbers = ", ".join(map(str, self.runs))
            runs = f"mean {name} {mean} over iterations {numbers} (same config{with_seeds})"
        following = _figure(self.next_score if by_score else self.next_loss, by_score)
        ending = f"; next best: {following} (iteration {self.next})" if following else ""
        return f"best: {runs}{ending}"


def _figure(spread: Spread | None, by_score: bool) -> str:
    if spread is None:
        return ""
    return figures.percent(spread.mean) if by_score else figures.loss(spread.mean)


def best_config(comparer: Comparer, iterations: Sequence[Iteration]) -> Best | None:
    """Returns the best config and the next best one, None where nothing can be ranked."""
    ranked = _ranked(comparer, iterations)
    if not ranked:
        return None
    following = ranked[1] if len(ranked) > 1 else []
    return Best(
        tuple(each.number for each in ranked[0]),
        spread_of(ranked[0], "score"),
        spread_of(ranked[0], "eval_loss"),
        following[0].number if following else None,
        spread_of(following, "score"),
        spread_of(following, "eval_loss"),
    )


def best_mark(number: int, best: int | None) -> str:
    """Returns the sign of the best config's first run, "" for any other iteration."""
    return BEST_SIGN if number == best else ""


def mean_metrics(runs: Sequence[Iteration]) -> dict[str, Any]:
    """Returns the metrics of the first run, with means over all runs for score and losses."""
    if not runs:
        return {}
    metrics = dict(runs[0].metrics)
    for name in _FIGURES:
        spread = spread_of(runs, name)
        if len(runs) > 1 and spread is not None:
            metrics[name] = spread.mean
    return metrics


def runs_by_config(comparer: Comparer, iterations: Iterable[Iteration]) -> list[list[Iteration]]:
    """Groups iterations by config, in the order of first runs; skips unreadable configs."""
    found: list[list[Iteration]] = []
    by_key: dict[bytes, list[list[Iteration]]] = {}
    for each in iterations:
        if each.config is None:
            continue
        try:
            similar = by_key.setdefault(comparer.config_key(each), [])
            runs = next(
                (runs for runs in similar if comparer.are_one_config(runs[0], each)),
                None,
            )
        except BadInput:  # of another version
            continue
        if runs is None:
            runs = []
            found.append(runs)
            similar.append(runs)
        runs.append(each)
    return found


def spread_of(runs: Sequence[Iteration], metric: str) -> Spread | None:
    """Returns a metric over runs of one config; each seed counts once: a repeat shows no noise.

    None where no run has a finite value.
    """
    by_seed: dict[object, float] = {}
    for each in runs:
        value = number(each.metrics.get(metric))
        if value is not None and math.isfinite(value):
            by_seed.setdefault(seed_of(each), value)
    values = list(by_seed.values())
    if not values:
        return None
    deviation = math.sqrt(sample_variance(values)) if len(values) > 1 else None
    return Spread(fmean(values), deviation, len(values))


def seed_of(iteration: Iteration) -> object:
    """Returns the seed of a run, None without one."""
    group, _, field = SEED.partition(".")
    table = (iteration.config or {}).get(group)
    return table.get(field) if isinstance(table, dict) else None


def rank(score: Spread | None, loss: Spread | None) -> tuple[float, float]:
    """Returns the sort key of a config: the mean score, then the lower mean loss."""
    return (
        score.mean if score is not None else -math.inf,
        -loss.mean if loss is not None else -math.inf,
    )


def rank_of(iteration: Iteration) -> tuple[float, float]:
    """Returns the sort key of a single run."""
    return rank(spread_of([iteration], "score"), spread_of([iteration], "eval_loss"))
