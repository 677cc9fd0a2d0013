"""The SFTTrainer of a run: its checkpoints, its best weights, and how it goes on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch
from datasets import Dataset
from peft import PeftModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from transformers import PrinterCallback, ProgressCallback, TrainerControl, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from trl import SFTTrainer

from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.state import Point
from tui_loop.engine.journal_callback import JournalCallback
from tui_loop.engine.memory import is_device_fault, is_out_of_memory
from tui_loop.engine.models import LoadedModel
from tui_loop.engine.run_context import Run
from tui_loop.engine.run_control import StopAsked
from tui_loop.engine.trainer_arguments import lora_config, sft_config

BEST_WEIGHTS = "best.safetensors"
_EVAL = "eval_loss"

Measure = Callable[[Any, int, float | None], float | None]
"""(model, step, epoch) -> eval_loss, recording whatever else was measured."""


class _StepStart(msgspec.Struct, frozen=True):
    """A trainer's running figures and random states before a step's first micro-batch."""

    loss: torch.Tensor
    flos: float
    tokens: int
    tokens_seen: int
    counts: dict[str, int]
    random_state: torch.Tensor
    device_random_state: torch.Tensor | None


class LoopTrainer(SFTTrainer):
    """SFTTrainer that evaluates with the loop's own evaluation and writes no pickle."""

    def __init__(
        self, *, measure: Measure, bridge: JournalCallback, best_weights: Path | None, **kwargs: Any
    ) -> None:
        self._measure, self._bridge, self._best_weights = measure, bridge, best_weights
        self._log_arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self._epoch_begun = -1, torch.get_rng_state()
        self._step_start: _StepStart | None = None
        self.best_step: int | None = None
        super().__init__(callbacks=[bridge], **kwargs)
        bridge.trainer = self
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measures the held-out rows as every evaluation of the loop does."""
        step = self.state.global_step
        eval_loss = self._measure(self.model, step, self.state.epoch)
        self._note(eval_loss)
        values = {} if eval_loss is None else {_EVAL: eval_loss}
        self.control: TrainerControl = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, values
        )
        return values

    def _note(self, eval_loss: float | None) -> None:
        """Counts the eval loss of the weights as they are, and keeps the lowest's if asked to."""
        step, epoch = self.state.global_step, self.state.epoch
        is_lowest = self._bridge.note_eval_loss(step, epoch, eval_loss)
        if is_lowest and self._best_weights is not None:
            _save_best(self.model, self._best_weights, step)
            self.best_step = step

    def restore_best(self) -> None:
        """Puts back the weights of the lowest eval loss, if any were kept."""
        if self._best_weights is None or self.best_step is None:
            return
        saved = load_file(self._best_weights)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if name in saved:
                    parameter.copy_(saved[name].to(parameter.device))

    def resume(self, checkpoint: Path, earlier: list[Point], tokens: float) -> None:
        """Goes on from a checkpoint, which is whole; `tokens` were trained on before it and
        `earlier` are the evaluations up to its step.

        An evaluation that is due there and was not made is made up. A run that had been trained
        to its end gets its weights and is not trained on.
        """
        self._total_train_tokens = int(tokens)
        saved = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        step = saved.global_step
        self._bridge.recall(
            [point for point in earlier if point.step < step],
            has_best=self._best_weights is None or self.best_step is not None,
        )
        self._load_from_checkpoint(str(checkpoint))
        self.state = saved
        self._bridge.note_whole(checkpoint)
        here = next((each for each in earlier if each.step == step and _EVAL in each.values), None)
        if here is not None:
            self._note(here.values[_EVAL])
        elif self._bridge.evaluations.is_due(step, saved.epoch, saved.max_steps):
            self.evaluate()
        if step < saved.max_steps and not self._bridge.is_over:
            self.train(resume_from_checkpoint=str(checkpoint))

    def take_best(self, checkpoint: Path) -> None:
        """Takes the best weights so far from a checkpoint, where it has some."""
        kept = checkpoint / BEST_WEIGHTS
        if self._best_weights is None or not kept.exists():
            return
        self._best_weights.unlink(missing_ok=True)  # it may be the same file by another name
        _link(kept, self._best_weights)
        with safe_open(kept, framework="pt") as file:
            self.best_step = int((file.metadata() or {})["step"])

    def save_now(self) -> None:
        """A checkpoint of the weights as they are, outside the trainer's own schedule."""
        self._save_checkpoint(self.model, None)
        self.control = self.callback_handler.on_save(self.args, self.state, self.control)

    def log_now(self) -> None:
        """Logs the steps since the last log, outside the trainer's own schedule."""
        if not self.is_in_train or self._log_arguments is None:
            return
        if self.state.global_step <= self._globalstep_last_logged:
            return
        control = self.control
        wanted = control.should_evaluate, control.should_save
        control.should_log, control.should_evaluate, control.should_save = True, False, False
        arguments, named = self._log_arguments
        super()._maybe_log_save_evaluate(*arguments, **named)
        control.should_evaluate, control.should_save = wanted

    def _maybe_log_save_evaluate(self, *arguments: Any, **named: Any) -> None:
        self._log_arguments = arguments, named  # of the newest step, for a log between two
        super()._maybe_log_save_evaluate(*arguments, **named)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """A checkpoint that cannot be written is missed, it does not end the run."""
        self.log_now()
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if self._bridge.is_in_trouble or self._bridge.is_whole(folder):
            self._bridge.pass_over_checkpoint(self.state.global_step)
            return
        try:
            with self._bridge.saving():
                shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was dropped
                super()._save_checkpoint(*args, **kwargs)
                if self._best_weights is not None and self.best_step is not None:
                    _link(self._best_weights, folder / BEST_WEIGHTS)
            return
        except (OSError, SafetensorError, RuntimeError) as error:
            if is_out_of_memory(error) or is_device_fault(error):
                raise
            self._bridge.note_lost_checkpoint(self.state.global_step, error)
        shutil.rmtree(folder, ignore_errors=True)  # a part of one is of no use, and takes room

    def begin_step(self) -> None:
        """Called before a step's first micro-batch: keeps what the micro-batches will change."""
        if self.args.gradient_accumulation_steps > 1:
            self._step_start = _StepStart(
                loss=self._tr_loss.clone(),
                flos=self.current_flos,
                tokens=self._total_train_tokens,
                tokens_seen=self.state.num_input_tokens_seen,
                counts={name: len(values) for name, values in self._metrics["train"].items()},
                random_state=torch.get_rng_state(),
                device_random_state=torch.cuda.get_rng_state() if self._is_on_cuda else None,
            )

    def drop_step(self) -> None:
        """Drops the micro-batches of the step under way, which have not moved the weights: logs,
        checkpoints and random states are those of the last whole step."""
        start, self._step_start = self._step_start, None
        if start is None:
            return
        self.model.zero_grad()
        self._tr_loss.copy_(start.loss)
        self.current_flos, self._total_train_tokens = start.flos, start.tokens
        self.state.num_input_tokens_seen = start.tokens_seen
        metrics = self._metrics["train"]
        for name in list(metrics):
            del metrics[name][start.counts.get(name, 0) :]
            if not metrics[name]:
                del metrics[name]
        if "num_tokens" in metrics:
            metrics["num_tokens"] = [start.tokens]
        torch.set_rng_state(start.random_state)
        if start.device_random_state is not None:
            torch.cuda.set_rng_state(start.device_random_state)

    @property
    def _is_on_cuda(self) -> bool:
        return self.args.device.type == "cuda"

    def note_epoch(self) -> None:
        """Called before an epoch's first batch is drawn, which takes a random number."""
        self._epoch_begun = self.state.global_step, torch.get_rng_state()

    def _save_rng_state(self, output_dir: str) -> None:
        """As the stock method; in a pause before an epoch's first step the state is that before
        the epoch, where a resumed run begins it."""
        step, before = self._epoch_begun
        is_between = step == self.state.global_step and float(self.state.epoch or 0.5).is_integer()
        now = torch.get_rng_state()
        if is_between:
            torch.set_rng_state(before)
        try:
            super()._save_rng_state(output_dir)
        finally:
            torch.set_rng_state(now)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """As the stock method; then the config's learning rate counts, not the checkpoint's."""
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or self.optimizer is None:
            return
        for place, group in enumerate(self.optimizer.param_groups):
            before = group.get("initial_lr")
            if not before or before == self.args.learning_rate:
                continue
            factor = self.args.learning_rate / before
            group["lr"] *= factor
            group["initial_lr"] = self.args.learning_rate
            self.lr_scheduler.base_lrs[place] *= factor
            self.lr_scheduler._last_lr[place] *= factor

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """No model card: the iteration's folder says what the weights are."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Weights alone, as safetensors; the stock method adds a pickle of the arguments."""
        target = Path(output_dir or self.args.output_dir)
        self.model.save_pretrained(str(target), state_dict=state_dict)
        (target / "README.md").unlink(missing_ok=True)


def make_trainer(
    config: Config,
    loaded: LoadedModel,
    records: list[dict[str, Any]],
    *,
    folder: Path,
    init_adapter: Path | None,
    bridge: JournalCallback,
    measure: Measure,
) -> LoopTrainer:
    """The trainer of a run. Raises ConfigError or BadInput for what cannot be trained."""
    model, adapter = loaded.model, None
    if init_adapter is not None:
        model = PeftModel.from_pretrained(model, str(init_adapter), is_trainable=True)
    elif config.lora.enabled:
        adapter = lora_config(config.lora, model)
    else:
        model.requires_grad_(True)
    try:
        trainer = LoopTrainer(
            measure=measure,
            bridge=bridge,
            best_weights=folder / BEST_WEIGHTS if config.training.keep == "best" else None,
            model=model,
            args=sft_config(config, folder, loaded),
            train_dataset=Dataset.from_list(records),
            processing_class=loaded.tokenizer,
            peft_config=adapter,
        )
    except ValueError as error:
        message = str(error).strip().splitlines()[0]
        if "target modules" in message.lower():
            raise ConfigError([f"lora.target_modules: {message}"]) from error
        raise BadInput(
            f"the trainer refuses this config: {message}", "change the named setting"
        ) from error
    if len(trainer.train_dataset) == 0:
        raise BadInput(
            f"training.max_length: no row keeps a trained token within "
            f"{config.training.max_length} tokens",
            "--set training.max_length=1024",
        )
    return trainer


def _trainable(model: Any) -> dict[str, torch.Tensor]:
    return {
        name: parameter.detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def _save_best(model: Any, path: Path, step: int) -> None:
    """Through a new file: checkpoints link to the old one."""
    beside = path.with_name(f".{path.name}.tmp")
    save_file(_trainable(model), beside, metadata={"step": str(step)})
    beside.replace(path)


def _link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def save_weights(run: Run, trainer: LoopTrainer) -> None:
    """Replaces the iteration's `adapter/`; raises OSError, and then an earlier one stands."""
    folder = run.folder
    temporary = folder.path / ".adapter.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with run.control.saving():
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(str(temporary))
        if run.control.is_given_up:  # the run has ended, and another attempt may have begun
            raise StopAsked
        (temporary / "README.md").unlink(missing_ok=True)
        adapter_config = temporary / "adapter_config.json"
        if adapter_config.exists():  # names the base by its id, not by where this machine keeps it
            values = json.loads(adapter_config.read_text())
            values["base_model_name_or_path"] = run.config.model.id
            write_atomically(adapter_config, codec.to_pretty_json(values))
        shutil.rmtree(folder.adapter, ignore_errors=True)
        temporary.rename(folder.adapter)
    except Exception as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) or "SafetensorError" not in type(error).__name__:
            raise
        raise OSError(f"the weights could not be written: {error}") from error
    run.outcome.saved_step = run.outcome.metrics["weights_step"]
    (folder.checkpoints / BEST_WEIGHTS).unlink(missing_ok=True)
