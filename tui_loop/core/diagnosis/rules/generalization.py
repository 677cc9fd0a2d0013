"""Findings on generalization: whether training helps with other rows, and what was lost.

overfitting         the eval loss rose while the training loss continued to fall.
memorised           the training rows are memorized, the evaluation rows are not.
generalisation_gap  the evaluation rows are harder than the training rows by more than chance;
                    reported only where neither of the two above applies.

Evaluations during training are compared example by example, so that chance does not explain a rise.
The lowest of several evaluations is partly luck, hence SURE.

worse_than_base  the base is the better model by the paired test of the scores; or, where the scores
                 show nothing, by the loss.
forgetting       much of what the base got right fails now, or much of what the iteration got right
                 whose weights this one started from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

from tui_loop.core.clusters import cluster_count, clusters_at
from tui_loop.core.compare.comparison import Comparison
from tui_loop.core.diagnosis.facts import IterationFacts, finite_losses, metric_of
from tui_loop.core.diagnosis.findings import EXAMPLES_KEPT, Figure, Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import chance
from tui_loop.core.diagnosis.rules.run_health import FEWEST_LOGS, SURE, has_diverged
from tui_loop.core.examples.table import PASSED
from tui_loop.core.record.codec import number
from tui_loop.core.stats import Interval, mean_error, sample_variance, share_interval, t95
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

LEAST_CHANGE = 0.05
"""A change of the loss by less than this share of it does not justify a change of the config."""

BY_HEART = 0.05
"""Training loss in nats per token up to which rows count as memorized: each token has a probability
of 95%."""

NOT_KNOWN = 0.25
"""Eval loss in nats per token above which evaluation rows count as not memorized. It must also be
five times the training loss."""

WIDE = 1.5
"""A gap is reported from an eval loss of 1.5 times the training loss on."""

LEAST_GAP = 0.1
"""Nats per token: a smaller gap is not reported."""

MOST_LEFT = 0.9
"""A run that left more than this share of the base's eval loss has not learned enough to generalize
or to fail to generalize."""

FEW_ROWS = 30
"""With fewer evaluation rows a gap is mentioned even where it may be chance, since
people act on it."""


def overfitting(facts: IterationFacts) -> Iterator[Finding]:
    """Reports an eval loss that rose while the training loss fell."""
    turn = turn_of(facts)
    if turn is None or _is_broken(facts):
        return
    step, lowest, change = turn
    evals, train = facts.eval_curve, facts.train_curve
    before = _train_loss_at(facts, step)
    end = fmean(train.values[-10:])
    kept_best = facts.config is not None and facts.config.training.keep == "best"
    yield Finding(
        FindingKind.OVERFITTING,
        "warning",
        f"the eval loss rose after step {step} of {evals.steps[-1]} ({figures.loss(lowest)} → "
        f"{figures.loss(evals.values[-1])} nats per token; mean over examples: "
        f"{figures.loss_change(change)}) while the training loss kept falling "
        f"({figures.loss(before)} → {figures.loss(end)})"
        + ("; the best weights were kept" if kept_best else ""),
        {
            "step": step,
            "lowest_eval_loss": lowest,
            "eval_loss": evals.values[-1],
            "train_loss_then": before,
            "train_loss": end,
        },
        steps=(step, evals.steps[-1]),
        otherwise=_what_of_the_score(facts),
    )


def memorised(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training rows that the model has memorized, where evaluation rows are still hard."""
    known = _by_heart(facts)
    if known is None or _is_broken(facts):
        return
    train, eval_loss = known
    rows, epochs = facts.metric("train_rows"), facts.metric("epochs")
    seen = f" in {counted(round(epochs), 'epoch')}" if epochs else ""
    yield Finding(
        FindingKind.MEMORISED,
        "warning" if eval_loss > 2 * NOT_KNOWN else "note",
        f"the model has memorized its {rows or 0:.0f} training rows{seen} "
        f"(training loss {figures.loss(train)}), but held-out rows are still hard (eval loss "
        f"{figures.loss(eval_loss)}): more epochs on the same rows teach nothing new",
        {"train_loss": train, "eval_loss": eval_loss, "train_rows": rows or 0},
        otherwise="a distribution shift between training and held-out rows has the same effect",
    )


def generalisation_gap(facts: IterationFacts) -> Iterator[Finding]:
    """Reports evaluation rows that are harder than the training rows."""
    if _is_broken(facts) or _by_heart(facts) is not None or _was_narrow_at_turn(facts):
        return
    gap = gap_of(facts)
    if gap is None:
        return
    train, held, interval, count = gap
    if held - train < LEAST_GAP:
        return
    change = figures.loss_change(interval)
    values: dict[str, Figure] = {
        "train_loss": train,
        "eval_loss": held,
        "examples": count,
        "is_sure": int(interval.low > 0),
    }
    base = metric_of(facts.base, "eval_loss")
    before = ""
    if base is not None and held > MOST_LEFT * base:
        before = (
            f"; the base model has an eval loss of {figures.loss(base)}, so the run learned little "
            "and did not cause the gap"
        )
    if interval.low > 0:
        if held < WIDE * train:
            return
        yield Finding(
            FindingKind.GENERALISATION_GAP,
            "note",
            f"held-out rows have a higher loss than training rows: {figures.loss(held)} against "
            f"{figures.loss(train)} nats per token (difference: {change}){before}",
            values,
            otherwise="some gap is normal, since the model has seen the training rows; only a "
            "rising eval loss is a problem. A gap is no reason to change the learning rate",
        )
    elif count < FEW_ROWS:
        yield Finding(
            FindingKind.GENERALISATION_GAP,
            "note",
            f"the eval loss of {figures.loss(held)} is above the training loss of "
            f"{figures.loss(train)}, but over {count} held-out rows the difference ({change}) may "
            f"be chance, and is no reason to change the learning rate{before}",
            values,
            otherwise="some gap is normal, since the model has seen the training rows",
        )


def turn_of(facts: IterationFacts) -> tuple[int, float, Interval] | None:
    """Returns (step, eval loss there, change from there to the end) of the lowest eval loss.

    None unless the eval loss certainly rose from there on while the training loss fell.
    """
    evals, train = facts.eval_curve, facts.train_curve
    if len(evals) < 2 or evals.lowest == len(evals) - 1 or not len(train):
        return None
    step, lowest = evals.steps[evals.lowest], evals.values[evals.lowest]
    change = facts.step_change(step, evals.steps[-1])
    if change is None or change.delta - SURE * change.half_width <= 0:
        return None
    if change.delta < LEAST_CHANGE * lowest:
        return None
    if train.steps[0] > step or fmean(train.values[-10:]) >= _train_loss_at(facts, step):
        return None
    return step, lowest, change


def gap_of(facts: IterationFacts) -> tuple[float, float, Interval, int] | None:
    """Returns (training loss, eval loss, difference, number of evaluation rows), in nats per token.

    The difference has the 95% interval of two independent means, with Student's t of the smaller
    sample (a conservative Welch), where answers of one conversation count as one. The same weights
    were measured on training and evaluation rows.
    Where no training rows were measured, the mean of the last logs is used instead.
    """
    outcomes = facts.outcomes(facts.number)
    held, clusters = finite_losses(outcomes) if outcomes else ([], None)
    rows = [value for row in facts.training_rows if (value := number(row.loss)) is not None]
    trained = [value for value in rows if math.isfinite(value)]
    if len(held) < 2:
        return None
    variance, fewest = sample_variance(held) / len(held), len(held)
    if clusters is not None:
        error, fewest = mean_error(held, clusters), cluster_count(clusters)
        if error is None:
            return None
        variance = error**2
    if len(trained) >= 2:
        variance += sample_variance(trained) / len(trained)
        fewest = min(fewest, len(trained))
    else:
        trained = list(facts.train_curve.values[-max(5, len(facts.train_curve) // 10) :])
    if not trained:
        return None
    delta, half = fmean(held) - fmean(trained), t95(fewest - 1) * math.sqrt(variance)
    interval = Interval(delta, delta - half, delta + half)
    return fmean(trained), fmean(held), interval, len(held)


def _was_narrow_at_turn(facts: IterationFacts) -> bool:
    """Returns whether the eval loss turned up from about the level of the training loss.

    The gap then comes from the overfitting, and was not there before.
    """
    turn = turn_of(facts)
    if turn is None:
        return False
    step, lowest, _ = turn
    return lowest < WIDE * _train_loss_at(facts, step)


def _train_loss_at(facts: IterationFacts, step: int) -> float:
    """Returns the mean of the last training logs (ten at most) up to a step."""
    train = facts.train_curve
    return fmean([v for s, v in zip(train.steps, train.values, strict=True) if s <= step][-10:])


def _by_heart(facts: IterationFacts) -> tuple[float, float] | None:
    """Returns (training loss, eval loss) where only the training loss is near 0, else None."""
    train, eval_loss = facts.metric("train_rows_loss"), facts.metric("eval_loss")
    if train is None and len(facts.train_curve) >= FEWEST_LOGS:
        train = fmean(facts.train_curve.part(0.9, 1).values)
    if train is None or eval_loss is None or train > BY_HEART:
        return None
    gap = gap_of(facts)
    if gap is None or gap[2].low <= 0:
        return None
    return (train, eval_loss) if eval_loss > max(NOT_KNOWN, 5 * train) else None


def _what_of_the_score(facts: IterationFacts) -> str:
    """Returns what else a rising loss may mean: the answers may still be right as often as before.

    A model that grows more certain has a higher loss for each mistake.
    """
    score = facts.metric("score")
    if score is None:
        return "a few confident mistakes on held-out rows can raise the mean loss"
    return (
        "the loss also rises when a model only becomes more confident in its mistakes: the score "
        f"({figures.percent(score)}) may not have fallen"
    )


def _is_broken(facts: IterationFacts) -> bool:
    return facts.number == 0 or has_diverged(facts)


LEVEL = 0.05
"""The significance level of the paired test."""

MUCH_LOSS = 0.1
"""A rise by less than this share of the base's loss may come from more certainty alone."""

FEWEST_RIGHT = 10
"""With fewer right answers, the share that was lost cannot be estimated."""

LOST = 0.25
"""In recorded loops, two runs of one config with different seeds lost 7 to 23% of each other's
right answers. Only a share that is certainly higher counts as forgotten."""


def worse_than_base(facts: IterationFacts) -> Iterator[Finding]:
    """Reports an iteration that is worse than the base, by score or by loss."""
    against = facts.against_base if facts.number else None
    if against is None:
        return
    interval, p = against.interval, against.p_value
    fixed, broken = len(against.fixed), len(against.broken)
    by_outcome = p is not None and p < LEVEL and broken > fixed
    if interval is not None and interval.high < 0 and (by_outcome or not fixed + broken):
        text = (
            f"{counted(broken, 'example')} changed from passed to failed, {fixed} from failed to "
        )
        text += "passed"
        if against.changed_groups:
            text += f", in {counted(against.changed_groups, against.unit)}"
        text += f" ({chance(p)})" if by_outcome and p is not None else ""
        yield Finding(
            FindingKind.WORSE_THAN_BASE,
            "alarm",
            f"the score is worse than the base model's: {_percent(facts.metric('score'))} against "
            f"{_percent(metric_of(facts.base, 'score'))} ({figures.points(interval)} points). "
            f"{text}",
            {
                "score": facts.metric("score") or 0.0,
                "base_score": metric_of(facts.base, "score") or 0.0,
                "points": round(100 * interval.delta, 1),
                "fixed": fixed,
                "broken": broken,
                "p": 1.0 if p is None else p,
            },
            examples=_worst(facts, against),
            iterations=(0,),
        )
        return
    loss, before = against.loss, metric_of(facts.base, "eval_loss")
    is_better = interval is not None and interval.low > 0
    if loss is None or before is None or is_better or loss.low <= 0:
        return
    if loss.delta >= MUCH_LOSS * before:
        yield Finding(
            FindingKind.WORSE_THAN_BASE,
            "warning",
            f"the eval loss is higher than the base model's: "
            f"{figures.loss(facts.metric('eval_loss'))} against {figures.loss(before)} "
            f"(mean over examples: {figures.loss_change(loss)})",
            {
                "eval_loss": facts.metric("eval_loss") or 0.0,
                "base_eval_loss": before,
                "change": round(loss.delta, 4),
            },
            iterations=(0,),
            otherwise="the score may be as good as before: a model can be more confident in its "
            "mistakes without making more of them",
        )


def forgetting(facts: IterationFacts) -> Iterator[Finding]:
    """Reports right answers of the starting weights, or of the base, that fail now."""
    if not facts.number:
        return
    config = facts.config
    begun_at = config.model.init_adapter if config is not None else None
    for earlier in (begun_at, 0):
        if isinstance(earlier, int):  # a path names no iteration of this loop
            found = list(_forgotten(facts, earlier))
            yield from found
            if found:
                return


def _forgotten(facts: IterationFacts, number: int) -> Iterator[Finding]:
    against = facts.against_base if number == 0 else facts.against(number)
    before = facts.outcomes(number)
    if against is None or before is None or against.p_value is None:
        return
    names = set(before.ids)
    view = facts.view
    shared = names.intersection(view.table.ids) if view is not None else names
    known = [
        row
        for row, (name, outcome) in enumerate(zip(before.ids, before.passed, strict=True))
        if outcome == PASSED and name in shared
    ]
    knew, lost, broken = len(known), len(against.broken), set(against.broken)
    marks = [float(before.ids[row] in broken) for row in known]
    if knew < FEWEST_RIGHT:
        return
    if share_interval(marks, clusters_at(before.clusters, known))[0] <= LOST:
        return
    fixed = len(against.fixed)
    is_net = against.p_value < LEVEL and lost > fixed
    who = "the base model" if number == 0 else f"iteration {number}, from which this run started,"
    yield Finding(
        FindingKind.FORGETTING,
        "warning",
        f"{who} passed {counted(knew, 'example')}, of which {lost} now fail. Of the examples that "
        f"it failed, {'only ' if is_net and fixed else ''}{fixed or 'none'} now "
        f"{'passes' if fixed == 1 else 'pass'}"
        + (f" ({chance(against.p_value)})" if is_net else ""),
        {"lost": lost, "knew": knew, "won": fixed, "p": against.p_value},
        examples=_worst(facts, against),
        iterations=(number,),
        otherwise="by chance, a second run of one config fails up to a quarter of the examples "
        "that the first run passes; more than that were lost here",
    )


def _worst(facts: IterationFacts, against: Comparison) -> tuple[str, ...]:
    """Returns the ids of the broken examples, the highest loss first."""
    outcomes = facts.outcomes(facts.number)
    losses = dict(zip(outcomes.ids, outcomes.losses, strict=True)) if outcomes else {}
    worst = sorted(against.broken, key=lambda name: (-losses.get(name, 0.0), name))
    return tuple(worst[:EXAMPLES_KEPT])


def _percent(score: float | None) -> str:
    return figures.percent(score) or "unknown"
