"""How well the trained weights know the rows that they were trained on.

A row that is still hard after training may have a wrong label. The loss is the evaluation's own,
by the same code; it is measured last, and nothing of it can cost the run what it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tui_loop.core.data.rows import Row
from tui_loop.core.data.split import sample
from tui_loop.core.record.events import LineLogged
from tui_loop.core.record.structs import TrainingRow
from tui_loop.engine.losses import token_losses
from tui_loop.engine.memory import OutOfMemory
from tui_loop.engine.run_context import Prepared, Run
from tui_loop.engine.run_control import StopAsked, polled


def rows_to_measure(run: Run, prepared: Prepared) -> list[Row]:
    """The training rows whose loss is measured: none of the base, which was trained on none."""
    config = run.config
    if run.folder.number == 0:
        return []
    return sample(prepared.data.train, config.evaluation.train_rows, config.data.split_seed)


def measure_training_rows(
    run: Run,
    prepared: Prepared,
    model: Any,
    rows: list[Row],
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Writes `training.jsonl` and the metric `train_rows_loss`, their mean loss a token in nats.

    A stop, or memory that runs out over a single row, leaves both out and is told.
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
            progress=progress,
        )
    except StopAsked:
        run.say("the training rows were not measured: a stop was asked for")
        return
    except OutOfMemory as error:
        run.warn("evaluation", f"the training rows were not measured: out of memory: {error.told}")
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
            )
            for row, values in zip(rows, by_row, strict=True)
        )
    except OSError as error:
        run.journal.append(LineLogged(level="error", source="record", text=str(error)))
    losses = [value for values in by_row for value in values]
    if losses:
        run.outcome.metrics["train_rows_loss"] = math.fsum(losses) / len(losses)
