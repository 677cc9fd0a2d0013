"""Findings that only several iterations show, and whether the evaluation set is large enough.

plateau       the last configs are no better than an earlier one by more than noise.
eval_overfit  one evaluation set selected so many configs that its best score is partly luck; this
              is certain where the holdout was evaluated and is worse.
undecided     the change from the parent is near the limit of what one run of each config can
              show: a replicate would decide.

eval_too_small  the evaluation rows are too few to show a useful change; or the change from the
                parent looks useful and is smaller than what these rows can show.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist, fmean

from tui_loop.core.clusters import CONVERSATION, cluster_count, clusters_at
from tui_loop.core.compare.best import best_runs, can_rank, rank_of, runs_by_config
from tui_loop.core.compare.claims import examples_of, runs_text
from tui_loop.core.compare.comparison import (
    MEASURED_DIFFERENTLY,
    NO_DIFFERENCE,
    SEED_NOISE,
    Comparison,
)
from tui_loop.core.diagnosis.facts import IterationFacts, metric_of, trend_of
from tui_loop.core.diagnosis.findings import Figure, Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import chance
from tui_loop.core.diagnosis.rules.learning_rate import (
    learning_rate_too_high,
    learning_rate_too_low,
    underfitting,
)
from tui_loop.core.examples.table import PASSED, UNSCORED
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.paired_stats import mcnemar
from tui_loop.core.record.structs import Iteration
from tui_loop.core.stats import Z95, effective_total, mean_half
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted
from tui_loop.core.workflow.holdout import agreement_of, read_holdout_evaluations

TRIES = 3
"""The least number of configs without a gain for a plateau: one or two are bad luck."""

ENDS_OTHERWISE = (underfitting, learning_rate_too_high, learning_rate_too_low)
"""Rules that name what a run lacks. While one of them has a finding, there is no plateau."""

MOST_TRIES = 20
"""The most configs that are compared, the newest ones: earlier ones add nothing on a plateau."""

MANY_CONFIGS = 8
"""Configs selected by one evaluation set from which on luck is estimated. The best of eight equal
ones is expected 1.4 standard errors too high."""

HALF_SEEN, SURELY_SEEN = 0.5, 2.5
"""A change between these numbers of half widths of its interval is one that a second run of each
config may settle. Smaller changes need many more runs, larger ones hardly any."""

LUCK = 0.02
"""The least expected gain in score by luck alone, as a share: less is not worth a finding."""


def no_gain(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a plateau: the configs after the best one are no better by more than noise."""
    configs = tried_configs(facts)
    if len(configs) <= TRIES or facts.iteration not in configs[-1]:
        return
    if any(True for rule in ENDS_OTHERWISE for _ in rule(facts)):
        return  # another finding names what this run lacks
    place = max(range(len(configs) - TRIES), key=lambda at: rank_of(_best(configs[at])))
    before = _best(configs[place])
    later = [_best(runs) for runs in configs[place + 1 :][-MOST_TRIES:]]
    compared = {each.number: facts.compare(before.number, each.number) for each in later}
    if any(each is None or is_better(each) for each in compared.values()):
        return
    alike = [each for each in later if _is_alike(compared[each.number])]
    if len(alike) < TRIES or later[-1] is not alike[-1]:
        return  # configs that did worse were mistakes, and show no limit
    best = max(alike, key=rank_of)
    change = compared[best.number]
    text = change.change_words if change is not None else "nothing"
    numbers = tuple(each.number for each in alike)
    over = examples_of(change) if change else "no examples"
    yield Finding(
        FindingKind.PLATEAU,
        "warning",
        f"{len(alike)} later configs (iterations {_named(numbers)}) are not better than iteration "
        f"{before.number} by more than noise (best change: {text}). {_next_check(facts)}",
        {"tries": len(alike), "best_before": before.number},
        iterations=(before.number, *numbers),
        otherwise=f"{over} cannot show a small gain; replicates or more held-out rows could",
    )


def eval_overfit(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a best score that is partly luck, since one evaluation set selected many configs."""
    configs = tried_configs(facts)
    score, total = facts.metric("score"), facts.metric("total")
    looks = read_holdout_evaluations(facts.folder.loop)
    look = next(
        (
            each
            for runs in reversed(configs)
            for run in runs
            if (each := looks.last_by(run.number)) is not None
        ),
        None,
    )
    if look is not None and len(configs) >= TRIES and agreement_of(look).agrees is False:
        yield Finding(
            FindingKind.EVAL_OVERFIT,
            "alarm",
            f"{agreement_of(look).sentence}. Iteration {look.iteration} was chosen from "
            f"{len(configs)} configs by their results on the same eval set",
            {"configs": len(configs), "best": look.iteration, "look": look.use},
            iterations=(look.iteration,),
            otherwise="if the holdout has a different kind of rows, its score differs for that "
            "reason",
        )
        return
    if len(configs) < MANY_CONFIGS or score is None or not total:
        return
    runs = best_runs(facts.comparer, [each for runs in configs for each in runs])
    best, top = runs[0], fmean(metric_of(each, "score") or 0.0 for each in runs)
    scores = [metric_of(runs[0], "score") or 0.0 for runs in configs]
    luck = luck_of(len(configs), scores, facts.effective_total)
    if luck < LUCK:
        return
    yield Finding(
        FindingKind.EVAL_OVERFIT,
        "warning",
        f"{len(configs)} configs were compared on the same {total:.0f} examples, so the best score "
        f"({figures.percent(top)}, iteration {best.number}) is probably about {100 * luck:.0f} "
        "points too high. The holdout or fresh rows show the true score",
        {"configs": len(configs), "examples": int(total), "luck": luck, "best": best.number},
        iterations=(best.number,),
        otherwise="the gain over the base may be real, only smaller than it looks",
    )


def undecided(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a change from the parent that a second run of each config may settle."""
    against = facts.against_parent
    if against is None or not against.a or against.has_spread or against.change is None:
        return
    if against.claim in (SEED_NOISE, MEASURED_DIFFERENTLY):
        return
    ratio = abs(against.change.delta) / (against.change.margin or math.inf)
    if not HALF_SEEN < ratio < SURELY_SEEN:
        return
    yield Finding(
        FindingKind.UNDECIDED,
        "note",
        f"the change of {against.change_words} from iteration {against.a} rests on "
        f"{runs_text(against)}. A different seed alone could change the result by as much; "
        "replicates would decide",
        {
            "against": against.a,
            "delta": against.change.delta,
            "runs_before": against.replicates[0],
            "runs": against.replicates[1],
        },
        iterations=(against.a,),
    )


def tried_configs(facts: IterationFacts) -> list[list[Iteration]]:
    """Groups the finished iterations up to this one by config, in the order of their first runs.

    Only iterations that were measured as this one are included. Runs that differ only in the seed
    are one group.
    """
    return runs_by_config(
        facts.comparer,
        (
            each
            for each in facts.iterations
            if 0 < each.number <= facts.number
            and each.state == "finished"
            and can_rank(each, facts.iteration)
        ),
    )


def luck_of(count: int, scores: list[float], examples: float) -> float:
    """Returns how far the best of `count` equally good configs is expected above its true score.

    `scores` are over the same `examples`, so the difficulty of the examples is common to them.
    The rest of the variance, which the selection picks from, is about half of the binomial
    variance. The expected largest of k normal values is near the quantile (k - 0.375) / (k + 0.25)
    (Blom, "Statistical estimates and transformed beta-variables", 1958).
    """
    share = min(max(fmean(scores), 0.0), 1.0)
    error = math.sqrt(0.5 * share * (1 - share) / examples)
    return error * NormalDist().inv_cdf((count - 0.375) / (count + 0.25))


def is_better(comparison: Comparison) -> bool:
    """Returns whether a comparison claims a better result, or is consistent with one."""
    return "better" in comparison.claim


def _is_alike(comparison: Comparison | None) -> bool:
    """Returns whether two iterations differ by no more than noise."""
    return comparison is not None and comparison.claim in (NO_DIFFERENCE, SEED_NOISE)


def _best(runs: list[Iteration]) -> Iteration:
    return max(runs, key=rank_of)


def _next_check(facts: IterationFacts) -> str:
    late = trend_of(facts.train_curve.part(0.5, 1))
    if late is not None and late.is_falling:
        return (
            "The training loss was still falling: try more data or more regularization next, not "
            "more steps"
        )
    return "The training loss no longer falls: read the failures instead of changing settings"


def _named(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


LEVEL = 0.05
"""The significance level of McNemar's test."""

USEFUL = 0.15
"""A gain of 15 points of score is plain without any statistics. Rows that cannot show even that
much show nothing."""

HINTS = 0.5
"""A difference below this share of the smallest one that the rows can show is too small for anyone
to act on."""

FEW_LOSSES = 30
"""From this many rows on, the mean loss is known well enough to show a useful change."""

MANY_CHANGED = 2_000
"""Beyond this many changed rows, the normal limit is as good as the exact test."""

USUAL = 0.2
"""The share of rows whose outcome changes between two iterations, assumed where no comparison shows
it, or where it includes a real change. In recorded loops, two seeds of one config differed in 12
to 23% of the rows."""


def eval_too_small(facts: IterationFacts) -> Iterator[Finding]:
    """Reports evaluation rows that are too few to show a useful change."""
    view = facts.view
    if view is None or not facts.number:
        return
    total = len(view) - view.passed.count(UNSCORED)
    if not total:
        yield from _of_losses(facts, view)
        return
    against = facts.against_parent
    changed = len(against.fixed) + len(against.broken) if against is not None else 0
    p = against.p_value if against is not None and facts.iteration.parent else None
    # A significant difference is a real change, which says nothing about the usual share.
    share = changed / total if p is not None and p >= LEVEL and changed else USUAL
    # Conversations of several answers say as much as this many independent rows.
    independent = _independent(view) if view.table.clusters is not None else total
    rows = _rows(total, view)
    net = smallest_net(independent, share)
    if net is None:
        yield Finding(
            FindingKind.EVAL_TOO_SMALL,
            "warning",
            f"{rows} cannot show any change of the score: even a change from none passed to all "
            f"passed could be chance ({chance(mcnemar(independent, 0))})",
            {"total": total, "rows_needed": round(smallest_total(share) * total / independent)},
        )
        return
    difference = net / independent
    net = round(difference * total)
    told_figures: dict[str, Figure] = {
        "total": total,
        "smallest_points": round(100 * difference, 1),
    }
    text = f"cannot show a score change of less than about {100 * difference:.0f} points"
    if difference > USEFUL:
        few = round(smallest_total(share) * total / independent)
        yield Finding(
            FindingKind.EVAL_TOO_SMALL,
            "warning",
            f"{rows} {text}: newly passed rows must outnumber newly failed ones by at least "
            f"{net}. It takes about {few} rows to show a change of {100 * USEFUL:.0f} points",
            told_figures | {"rows_needed": few},
        )
        return
    if against is None or p is None or p < LEVEL or against.claim == SEED_NOISE:
        return
    fixed, broken = len(against.fixed), len(against.broken)
    if abs(fixed - broken) < HINTS * net:
        return
    points = 100 * (fixed - broken) / max(1, total)
    changes = f"{counted(fixed, 'example')} fixed, {broken} broken"
    if against.changed_groups:
        changes += f" in {counted(against.changed_groups, against.unit)}"
    yield Finding(
        FindingKind.EVAL_TOO_SMALL,
        "note",
        f"the change of {points:+.0f} points from iteration {against.a} may be chance: {changes} "
        f"({chance(p)}). {rows} {text}",
        told_figures | {"fixed": fixed, "broken": broken, "p": p},
        iterations=(against.a,),
        otherwise="the change may still be real",
    )


def _independent(view: ExampleView) -> int:
    """Returns the effective number of scored rows, at least 1 (`stats.effective_total`)."""
    scored = [row for row, outcome in enumerate(view.passed) if outcome != UNSCORED]
    marks = [float(view.passed[row] == PASSED) for row in scored]
    return max(1, math.floor(effective_total(marks, clusters_at(view.table.clusters, scored))))


def _rows(count: int, view: ExampleView) -> str:
    """Returns `40 held-out rows`, with groups `40 held-out answers of 8 conversations`."""
    clusters, unit = view.table.clusters, view.table.unit
    if clusters is None:
        return counted(count, "held-out row")
    what = "answers" if unit == CONVERSATION else "rows"
    return f"{count} held-out {what} of {counted(cluster_count(clusters), unit)}"


def _of_losses(facts: IterationFacts, view: ExampleView) -> Iterator[Finding]:
    """Reports the same where nothing is scored: a mean loss that so few rows hardly determine."""
    measured = [row for row, loss in enumerate(view.table.losses) if math.isfinite(loss)]
    losses = [view.table.losses[row] for row in measured]
    clusters, count = clusters_at(view.table.clusters, measured), len(losses)
    if not 2 <= (cluster_count(clusters) or count) < FEW_LOSSES:
        return
    half, mean = mean_half(losses, clusters), fmean(losses)
    if half is None or half < USEFUL * mean:
        return
    yield Finding(
        FindingKind.EVAL_TOO_SMALL,
        "warning",
        f"{_rows(count, view)} are too few for a precise loss: {figures.loss(mean)} "
        f"±{figures.loss(half)} (95% interval)",
        {"total": count, "loss": mean, "half_width": half},
        otherwise="all iterations are measured on the same rows, so a loss change on these rows is "
        "real; on other rows the change may differ",
    )


def smallest_net(total: int, share: float) -> int | None:
    """Returns how many more of `total` rows must be fixed than broken for a McNemar p below LEVEL.

    It assumes that `share` of the rows change their outcome, or the fewest rows above that with
    which p can be below LEVEL. None where no outcome of so few rows gives such a p.
    """
    changed = max(1, round(share * total))
    if changed > MANY_CHANGED:
        return math.ceil(Z95 * math.sqrt(changed))
    for count in range(changed, total + 1):
        for net in range(count % 2, count + 1, 2):  # fixed ± broken are both even or both odd
            if net and mcnemar((count + net) // 2, (count - net) // 2) < LEVEL:
                return net
    return None


def smallest_total(share: float) -> int:
    """Returns the fewest rows, in steps of ten, that can show a useful difference (USEFUL)."""
    total = 10
    # None, for rows that can show nothing, counts as the whole total: more than USEFUL of it.
    while (smallest_net(total, share) or total) > USEFUL * total:
        total += 10
    return total
