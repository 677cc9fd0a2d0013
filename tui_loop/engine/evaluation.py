"""Evaluates a model on the held-out rows: token losses, outputs, scores and metrics.

The same code evaluates the base, a model during training, and the final weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import msgspec

from tui_loop.core.config.schema import Evaluation
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.cause_kinds import Measured
from tui_loop.core.examples.causes import causes_of, with_inferred_labels
from tui_loop.core.record.structs import Example, StepLoss, TokenLosses
from tui_loop.core.scoring import Scorer, label_of, macro_f1
from tui_loop.engine.encoding import Encoder
from tui_loop.engine.generation import Generated, generate
from tui_loop.engine.losses import token_losses
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.rendering import Renderer, Tokens
from tui_loop.engine.run_control import polled
from tui_loop.engine.stopping import Stop

DEFAULT_CONTEXT = 2048
"""The context length of a model whose config has no limit."""

SPARE_NEW_TOKENS = 8
"""Tokens generated beyond the longest reference, so that a near miss is complete."""

TRAINER_EVAL_BATCH = 8
"""SFTConfig's default evaluation batch size, for which `trainer_eval_loss` is computed."""

Poll = Callable[[], None]
OnProgress = Callable[[int, int], None]
"""Called with (units of work done, all units)."""


class EvalSet(msgspec.Struct, frozen=True):
    """Held-out rows as tokens, with their length limits."""

    rows: list[Row]
    tokens: list[Tokens]
    context: int
    max_length: int
    max_new_tokens: int
    stop: Stop

    def only(self, indices: Sequence[int]) -> EvalSet:
        """Returns the set with some of its rows, under the same limits."""
        return EvalSet(
            [self.rows[index] for index in indices],
            [self.tokens[index] for index in indices],
            self.context,
            self.max_length,
            self.max_new_tokens,
            self.stop,
        )


Results = tuple[list[Example], list[TokenLosses], dict[str, Any]]
"""Examples, token losses and metrics of an evaluation."""


class NotScored(BadInput):
    """The metric failed on an output; `results` has everything except the scores."""

    def __init__(self, error: BadInput, results: Results) -> None:
        super().__init__(error.message, error.hint)
        self.results = results


class Losses(msgspec.Struct, frozen=True):
    """Token losses of an EvalSet by row, and their means."""

    by_row: list[list[float]]
    eval_loss: float | None
    trainer_eval_loss: float | None


def prepare_eval_set(
    rows: Sequence[Row],
    renderer: Renderer,
    settings: Evaluation,
    model: Any,
    poll: Poll = lambda: None,
) -> EvalSet:
    """Renders the rows; derives lengths that are not set from the model and the references.

    Raises BadInput where `evaluation.max_new_tokens` leaves no room for a prompt.
    """
    context = context_of(model)
    max_length = min(settings.max_length or context, context)
    tokens = [renderer.tokens(row, max_length) for row in polled(rows, poll)]
    longest = max(len(each.ids) - each.start for each in tokens)
    # At most half of the context, which prompt and output share.
    derived = min(longest + SPARE_NEW_TOKENS, max(1, context // 2))
    configured = settings.max_new_tokens
    if configured is not None and configured >= context:
        raise BadInput(
            f"evaluation.max_new_tokens: {configured} leaves no room for a prompt: the model's "
            f"context is {context} tokens",
            f"--set evaluation.max_new_tokens={derived}",
        )
    return EvalSet(list(rows), tokens, context, max_length, configured or derived, renderer.stop)


def context_of(model: Any) -> int:
    """Returns the model's context length in tokens."""
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return DEFAULT_CONTEXT


def measure_losses(
    model: Any,
    eval_set: EvalSet,
    *,
    pad_id: int,
    batch: EvalBatch,
    poll: Poll,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Losses:
    """Measures token losses; `eval_loss` is their mean over all supervised tokens."""
    by_row = token_losses(
        model, eval_set.tokens, pad_id=pad_id, batch=batch, poll=poll, on_progress=on_progress
    )
    return Losses(by_row, _mean_over_rows(by_row), trainer_eval_loss(by_row, TRAINER_EVAL_BATCH))


def losses_by_source(eval_set: EvalSet, losses: Losses) -> dict[str, float | None]:
    """Returns `eval_loss.NAME` for each of several sources, {} for a single one."""
    rows: dict[str, list[list[float]]] = {}
    for row, values in zip(eval_set.rows, losses.by_row, strict=True):
        if row.source:
            rows.setdefault(row.source, []).append(values)
    return {f"eval_loss.{name}": _mean_over_rows(found) for name, found in rows.items()}


def trainer_eval_loss(by_row: Sequence[Sequence[float]], batch_size: int) -> float | None:
    """Returns the loss that Trainer.evaluate() reports for these token losses.

    It averages within each batch of rows in file order, then over rows, so that it depends on the
    batch size (transformers 5.23, `Trainer.evaluation_loop`).
    """
    weighted, rows = 0.0, 0
    for first in range(0, len(by_row), batch_size):
        batch = by_row[first : first + batch_size]
        values = [value for row in batch for value in row]
        weighted += (fmean(values) if values else 0.0) * len(batch)
        rows += len(batch)
    return weighted / rows if rows else None


def step_losses(eval_set: EvalSet, losses: Losses) -> list[StepLoss]:
    """Returns the rows of `evals/STEP.jsonl`."""
    return [
        StepLoss(row.id, _mean(values), len(values))
        for row, values in zip(eval_set.rows, losses.by_row, strict=True)
    ]


def evaluate(
    model: Any,
    tokenizer: Any,
    eval_set: EvalSet,
    scorer: Scorer | None,
    *,
    settings: Evaluation,
    batch: EvalBatch,
    labels: Sequence[str],
    poll: Poll,
    on_progress: OnProgress,
    first: Sequence[int] = (),
    on_output: Callable[[int, Generated], None] = lambda index, output: None,
) -> Results:
    """Evaluates the whole set; returns examples, token losses and metrics in file order.

    `first`: indices of rows whose outputs are generated before the others'. `on_output` gets the
    index and output of each row. Raises NotScored where the metric fails, after everything else
    has been measured.
    """
    count = len(eval_set.rows)
    total = count if scorer is None else 2 * count
    losses = measure_losses(
        model,
        eval_set,
        pad_id=tokenizer.pad_token_id,
        batch=batch,
        poll=poll,
        on_progress=lambda done: on_progress(done, total),
    )
    outputs: list[Generated] | None = None
    if scorer is not None:
        outputs = generate(
            model,
            tokenizer,
            [each.prompt_ids for each in eval_set.tokens],
            settings=settings,
            stop=eval_set.stop,
            max_new_tokens=eval_set.max_new_tokens,
            context=eval_set.context,
            batch=batch,
            poll=poll,
            on_progress=lambda done: on_progress(count + done, total),
            first=first,
            on_output=on_output,
        )
    examples = [
        _example(eval_set, index, losses.by_row[index], outputs[index] if outputs else None)
        for index in range(count)
    ]
    scoring_error: BadInput | None = None
    if scorer is not None:
        try:
            examples = _scored(examples, scorer, poll)
        except BadInput as error:
            scoring_error = error
    examples = _with_causes(examples, settings, labels, eval_set.max_new_tokens)
    encoder = Encoder(tokenizer)
    tokens = [
        TokenLosses(row.id, _token_texts(encoder, each, values))
        for row, each, values in zip(eval_set.rows, eval_set.tokens, losses.by_row, strict=True)
    ]
    results = examples, tokens, _metrics(eval_set, examples, losses, scorer, labels)
    if scoring_error is not None:
        raise NotScored(scoring_error, results)
    return results


def _scored(examples: Sequence[Example], scorer: Scorer, poll: Callable[[], None]) -> list[Example]:
    """Returns the examples with scores; raises BadInput where the metric fails on one of them."""
    scores = [
        scorer.score(each.output or "", each.reference, each.other_references)
        for each in polled(examples, poll)
    ]
    return [
        msgspec.structs.replace(each, score=score, passed=score >= scorer.pass_score)
        for each, score in zip(examples, scores, strict=True)
    ]


def _example(
    eval_set: EvalSet, index: int, values: list[float], output: Generated | None
) -> Example:
    row = eval_set.rows[index]
    return Example(
        id=row.id,
        prompt=row.prompt,
        reference=row.reference,
        output=output.text if output else None,
        score=None,
        passed=None,
        causes=(),
        loss=_mean(values),
        supervised_tokens=len(values),
        output_tokens=output.tokens if output else None,
        truncated=output.truncated if output else False,
        source_line=row.line,
        prompt_cut=_prompt_cut(eval_set, index, generates=output is not None),
        columns=dict(row.columns),
        conversation=row.conversation,
        other_references=row.other_references,
    )


def _prompt_cut(eval_set: EvalSet, index: int, generates: bool) -> int:
    """Counts the tokens cut from the prompt's start, for the loss or for the output."""
    tokens = eval_set.tokens[index]
    room = max(1, eval_set.context - eval_set.max_new_tokens)
    cut_for_output = len(tokens.prompt_ids) - room if generates else 0
    return max(0, min(tokens.cut, len(tokens.prompt_ids)), cut_for_output)


def _with_causes(
    examples: Sequence[Example], settings: Evaluation, labels: Sequence[str], limit: int
) -> list[Example]:
    """Returns the examples with the kinds of causes why they failed."""
    measured = with_inferred_labels(
        Measured(settings.metric, tuple(labels), limit, settings.pattern),
        (each.reference for each in examples),
    )
    return [
        msgspec.structs.replace(
            each, causes=tuple(cause.kind.value for cause in causes_of(each, measured))
        )
        for each in examples
    ]


def _token_texts(
    encoder: Encoder, tokens: Tokens, values: list[float]
) -> list[tuple[str, float | str]]:
    places = tokens.supervised
    first = places[0] if places else 0
    texts = encoder.texts(tokens.ids, first)
    return [
        (texts[place - first], round(value, 6)) for place, value in zip(places, values, strict=True)
    ]


def _metrics(
    eval_set: EvalSet,
    examples: list[Example],
    losses: Losses,
    scorer: Scorer | None,
    labels: Sequence[str],
) -> dict[str, Any]:
    scores = [example.score for example in examples if example.score is not None]
    metrics: dict[str, Any] = {
        "eval_loss": losses.eval_loss,
        "score": fmean(scores) if scores else None,
        "passed": sum(bool(example.passed) for example in examples) if scores else None,
        "total": len(examples),
        "trainer_eval_loss": losses.trainer_eval_loss,
        "eval_tokens": sum(example.supervised_tokens for example in examples),
        "eval_rows_cut": sum(each.cut > 0 for each in eval_set.tokens),
        "outputs_truncated": sum(example.truncated for example in examples),
    }
    metrics |= losses_by_source(eval_set, losses)
    for name in dict.fromkeys(row.source for row in eval_set.rows if row.source):
        own = [
            each for each, row in zip(examples, eval_set.rows, strict=True) if row.source == name
        ]
        scored = [each.score for each in own if each.score is not None]
        metrics[f"total.{name}"] = len(own)
        if scored:
            metrics[f"score.{name}"] = fmean(scored)
            metrics[f"passed.{name}"] = sum(bool(each.passed) for each in own)
    if scorer is not None and scorer.metric == "label":
        predicted = [label_of(example.output or "", labels) for example in examples]
        metrics["macro_f1"] = macro_f1(predicted, [each.reference.strip() for each in examples])
    return metrics


def _mean_over_rows(by_row: Sequence[Sequence[float]]) -> float | None:
    """Returns the mean over the tokens of all rows."""
    count = sum(map(len, by_row))
    return math.fsum(value for values in by_row for value in values) / count if count else None


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
