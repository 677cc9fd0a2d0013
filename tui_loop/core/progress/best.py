"""The best so far, by the one rule that every list, the report, `progress` and `auto` go by.

It is a config rather than a run: of several runs of one config the luckiest says little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from tui_loop.core.comparison import Comparer
from tui_loop.core.progress.configs import runs_by_config, spread_of, standing
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import Iteration

_FIGURES = ("score", "eval_loss", "train_loss")


def best_runs(comparer: Comparer, iterations: Sequence[Iteration]) -> tuple[Iteration, ...]:
    """The finished runs of the config with the best mean score, in order; () where none counts.

    Of equal scores, and where there are none, the lowest mean eval loss; then the earlier one. Only
    what was measured as the newest finished iteration was is compared. The first run names it.
    """
    finished = [each for each in iterations if each.state == "finished"]
    last = finished[-1].fingerprint if finished else None
    counting = [
        each
        for each in finished
        if each.number > 0
        and (last is None or each.fingerprint is None or not each.fingerprint.differs_from(last))
    ]
    groups = runs_by_config(comparer, counting)
    known = {each.number for runs in groups for each in runs}
    groups += [[each] for each in counting if each.number not in known]
    ranked = [
        (standing(score, loss), -runs[0].number, runs)
        for runs in groups
        for score, loss in [(spread_of(runs, "score"), spread_of(runs, "eval_loss"))]
        if score is not None or loss is not None
    ]
    return tuple(max(ranked, key=lambda each: each[:2])[2]) if ranked else ()


def best_of(comparer: Comparer, iterations: Sequence[Iteration]) -> int | None:
    """The number of its first run."""
    runs = best_runs(comparer, iterations)
    return runs[0].number if runs else None


def mean_metrics(runs: Sequence[Iteration]) -> dict[str, Any]:
    """The metrics of the first run, with score and losses the means over all of them."""
    if not runs:
        return {}
    metrics = dict(runs[0].metrics)
    for name in _FIGURES:
        values = [number(each.metrics.get(name)) for each in runs]
        finite = [each for each in values if each is not None and math.isfinite(each)]
        if len(runs) > 1 and finite:
            metrics[name] = fmean(finite)
    return metrics
