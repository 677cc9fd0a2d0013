"""Suggestions on training length, adapter size and regularisation."""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.config.schema import SEED, Training
from tui_loop.core.diagnosis.advice.building import (
    gain,
    loss_gain,
    loss_range,
    make_suggestion,
    propose,
)
from tui_loop.core.diagnosis.facts import IterationFacts, config_of, metric_of
from tui_loop.core.diagnosis.findings import Finding, Suggestion
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind
from tui_loop.core.diagnosis.rules.common import has_much_left
from tui_loop.core.diagnosis.rules.generalization import turn_of
from tui_loop.core.diagnosis.rules.learning_rate import STEPS_WANTED
from tui_loop.core.diagnosis.rules.rendered_rows import trained_stops
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

LONGEST = 2.0
"""The largest factor for a longer run in one step, unless STEPS_WANTED needs more."""

LARGEST_RANK = 64

USUAL_BATCH = 16
"""Rows a step that fine-tuning works with nearly everywhere."""


def train_longer(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests twice the passes, or enough for STEPS_WANTED steps where that is more.

    The prediction comes from the last stretch of the eval curve.
    """
    if facts.config is None:
        return
    if any(True for advisor in (all_steps, smaller_batches) for _ in advisor(facts, finding)):
        return  # a setting took the steps: a longer run would cost more for the same
    steps = max(1, facts.run.step)
    factor = max(LONGEST, STEPS_WANTED / steps)
    fields = _length(facts.config.training, factor)
    if steps < STEPS_WANTED:
        yield propose(
            facts,
            finding,
            SuggestionKind.TRAIN_LONGER,
            fields,
            because=f"the run had only {counted(steps, 'step')}",
            expects=loss_gain(facts, 0.05, 0.7),
            confidence="high",
            ground=f"fine-tuning usually needs at least {STEPS_WANTED} steps",
        )
        return
    expects, ground = loss_gain(facts, 0.05, 0.4), "the loss was still falling when the run ended"
    evals = facts.eval_curve
    if len(evals) >= 2:
        fell = evals.values[-2] - evals.values[-1]
        if fell > 0:
            end = evals.values[-1]
            expects = loss_range(facts, end - 1.5 * fell, end - 0.2 * fell)
            ground = (
                "between the last two evaluations, the eval loss still fell by "
                f"{figures.loss(fell)}"
            )
    yield propose(
        facts,
        finding,
        SuggestionKind.TRAIN_LONGER,
        fields,
        because="the eval loss was still falling when the run ended",
        expects=expects,
        confidence="medium",
        ground=ground,
    )


def all_steps(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests no cap on the steps, and no packing, where these left too few steps."""
    if facts.config is None or not 0 < facts.run.step < STEPS_WANTED:
        return
    training, epochs = facts.config.training, facts.metric("epochs")
    if training.max_steps is not None and epochs is not None and epochs < 1.5:
        yield propose(
            facts,
            finding,
            SuggestionKind.ALL_STEPS,
            {"training.max_steps": None},
            because=f"max_steps ended the run after {epochs:.2g} epochs",
            expects=loss_gain(facts, 0.2, 0.9),
            confidence="high",
            ground="known from the config; without max_steps, num_train_epochs limits the run",
        )
    patience = training.early_stopping_patience
    if patience is not None and epochs is not None and epochs < 0.9 * training.num_train_epochs:
        yield propose(
            facts,
            finding,
            SuggestionKind.NO_EARLY_STOP,
            {"training.early_stopping_patience": None},
            because=f"early stopping ended the run after {epochs:.2g} of "
            f"{training.num_train_epochs:g} epochs",
            expects=loss_gain(facts, 0.2, 0.9),
            confidence="high",
            ground="known from the config and the number of steps",
        )
    if training.packing:
        yield propose(
            facts,
            finding,
            SuggestionKind.NO_PACKING,
            {"training.packing": False},
            because="packing joined short rows into few sequences, which left few steps",
            expects=loss_gain(facts, 0.2, 0.9),
            confidence="high",
            ground="known from the config and the number of steps",
        )


def smaller_batches(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests fewer rows a step where there were too few steps: it costs no more passes."""
    if facts.config is None or not 0 < facts.run.step < STEPS_WANTED:
        return
    training = facts.config.training
    rows = training.per_device_train_batch_size * training.gradient_accumulation_steps
    wanted = max(1, min(USUAL_BATCH, rows * facts.run.step // STEPS_WANTED))
    at_once = min(wanted, training.per_device_train_batch_size)
    fields = {
        "training.gradient_accumulation_steps": max(1, wanted // at_once),
        "training.per_device_train_batch_size": at_once,
    }
    if rows <= 2 * wanted:
        return
    yield propose(
        facts,
        finding,
        SuggestionKind.SMALLER_BATCHES,
        {name: value for name, value in fields.items() if _differs(training, name, value)},
        because=f"the run had only {counted(facts.run.step, 'step')} of {rows:,} rows each; "
        "smaller batches give more steps per epoch",
        expects=loss_gain(facts, 0.2, 0.9),
        confidence="high",
        ground="computed from the batch size and the number of rows",
    )


def _differs(training: Training, name: str, value: int) -> bool:
    return bool(getattr(training, name.partition(".")[2]) != value)


def teach_the_end(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests twice the passes where training rows end and outputs do not."""
    if facts.config is None or not trained_stops(facts):
        return
    yield propose(
        facts,
        finding,
        SuggestionKind.TRAIN_LONGER,
        _length(facts.config.training, LONGEST),
        because="training rows have an end token, but the model has not learned to generate it yet",
        expects=gain(facts, 0.0, 0.5),
    )


def is_far_from_done(facts: IterationFacts) -> bool:
    """Returns whether the eval loss is still so high that more steps would take too long."""
    loss, base = facts.metric("eval_loss"), metric_of(facts.base, "eval_loss")
    return loss is None or base is None or has_much_left(facts)


def stop_earlier(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the epochs up to the lowest eval loss, or keeping the weights of that step."""
    if facts.config is None:
        return
    training, turn = facts.config.training, turn_of(facts)
    if turn is None:
        epochs = facts.metric("epochs")
        if epochs is not None and epochs > 1.5:
            yield propose(
                facts,
                finding,
                SuggestionKind.FEWER_EPOCHS,
                _length(training, 0.5),
                because="the model has memorized the training rows",
                expects=loss_gain(facts, 0.0, 0.3),
                confidence="medium",
            )
        return
    if training.keep == "best":
        return  # the run has kept the weights of that step
    step, lowest, change = turn
    expects = loss_range(facts, 0.9 * lowest, lowest + 0.5 * max(change.delta, 0.02 * lowest))
    yield propose(
        facts,
        finding,
        SuggestionKind.FEWER_EPOCHS,
        _length(training, step / facts.eval_curve.steps[-1]),
        because=f"the eval loss was lowest at step {step}",
        expects=expects,
        confidence="high",
        ground=f"the lowest eval loss of the run was {figures.loss(lowest)}, at step {step}",
    )
    if training.eval_steps != 0:
        yield propose(
            facts,
            finding,
            SuggestionKind.KEEP_BEST,
            {"training.keep": "best"},
            because=f"the eval loss was lowest at step {step}, but the run kept its last weights",
            expects=loss_range(facts, 0.97 * lowest, 1.03 * lowest),
            confidence="high",
            ground="measured in this run; the lowest of several eval losses is slightly optimistic",
        )


def hold_back(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests dropout for an adapter, weight decay for full fine-tuning."""
    if facts.config is None:
        return
    lora = facts.config.lora
    if lora.enabled and lora.lora_dropout < 0.1:
        yield propose(
            facts,
            finding,
            SuggestionKind.MORE_DROPOUT,
            {"lora.lora_dropout": 0.1},
            because="the loss is higher on held-out rows than on training rows",
            expects=loss_gain(facts, 0.0, 0.15),
        )
    elif not lora.enabled and not facts.config.training.weight_decay:
        yield propose(
            facts,
            finding,
            SuggestionKind.WEIGHT_DECAY,
            {"training.weight_decay": 0.01},
            because="the loss is higher on held-out rows than on training rows",
            expects=loss_gain(facts, 0.0, 0.1),
        )


def larger_adapter(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests adapters on all linear layers, else at least twice the rank."""
    if facts.config is None or not facts.config.lora.enabled:
        return
    lora = facts.config.lora
    if lora.target_modules != "all-linear":
        yield propose(
            facts,
            finding,
            SuggestionKind.ALL_LINEAR,
            {"lora.target_modules": "all-linear"},
            because="only some linear layers had an adapter, and the loss stayed high",
            expects=gain(facts, 0.05, 0.6),
            confidence="medium",
        )
    if lora.layers_to_transform is not None:
        yield propose(
            facts,
            finding,
            SuggestionKind.ALL_LAYERS,
            {"lora.layers_to_transform": None},
            because="only some transformer layers had an adapter, and the loss stayed high",
            expects=gain(facts, 0.05, 0.7),
            confidence="medium",
        )
    if lora.r < LARGEST_RANK:
        rank = 16 if lora.r < 8 else 2 * lora.r
        yield propose(
            facts,
            finding,
            SuggestionKind.RAISE_RANK,
            # alpha grows with the rank, so that the adapter's scale, alpha / r, stays the same.
            {"lora.r": rank, "lora.lora_alpha": lora.lora_alpha * rank / lora.r},
            because="training and eval loss no longer fell; a larger adapter may help"
            if finding.kind == FindingKind.PLATEAU
            else "the adapter is small, and the training loss stayed high",
            expects=gain(facts, 0.0, 0.3),
            confidence="medium" if lora.r < 8 else "low",
        )


def after_plateau(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests regularisation where the training loss still falls, else a larger adapter."""
    if finding.figures.get("train_falls"):
        yield from hold_back(facts, finding)
    else:
        yield from larger_adapter(facts, finding)


def smaller_adapter(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests half the rank for a model that forgets."""
    if facts.config is None or not facts.config.lora.enabled or facts.config.lora.r < 8:
        return
    lora = facts.config.lora
    yield propose(
        facts,
        finding,
        SuggestionKind.LOWER_RANK,
        {"lora.r": lora.r // 2, "lora.lora_alpha": lora.lora_alpha / 2},
        because="training destroyed part of what the base model could do",
        expects=gain(facts, 0.0, 0.3),
    )


def replicate(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests a run of this config with an unused seed.

    Where the config has a replicate already, suggests a run of the compared iteration instead.
    """
    if facts.config is None:
        return
    other, name = finding.figures.get("against"), facts.folder.loop.name
    seeds = seeds_like(facts, facts.number)
    seed = max(seeds | {facts.config.training.seed}) + 1
    if len(seeds) > 1 and isinstance(other, int):
        seed = max(seeds_like(facts, other), default=seed - 1) + 1
        yield make_suggestion(
            finding,
            SuggestionKind.REPLICATE,
            f"run iteration {other} again with a different seed "
            f"(tui-loop run {name} --from {other} --set seed={seed})",
            because=f"the config of iteration {other} was run only once",
            confidence="medium",
            ground="with two runs of each config, the comparison accounts for training noise",
        )
        return
    yield propose(
        facts,
        finding,
        SuggestionKind.REPLICATE,
        {SEED: seed},
        because=f"single runs of iterations {other} and {facts.number} cannot separate the effect "
        "of the change from training noise",
        confidence="medium",
        ground="with two runs of each config, the comparison accounts for training noise",
    )


def seeds_like(facts: IterationFacts, number: int) -> set[int]:
    """Returns the seeds of an iteration's replicates."""
    iteration = facts.reader.iteration(number)
    return {
        config.training.seed
        for each in facts.iterations
        if each.number and (config := config_of(each)) is not None
        if facts.comparer.are_one_config(each, iteration)
    }


def _length(training: Training, factor: float) -> dict[str, float | int]:
    """Returns the change that makes a run longer or shorter by a factor."""
    if training.max_steps is not None:
        return {"training.max_steps": max(1, round(training.max_steps * factor))}
    epochs = training.num_train_epochs * factor
    return {"training.num_train_epochs": float(f"{epochs:.2g}") if epochs < 10 else round(epochs)}
