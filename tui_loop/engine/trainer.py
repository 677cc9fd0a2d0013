"""The SFTTrainer of a run: its evaluations, checkpoints and best weights, and how it resumes."""

from __future__ import annotations

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
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    ProgressCallback,
    TrainerControl,
    TrainerState,
)
from transformers.trainer import TRAINER_STATE_NAME
from trl import SFTTrainer

from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.errors import BadInput
from tui_loop.core.record.points import Point
from tui_loop.engine.base_identity import BaseIdentity
from tui_loop.engine.init_adapter import load_init_adapter
from tui_loop.engine.journal_callback import JournalCallback
from tui_loop.engine.memory import is_device_fault, is_out_of_memory
from tui_loop.engine.models import LoadedModel
from tui_loop.engine.moved_weights import MovedWeights, moved_weights
from tui_loop.engine.run_context import Prepared, Run
from tui_loop.engine.run_control import StopRequested
from tui_loop.engine.trainer_arguments import lora_config, sft_config
from tui_loop.engine.training_rows import RowsFolder

BEST_WEIGHTS = "best.safetensors"
_EVAL = "eval_loss"

Measure = Callable[[Any, int, float | None], float | None]
"""(model, step, epoch) -> eval_loss, recording whatever else was measured."""


class _StepStart(msgspec.Struct, frozen=True):
    """A trainer's running totals and random states before a step's first micro-batch."""

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
        self,
        *,
        measure: Measure,
        callback: JournalCallback,
        best_weights: Path | None,
        **kwargs: Any,
    ) -> None:
        self._measure, self._callback, self._best_weights = measure, callback, best_weights
        self._log_arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self._epoch_start = -1, torch.get_rng_state()
        self._step_start: _StepStart | None = None
        self.best_step: int | None = None
        self.moved_weights: MovedWeights | None = None
        self.rows_folder: RowsFolder | None = None
        """The folder of the training rows, if these are in a file."""
        super().__init__(callbacks=[callback], **kwargs)
        callback.trainer = self
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Evaluates the held-out rows with the loop's own evaluation."""
        step = self.state.global_step
        eval_loss = self._measure(self.model, step, self.state.epoch)
        self._note_eval_loss(eval_loss)
        values = {} if eval_loss is None else {_EVAL: eval_loss}
        self.control: TrainerControl = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, values
        )
        return values

    def _note_eval_loss(self, eval_loss: float | None) -> None:
        """Counts the eval loss of the current weights; saves them if they are to be the best."""
        step, epoch = self.state.global_step, self.state.epoch
        is_lowest = self._callback.note_eval_loss(step, epoch, eval_loss)
        if is_lowest and self._best_weights is not None:
            _save_best(self.model, self._best_weights, step)
            self.best_step = step

    def restore_best(self) -> None:
        """Restores the weights of the lowest eval loss, if any were saved."""
        if self._best_weights is None or self.best_step is None:
            return
        saved = load_file(self._best_weights)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if name in saved:
                    parameter.copy_(saved[name].to(parameter.device))

    def resume(self, checkpoint: Path, earlier: list[Point], tokens: float) -> None:
        """Resumes training from a complete checkpoint.

        `earlier` are the evaluations up to its step, `tokens` the tokens trained on before it. An
        evaluation that was due at that step and is missing is made now. A run that had already
        been trained to its end only gets its weights.
        """
        self._total_train_tokens = int(tokens)  # TRL's own counter: no checkpoint has it
        saved = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        step = saved.global_step
        self._callback.recall(
            [point for point in earlier if point.step < step],
            has_best=self._best_weights is None or self.best_step is not None,
        )
        self._load_from_checkpoint(str(checkpoint))
        self.state = saved
        self._callback.note_whole(checkpoint)
        # Counted only now: if it is the lowest, the weights to save as the best are loaded.
        made = next((each for each in earlier if each.step == step and _EVAL in each.values), None)
        if made is not None:
            self._note_eval_loss(made.values[_EVAL])
        elif self._callback.evaluations.is_due(step, saved.epoch, saved.max_steps):
            self.evaluate()
        if step < saved.max_steps and not self._callback.is_over:
            self.train(resume_from_checkpoint=str(checkpoint))

    def restore_best_from(self, checkpoint: Path) -> None:
        """Takes the best weights so far from a checkpoint, where it has some."""
        saved = checkpoint / BEST_WEIGHTS
        if self._best_weights is None or not saved.exists():
            return
        self._best_weights.unlink(missing_ok=True)  # it may be a hard link to the same file
        _link(saved, self._best_weights)
        with safe_open(saved, framework="pt") as file:
            self.best_step = int((file.metadata() or {})["step"])

    def save_now(self) -> None:
        """Saves a checkpoint of the current weights, outside the trainer's own schedule."""
        self._save_checkpoint(self.model, None)
        self.control = self.callback_handler.on_save(self.args, self.state, self.control)

    def log_now(self) -> None:
        """Logs the steps since the last log, outside the trainer's own schedule."""
        if not self.is_in_train or self._log_arguments is None:
            return
        if self.state.global_step <= self._globalstep_last_logged:
            return
        control = self.control
        # The log alone: the stock method would evaluate and save as well, where these are set.
        scheduled = control.should_evaluate, control.should_save
        control.should_log, control.should_evaluate, control.should_save = True, False, False
        args, kwargs = self._log_arguments
        super()._maybe_log_save_evaluate(*args, **kwargs)
        control.should_evaluate, control.should_save = scheduled

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        self._log_arguments = args, kwargs  # of the newest step, so that log_now can repeat them
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Saves a checkpoint; records a failure to write one instead of ending the run."""
        self.log_now()  # a resumed run continues from the log of its checkpoint's step
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if self._callback.ends_diverged or self._callback.is_whole(folder):
            self._callback.skip_checkpoint(self.state.global_step)
            return
        try:
            with self._callback.saving():
                shutil.rmtree(folder, ignore_errors=True)  # one of an earlier, dropped attempt
                super()._save_checkpoint(*args, **kwargs)
                if self._best_weights is not None and self.best_step is not None:
                    _link(self._best_weights, folder / BEST_WEIGHTS)
            return
        except (OSError, SafetensorError, RuntimeError) as error:
            if is_out_of_memory(error) or is_device_fault(error):
                raise
            self._callback.note_lost_checkpoint(self.state.global_step, error)
        shutil.rmtree(folder, ignore_errors=True)  # a partial checkpoint only takes up space

    def begin_step(self) -> None:
        """Keeps what a step's micro-batches change. Called before the first of them."""
        if self.args.gradient_accumulation_steps > 1:  # else no stop comes within a step
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
        """Drops the micro-batches of an incomplete step, which have not changed the weights.

        Logs, checkpoints and random states are then those of the last complete step.
        """
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
        if "num_tokens" in metrics:  # TRL replaces this value, where it appends others
            metrics["num_tokens"] = [start.tokens]
        torch.set_rng_state(start.random_state)
        if start.device_random_state is not None:
            torch.cuda.set_rng_state(start.device_random_state)

    @property
    def _is_on_cuda(self) -> bool:
        return self.args.device.type == "cuda"

    def note_epoch(self) -> None:
        """Keeps the random state before an epoch's first batch is drawn, which advances it."""
        self._epoch_start = self.state.global_step, torch.get_rng_state()

    def _save_rng_state(self, output_dir: str) -> None:
        """Saves the random states as the stock method does, except between two epochs.

        In a pause before an epoch's first step it saves the state before the epoch, since a
        resumed run begins that epoch anew.
        """
        step, epoch_state = self._epoch_start
        is_between = step == self.state.global_step and float(self.state.epoch or 0.5).is_integer()
        now = torch.get_rng_state()
        if is_between:
            torch.set_rng_state(epoch_state)
        try:
            super()._save_rng_state(output_dir)
        finally:
            torch.set_rng_state(now)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Loads them as the stock method does, but applies the config's learning rate.

        A rollback resumes a checkpoint at a lower rate than it was saved with.
        """
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
        """Writes no model card: the iteration's folder describes the weights."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Saves only weights, as safetensors; the stock method adds a pickle of the arguments."""
        target = Path(output_dir or self.args.output_dir)
        self.model.save_pretrained(str(target), state_dict=state_dict)
        (target / "README.md").unlink(missing_ok=True)


def make_trainer(
    config: Config,
    loaded: LoadedModel,
    dataset: Dataset,
    *,
    folder: Path,
    init_adapter: Path | None,
    callback: JournalCallback,
    measure: Measure,
) -> LoopTrainer:
    """Makes the trainer of a run. Raises ConfigError or BadInput for what cannot be trained."""
    model, adapter = loaded.model, None
    if init_adapter is not None:
        model = load_init_adapter(model, init_adapter)
    elif config.lora.enabled:
        adapter = lora_config(config, model)
    else:
        model.requires_grad_(True)
    try:
        trainer = LoopTrainer(
            measure=measure,
            callback=callback,
            best_weights=folder / BEST_WEIGHTS if config.training.keep == "best" else None,
            model=model,
            args=sft_config(config, folder, loaded),
            train_dataset=dataset,
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
    trainer.moved_weights = moved_weights(trainer.model)
    if isinstance(trainer.model, PeftModel):
        _name_base(trainer.model, loaded.base)
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
    """Saves the weights to a new file, then renames it: checkpoints are hard links to the old."""
    temporary = path.with_name(f".{path.name}.tmp")
    save_file(_trainable(model), temporary, metadata={"step": str(step)})
    temporary.replace(path)


def _link(source: Path, target: Path) -> None:
    """Makes a hard link, or a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def save_weights(run: Run, prepared: Prepared, trainer: LoopTrainer) -> None:
    """Replaces the iteration's `adapter/`. Where it raises OSError, an earlier one is unchanged.

    A whole fine-tuned model gets its tokenizer, so that its folder can be used as a model.
    """
    folder = run.folder
    temporary = folder.path / ".adapter.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with run.control.saving():
            model = trainer.accelerator.unwrap_model(trainer.model)
            if run.config.lora.enabled:
                model.save_pretrained(str(temporary))
            else:
                _save_whole_model(model, prepared, temporary)
        if run.control.is_given_up:  # the run has ended, and another attempt may have begun
            raise StopRequested
        if trainer.moved_weights is not None:
            trainer.moved_weights.make_whole(temporary)
        (temporary / "README.md").unlink(missing_ok=True)
        shutil.rmtree(folder.adapter, ignore_errors=True)
        temporary.rename(folder.adapter)
    except Exception as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) or "SafetensorError" not in type(error).__name__:
            raise
        raise OSError(f"the weights could not be written: {error}") from error
    run.outcome.saved_step = run.outcome.metrics["weights_step"]
    # Not needed any more: checkpoints have links or copies of their own.
    (folder.checkpoints / BEST_WEIGHTS).unlink(missing_ok=True)


def _name_base(model: PeftModel, base: BaseIdentity | None) -> None:
    """Writes into a model's adapter configs where plain PEFT finds the base, from any folder.

    That is the absolute path of a local base, or a hub id with its commit. This program itself
    loads the base of the iteration's config. A GGUF file's folder needs the argument `gguf_file`.
    """
    name = str(model.get_base_model().name_or_path)
    is_local = os.path.isdir(name)
    for settings in model.peft_config.values():
        settings.base_model_name_or_path = os.path.abspath(name) if is_local else name
        settings.revision = base.commit or None if base is not None else None


def _save_whole_model(model: PreTrainedModel, prepared: Prepared, folder: Path) -> None:
    """Saves a whole fine-tuned model with its tokenizer, so that its folder is a model.

    The chat template is that of a template file, where the run used one, else the model's own.
    Generation ends as it does in this program's evaluation.
    """
    renderer, tokenizer, generation = (
        prepared.renderer,
        prepared.loaded.tokenizer,
        model.generation_config,
    )
    template, ends = tokenizer.chat_template, getattr(generation, "eos_token_id", None)
    try:
        if renderer.template is not None and renderer.template.source == "file":
            tokenizer.chat_template = renderer.template.text
        if generation is not None and renderer.stop.ids:
            ids = list(renderer.stop.ids)
            generation.eos_token_id = ids if len(ids) > 1 else ids[0]
        model.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))
    finally:
        tokenizer.chat_template = template
        if generation is not None:
            generation.eos_token_id = ends
