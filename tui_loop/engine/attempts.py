"""Runs the attempts at an iteration in the worker thread, and decides which error is retried.

After an attempt that runs out of memory comes one with a smaller micro-batch and the same
effective batch, from the same starting weights. After one that diverges comes, where
`run.on_divergence` is "rollback", one from the last good checkpoint with a lower learning rate.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.config.tables import changed_fields
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.divergence import lower_rate
from tui_loop.core.errors import BadInput
from tui_loop.core.record.checkpoints import Resumption, resumption_of
from tui_loop.core.record.events import LineLogged, RunStarted, UsedGpu
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.structs import NO_METRICS, EndState, RunError
from tui_loop.core.text.figures import brief_number
from tui_loop.core.text.secrets import redacted
from tui_loop.engine.base_identity import BASE
from tui_loop.engine.extras import installed_versions
from tui_loop.engine.gpus.listing import Gpu
from tui_loop.engine.launch import dropped_names
from tui_loop.engine.output_capture import logging_to, set_environment
from tui_loop.engine.run_context import Diverged, Outcome, Run, TrainingOutOfMemory
from tui_loop.engine.run_control import RunControl, StopRequested
from tui_loop.engine.run_errors import run_error_of
from tui_loop.engine.run_iteration import run_iteration

MOST_ROLLBACKS = 3
"""A run that still diverges after so many rollbacks ends as failed."""


class _Retry(msgspec.Struct, frozen=True):
    """How the next attempt differs from this one."""

    kind: str
    message: str
    settings: list[str]
    resumption: Resumption


class Attempts:
    """Runs an iteration until it ends; `work` is the worker thread's target.

    `attempt` is the number of the current attempt, `state` and `error` are how the run ended.
    `refusal`: why the first attempt could not even begin its work, where it could not.
    """

    def __init__(
        self,
        folder: IterationFolder,
        journal: Journal,
        control: RunControl,
        *,
        runner: str,
        earlier: int,
        resumption: Resumption,
        data: LoadedData | None = None,
        gpus: Sequence[Gpu] = (),
        note_device: Callable[[Any], None] = lambda _: None,
    ) -> None:
        self._folder, self._journal, self._control = folder, journal, control
        self._note_device = note_device
        self._runner, self._data = runner, data
        self._gpus = tuple(UsedGpu(gpu.index, gpu.uuid, gpu.name) for gpu in gpus)
        self._resumption = resumption
        self._rollbacks = 0
        self._config: Config = folder.read_config()
        self.attempt = earlier
        self._earlier = _outcome_of(folder)
        self._now = Outcome()
        self._trained_before = 0.0
        self.state: EndState = "failed"
        self.error: RunError | None = RunError(
            "crashed", "the run ended early without reporting an error", ""
        )
        self.has_device_fault = False
        self.refusal: BadInput | None = None

    def begin(self) -> None:
        """Writes the start of the next attempt to the journal."""
        self.attempt += 1
        self._folder.remove_summary()  # readers would show it instead of the new attempt
        if self._folder.number == 0:  # the base runs again only to be measured by other settings
            self._folder.remove_results()
        is_resumed = self._resumption.step > 0
        self._trained_before = read_run(self._folder).training_s if is_resumed else 0.0
        self._journal.append(
            RunStarted(
                loop=self._folder.loop.name,
                iteration=self._folder.number,
                attempt=self.attempt,
                from_step=self._resumption.step,
                pid=os.getpid(),
                host=socket.gethostname(),
                versions=installed_versions(),
                device=self._config.run.device,
                runner=self._runner,
                gpus=self._gpus,
                job=os.environ.get("SLURM_JOB_ID"),
            )
        )

    @property
    def outcome(self) -> Outcome:
        """The iteration's outcome: the earlier one until the current attempt starts its work."""
        if self._folder.number == 0:
            return self._now
        has_adapter = self._folder.adapter.is_dir()
        return combined_outcome(
            self._now,
            self._earlier,
            has_adapter=has_adapter,
            from_step=self._resumption.step,
            trained_before=self._trained_before,
        )

    def work(self) -> None:
        """Runs attempts until the run ends; never raises."""
        try:
            set_environment()
            if names := dropped_names():
                self._info(
                    f"environment variables of a launcher are ignored: {', '.join(names)}; "
                    "a run uses a single process"
                )
            with logging_to(self._journal):
                if self.attempt > 1 and self._folder.number > 0:
                    self._info(f"resuming from {self._resumption.description}")
                while (retry := self._run_attempt()) is not None:
                    self._prepare(retry)
            self._warn_of_older_weights()
            self.state, self.error = "stopped" if self._now.stopped else "finished", None
        except StopRequested:
            self.state, self.error = "stopped", None
        except BaseException as error:  # the run's edge: recorded, never raised into the host
            self._fail(error)

    def _run_attempt(self) -> _Retry | None:
        """Runs one attempt; returns what the next one changes, None where there is no next one."""
        try:
            run_iteration(
                Run(
                    self._folder,
                    self._config,
                    self._journal,
                    self._control,
                    self._now,
                    self._resumption,
                    self._data,
                    self._note_device,
                )
            )
        except TrainingOutOfMemory as error:
            if self._control.stop_requested:
                self._stop_without_retry(error)
                retry = None
            else:
                retry = self._retry_smaller_batch(error)
                if retry is None:
                    raise
        except Diverged as error:
            retry = self._retry_lower_rate(error)
            if retry is None:
                raise
        else:
            retry = None
        return retry  # past the exception, whose traceback held the tensors

    def _stop_without_retry(self, error: TrainingOutOfMemory) -> None:
        """Ends the run as stopped: a retry would discard the results so far, and then stop."""
        self._now.stopped = True
        text = f"training ran out of memory before the requested stop: {error.reason}; the "
        text += "weights of the last step are lost, the checkpoints are kept"
        self._journal.append(LineLogged(level="warning", source="oom", text=redacted(text)))

    def _retry_smaller_batch(self, error: TrainingOutOfMemory) -> _Retry | None:
        # Imported late: it imports torch, which reads what `set_environment` has set by now.
        from tui_loop.engine.memory import smaller_batch

        settings = smaller_batch(self._config.training)
        if settings is None:
            return None
        return _Retry(
            "oom",
            f"training ran out of memory: {error.reason}; retrying from step "
            f"{self._resumption.step} with a smaller micro-batch and the same effective batch size",
            settings,
            self._resumption,
        )

    def _retry_lower_rate(self, error: Diverged) -> _Retry | None:
        if (
            self._control.stop_requested
            or self._config.run.on_divergence != "rollback"
            or error.kind != "diverged"  # where nothing is trained, no rate changes that
            or self._rollbacks == MOST_ROLLBACKS
        ):
            return None
        self._rollbacks += 1
        rate = lower_rate(
            self._config.training.learning_rate, with_adapter=self._config.lora.enabled
        )
        run = read_run(self._folder)
        resumption = resumption_of(self._folder, run, below=error.sound_step)
        return _Retry(
            "nonfinite",
            f"diverged at step {error.step}: {error.reason}; retrying from "
            f"{resumption.description} with the learning rate lowered from "
            f"{brief_number(self._config.training.learning_rate)} to {brief_number(rate)}",
            [f"training.learning_rate={rate!r}"],
            resumption,
        )

    def _prepare(self, retry: _Retry) -> None:
        """Frees the attempt's memory, applies the retry's settings and begins the next attempt."""
        from tui_loop.core.record.events import Recovered
        from tui_loop.engine.memory import free_memory

        free_memory()
        # Before `_resumption` changes: the outcome depends on where this attempt started.
        self._earlier, self._now = self.outcome, Outcome()
        before = self._config
        self._config = with_settings(before, retry.settings)
        # The next attempt may load the weights of this one's checkpoint, on the same base only.
        base = {
            name: table for name, table in self._folder.read_effective().items() if name == BASE
        }
        self._folder.write_config(self._config, self._folder.read_splits(), base)
        changes = {name: list(pair) for name, pair in changed_fields(before, self._config).items()}
        self._journal.append(
            Recovered(kind=retry.kind, message=redacted(retry.message), changes=changes)
        )
        self._resumption = retry.resumption
        self.begin()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, BadInput) and self.attempt == 1 and not self._now.has_begun:
            self.refusal = error
        try:
            self.error = run_error_of(error, self._folder, self._config, self._now)
            from tui_loop.engine.memory import is_device_fault

            self.has_device_fault = is_device_fault(error)
        except BaseException as fault:  # a fault in describing the error must not hide the end
            self.error = RunError("crashed", f"{type(error).__name__}, {type(fault).__name__}", "")
        self._journal.append(
            LineLogged(level="error", source=self.error.kind, text=self.error.message)
        )

    def _warn_of_older_weights(self) -> None:
        metrics = self.outcome.metrics
        if "adapter_step" in metrics:
            text = "adapter/ has the weights of an earlier attempt; the results belong to step "
            text += f"{metrics['weights_step']}, whose weights were not saved"
            self._journal.append(LineLogged(level="warning", source="tui-loop", text=text))

    def _info(self, text: str) -> None:
        self._journal.append(LineLogged(level="info", source="tui-loop", text=redacted(text)))


def _outcome_of(folder: IterationFolder) -> Outcome:
    """Returns the outcome of an earlier host's attempts, an empty one where it is unreadable."""
    iteration = iteration_of(folder)
    return Outcome(NO_METRICS | iteration.metrics, iteration.fingerprint)


def combined_outcome(
    now: Outcome,
    earlier: Outcome,
    *,
    has_adapter: bool,
    from_step: int = 0,
    trained_before: float = 0.0,
) -> Outcome:
    """Combines an attempt's outcome with that of earlier attempts.

    The metric `weights_step` is the step of the weights that were measured, else of those that
    are saved, None without either. Where the saved ones are of another step, `adapter_step` is
    theirs. Where the attempt resumed at `from_step`, its training time includes the seconds
    `trained_before`.
    """
    if not now.has_begun:
        return earlier
    metrics = dict(now.metrics)
    saved = now.saved_step
    if saved is None and has_adapter:
        saved = earlier.metrics.get("adapter_step", earlier.metrics.get("weights_step"))
    if "eval_runtime" not in metrics:  # nothing was measured
        metrics["weights_step"] = saved
    elif has_adapter and saved != metrics["weights_step"]:
        metrics["adapter_step"] = saved
    if from_step:
        own = metrics.get("train_runtime")
        if own is None and metrics.get("steps") == from_step:  # nothing was left to train
            own = 0.0
        metrics["train_runtime"] = None if own is None else round(trained_before + own, 4)
    return msgspec.structs.replace(now, metrics=metrics)
