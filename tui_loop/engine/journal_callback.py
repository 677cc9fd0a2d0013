"""The bridge from a Trainer to the journal: a callback that records, watches and obeys.

Nothing here may raise into the trainer: a fault of the record is not a fault of the run. What the
device cannot go on after, where it is asked for something in a pause, is.
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
from tui_loop.core.divergence import Sighting, TrainingWatch
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
from tui_loop.core.record.requests import RequestName
from tui_loop.core.record.state import Point
from tui_loop.core.text.secrets import redacted
from tui_loop.engine.last_good_weights import LastGood
from tui_loop.engine.memory import OutOfMemory, is_device_fault, is_out_of_memory
from tui_loop.engine.run_control import Control

PROGRESS_SECONDS = 0.5

Handler = Callable[..., None]


def _never_raises(handler: Handler) -> Handler:
    """A fault within `handler` becomes a line of the journal; training goes on."""

    @functools.wraps(handler)
    def guarded(self: JournalCallback, *arguments: Any, **named: Any) -> None:
        try:
            handler(self, *arguments, **named)
        except Exception as error:  # the bridge's edge
            self.note_fault(handler.__name__, error)

    return guarded


class JournalCallback(TrainerCallback):
    """Appends a run's logs to the journal, notices trouble, asks for evaluations, obeys.

    `evaluations` are those within the run; `sound_step` is the last step whose weights have shown
    a sound loss. `trainer` is set by the trainer whose callback this is.
    """

    def __init__(
        self,
        journal: Journal,
        control: Control,
        settings: Training,
        *,
        vocabulary: int,
        stops_in_trouble: bool,
    ) -> None:
        self._journal, self._control, self._settings = journal, control, settings
        self._stops_in_trouble = stops_in_trouble
        self._watch = TrainingWatch(vocabulary)
        self._progressed_at = 0.0
        self._passed_over = -1
        self._whole: tuple[Path, dict[str, int]] | None = None
        self._faults: set[str] = set()
        self._logged_step = 0
        self.sound_step = 0
        self.last_good = LastGood()
        self.trainer: Any = None
        self.evaluations = EvalLosses(settings)
        self.stopped_early = False
        self.summary: dict[str, float] = {}

    @property
    def trouble(self) -> Sighting | None:
        """The first sign of divergence, or of nothing being trained."""
        return self._watch.seen

    @property
    def is_in_trouble(self) -> bool:
        """Whether trouble ends the run: what would be saved or measured now is worth nothing."""
        return self.trouble is not None and self._stops_in_trouble

    @property
    def is_over(self) -> bool:
        """Whether training is to end before its last step."""
        return self.is_in_trouble or self._control.stop_asked or self.evaluations.is_out_of_patience

    @_never_raises
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The weights that training starts from are the first good ones."""
        self.last_good.begin(self.trainer.model, state.global_step)
        self.sound_step = self._logged_step = state.global_step

    @_never_raises
    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A checkpoint may be asked for in a pause before the epoch's first step."""
        self.trainer.note_epoch()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Waits here while the run is paused."""
        try:
            self._control.rest(self._obey_in_pause)
            self.trainer.begin_step()
        except Exception as error:
            if _is_of_device(error):
                raise
            self.note_fault("on_step_begin", error)

    @_never_raises
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After each optimizer step: progress, the schedule of evaluations, what was asked."""
        now, last = time.monotonic(), state.global_step >= state.max_steps
        if last or now - self._progressed_at >= PROGRESS_SECONDS:
            self._progressed_at = now
            self._journal.append(
                Progressed(phase="training", done=state.global_step, total=state.max_steps)
            )
        if self._settings.eval_steps is not None:
            self._keep_schedule(state, control)
        if self._control.take("evaluate"):
            control.should_evaluate = True
        if self._control.take("checkpoint"):
            control.should_save = True
        self._stop_if_asked(control)
        _log_what_ends(control)

    @_never_raises
    def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A stop ends a step that accumulates gradients between two of its micro-batches."""
        if self._control.stop_asked:
            self.trainer.drop_step()
            self._stop_if_asked(control)
            control.should_save = control.should_save and state.global_step > 0
            _log_what_ends(control)

    @_never_raises
    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluates once an epoch where no schedule is set."""
        if self._settings.eval_steps is None and not self.is_over:
            self._keep_schedule(state, control)
            _log_what_ends(control)

    @_never_raises
    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """A training log becomes a `metrics` event; the last log is a summary, not a step."""
        if not logs or any(name.startswith("eval_") for name in logs):
            return
        numbers = {name: _number(value) for name, value in logs.items()}
        if "train_runtime" in logs:
            self.summary = {key: value for key, value in numbers.items() if value is not None}
            self._watch.look_at_end(state.global_step, numbers.get("train_loss"))
            return
        epoch = numbers.pop("epoch", None)
        self._journal.append(MetricsLogged(step=state.global_step, epoch=epoch, values=numbers))
        was_well = self.trouble is None
        is_sound = self._watch.look(state.global_step, numbers)
        if was_well and self.trouble is not None:
            text = f"step {self.trouble.step}: {self.trouble.reason}"
            self._journal.append(LineLogged(level="error", source=self.trouble.kind, text=text))
        self.last_good.note(self.trainer.model, state.global_step, is_sound=is_sound)
        if is_sound:  # this loss was measured on the weights of the log before
            self.sound_step = max(self.sound_step, self._logged_step)
            self._logged_step = state.global_step
        self._stop_in_trouble(control)

    @_never_raises
    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any
    ) -> None:
        """Early stopping leaves a checkpoint too; a diverged evaluation leaves none."""
        if "eval_loss" in metrics:
            self._look_at_evaluation(state.global_step, metrics["eval_loss"])
        if self.evaluations.is_out_of_patience:
            self.stopped_early = True
            control.should_training_stop = True
            control.should_save = (
                control.should_save
                or bool(self._settings.save_steps)
                or self._saves_with_evaluations
            )
        self._stop_if_asked(control)
        if control.should_training_stop or self.is_in_trouble:
            self.trainer.log_now()
        self._stop_in_trouble(control)

    @_never_raises
    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Records a checkpoint with its files' sizes and hashes; then older ones may go."""
        if state.global_step == self._passed_over:
            self._passed_over = -1
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

    def pass_over_checkpoint(self, step: int) -> None:
        """There is nothing to record of this step."""
        self._passed_over = step

    def note_whole(self, folder: Path) -> None:
        """The newest checkpoint that is recorded and as it was written."""
        self._whole = folder, _sizes(folder)

    def is_whole(self, folder: Path) -> bool:
        """Whether that one is `folder`, and still is what it was."""
        return self._whole == (folder, _sizes(folder))

    def note_lost_checkpoint(self, step: int, error: Exception) -> None:
        """Records a checkpoint that could not be written."""
        self.pass_over_checkpoint(step)
        message = f"no checkpoint at step {step}: {error}"
        self._journal.append(Recovered(kind="checkpoint", message=message))

    def note_eval_loss(self, step: int, epoch: float | None, eval_loss: float | None) -> bool:
        """Counts an evaluation within the run; True if it is the lowest so far."""
        if eval_loss is None:  # a stop ended it: it says nothing
            return False
        return self.evaluations.note(step, epoch, eval_loss)

    def recall(self, evaluations: Iterable[Point], *, has_best: bool) -> None:
        """Goes on from the evaluations of an earlier attempt; without its best weights, the next
        evaluation is the lowest anew."""
        for point in evaluations:
            if "eval_loss" in point.values:
                self.evaluations.note(point.step, point.epoch, point.values["eval_loss"])
        if not has_best:
            self.evaluations.forget_lowest()

    @contextmanager
    def saving(self) -> Iterator[None]:
        """A checkpoint is being written meanwhile, for which a stop waits."""
        with self._control.saving():
            yield

    def note_fault(self, where: str, error: Exception) -> None:
        """Records a fault of the bridge itself, each once."""
        text = f"{where}: {type(error).__name__}: {error}"
        if text not in self._faults:
            self._faults.add(text)
            with suppress(Exception):  # the journal may be what fails
                self._journal.append(LineLogged(level="error", source="bridge", text=text))

    def _obey_in_pause(self) -> None:
        """What is asked for during a pause is done at once, on the weights as they are; the run
        stays paused where that fails."""
        wishes: tuple[tuple[RequestName, Callable[[], object]], ...] = (
            ("evaluate", self.trainer.evaluate),
            ("checkpoint", self.trainer.save_now),
        )
        for name, obey in wishes:
            if not self._control.take(name):
                continue
            try:
                obey()
            except Exception as error:
                if _is_of_device(error):
                    raise
                text = f"{name} in the pause: {type(error).__name__}: {error}"
                self._journal.append(
                    LineLogged(level="error", source="bridge", text=redacted(text))
                )

    def _look_at_evaluation(self, step: int, eval_loss: float) -> None:
        """An evaluation measures the weights as they are, a log those before the step."""
        is_sound = self._watch.look_at_evaluation(step, eval_loss)
        self.last_good.note_evaluation(self.trainer.model, step, is_sound=is_sound)
        if is_sound:
            self.sound_step = max(self.sound_step, step)

    def _stop_if_asked(self, control: Any) -> None:
        if self._control.stop_asked:
            self._control.stop_took_effect()
            control.should_training_stop = True
            control.should_evaluate = False
            control.should_save = self._control.save  # so that it can be resumed from here

    def _stop_in_trouble(self, control: Any) -> None:
        if self.is_in_trouble:
            control.should_training_stop = True
            control.should_save = control.should_evaluate = False

    @property
    def _saves_with_evaluations(self) -> bool:
        return self._settings.save_steps is None and self._settings.eval_steps != 0

    def _keep_schedule(self, state: Any, control: Any) -> None:
        """Asks for the evaluation that is due, and for the checkpoint that goes with it."""
        step, last = state.global_step, state.max_steps
        if self.evaluations.is_due(step, state.epoch, last):
            control.should_evaluate = not self.evaluations.is_counted(step)
        if self._saves_with_evaluations and (control.should_evaluate or step >= last):
            control.should_save = True


def _log_what_ends(control: Any) -> None:
    """No checkpoint and no end without a log: a resumed run goes on from the last one's figures."""
    if control.should_save or control.should_training_stop:
        control.should_log = True


def _is_of_device(error: Exception) -> bool:
    """Whether memory ran out or the device failed."""
    return isinstance(error, OutOfMemory) or is_out_of_memory(error) or is_device_fault(error)


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes by file name; {} where there is no such folder."""
    return {each.name: each.stat().st_size for each in folder.glob("*")}


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
