"""The evaluations of a run: within training, and of the weights that are kept."""

from __future__ import annotations

import math
import time
from typing import Any

from tui_loop.core.commands import command
from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.events import Evaluated, LineLogged, Progressed
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.structs import StepLoss
from tui_loop.engine.evaluation import NotScored, evaluate, measure_losses, step_losses
from tui_loop.engine.first_outputs import FirstOutputs
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.run_context import Prepared, Run
from tui_loop.engine.run_control import StopAsked
from tui_loop.engine.training_row_losses import measure_training_rows, rows_to_measure


def eval_batch_of(run: Run) -> EvalBatch:
    """The run's batch of evaluated rows; that it shrank is recorded, training's stays."""

    def shrunk(before: int, now: int, told: str) -> None:
        run.recovered(
            "oom",
            f"evaluation ran out of memory, {before} rows at once become {now}: {told}",
            {"evaluation.batch_size": [before, now]},
        )

    return EvalBatch(run.config.evaluation.batch_size, shrunk)


def measure_within(
    run: Run, prepared: Prepared, model: Any, step: int, epoch: float | None
) -> float | None:
    """One evaluation within the run; its eval loss, None where a stop ended it.

    What they all take adds up in the metric `eval_within_runtime`, in seconds.
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
    except StopAsked:
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
            },
        )
    )
    return losses.eval_loss


def measure_at_end(run: Run, prepared: Prepared, model: Any) -> None:
    """The final evaluation: examples, tokens and metrics of the weights that are kept.

    Raises BadInput where the metric failed; then all but the scores is on disk.
    """
    started = time.monotonic()
    metrics = run.outcome.metrics
    step = metrics.get("weights_step") or 0
    look = FirstOutputs(run, prepared)
    trained_rows = rows_to_measure(run, prepared)
    held_out = len(prepared.eval_set.rows) * (1 if prepared.scorer is None else 2)
    total = held_out + len(trained_rows)

    def progress(done: int) -> None:
        run.journal.append(Progressed(phase="evaluating", done=done, total=total))

    fault: NotScored | None = None
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
            progress=lambda done, _: progress(done),
            first=look.rows,
            finished=look.finished,
        )
    except NotScored as error:  # generating took its time: keep the outputs, fail at the end
        fault = error
        examples, tokens, measured = error.results
    run.folder.write_examples(examples, tokens)
    metrics |= measured
    metrics["weights_step"] = step
    metrics["eval_runtime"] = round(time.monotonic() - started, 3)
    write_step(
        run, step, [StepLoss(each.id, each.loss, each.supervised_tokens) for each in examples]
    )
    names = ("eval_loss", "trainer_eval_loss", "score", "macro_f1")
    values = {name: measured[name] for name in names if measured.get(name) is not None}
    run.journal.append(Evaluated(step=step, epoch=metrics.get("epochs"), values=values))
    bad = [
        each for each in examples if each.loss is not None and not math.isfinite(float(each.loss))
    ]
    if bad:
        run.warn(
            "evaluation",
            f"the loss of {len(bad)} of {len(examples)} held-out rows is not finite, "
            f"the first in line {bad[0].source_line}",
        )
    measure_training_rows(
        run, prepared, model, trained_rows, lambda done: progress(held_out + done)
    )
    if fault is not None:
        raise BadInput(
            fault.message,
            f"{fault.hint}; the outputs are recorded; to score them: "
            + command("rescore", run.folder, "--metric", "NAME"),
        )


def write_step(run: Run, step: int, rows: list[StepLoss]) -> None:
    """`evals/STEP.jsonl`; a full disk must not end the run."""
    try:
        run.folder.evals.mkdir(exist_ok=True)
        write_atomically(run.folder.evals / f"{step}.jsonl", codec.to_json_lines(rows))
    except OSError as error:
        run.journal.append(LineLogged(level="error", source="record", text=str(error)))
