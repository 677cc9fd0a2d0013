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

_FIGURES = ("score", "eval_loss", "train_loss")


def best_runs(comparer: Comparer, iterations: Sequence[Iteration]) -> tuple[Iteration, ...]:
    """Returns the finished runs of the config with the best mean score, in order; () without any.

    Ties, and loops without scores, are decided by the lowest mean eval loss, then by the earlier
    config. Only iterations that can be ranked with the newest finished one count. The first run
    gives the config its number.
    """
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
    return tuple(max(ranked, key=lambda each: each[:2])[2]) if ranked else ()


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


def mean_metrics(runs: Sequence[Iteration]) -> dict[str, Any]:
    """Returns the metrics of the first run, with means over all runs for score and losses."""
    if not runs:
        return {}
    metrics = dict(runs[0].metrics)
    for name in _FIGURES:
        values = [number(each.metrics.get(name)) for each in runs]
        finite = [each for each in values if each is not None and math.isfinite(each)]
        if len(runs) > 1 and finite:
            metrics[name] = fmean(finite)
    return metrics


class Spread(msgspec.Struct, frozen=True):
    """A metric over the runs of one config.

    `deviation`: sample standard deviation, None of one run.
    """

    mean: float
    deviation: float | None
    runs: int


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
