"""The evaluations of a run: during training, of its final weights, and of its training rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from tui_loop.core.audit.places import places_of
from tui_loop.core.commands import command
from tui_loop.core.data.rows import Row
from tui_loop.core.data.split import sample
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.generation_order import FirstRows, choose_first_rows, first_outputs_text
from tui_loop.core.record import codec
from tui_loop.core.record.events import Evaluated, LineLogged, Progressed
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.results import EVALUATED
from tui_loop.core.record.structs import Fingerprint, StepLoss, TrainingRow
from tui_loop.core.scoring import Scorer
from tui_loop.engine.evaluation import (
    NotScored,
    evaluate,
    losses_by_source,
    measure_losses,
    step_losses,
)
from tui_loop.engine.generation import Generated
from tui_loop.engine.losses import token_losses
from tui_loop.engine.memory import EvalBatch, OutOfMemory
from tui_loop.engine.run_context import Prepared, Run
from tui_loop.engine.run_control import StopRequested, polled

_COMPARABLE_PARTS = {"lengths", "generation", "metric"}
"""Parts of a fingerprint that must be equal for two outcomes of a row to be comparable."""


def eval_batch_of(run: Run) -> EvalBatch:
    """Returns the run's evaluation batch, which records when it shrinks.

    The training batch is independent of it.
    """

    def record_shrink(before: int, now: int, reason: str) -> None:
        run.record_recovery(
            "oom",
            f"evaluation ran out of memory; batch size reduced from {before} to {now}: {reason}",
            {"evaluation.batch_size": [before, now]},
        )

    return EvalBatch(run.config.evaluation.batch_size, record_shrink)


def measure_within(
    run: Run, prepared: Prepared, model: Any, step: int, epoch: float | None
) -> float | None:
    """Evaluates during training; returns the eval loss, None where a stop ended the evaluation.

    The metric `eval_within_runtime` accumulates the seconds of all these evaluations.
    """
    started, metrics = time.monotonic(), run.outcome.metrics
    try:
        losses = measure_losses(
            model,
            prepared.eval_set,
            pad_id=prepared.loaded.tokenizer.pad_token_id,
            batch=prepared.eval_batch,
            poll=run.control.poll,
        )
    except StopRequested:
        return None
    write_step(run, step, step_losses(prepared.eval_set, losses))
    spent = metrics.get("eval_within_runtime", 0.0) + time.monotonic() - started
    metrics["eval_within_runtime"] = round(spent, 3)
    run.journal.append(
        Evaluated(
            step=step,
            epoch=epoch,
            values={
                "eval_loss": losses.eval_loss,
                "trainer_eval_loss": losses.trainer_eval_loss,
                **losses_by_source(prepared.eval_set, losses),
            },
        )
    )
    return losses.eval_loss


def measure_at_end(run: Run, prepared: Prepared, model: Any) -> None:
    """Runs the final evaluation: examples, tokens and metrics of the weights that are kept.

    Raises BadInput where the metric fails; by then everything except the scores is on disk.
    """
    started = time.monotonic()
    metrics = run.outcome.metrics
    step = metrics.get("weights_step") or 0
    first_outputs = FirstOutputs(run, prepared)
    training_rows = rows_to_measure(run, prepared)
    eval_work = len(prepared.eval_set.rows) * (1 if prepared.scorer is None else 2)
    total = eval_work + len(training_rows)

    def report_progress(done: int) -> None:
        run.journal.append(Progressed(phase="evaluating", done=done, total=total))

    scoring_error: NotScored | None = None
    try:
        examples, tokens, measured = evaluate(
            model,
            prepared.loaded.tokenizer,
            prepared.eval_set,
            prepared.scorer,
            settings=run.config.evaluation,
            batch=prepared.eval_batch,
            labels=prepared.data.labels,
            poll=run.control.poll,
            on_progress=lambda done, _: report_progress(done),
            first=first_outputs.rows,
            on_output=first_outputs.on_output,
        )
    except NotScored as error:  # generation is expensive: keep its outputs, raise at the end
        scoring_error = error
        examples, tokens, measured = error.results
    run.folder.write_examples(examples, tokens)
    run.folder.write_audit_part("losses", places_of(tokens))
    metrics |= measured
    metrics["weights_step"] = step
    metrics["eval_runtime"] = round(time.monotonic() - started, 3)
    write_step(
        run, step, [StepLoss(each.id, each.loss, each.supervised_tokens) for each in examples]
    )
    values = {
        name: value
        for name, value in measured.items()
        if name.partition(".")[0] in EVALUATED and value is not None
    }
    run.journal.append(Evaluated(step=step, epoch=metrics.get("epochs"), values=values))
    nonfinite = [
        each for each in examples if each.loss is not None and not math.isfinite(float(each.loss))
    ]
    if nonfinite:
        run.warn(
            "evaluation",
            f"the loss of {len(nonfinite)} of {len(examples)} held-out rows is not finite, "
            f"the first in line {nonfinite[0].source_line}",
        )
    measure_training_rows(
        run, prepared, model, training_rows, lambda done: report_progress(eval_work + done)
    )
    if scoring_error is not None:
        raise BadInput(
            scoring_error.message,
            f"{scoring_error.hint}; then score the recorded outputs: "
            + command("rescore", run.folder, "--metric", "NAME"),
        )


def write_step(run: Run, step: int, rows: list[StepLoss]) -> None:
    """Writes `evals/STEP.jsonl`; logs an OSError, since a full disk must not end the run."""
    try:
        run.folder.evals.mkdir(exist_ok=True)
        write_atomically(run.folder.evals / f"{step}.jsonl", codec.to_json_lines(rows))
    except OSError as error:
        run.journal.append(LineLogged(level="error", source="record", text=str(error)))


class FirstOutputs:
    """The rows to generate first in a final evaluation: those that the parent failed, above all.

    `on_output` receives every output and logs how many of these rows pass as soon as all of them
    are generated. There are no such rows without a parent, or where they would save no time.
    """

    def __init__(self, run: Run, prepared: Prepared) -> None:
        self._run, self._prepared = run, prepared
        self._parent = run.folder.read_decision().parent if run.folder.number > 0 else None
        self._subset = self._choose_subset()
        self._pending = set(self._subset.rows) if self._subset else set()
        self._passing: set[int] = set()

    @property
    def rows(self) -> tuple[int, ...]:
        """Indices of the rows to generate first."""
        return self._subset.rows if self._subset else ()

    def on_output(self, index: int, output: Generated) -> None:
        """Scores the output of row `index`; logs a summary after the last of the first rows."""
        scorer = self._prepared.scorer
        if index not in self._pending or self._subset is None or scorer is None:
            return
        try:
            if self._passes(scorer, index, output):
                self._passing.add(index)
        except BadInput as error:  # the evaluation continues to its end and keeps the outputs
            self._run.warn("evaluation", error.message)
            self._pending.clear()
            return
        self._pending.discard(index)
        if not self._pending and self._parent is not None:
            self._run.info(first_outputs_text(self._parent, self._subset, frozenset(self._passing)))

    def _passes(self, scorer: Scorer, index: int, output: Generated) -> bool:
        row = self._prepared.eval_set.rows[index]
        score = scorer.score(output.text, row.reference, row.other_references)
        return score >= scorer.pass_score

    def _choose_subset(self) -> FirstRows | None:
        scorer, settings = self._prepared.scorer, self._run.config.evaluation
        if self._parent is None or scorer is None or settings.do_sample:
            return None
        folder = self._run.folder.loop.iteration(self._parent)
        try:
            if not self._is_comparable(iteration_of(folder).fingerprint):
                return None
            examples = folder.read_examples()
        except BadInput:  # an unreadable parent must not fail this run
            return None
        return choose_first_rows(
            self._prepared.eval_set.rows,
            examples,
            by_label=scorer.metric == "label",
            batch_size=self._prepared.eval_batch.size,
        )

    def _is_comparable(self, parent: Fingerprint | None) -> bool:
        own = self._run.outcome.fingerprint
        return bool(own and parent and not _COMPARABLE_PARTS & set(own.differs_from(parent)))


def rows_to_measure(run: Run, prepared: Prepared) -> list[Row]:
    """Returns the training rows whose loss is measured: a sample, and none for the base.

    A row that is still hard after training may have a wrong label.
    """
    config = run.config
    if run.folder.number == 0:
        return []
    return sample(prepared.data.train, config.evaluation.train_rows, config.data.split_seed)


def measure_training_rows(
    run: Run,
    prepared: Prepared,
    model: Any,
    rows: list[Row],
    on_progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Writes `training.jsonl` and the metric `train_rows_loss`, the mean loss per token in nats.

    It runs last, and a failure costs the run nothing that it already has: a stop, or a row that
    does not fit into memory, skips both and is logged.
    """
    if not rows:
        return
    limit = prepared.eval_set.max_length
    try:
        by_row = token_losses(
            model,
            [prepared.renderer.tokens(row, limit) for row in polled(rows, run.control.poll)],
            pad_id=prepared.loaded.tokenizer.pad_token_id,
            batch=prepared.eval_batch,
            poll=run.control.poll,
            on_progress=on_progress,
        )
    except StopRequested:
        run.info("the loss on training rows was not measured: a stop was requested")
        return
    except OutOfMemory as error:
        run.warn(
            "evaluation",
            f"the loss on training rows was not measured: out of memory: {error.reason}",
        )
        return
    total = len(prepared.data.train)
    try:
        run.folder.write_training_rows(
            TrainingRow(
                row.id,
                row.prompt,
                row.reference,
                math.fsum(values) / len(values) if values else None,
                len(values),
                row.line,
                total,
                row.source,
            )
            for row, values in zip(rows, by_row, strict=True)
        )
    except OSError as error:
        run.journal.append(LineLogged(level="error", source="record", text=str(error)))
    losses = [value for values in by_row for value in values]
    if losses:
        run.outcome.metrics["train_rows_loss"] = math.fsum(losses) / len(losses)
