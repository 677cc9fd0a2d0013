"""One iteration, top to bottom: load, prepare, train, save, evaluate.

Everything it learns goes to the journal as it happens; whoever hosts it writes the end.
"""

from __future__ import annotations

import gc
import json
import math
import resource
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop import __version__
from tui_loop.core import codec
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.errors import BadInput
from tui_loop.core.events import Evaluated, LineLogged, PhaseStarted, Progressed
from tui_loop.core.files import write_atomically
from tui_loop.core.fingerprint import fingerprint_of
from tui_loop.core.journal import Journal
from tui_loop.core.records import Fingerprint, StepLoss
from tui_loop.core.schema import Config
from tui_loop.core.scoring import Scorer
from tui_loop.core.store import IterationFolder
from tui_loop.engine.control import Control, StopAsked
from tui_loop.engine.extras import installed_versions
from tui_loop.engine.models import TINY, ModelSource, find_model, weights_print
from tui_loop.engine.quiet import masked
from tui_loop.engine.scorers import scorer_for
from tui_loop.engine.sources import read_source

if TYPE_CHECKING:
    from tui_loop.engine.bridge import Bridge
    from tui_loop.engine.evaluation import EvalSet
    from tui_loop.engine.models import LoadedModel
    from tui_loop.engine.rendering import Renderer
    from tui_loop.engine.training import LoopTrainer


class Diverged(Exception):
    """Training went non-finite at `step`; the policy is to stop."""

    def __init__(self, step: int, rate: float) -> None:
        super().__init__(f"a non-finite loss, gradient or entropy at step {step}")
        self.step, self.rate = step, rate


class Outcome(msgspec.Struct):
    """What a run came to; filled in as it goes, so that a failed one keeps what it had."""

    metrics: dict[str, Any]
    fingerprint: Fingerprint | None = None
    stopped: bool = False


class Prepared(msgspec.Struct, frozen=True):
    """A loaded base, and the data rendered for it."""

    loaded: LoadedModel
    data: LoadedData
    renderer: Renderer
    eval_set: EvalSet
    scorer: Scorer | None


class Run(msgspec.Struct, frozen=True):
    """What every phase of a run needs."""

    folder: IterationFolder
    config: Config
    journal: Journal
    control: Control
    outcome: Outcome
    allow_code: bool

    def begin(self, phase: str) -> None:
        """Enters a phase, unless the run is to end."""
        self.control.poll()
        self.journal.append(PhaseStarted(name=phase))

    def say(self, text: str) -> None:
        self.journal.append(LineLogged(level="info", source="tui-loop", text=masked(text)))

    def warn(self, source: str, text: str) -> None:
        self.journal.append(LineLogged(level="warning", source=source, text=masked(text)))


def run_iteration(run: Run) -> None:
    """Runs the iteration in `run.folder`; `run.outcome` gets what it came to.

    Raises StopAsked where it was stopped before there was anything to keep, Diverged, and
    whatever the training stack raises.
    """
    run.begin("loading")
    run.say("importing the training stack")
    _import_stack()
    source = find_model(run.config.model.id, run.folder.loop.root)
    loaded = _load(run, source)

    run.begin("preparing")
    prepared = _prepare(run, loaded)
    run.outcome.fingerprint = fingerprint_of(
        run.config, prepared.data.eval, prepared.data.labels, weights_print(source)
    )
    _record_effective(run, _effective(run, prepared))

    trainer = None
    if run.folder.number > 0:
        run.begin("training")
        trainer = _train(run, prepared)

    stopped = run.control.stop_asked
    if trainer is not None and (not stopped or run.control.save):
        # before the evaluation: no stop or fault in it may cost what was trained
        run.journal.append(PhaseStarted(name="saving"))
        _save_weights(run, trainer)

    if not stopped or run.control.evaluate:
        run.control.begin_closing_evaluation()
        run.begin("evaluating")
        _evaluate(run, prepared, loaded.model if trainer is None else trainer.model)
    run.outcome.stopped = stopped


def _import_stack() -> None:
    import tui_loop.engine.training  # noqa: F401  (torch, transformers, peft and trl with it)

    gc.collect()
    gc.freeze()  # the stack's objects live for ever: later collections need not visit them


def _load(run: Run, source: ModelSource) -> LoadedModel:
    import torch

    from tui_loop.engine.models import load_model

    config = run.config
    threads = config.run.cpu_threads or (1 if config.model.id == TINY else None)
    if threads is not None:
        torch.set_num_threads(threads)
    run.say(f"loading {config.model.id}")
    loaded = load_model(config, source)
    count = sum(parameter.numel() for parameter in loaded.model.parameters())
    run.say(f"{config.model.id}: {count:,} parameters on {loaded.device}, {loaded.dtype}")
    return loaded


def _prepare(run: Run, loaded: LoadedModel) -> Prepared:
    from tui_loop.engine.evaluation import prepare_eval_set
    from tui_loop.engine.rendering import Renderer

    config, root = run.config, run.folder.loop.root
    data = load_data(config, root, read_source)
    for text in data.notices:
        run.say(text)
    for text in [*data.warnings, *_changed_files(run.folder, data)]:
        run.warn("data", text)
    renderer = Renderer(loaded.tokenizer, config, data.mapping.shape)
    eval_set = prepare_eval_set(data.eval, renderer, config.evaluation, loaded.model)
    scorer = scorer_for(config.evaluation, data.labels, root, allow_code=run.allow_code)
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
    return Prepared(loaded, data, renderer, eval_set, scorer)


def _train(run: Run, prepared: Prepared) -> LoopTrainer:
    """Trains; the trainer it returns has the weights that are to be kept."""
    from tui_loop.engine.bridge import Bridge
    from tui_loop.engine.training import effective_arguments, make_trainer

    config, folder = run.config, run.folder
    folder.checkpoints.mkdir(exist_ok=True)
    stop_on_nonfinite = config.run.on_nonfinite == "stop"
    bridge = Bridge(run.journal, run.control, config.training, stop_on_nonfinite=stop_on_nonfinite)
    trainer = make_trainer(
        config,
        prepared.loaded,
        [prepared.renderer.training_record(row) for row in prepared.data.train],
        folder=folder.checkpoints,
        init_adapter=_init_adapter(folder, config),
        bridge=bridge,
        measure=lambda model, step, epoch: _measure_within(run, prepared, model, step, epoch),
    )
    dropped = len(prepared.data.train) - len(trainer.train_dataset)
    if dropped > 0 and not config.training.packing:
        run.warn(
            "training",
            f"{dropped} training rows have no trained token within {config.training.max_length} "
            "tokens and are left out",
        )
    _record_effective(run, {**_effective(run, prepared), **effective_arguments(trainer)})
    run.control.poll()
    try:
        trainer.train()
    finally:
        run.outcome.metrics |= _training_metrics(trainer, bridge, prepared)
    if bridge.diverged_at is not None and stop_on_nonfinite:
        raise Diverged(bridge.diverged_at, config.training.learning_rate)
    if bridge.stopped_early:
        run.say(f"stopped early: {bridge.stale_evaluations} evaluations without a lower eval loss")
    trainer.restore_best()
    run.outcome.metrics["weights_step"] = trainer.best_step or trainer.state.global_step
    return trainer


def _measure_within(
    run: Run, prepared: Prepared, model: Any, step: int, epoch: float | None
) -> float | None:
    """One evaluation within the run; None where a stop ended it."""
    from tui_loop.engine.evaluation import measure_losses, step_losses

    try:
        losses = measure_losses(
            model,
            prepared.eval_set,
            pad_id=prepared.loaded.tokenizer.pad_token_id,
            batch_size=run.config.evaluation.batch_size,
            poll=run.control.poll,
        )
    except StopAsked:
        return None
    _write_step(run, step, step_losses(prepared.eval_set, losses))
    run.journal.append(
        Evaluated(
            step=step,
            epoch=epoch,
            values={
                "eval_loss": losses.eval_loss,
                "trainer_eval_loss": losses.trainer_eval_loss,
            },
        )
    )
    return losses.eval_loss


def _evaluate(run: Run, prepared: Prepared, model: Any) -> None:
    """The final evaluation: examples, tokens and metrics of the weights that are kept."""
    from tui_loop.engine.evaluation import evaluate

    started = time.monotonic()
    metrics = run.outcome.metrics
    step = metrics.get("weights_step") or 0
    examples, tokens, measured = evaluate(
        model,
        prepared.loaded.tokenizer,
        prepared.eval_set,
        prepared.scorer,
        settings=run.config.evaluation,
        labels=prepared.data.labels,
        poll=run.control.poll,
        progress=lambda done, total: run.journal.append(
            Progressed(phase="evaluating", done=done, total=total)
        ),
    )
    run.folder.write_examples(examples, tokens)
    metrics |= measured
    metrics["weights_step"] = step
    metrics["eval_runtime"] = round(time.monotonic() - started, 3)
    _write_step(
        run, step, [StepLoss(each.id, each.loss, each.supervised_tokens) for each in examples]
    )
    names = ("eval_loss", "trainer_eval_loss", "score", "macro_f1")
    values = {name: measured[name] for name in names if measured.get(name) is not None}
    run.journal.append(Evaluated(step=step, epoch=metrics.get("epochs"), values=values))
    eval_loss = measured["eval_loss"]
    diverged = eval_loss is not None and not math.isfinite(eval_loss)
    if run.folder.number > 0 and diverged and run.config.run.on_nonfinite == "stop":
        raise Diverged(step, run.config.training.learning_rate)


def _save_weights(run: Run, trainer: LoopTrainer) -> None:
    """Writes `adapter/`: the very weights that were evaluated."""
    folder = run.folder
    temporary = folder.path / ".adapter.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    trainer.accelerator.unwrap_model(trainer.model).save_pretrained(str(temporary))
    (temporary / "README.md").unlink(missing_ok=True)
    adapter_config = temporary / "adapter_config.json"
    if adapter_config.exists():  # names the base by its id, not by where this machine keeps it
        values = json.loads(adapter_config.read_text())
        values["base_model_name_or_path"] = run.config.model.id
        write_atomically(adapter_config, codec.to_pretty_json(values))
    shutil.rmtree(folder.adapter, ignore_errors=True)
    temporary.rename(folder.adapter)
    best = folder.checkpoints / "best.safetensors"
    best.unlink(missing_ok=True)


def _training_metrics(trainer: LoopTrainer, bridge: Bridge, prepared: Prepared) -> dict[str, Any]:
    summary, state = bridge.summary, trainer.state
    trainable = sum(each.numel() for each in trainer.model.parameters() if each.requires_grad)
    return {
        "train_loss": summary.get("train_loss"),
        "weights_step": state.global_step,
        "steps": state.global_step,
        "epochs": round(state.epoch, 4) if state.epoch is not None else None,
        "train_rows": len(prepared.data.train),
        "trainable_parameters": trainable,
        "train_runtime": summary.get("train_runtime"),
        "nonfinite_at_step": bridge.diverged_at,
        "peak_memory_mb": _peak_memory_mb(),
    }


def _peak_memory_mb() -> int:
    """Peak memory: the GPU's where there is one, else this process's."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _record_effective(run: Run, effective: dict[str, Any]) -> None:
    run.folder.write_config(run.config, run.folder.read_splits(), effective)


def _effective(run: Run, prepared: Prepared) -> dict[str, Any]:
    """What the run derived, beyond the config, for the record."""
    import torch

    return {
        "versions": {"tui-loop": __version__, **installed_versions()},
        "device": str(prepared.loaded.device),
        "dtype": str(prepared.loaded.dtype).removeprefix("torch."),
        "cpu_threads": torch.get_num_threads(),
        "shape": prepared.data.mapping.shape,
        "columns": prepared.data.mapping.columns,
        "chat_template": prepared.renderer.template_hash,
        "evaluation": {
            "max_length": prepared.eval_set.max_length,
            "max_new_tokens": prepared.eval_set.max_new_tokens,
            "labels": prepared.data.labels,
        },
    }


def _init_adapter(folder: IterationFolder, config: Config) -> Path | None:
    number = config.model.init_adapter
    if number is None:
        return None
    adapter = folder.loop.iteration(number).adapter
    if not (adapter / "adapter_config.json").exists():
        raise BadInput(
            f"model.init_adapter: iteration {number} has no adapter on this machine",
            "run it again, or unset model.init_adapter",
        )
    return adapter


def _changed_files(folder: IterationFolder, data: LoadedData) -> list[str]:
    """Data files that are not the ones that the iteration was created with."""
    recorded = folder.read_splits()
    return [
        f"{split.path} has changed since this iteration was created"
        for name, split in data.splits.items()
        if name in recorded and recorded[name].sha256 != split.sha256
    ]


def _write_step(run: Run, step: int, rows: list[StepLoss]) -> None:
    """`evals/STEP.jsonl`; a full disk must not end the run."""
    try:
        run.folder.evals.mkdir(exist_ok=True)
        write_atomically(run.folder.evals / f"{step}.jsonl", codec.to_json_lines(rows))
    except OSError as error:
        run.journal.append(LineLogged(level="error", source="record", text=str(error)))
