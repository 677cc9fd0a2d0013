"""TrainerCallback that writes journal events, detects divergence and applies requests.

No fault of the record may end training, so exceptions are logged and not raised into the trainer.
Out of memory and device faults are the exception, where a request is applied during a pause: the
device cannot be used afterwards.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_utils import rotate_checkpoints

from tui_loop.core.config.schema import Training
from tui_loop.core.divergence import DivergenceDetector, DivergenceEvent
from tui_loop.core.early_stopping import EvalLosses
from tui_loop.core.record.events import (
    CheckpointSaved,
    LineLogged,
    MetricsLogged,
    Progressed,
    Recovered,
)
from tui_loop.core.record.files import sha256_of
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.points import Point
from tui_loop.core.record.requests import RequestName
from tui_loop.core.text.secrets import redacted
from tui_loop.engine.last_good_weights import LastGoodWeights
from tui_loop.engine.memory import OutOfMemory, is_device_fault, is_out_of_memory
from tui_loop.engine.run_control import RunControl

PROGRESS_SECONDS = 0.5
"""The least time between two `progress` events of training."""

Handler = Callable[..., None]


def _never_raises(handler: Handler) -> Handler:
    """Logs any exception of `handler`, so that training continues."""

    @functools.wraps(handler)
    def guarded(self: JournalCallback, *arguments: Any, **named: Any) -> None:
        try:
            handler(self, *arguments, **named)
        except Exception as error:  # the callback's edge
            self.note_fault(handler.__name__, error)

    return guarded


class JournalCallback(TrainerCallback):
    """Writes a run's logs to the journal, schedules evaluations, detects divergence, and stops.

    `evaluations` has the eval losses during training; `sound_step` is the last step whose weights
    have shown a sound loss. The LoopTrainer that this callback belongs to sets `trainer`.
    """

    def __init__(
        self,
        journal: Journal,
        control: RunControl,
        settings: Training,
        *,
        vocabulary: int,
        stops_on_divergence: bool,
    ) -> None:
        self._journal, self._run_control, self._settings = journal, control, settings
        self._stops_on_divergence = stops_on_divergence
        self._detector = DivergenceDetector(vocabulary)
        self._progress_at = self._began_at = 0.0
        self._skipped_checkpoint_step = -1
        self._newest_whole: tuple[Path, dict[str, int]] | None = None
        self._logged_faults: set[str] = set()
        self._logged_step = 0
        self.sound_step = 0
        self.last_good = LastGoodWeights()
        self.trainer: Any = None
        self.evaluations = EvalLosses(settings)
        self.stopped_early = False
        self.summary: dict[str, float] = {}

    @property
    def divergence(self) -> DivergenceEvent | None:
        """The first sign of divergence, or of nothing being trained."""
        return self._detector.event

    @property
    def ends_diverged(self) -> bool:
        """Whether divergence ends the run: weights or losses from now on are worthless."""
        return self.divergence is not None and self._stops_on_divergence

    @property
    def is_over(self) -> bool:
        """Whether training is to end before its last step."""
        return (
            self.ends_diverged
            or self._run_control.stop_requested
            or self.evaluations.is_out_of_patience
        )

    @_never_raises
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Takes the weights that training starts from as the first good ones."""
        self.last_good.begin(self.trainer.model, state.global_step)
        self.sound_step = self._logged_step = state.global_step
        self._began_at = time.monotonic()

    @_never_raises
    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Notes the random state: a checkpoint may be requested before the epoch's first step."""
        self.trainer.note_epoch()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Waits while the run is paused."""
        # Not `_never_raises`: a device fault or a lack of memory in a pause ends the attempt.
        try:
            self._run_control.wait_while_paused(self._apply_requests_in_pause)
            self.trainer.begin_step()
        except Exception as error:
            if _is_device_error(error):
                raise
            self.note_fault("on_step_begin", error)

    @_never_raises
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Reports progress, schedules evaluations and applies requests after an optimizer step."""
        now, is_last = time.monotonic(), state.global_step >= state.max_steps
        if is_last or now - self._progress_at >= PROGRESS_SECONDS:
            self._progress_at = now
            self._journal.append(
                Progressed(phase="training", done=state.global_step, total=state.max_steps)
            )
        if self._settings.eval_steps is not None:
            self._schedule_evaluation(state, control)
        if self._run_control.dequeue("evaluate"):
            control.should_evaluate = True
        if self._run_control.dequeue("checkpoint"):
            control.should_save = True
        self._stop_if_requested(control)
        _log_before_save_or_end(control)

    @_never_raises
    def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stops, where requested, between two micro-batches of a step; discards that step."""
        if self._run_control.stop_requested:
            self.trainer.drop_step()
            self._stop_if_requested(control)
            control.should_save = control.should_save and state.global_step > 0
            _log_before_save_or_end(control)

    @_never_raises
    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluates once an epoch where no schedule is set."""
        if self._settings.eval_steps is None and not self.is_over:
            self._schedule_evaluation(state, control)
            _log_before_save_or_end(control)

    @_never_raises
    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Writes a training log as a `metrics` event; the last log is a summary, not a step."""
        if not logs or any(name.startswith("eval_") for name in logs):
            return
        numbers = {name: _number(value) for name, value in logs.items()}
        if "train_runtime" in logs:
            self.summary = {key: value for key, value in numbers.items() if value is not None}
            # Trainer takes it from a clock that may be set during a run.
            self.summary["train_runtime"] = round(time.monotonic() - self._began_at, 4)
            self._detector.check_end(state.global_step, numbers.get("train_loss"))
            return
        epoch = numbers.pop("epoch", None)
        self._journal.append(MetricsLogged(step=state.global_step, epoch=epoch, values=numbers))
        was_sound = self.divergence is None
        is_sound = self._detector.check_log(state.global_step, numbers)
        if was_sound and self.divergence is not None:
            text = f"step {self.divergence.step}: {self.divergence.reason}"
            self._journal.append(LineLogged(level="error", source=self.divergence.kind, text=text))
        self.last_good.note(self.trainer.model, state.global_step, is_sound=is_sound)
        if is_sound:  # this loss was measured on the weights of the previous log
            self.sound_step = max(self.sound_step, self._logged_step)
            self._logged_step = state.global_step
        self._stop_if_diverged(control)

    @_never_raises
    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any
    ) -> None:
        """Applies early stopping, which also saves a checkpoint unless the run diverged."""
        if "eval_loss" in metrics:
            self._check_evaluation(state.global_step, metrics["eval_loss"])
        if self.evaluations.is_out_of_patience:
            self.stopped_early = True
            control.should_training_stop = True
            control.should_save = (
                control.should_save
                or bool(self._settings.save_steps)
                or self._saves_with_evaluations
            )
        self._stop_if_requested(control)
        if control.should_training_stop or self.ends_diverged:
            # Trainer logs before it evaluates: the steps since the last log would be lost here.
            self.trainer.log_now()
        self._stop_if_diverged(control)

    @_never_raises
    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Records a checkpoint with its files' sizes and hashes; then removes older ones."""
        if state.global_step == self._skipped_checkpoint_step:
            self._skipped_checkpoint_step = -1
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        with self.saving():  # large files take a while to hash
            files = {
                path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
                for path in sorted(folder.iterdir())
                if path.is_file()
            }
        self._journal.append(
            CheckpointSaved(step=state.global_step, path=f"checkpoints/{folder.name}", files=files)
        )
        self.note_whole(folder)
        if not self._journal.failing:  # else the new one is not recorded yet
            rotate_checkpoints(args.output_dir, self._settings.save_total_limit)

    def skip_checkpoint(self, step: int) -> None:
        """Makes the next `on_save` of this step record nothing: no checkpoint was written."""
        self._skipped_checkpoint_step = step

    def note_whole(self, folder: Path) -> None:
        """Notes `folder` as the newest complete checkpoint that is recorded."""
        self._newest_whole = folder, _sizes(folder)

    def is_whole(self, folder: Path) -> bool:
        """Whether `folder` is the newest recorded checkpoint and has not changed since."""
        return self._newest_whole == (folder, _sizes(folder))

    def note_lost_checkpoint(self, step: int, error: Exception) -> None:
        """Records a checkpoint that could not be written."""
        self.skip_checkpoint(step)
        message = f"no checkpoint was saved at step {step}: {error}"
        self._journal.append(Recovered(kind="checkpoint", message=message))

    def note_eval_loss(self, step: int, epoch: float | None, eval_loss: float | None) -> bool:
        """Counts an evaluation during training; returns whether its loss is the lowest so far."""
        if eval_loss is None:  # a stop ended the evaluation
            return False
        return self.evaluations.note(step, epoch, eval_loss)

    def recall(self, evaluations: Iterable[Point], *, has_best: bool) -> None:
        """Counts the evaluations of an earlier attempt.

        Without its best weights, the next evaluation counts as the lowest.
        """
        for point in evaluations:
            if "eval_loss" in point.values:
                self.evaluations.note(point.step, point.epoch, point.values["eval_loss"])
        if not has_best:
            self.evaluations.forget_lowest()

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Marks the time in which a checkpoint is written; a stop waits for it."""
        with self._run_control.saving():
            yield

    def note_fault(self, where: str, error: Exception) -> None:
        """Logs an exception of this callback, each text once."""
        text = f"{where}: {type(error).__name__}: {error}"
        if text not in self._logged_faults:
            self._logged_faults.add(text)
            with suppress(Exception):  # the journal may be what fails
                self._journal.append(LineLogged(level="error", source="bridge", text=text))

    def _apply_requests_in_pause(self) -> None:
        """Evaluates or saves the current weights where requested; stays paused if that fails."""
        actions: tuple[tuple[RequestName, Callable[[], object]], ...] = (
            ("evaluate", self.trainer.evaluate),
            ("checkpoint", self.trainer.save_now),
        )
        for name, action in actions:
            if not self._run_control.dequeue(name):
                continue
            try:
                action()
            except Exception as error:
                if _is_device_error(error):
                    raise
                text = f"request {name} failed during the pause: {type(error).__name__}: {error}"
                self._journal.append(
                    LineLogged(level="error", source="bridge", text=redacted(text))
                )

    def _check_evaluation(self, step: int, eval_loss: float) -> None:
        """Checks for divergence. An evaluation measures the current weights, a log earlier ones."""
        is_sound = self._detector.check_evaluation(step, eval_loss)
        self.last_good.note_evaluation(self.trainer.model, step, is_sound=is_sound)
        if is_sound:
            self.sound_step = max(self.sound_step, step)

    def _stop_if_requested(self, control: Any) -> None:
        if self._run_control.stop_requested:
            self._run_control.stop_was_noticed()
            control.should_training_stop = True
            control.should_evaluate = False
            control.should_save = self._run_control.save  # a checkpoint to resume from

    def _stop_if_diverged(self, control: Any) -> None:
        if self.ends_diverged:
            control.should_training_stop = True
            control.should_save = control.should_evaluate = False

    @property
    def _saves_with_evaluations(self) -> bool:
        return self._settings.save_steps is None and self._settings.eval_steps != 0

    def _schedule_evaluation(self, state: Any, control: Any) -> None:
        """Requests the evaluation that is due, and the checkpoint that belongs to it."""
        step, last_step = state.global_step, state.max_steps
        if self.evaluations.is_due(step, state.epoch, last_step):
            control.should_evaluate = not self.evaluations.is_counted(step)
        if self._saves_with_evaluations and (control.should_evaluate or step >= last_step):
            control.should_save = True


def _log_before_save_or_end(control: Any) -> None:
    """Requests a log with every checkpoint and at the end: a resumed run continues from it."""
    if control.should_save or control.should_training_stop:
        control.should_log = True


def _is_device_error(error: Exception) -> bool:
    """Whether memory ran out or the device failed."""
    return isinstance(error, OutOfMemory) or is_out_of_memory(error) or is_device_fault(error)


def _sizes(folder: Path) -> dict[str, int]:
    """Returns bytes by file name, {} where there is no such folder."""
    return {each.name: each.stat().st_size for each in folder.glob("*")}


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
