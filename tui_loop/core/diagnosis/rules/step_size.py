"""Findings on settings, other than the learning rate, that make the optimizer's steps small.

held_back  much of the base's loss is left, and a setting takes at least half of each step: the
           schedule, the optimizer's epsilon against the size of the gradients, plain SGD, the
           adapter's scale, weight decay, or dropout. A note where little of the loss is left and
           the setting takes nearly all of each step.

Every cause is computed from the record alone: the config, the logged rates and gradient norms, and
the number of trained parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

import msgspec

from tui_loop.core.diagnosis.facts import IterationFacts, curve_of, level, metric_of
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import has_much_left
from tui_loop.core.diagnosis.rules.run_health import FEWEST_LOGS, has_diverged, unmoved
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief_number

WORTH = 0.5
"""A setting is a cause where it leaves at most this part of the usual step."""

LITTLE = 0.1
"""A setting that leaves less than this part is worth a note however much was learned."""

ADAM_EPSILON = 1e-8
"""The default of AdamW in transformers."""

USUAL_SCALE = 1.0
"""The usual scale of an adapter, alpha / r, is 1 to 2."""

NOT_ADAM = ("adafactor", "adagrad", "rmsprop", "lion", "lomo", "galore", "apollo")


class Cause(msgspec.Struct, frozen=True):
    """A setting that leaves `part` of the usual step, and the evidence in one sentence.

    `fields`: {"group.field": value} that would not.
    """

    part: float
    evidence: str
    fields: dict[str, float | int | str | None]


def held_back(facts: IterationFacts) -> Iterator[Finding]:
    """Reports the setting that takes most of each step, where most of the loss is left."""
    causes = causes_of(facts)
    if not causes:
        return
    worst, is_far = causes[0], has_much_left(facts)
    if not is_far and worst.part >= LITTLE:
        return
    loss, base = facts.metric("eval_loss"), metric_of(facts.base, "eval_loss")
    share = f"{100 * loss / base:.0f}% of the base model's" if loss and base else ""
    left = f"; the eval loss is still {share}" if share else ""
    yield Finding(
        FindingKind.HELD_BACK,
        "alarm" if unmoved(facts) else "warning" if is_far else "note",
        f"{worst.evidence}{left}",
        {"part": round(worst.part, 6), "setting": next(iter(worst.fields)), "causes": len(causes)},
        otherwise="" if worst.part < LITTLE else "too low a learning rate has the same effect",
    )


def causes_of(facts: IterationFacts) -> list[Cause]:
    """Returns the settings that take at least WORTH of each step, the strongest first."""
    if facts.config is None or not facts.number or has_diverged(facts):
        return []
    if len(facts.train_curve) < FEWEST_LOGS:
        return []
    found = [
        *_schedule(facts),
        *_optimizer(facts),
        *_scale(facts),
        *_decay(facts),
        *_dropout(facts),
    ]
    return sorted((each for each in found if each.part <= WORTH), key=lambda each: each.part)


def _schedule(facts: IterationFacts) -> Iterator[Cause]:
    """Yields a schedule whose rates were far below the rate of the config.

    A linear or cosine schedule averages half of it.
    """
    assert facts.config is not None
    training = facts.config.training
    rates = curve_of(facts.run.metrics, "learning_rate").values
    if not rates or training.learning_rate <= 0:
        return
    part = 2 * fmean(rates) / training.learning_rate
    if part > WORTH:
        return
    highest = max(rates) / training.learning_rate
    fields: dict[str, float | int | str | None] = {"training.lr_scheduler_type": "linear"}
    if facts.config.other.get("lr_scheduler_kwargs"):  # of the schedule that goes
        fields["training.lr_scheduler_kwargs"] = None
    what = f"the {training.lr_scheduler_type} schedule"
    if highest < 1 - WORTH or training.warmup_steps:
        fields, what = {"training.warmup_steps": 0.0}, _warm_up_words(training.warmup_steps)
    yield Cause(
        part,
        f"{what} kept the learning rate at {figures.share(fmean(rates), training.learning_rate)} "
        f"of the configured {figures.rate(training.learning_rate)} on average, and never above "
        f"{figures.share(highest, 1)}",
        fields,
    )


def _warm_up_words(steps: float) -> str:
    if 0 < steps < 1:
        return f"a warm-up of {100 * steps:.0f}% of the steps"
    return f"a warm-up of {brief_number(steps)} steps"


def _optimizer(facts: IterationFacts) -> Iterator[Cause]:
    """Yields what makes the steps of the optimizer small for these gradients.

    Adam moves a weight by rate x g / (|g| + epsilon), so that clipping changes nothing until g is
    near epsilon (Kingma and Ba 2015). SGD moves it by rate x g.
    """
    assert facts.config is not None
    training, other = facts.config.training, facts.config.other
    norm, trained = level(facts.grad_curve.values), facts.metric("trainable_parameters")
    if not norm > 0 or trained is None or trained < 1:
        return
    clipped = min(norm, training.max_grad_norm) if training.max_grad_norm else norm
    typical, unclipped = clipped / math.sqrt(trained), norm / math.sqrt(trained)
    if training.optim == "sgd":
        momentum = other.get("momentum", 0.0)
        part = typical / (1 - momentum) if isinstance(momentum, float) and momentum < 1 else typical
        yield Cause(
            min(1.0, part),
            f"plain SGD moves a weight by the learning rate times its gradient ({typical:.1g} "
            f"here): AdamW's steps at the same rate are {1 / part:,.0f} times as large",
            {"training.optim": "adamw_torch"},
        )
        return
    if any(name in training.optim for name in NOT_ADAM):
        return
    epsilon = other.get("adam_epsilon", ADAM_EPSILON)
    if not isinstance(epsilon, float | int) or epsilon <= 0:
        return
    part = typical / (typical + epsilon)
    if epsilon > unclipped / 10:
        yield Cause(
            part,
            f"adam_epsilon {brief_number(epsilon)} is large compared with a weight's gradient of "
            f"{typical:.1g}, so AdamW takes only {100 * part:.2g}% of its usual step",
            {"training.adam_epsilon": ADAM_EPSILON},
        )
    else:
        yield Cause(
            part,
            f"max_grad_norm {brief_number(training.max_grad_norm)} clips gradients to "
            f"{clipped / norm:.1g} of their size, so that adam_epsilon outweighs them: AdamW takes "
            f"only {100 * part:.2g}% of its usual step",
            {"training.max_grad_norm": 1.0},
        )


def _scale(facts: IterationFacts) -> Iterator[Cause]:
    """Yields an adapter whose scale makes its weights count for little (Hu et al. 2021)."""
    assert facts.config is not None
    lora = facts.config.lora
    if not lora.enabled or lora.r <= 0:
        return
    rank = math.sqrt(lora.r) if lora.use_rslora else float(lora.r)
    scale = lora.lora_alpha / rank
    yield Cause(
        scale / USUAL_SCALE,
        f"lora_alpha {brief_number(lora.lora_alpha)} at r {lora.r} scales the adapter by only "
        f"{scale:.2g}, where 1 to 2 is usual",
        {"lora.lora_alpha": 2 * lora.r},
    )


def _decay(facts: IterationFacts) -> Iterator[Cause]:
    """Yields a weight decay that shrinks the trained weights during the run.

    Each step multiplies them by 1 - rate x decay (Loshchilov and Hutter 2019).
    """
    assert facts.config is not None
    training = facts.config.training
    rates = curve_of(facts.run.metrics, "learning_rate").values
    if training.weight_decay <= 0 or not rates:
        return
    kept = math.exp(-fmean(rates) * training.weight_decay * facts.run.step)
    yield Cause(
        kept,
        f"weight_decay {brief_number(training.weight_decay)} shrinks the trained weights to "
        f"{100 * kept:.2g}% of their size over {facts.run.step} steps",
        {"training.weight_decay": 0.0},
    )


def _dropout(facts: IterationFacts) -> Iterator[Cause]:
    """Yields an adapter's dropout that leaves out most of its input."""
    assert facts.config is not None
    lora = facts.config.lora
    if not lora.enabled:
        return
    yield Cause(
        1 - lora.lora_dropout,
        f"lora_dropout {brief_number(lora.lora_dropout)} drops "
        f"{100 * lora.lora_dropout:.0f}% of the adapter's input in each step",
        {"lora.lora_dropout": 0.0},
    )
