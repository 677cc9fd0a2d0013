"""Runs one attempt at an iteration, phase by phase: load, prepare, train, save, evaluate.

It writes events to the journal as they happen; the run host writes the end.
"""

from __future__ import annotations

import gc
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_result import messages_of
from tui_loop.core.preflight.column_checks import column_findings
from tui_loop.core.record.events import PhaseStarted
from tui_loop.core.record.fingerprint import fingerprint_of
from tui_loop.core.record.folders import IterationFolder
from tui_loop.engine.audit_thread import auditing
from tui_loop.engine.base_identity import base_to_resume, identify
from tui_loop.engine.effective import effective_of, record_effective
from tui_loop.engine.model_source import TINY, ModelSource, weights_hash
from tui_loop.engine.run_context import Prepared, Run
from tui_loop.engine.scorers import scorer_for
from tui_loop.engine.sources import read_source

if TYPE_CHECKING:
    from tui_loop.engine.models import LoadedModel


def run_iteration(run: Run) -> None:
    """Runs the iteration in `run.folder` and fills in `run.outcome`.

    Raises StopRequested where it was stopped before there was anything to save, Diverged,
    TrainingOutOfMemory, and whatever the training stack raises.
    """
    run.begin("loading")
    run.info("importing the training stack")
    _import_stack()
    config, source = base_to_resume(run.folder, run.config, run.resumption)
    loaded = _load(run, config, source)

    run.begin("preparing")
    data = _read_data(run)
    with auditing(run, data):
        prepared = _prepare(run, loaded, data)
        weights = weights_hash(source, config.model.revision)
        run.outcome.fingerprint = fingerprint_of(run.config, data.eval, data.labels, weights)
        record_effective(run, effective_of(run, prepared))
        _train_and_measure(run, prepared)


def _train_and_measure(run: Run, prepared: Prepared) -> None:
    """Trains unless it is the base, saves the weights and runs the final evaluation."""
    from tui_loop.engine.run_evaluations import measure_at_end
    from tui_loop.engine.trainer import save_weights
    from tui_loop.engine.training import raise_if_diverged, train

    trainer = callback = None
    if run.folder.number > 0:
        trainer, callback = train(run, prepared)

    stopped = run.control.stop_requested
    if stopped:
        run.control.stop_was_noticed()
    is_saved = True
    if trainer is not None and (not stopped or run.control.save):
        # before the evaluation, so that no stop or error in it can lose the trained weights
        run.journal.append(PhaseStarted(name="saving"))
        is_saved = _try_to_save(run, prepared, trainer)
        _record_weights(run, trainer.model)

    evaluates = run.control.begin_final_evaluation()
    stopped = run.control.stop_requested  # a stop may have arrived while the weights were saved
    if evaluates:
        run.begin_work("evaluating")
        measure_at_end(run, prepared, prepared.loaded.model if trainer is None else trainer.model)
    if trainer is not None and not is_saved:
        save_weights(run, prepared, trainer)  # the disk may have space by now
    if callback is not None:
        raise_if_diverged(run, callback)
    run.outcome.stopped = stopped


def _record_weights(run: Run, model: Any) -> None:
    """Records how far the weights moved; an error in it is logged and never fails the run."""
    from tui_loop.engine.weights_audit import weights_audit

    try:
        run.folder.write_audit_part("weights", weights_audit(model))
    except Exception as error:  # an edge: layers of other libraries have other attributes
        run.warn(
            "audit", f"the change of the weights is not recorded: {type(error).__name__}: {error}"
        )


def _try_to_save(run: Run, prepared: Prepared, trainer: Any) -> bool:
    """Saves the weights; returns False and records it where the disk takes none."""
    from tui_loop.engine.trainer import save_weights

    try:
        save_weights(run, prepared, trainer)
    except OSError as error:
        run.record_recovery(
            "disk",
            f"cannot save the weights: {error.strerror or error}; retrying after the evaluation",
        )
        return False
    return True


def _import_stack() -> None:
    import tui_loop.engine.trainer  # noqa: F401  (torch, transformers, peft and trl with it)

    gc.collect()
    gc.freeze()  # the stack's objects are never freed: later collections need not visit them


@cache
def _default_threads() -> int:
    """Returns the number of threads that torch chose for this machine."""
    import torch

    return torch.get_num_threads()


def _load(run: Run, config: Config, source: ModelSource) -> LoadedModel:
    import torch

    from tui_loop.engine.models import load_model

    # Read before it is set: a process may host several runs, and the setting outlives each.
    default = _default_threads()
    torch.set_num_threads(config.run.cpu_threads or (1 if config.model.id == TINY else default))
    run.info(f"loading {config.model.id}")
    loaded = load_model(config, source)
    run.note_device(loaded.device)
    weights = list(loaded.model.parameters())
    run.outcome.sizes["base"] = sum(each.numel() * each.element_size() for each in weights)
    count = sum(each.numel() for each in weights)
    run.info(f"{config.model.id}: {count:,} parameters on {loaded.device}, {loaded.dtype}")
    base = identify(config.model.id, source, config.model.revision)
    return msgspec.structs.replace(loaded, base=base)


def _read_data(run: Run) -> LoadedData:
    """Returns the run's rows; logs what is worth knowing about them."""
    data = run.data or load_data(run.config, run.folder.loop.root, read_source)
    columns = column_findings(data)
    for text in [*data.notices, *messages_of(columns, "info")]:
        run.info(text)
    warnings = [*data.warnings, *messages_of(columns, "warning")]
    for text in [*warnings, *_changed_files(run.folder, data)]:
        run.warn("data", text)
    return data


def _prepare(run: Run, loaded: LoadedModel, data: LoadedData) -> Prepared:
    from tui_loop.engine.evaluation import prepare_eval_set
    from tui_loop.engine.models import end_ids
    from tui_loop.engine.rendering import Renderer
    from tui_loop.engine.run_evaluations import eval_batch_of

    config, root = run.config, run.folder.loop.root
    renderer = Renderer(
        loaded.tokenizer,
        config,
        data.mapping.shape,
        root=root,
        rows=data.train,
        model_ends=end_ids(loaded.model.generation_config.eos_token_id),
    )
    eval_set = prepare_eval_set(
        data.eval, renderer, config.evaluation, loaded.model, run.control.poll
    )
    scorer = scorer_for(config.evaluation, data.labels, root)
    if scorer is not None and data.mapping.shape == "text":
        raise BadInput(
            f"evaluation.metric: {scorer.metric} needs prompts, and plain text has none",
            "--set evaluation.metric=none",
        )
    cut = sum(each.cut > 0 for each in eval_set.tokens)
    if cut:
        run.warn(
            "evaluation",
            f"{cut} held-out rows are longer than {eval_set.max_length} tokens; their start is "
            "cut off",
        )
    room = eval_set.context - eval_set.max_new_tokens
    long = sum(len(each.prompt_ids) > room for each in eval_set.tokens)
    if scorer is not None and long:
        run.warn(
            "evaluation",
            f"{long} prompts leave no room for {eval_set.max_new_tokens} new tokens; "
            "generation cuts off the start of these prompts",
        )
    return Prepared(loaded, data, renderer, eval_set, eval_batch_of(run), scorer)


def _changed_files(folder: IterationFolder, data: LoadedData) -> list[str]:
    """Lists the data files that have changed since the iteration was created."""
    recorded = folder.read_splits()
    return [
        f"{split.path} has changed since this iteration was created"
        for name, split in data.splits.items()
        if name in recorded and recorded[name].sha256 != split.sha256
    ]
