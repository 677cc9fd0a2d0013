"""The training phase of a run: probing memory, training, and choosing the weights to keep."""

from __future__ import annotations

import math
import resource
from typing import Any

from tui_loop.core.commands import command
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.divergence import DivergenceEvent, is_far_above
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.effort import no_batch
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.results import mean_loss
from tui_loop.core.text.figures import duration
from tui_loop.engine.architectures import measured_packing_leak
from tui_loop.engine.effective import cut_rows, effective_of, padding_share, record_effective
from tui_loop.engine.evaluation import measure_losses
from tui_loop.engine.generation import generate
from tui_loop.engine.init_adapter import adapter_to_start_from
from tui_loop.engine.journal_callback import JournalCallback
from tui_loop.engine.memory import first_line, is_out_of_memory, probe_training
from tui_loop.engine.mixing import mix_record, mixed_rows
from tui_loop.engine.run_context import Diverged, Prepared, Run, TrainingOutOfMemory
from tui_loop.engine.run_control import StopRequested
from tui_loop.engine.run_evaluations import measure_within
from tui_loop.engine.trainer import LoopTrainer, make_trainer, save_weights
from tui_loop.engine.trainer_arguments import effective_arguments
from tui_loop.engine.training_rows import TrainingRows, render_training_rows


def train(run: Run, prepared: Prepared) -> tuple[LoopTrainer, JournalCallback]:
    """Trains the model; returns the trainer, with the weights to keep, and its callback.

    Raises Diverged where divergence ends the run, and TrainingOutOfMemory.
    """
    run.begin("checking")
    try:
        trainer, callback = _make_trainer(run, prepared)
        _probe(run, prepared, trainer)
        run.begin_work("training")
        try:
            _train_or_resume(run, trainer)
        finally:
            run.outcome.metrics |= _training_metrics(run, trainer, callback)
            if trainer.rows_folder is not None:
                trainer.rows_folder.remove()
        _require_a_step(run, trainer)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingOutOfMemory(first_line(error)) from None
    if callback.divergence is not None and not _continues_after_divergence(run):
        _save_last_good(run, prepared, trainer, callback)
        raise_if_diverged(run, callback)
    if callback.stopped_early:
        stale = callback.evaluations.stale
        run.info(f"stopped early: {stale} evaluations without a lower eval loss")
    trainer.restore_best()
    run.outcome.metrics["weights_step"] = trainer.best_step or trainer.state.global_step
    return trainer, callback


def raise_if_diverged(run: Run, callback: JournalCallback) -> None:
    """Raises Diverged if the run diverged in training or according to its final evaluation."""
    event = callback.divergence or _final_divergence(run)
    if event is None:
        return
    was_seen_in_training = callback.divergence is not None
    if not was_seen_in_training:  # nobody knows since when, so no checkpoint is safe
        callback.sound_step = run.outcome.metrics["sound_step"] = 0
    has_saved = was_seen_in_training and not _continues_after_divergence(run)
    raise Diverged(
        event.kind,
        event.step,
        event.reason,
        run.config.training.learning_rate,
        sound_step=callback.sound_step,
        saved_step=run.outcome.metrics["weights_step"] if has_saved else None,
    )


def _continues_after_divergence(run: Run) -> bool:
    return run.config.run.on_divergence == "continue"


def _final_divergence(run: Run) -> DivergenceEvent | None:
    """Returns the divergence that the final eval loss shows, None where it shows none."""
    eval_loss = run.outcome.metrics.get("eval_loss")
    if not isinstance(eval_loss, float):
        return None
    step = int(run.outcome.metrics.get("weights_step") or 0)
    if not math.isfinite(eval_loss):
        return DivergenceEvent("diverged", step, "the final eval loss is not finite")
    base = _base_loss(run)
    if base is None or not is_far_above(eval_loss, base):
        return None
    reason = f"the final eval loss is {eval_loss:.3g}, far above the base model's {base:.3g}"
    return DivergenceEvent("diverged", step, reason)


def _base_loss(run: Run) -> float | None:
    """Returns the base's eval loss, None unless it was measured under the same settings."""
    base = iteration_of(run.folder.loop.iteration(0))
    own = run.outcome.fingerprint
    if base.fingerprint is None or own is None or own.differs_from(base.fingerprint):
        return None
    loss = base.metrics.get("eval_loss")
    return loss if isinstance(loss, float) and math.isfinite(loss) else None


def _make_trainer(run: Run, prepared: Prepared) -> tuple[LoopTrainer, JournalCallback]:
    config, folder, poll = run.config, run.folder, run.control.poll
    folder.checkpoints.mkdir(exist_ok=True)
    model = prepared.loaded.model
    mixed = mixed_rows(prepared.data.train, config.data)
    rows = render_training_rows(prepared.renderer, mixed, poll)
    _require_trained_tokens(rows)
    callback = JournalCallback(
        run.journal,
        run.control,
        config.training,
        vocabulary=int(model.config.get_text_config().vocab_size),
        stops_on_divergence=not _continues_after_divergence(run),
    )
    trainer = make_trainer(
        config,
        prepared.loaded,
        rows.dataset,
        folder=folder.checkpoints,
        init_adapter=adapter_to_start_from(folder.loop, config, prepared.loaded.base),
        callback=callback,
        measure=lambda model, step, epoch: measure_within(run, prepared, model, step, epoch),
    )
    trainer.rows_folder = rows.folder
    _require_a_batch(trainer)
    _require_separate_rows(trainer)
    trainable = [each for each in trainer.model.parameters() if each.requires_grad]
    run.outcome.sizes["trainable"] = sum(each.numel() * each.element_size() for each in trainable)
    if rows.left_out:
        run.warn(
            "training", f"{rows.left_out} training rows have no token to train on and are left out"
        )
    dropped = len(rows.dataset) - len(trainer.train_dataset)
    if dropped > 0 and not config.training.packing:
        run.warn(
            "training",
            f"{dropped} training rows have no trained token within {config.training.max_length} "
            "tokens and are left out",
        )
    run.outcome.metrics |= cut_rows(trainer, rows) | padding_share(trainer) | rows.metrics
    effective = effective_of(run, prepared, rows)
    mix = mix_record(mixed, config.data)
    record_effective(run, {**effective, **mix, **effective_arguments(trainer)})
    return trainer, callback


def _require_trained_tokens(rows: TrainingRows) -> None:
    """Raises BadInput where no row has a token to train on."""
    if not len(rows.dataset):
        raise BadInput(
            "data.train: no row has a token to train on",
            "check the weight field of the turns, or --set data.train_on=all",
        )


def _require_a_batch(trainer: LoopTrainer) -> None:
    """Raises BadInput where there is no full batch: Trainer would finish without a single step."""
    rows, batch = len(trainer.train_dataset), trainer.args.per_device_train_batch_size
    if trainer.args.dataloader_drop_last and rows < batch:
        raise BadInput(*no_batch(rows, batch))


def _require_separate_rows(trainer: LoopTrainer) -> None:
    """Raises ConfigError where packed rows would see the rows packed before them."""
    if not trainer.padding_free:
        return
    reason = measured_packing_leak(trainer.model, trainer.train_dataset[0]["input_ids"])
    if reason:
        field = "packing" if trainer.args.packing else "padding_free"
        raise ConfigError(
            [f"training.{field}: this model cannot keep packed rows apart: {reason}"],
        )


def _require_a_step(run: Run, trainer: LoopTrainer) -> None:
    """Raises StopRequested where a stop ended training before its first step, else BadInput."""
    if trainer.state.global_step > 0:
        return
    if run.control.stop_requested:
        raise StopRequested
    raise BadInput(
        "training made no optimizer step: the training rows produced no batch",
        command("check", run.folder.loop.name),
    )


def _probe(run: Run, prepared: Prepared, trainer: LoopTrainer) -> None:
    """Runs the longest batch of training and of evaluation; logs what a training batch takes."""
    run.control.poll()
    probe = probe_training(trainer)
    if probe is not None:
        run.outcome.sizes["longest"] = probe.tokens
        memory = f" and {probe.peak_bytes / 2**30:.1f} GiB of memory" if probe.peak_bytes else ""
        run.info(
            f"the longest batch ({probe.rows} rows of up to {probe.tokens} tokens) takes "
            f"{duration(probe.seconds)}{memory}"
        )
    run.control.poll()
    longest = sorted(
        range(len(prepared.eval_set.tokens)),
        key=lambda index: -len(prepared.eval_set.tokens[index].ids),
    )[: prepared.eval_batch.size]
    measure_losses(
        trainer.model,
        prepared.eval_set.only(longest),
        pad_id=prepared.loaded.tokenizer.pad_token_id,
        batch=prepared.eval_batch,
        poll=run.control.poll,
    )
    if prepared.scorer is not None:
        generate(
            trainer.model,
            prepared.loaded.tokenizer,
            [prepared.eval_set.tokens[index].prompt_ids for index in longest],
            settings=run.config.evaluation,
            stop=prepared.eval_set.stop,
            max_new_tokens=1,
            context=prepared.eval_set.context,
            batch=prepared.eval_batch,
            poll=run.control.poll,
        )


def _train_or_resume(run: Run, trainer: LoopTrainer) -> None:
    """Trains from the start, or from the checkpoint that the attempt resumes."""
    if not run.resumption.path:
        trainer.train()
        return
    checkpoint = run.folder.path / run.resumption.path
    earlier = read_run(run.folder)
    tokens = [point.values.get("num_tokens") for point in earlier.metrics]
    trainer.restore_best_from(checkpoint)
    trainer.resume(
        checkpoint, earlier.evaluations, next((each for each in reversed(tokens) if each), 0.0)
    )


def _save_last_good(
    run: Run, prepared: Prepared, trainer: LoopTrainer, callback: JournalCallback
) -> None:
    """Saves the best weights, else the last sound ones, if there are any."""
    step = trainer.best_step
    if step is not None:
        trainer.restore_best()
    else:
        step = callback.last_good.restore(trainer.model)
    run.outcome.metrics["weights_step"] = step
    if step is not None:
        save_weights(run, prepared, trainer)
        run.info(f"saved the weights of step {step}, from before the divergence")


def _training_metrics(run: Run, trainer: LoopTrainer, callback: JournalCallback) -> dict[str, Any]:
    summary, state = callback.summary, trainer.state
    trainable = sum(each.numel() for each in trainer.model.parameters() if each.requires_grad)
    train_loss = summary.get("train_loss") if state.global_step else None  # Trainer reports 0.0
    if run.resumption.step:  # the trainer's mean covers only the steps since the checkpoint
        train_loss = mean_loss(read_run(run.folder).metrics)
    return {
        "train_loss": train_loss,
        "weights_step": state.global_step,
        "steps": state.global_step,
        "epochs": round(state.epoch, 4) if state.epoch is not None else None,
        "trainable_parameters": trainable,
        "train_runtime": summary.get("train_runtime"),
        "nonfinite_at_step": callback.divergence.step if callback.divergence else None,
        "sound_step": callback.sound_step if callback.divergence else None,
        "peak_memory_mb": _peak_memory_mb(),
    }


def _peak_memory_mb() -> int:
    """Returns the peak memory of the GPU, else of this process."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # KiB on Linux
