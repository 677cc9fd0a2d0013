"""Findings on settings: a loss on prompts, an adapter too small for the task, wasted time.

diluted_loss          the loss includes the prompts, and answers are a small part of its tokens.
undertrained_adapter  a small adapter (few ranks, or few layers) left most of the loss.
slow                  much of the training time went into something other than training steps, steps
                      are smaller than the machine could take, or the samples of the machine show
                      an idle or slowed GPU, or swapping.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean, median

from tui_loop.core.diagnosis.facts import IterationFacts, metric_of
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import LEFT_STANDING
from tui_loop.core.diagnosis.rules.learning_rate import learning_rate_too_low
from tui_loop.core.diagnosis.rules.machine_use import machine_faults
from tui_loop.core.diagnosis.rules.run_health import FEWEST_LOGS, has_diverged
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

SMALL_RANK = 4
"""An adapter of this rank or less counts as small."""

ELSEWHERE = 0.4
"""The largest share of the training time that evaluations or checkpoints may take without a
remark."""

PADDING = 0.5
"""The largest share of padding without a remark."""

SHORT_ROW = 256
"""Tokens: a micro-batch of one longer row may well fill a small machine."""

MICRO_PASSES = 4
"""The least number of passes per step for a remark on micro-batches of one row."""

DILUTED = 0.2
"""Share of the trained tokens up to which answers hardly affect the weights."""


def undertrained_adapter(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a small adapter that left most of the loss."""
    config, train = facts.config, facts.train_curve
    if config is None or not config.lora.enabled or len(train) < FEWEST_LOGS or not facts.number:
        return
    modules = _targets(facts)
    small, narrow = config.lora.r <= SMALL_RANK, len(modules) == 1
    layers = config.lora.layers_to_transform
    few_layers = isinstance(layers, list | int)
    if (
        not (small or narrow or few_layers)
        or has_diverged(facts)
        or any(learning_rate_too_low(facts))
    ):
        return
    end = fmean(train.part(0.9, 1).values)
    base, eval_loss = metric_of(facts.base, "eval_loss"), facts.metric("eval_loss")
    if eval_loss is None or end < LEFT_STANDING:
        return
    if base is not None and eval_loss < LEFT_STANDING:
        return
    size = f"r = {config.lora.r}" + (f", only {modules[0]}" if narrow else "")
    if few_layers:
        count = len(layers) if isinstance(layers, list) else 1
        size += f", {counted(count, 'layer')}"
    parameters = facts.metric("trainable_parameters")
    yield Finding(
        FindingKind.UNDERTRAINED_ADAPTER,
        "warning",
        f"the adapter ({size}{f', {parameters:,.0f} parameters' if parameters else ''}) may be too "
        f"small for this task: the training loss is still {figures.loss(end)}",
        {"r": config.lora.r, "modules": len(modules), "train_loss": end},
        otherwise="too low a learning rate or too few steps have the same effect",
    )


def diluted_loss(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a loss on whole rows where answers are a small part of the tokens."""
    config, tokens = facts.config, _tokens_a_row(facts)
    if config is None or config.data.train_on != "all" or tokens is None:
        return
    answers = _answer_tokens_a_row(facts)
    if not answers or config.training.packing or answers > DILUTED * tokens:
        return
    yield Finding(
        FindingKind.DILUTED_LOSS,
        "warning",
        f"every token is trained on (data.train_on = all), but only about {answers:.0f} of "
        f"{tokens:.0f} tokens per row belong to answers: the run mostly learns to write prompts",
        {"tokens_a_row": tokens, "answer_tokens": answers},
        otherwise="similar prompts are learned quickly, and then do little harm",
    )


def _answer_tokens_a_row(facts: IterationFacts) -> float | None:
    """Returns the mean number of tokens in a row's answers, None where it is not known.

    In records of earlier versions it is the number of supervised tokens.
    """
    recorded = facts.iteration.metrics.get("answer_tokens")
    rows = facts.iteration.metrics.get("train_rows")
    if recorded is not None:
        return recorded / rows if isinstance(rows, int) and rows else None
    outcomes = facts.outcomes(facts.number)
    counts = [each for each in outcomes.supervised_tokens if each] if outcomes else []
    return fmean(counts) if counts else None


def slow(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training time that evaluations, checkpoints, small passes or padding took.

    Also reports what the samples of the machine show.
    """
    config = facts.config
    if config is None or not facts.number:
        return
    parts, numbers = [], dict[str, float | int | str]()
    spent = time_spent(facts)
    for what, field in (
        ("evaluations during the run", "eval_steps"),
        ("checkpoints", "save_steps"),
    ):
        share = spent.get(what, 0.0)
        if share > ELSEWHERE:
            parts.append(f"{what} took {100 * share:.0f}% of the training time (set by {field})")
            numbers[f"{field}_share"] = share
    for fault in machine_faults(facts, waited_otherwise=bool(parts)):
        parts.append(fault.text)
        numbers |= fault.figures
    training = config.training
    if training.per_device_train_batch_size == 1 and not training.packing:
        passes = training.gradient_accumulation_steps
        tokens = _tokens_a_row(facts)
        if passes >= MICRO_PASSES and tokens is not None and tokens < SHORT_ROW:
            parts.append(
                f"each step processes {passes} micro-batches of one row (about {tokens:.0f} "
                "tokens), although fewer, larger ones would be faster"
            )
            numbers["passes"] = passes
    padding = facts.metric("padding_share")
    if padding is not None and padding > PADDING and not training.packing:
        parts.append(f"{100 * padding:.0f}% of the computed tokens are padding")
        numbers["padding_share"] = padding
    if parts:
        yield Finding(
            FindingKind.SLOW, "note", "training time is wasted: " + "; ".join(parts), numbers
        )


def time_spent(facts: IterationFacts) -> dict[str, float]:
    """Returns the shares of the training time that went into evaluations and into checkpoints.

    The run measures its evaluations. For records without that measurement, and for checkpoints, a
    gap between two logs counts for what happened in it, minus the usual gap in which nothing else
    happened.
    """
    total = facts.run.training_s
    if total <= 0:
        return {}
    spent = _told_by_gaps(facts)
    measured = facts.metric("eval_within_runtime")
    # After several attempts the metric covers the last one only, while `training_s` covers all.
    if measured is not None and facts.iteration.attempts == 1:
        spent["evaluations during the run"] = measured
    return {what: seconds / total for what, seconds in spent.items()}


def _told_by_gaps(facts: IterationFacts) -> dict[str, float]:
    """Returns the seconds by which gaps with an evaluation or a checkpoint exceed the usual gap."""
    points = facts.run.metrics
    if len(points) < FEWEST_LOGS:
        return {}
    gaps = [(before.t, after.t) for before, after in pairwise(points)]
    evaluated = sorted(each.t for each in facts.run.evaluations)
    saved = sorted(each.t for each in facts.run.checkpoints)
    quiet = [
        end - start
        for start, end in gaps
        if not (_has_one(evaluated, start, end) or _has_one(saved, start, end))
    ]
    usual = median(quiet) if quiet else min(end - start for start, end in gaps)
    spent = {"evaluations during the run": 0.0, "checkpoints": 0.0}
    for start, end in gaps:
        extra = max(0.0, end - start - usual)
        if _has_one(evaluated, start, end):
            spent["evaluations during the run"] += extra
        elif _has_one(saved, start, end):
            spent["checkpoints"] += extra
    return spent


def _has_one(times: Sequence[float], start: float, end: float) -> bool:
    """Returns whether any of the sorted times is after `start` and not after `end`."""
    return bisect_right(times, end) > bisect_right(times, start)


def _targets(facts: IterationFacts) -> list[str]:
    """Returns the names of the layers with an adapter, as the run found them; [] where unknown."""
    lora = facts.effective.get("lora_config")
    names = lora.get("target_modules") if isinstance(lora, dict) else None
    if isinstance(names, list):
        return [str(each) for each in names]
    parts = facts.config.lora.target_modules if facts.config else []
    return parts if isinstance(parts, list) else []


def _tokens_a_row(facts: IterationFacts) -> float | None:
    """Returns the trained tokens per row, from the running count that the trainer logs."""
    config, tokens = facts.config, facts.run.latest("num_tokens")
    if config is None or tokens is None or not facts.run.step:
        return None
    training = config.training
    rows = training.per_device_train_batch_size * training.gradient_accumulation_steps
    return tokens / (rows * facts.run.step)
