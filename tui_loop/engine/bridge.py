"""The bridge from a Trainer to the journal: a callback that records, watches and obeys.

Nothing here may raise into the trainer: a fault of the record is not a fault of the run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tui_loop.core.events import CheckpointSaved, MetricsLogged, Progressed, Recovered
from tui_loop.core.files import sha256_of
from tui_loop.core.journal import Journal
from tui_loop.core.schema import Training
from tui_loop.engine.control import Control

PROGRESS_SECONDS = 0.5
WITNESSES = ("loss", "grad_norm", "entropy")
"""Logged values that show a divergence; once weights are NaN, the loss itself may read 0.0."""


class Bridge(TrainerCallback):
    """Appends a run's logs to the journal, notices divergence, asks for evaluations, stops.

    `diverged_at` is the first step with a non-finite witness, None while there is none.
    `stale_evaluations` counts evaluations in a row without a lower eval loss.
    """

    def __init__(
        self, journal: Journal, control: Control, settings: Training, *, stop_on_nonfinite: bool
    ) -> None:
        self._journal, self._control, self._settings = journal, control, settings
        self._stop_on_nonfinite = stop_on_nonfinite
        self._progressed_at = 0.0
        self._lowest = math.inf
        self.diverged_at: int | None = None
        self.stale_evaluations = 0
        self.stopped_early = False
        self.summary: dict[str, float] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After each optimizer step: progress, the schedule of evaluations, stop."""
        now, last = time.monotonic(), state.global_step >= state.max_steps
        if last or now - self._progressed_at >= PROGRESS_SECONDS:
            self._progressed_at = now
            self._journal.append(
                Progressed(phase="training", done=state.global_step, total=state.max_steps)
            )
        every = self._settings.eval_steps
        if every and state.global_step % every == 0:
            control.should_evaluate = self._evaluation_wanted(state)
        if self._control.stop_asked:
            control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluates once an epoch where no schedule is set."""
        if self._settings.eval_steps is None:
            control.should_evaluate = self._evaluation_wanted(state)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """A training log becomes a `metrics` event; the last log is a summary, not a step."""
        if not logs or any(name.startswith("eval_") for name in logs):
            return
        numbers = {name: _number(value) for name, value in logs.items()}
        if "train_runtime" in logs:
            self.summary = {key: value for key, value in numbers.items() if value is not None}
            self._watch(state, control, ("train_loss",), numbers)
            return
        epoch = numbers.pop("epoch", None)
        self._journal.append(MetricsLogged(step=state.global_step, epoch=epoch, values=numbers))
        self._watch(state, control, WITNESSES, numbers)

    def _watch(
        self, state: Any, control: Any, names: Sequence[str], numbers: dict[str, float | None]
    ) -> None:
        """Notes the first non-finite witness, and stops there if that is the policy."""
        if all(math.isfinite(numbers.get(name) or 0.0) for name in names):
            return
        if self.diverged_at is None:
            self.diverged_at = state.global_step
        if self._stop_on_nonfinite:
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Records a checkpoint with its files' sizes and hashes."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        try:
            files = {
                path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
                for path in sorted(folder.iterdir())
                if path.is_file()
            }
        except OSError:
            return
        self._journal.append(
            CheckpointSaved(step=state.global_step, path=f"checkpoints/{folder.name}", files=files)
        )

    def note_lost_checkpoint(self, step: int, error: Exception) -> None:
        """Records a checkpoint that could not be written."""
        message = f"no checkpoint at step {step}: {error}"
        self._journal.append(Recovered(kind="checkpoint", message=message))

    def note_eval_loss(self, eval_loss: float | None) -> bool:
        """Counts an evaluation within the run; True if it is the lowest so far."""
        if eval_loss is None:  # a stop ended it: it says nothing
            return False
        if eval_loss < self._lowest:
            self._lowest, self.stale_evaluations = eval_loss, 0
            return True
        self.stale_evaluations += 1
        return False

    @property
    def out_of_patience(self) -> bool:
        """Whether early stopping is due."""
        patience = self._settings.early_stopping_patience
        return patience is not None and self.stale_evaluations >= patience

    def _evaluation_wanted(self, state: Any) -> bool:
        """The final evaluation measures the last step's weights, unless they are chosen by it."""
        if self._settings.keep == "best":
            return True
        return bool(state.global_step < state.max_steps)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
