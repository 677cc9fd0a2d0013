"""One iteration, top to bottom: load, prepare, train, save, evaluate.

Everything it learns goes to the journal as it happens; whoever hosts it writes the end.
"""

from __future__ import annotations

import gc
from functools import cache
from typing import TYPE_CHECKING, Any

from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_result import messages_of
from tui_loop.core.preflight.column_checks import column_findings
from tui_loop.core.record.events import PhaseStarted
from tui_loop.core.record.fingerprint import fingerprint_of
from tui_loop.core.record.folders import IterationFolder
from tui_loop.engine.effective import effective_of, record_effective
from tui_loop.engine.model_source import TINY, ModelSource, find_model, weights_print
from tui_loop.engine.run_context import Prepared, Run
from tui_loop.engine.scorers import scorer_for
from tui_loop.engine.sources import read_source

if TYPE_CHECKING:
    from tui_loop.engine.models import LoadedModel


def run_iteration(run: Run) -> None:
    """Runs the iteration in `run.folder`; `run.outcome` gets what it came to.

    Raises StopAsked where it was stopped before there was anything to keep, Diverged,
    TrainingOutOfMemory, and whatever the training stack raises.
    """
    run.begin("loading")
    run.say("importing the training stack")
    _import_stack()
    from tui_loop.engine.run_evaluations import measure_at_end
    from tui_loop.engine.trainer import save_weights
    from tui_loop.engine.training import raise_if_diverged, train

    source = find_model(run.config.model.id, run.folder.loop.root)
    loaded = _load(run, source)

    run.begin("preparing")
    prepared = _prepare(run, loaded)
    run.outcome.fingerprint = fingerprint_of(
        run.config, prepared.data.eval, prepared.data.labels, weights_print(source)
    )
    record_effective(run, effective_of(run, prepared))

    trainer = bridge = None
    if run.folder.number > 0:
        trainer, bridge = train(run, prepared)

    stopped = run.control.stop_asked
    if stopped:
        run.control.stop_took_effect()
    saved = True
    if trainer is not None and (not stopped or run.control.save):
        # before the evaluation: no stop or fault in it may cost what was trained
        run.journal.append(PhaseStarted(name="saving"))
        saved = _saves(run, trainer)

    evaluates = run.control.begin_closing_evaluation()
    stopped = run.control.stop_asked  # perhaps only now, while the weights were saved
    if evaluates:
        run.begin_work("evaluating")
        measure_at_end(run, prepared, loaded.model if trainer is None else trainer.model)
    if trainer is not None and not saved:
        save_weights(run, trainer)  # there may be room by now
    if bridge is not None:
        raise_if_diverged(run, bridge)
    run.outcome.stopped = stopped


def _saves(run: Run, trainer: Any) -> bool:
    """Whether the weights could be saved; a full disk is told, and tried once more at the end."""
    from tui_loop.engine.trainer import save_weights

    try:
        save_weights(run, trainer)
    except OSError as error:
        run.recovered("disk", f"the weights cannot be saved yet: {error.strerror or error}")
        return False
    return True


def _import_stack() -> None:
    import tui_loop.engine.trainer  # noqa: F401  (torch, transformers, peft and trl with it)

    gc.collect()
    gc.freeze()  # the stack's objects live for ever: later collections need not visit them


@cache
def _usual_threads() -> int:
    """Torch's own choice on this machine."""
    import torch

    return torch.get_num_threads()


def _load(run: Run, source: ModelSource) -> LoadedModel:
    import torch

    from tui_loop.engine.models import load_model

    config = run.config
    usual = _usual_threads()  # before they are set, which lasts as long as the process
    torch.set_num_threads(config.run.cpu_threads or (1 if config.model.id == TINY else usual))
    run.say(f"loading {config.model.id}")
    loaded = load_model(config, source)
    weights = list(loaded.model.parameters())
    run.outcome.sizes["base"] = sum(each.numel() * each.element_size() for each in weights)
    count = sum(each.numel() for each in weights)
    run.say(f"{config.model.id}: {count:,} parameters on {loaded.device}, {loaded.dtype}")
    return loaded


def _prepare(run: Run, loaded: LoadedModel) -> Prepared:
    from tui_loop.engine.evaluation import prepare_eval_set
    from tui_loop.engine.rendering import Renderer
    from tui_loop.engine.run_evaluations import eval_batch_of

    config, root = run.config, run.folder.loop.root
    data = load_data(config, root, read_source)
    columns = column_findings(data)
    for text in [*data.notices, *messages_of(columns, "info")]:
        run.say(text)
    warnings = [*data.warnings, *messages_of(columns, "warning")]
    for text in [*warnings, *_changed_files(run.folder, data)]:
        run.warn("data", text)
    renderer = Renderer(loaded.tokenizer, config, data.mapping.shape)
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
            f"{cut} held-out rows are longer than {eval_set.max_length} tokens; their start is cut",
        )
    room = eval_set.context - eval_set.max_new_tokens
    long = sum(len(each.prompt_ids) > room for each in eval_set.tokens)
    if scorer is not None and long:
        run.warn(
            "evaluation",
            f"{long} prompts leave no room for {eval_set.max_new_tokens} new tokens; "
            "their start is cut for generation",
        )
    return Prepared(loaded, data, renderer, eval_set, eval_batch_of(run), scorer)


def _changed_files(folder: IterationFolder, data: LoadedData) -> list[str]:
    """Data files that are not the ones that the iteration was created with."""
    recorded = folder.read_splits()
    return [
        f"{split.path} has changed since this iteration was created"
        for name, split in data.splits.items()
        if name in recorded and recorded[name].sha256 != split.sha256
    ]
