"""Evaluates the base and an iteration's weights on every row of the holdout, in its own process.

`python -m tui_loop.engine.holdout_evaluation LOOP N` writes the messages of
`core.workflow.holdout`, one a line, to stdout. It records metrics and the paired table; outputs
and rows never leave this process. The line in `holdout.jsonl` is on disk before any result is
sent, so that every use of the holdout is counted. A process that ends earlier has shown nothing
and does not count.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop.core.compare.claims import table_of
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.row_versions import digest_of
from tui_loop.core.errors import BadInput
from tui_loop.core.inference_messages import ServerStatus
from tui_loop.core.record import codec
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import NO_METRIC, Scorer
from tui_loop.core.workflow.holdout import (
    Figures,
    HoldoutDone,
    HoldoutEvaluation,
    HoldoutFault,
    HoldoutMessage,
    HoldoutProgress,
    figures_of,
    record_holdout_evaluation,
)
from tui_loop.engine.inference_server import protected_stdout, with_error
from tui_loop.engine.output_capture import set_environment
from tui_loop.engine.sources import read_source

if TYPE_CHECKING:
    from tui_loop.engine.evaluation import EvalSet
    from tui_loop.engine.models import LoadedModel

Emit = Callable[[HoldoutMessage], None]


def evaluate_holdout(
    folder: IterationFolder, settings: Sequence[str], *, emit: Emit
) -> HoldoutEvaluation:
    """Evaluates both models on the holdout and records the evaluation; raises TuiLoopError.

    It uses the settings of the iteration's own evaluation. `settings`: `run.*` fields for this
    machine. `emit` gets the progress.
    """
    from tui_loop.engine.base_identity import base_of
    from tui_loop.engine.memory import free_memory
    from tui_loop.engine.model_pool import set_threads, with_available_device
    from tui_loop.engine.models import load_model, load_whole_model
    from tui_loop.engine.scorers import scorer_for
    from tui_loop.engine.weights import checked_weights

    loop = folder.loop
    if folder.number == 0:
        raise BadInput(f"{folder} is the untouched base", "name a trained iteration")
    config = with_settings(folder.read_config(), list(settings))
    if config.data.holdout is None:
        raise BadInput(f"{folder} has no holdout", "add --set data.holdout=PATH to the next run")
    trained = checked_weights(folder, is_adapter=config.lora.enabled)
    data = load_data(config, loop.root, read_source)
    if not data.holdout:
        raise BadInput(f"{config.data.holdout}: has no rows", "give a file with at least one row")
    labels = _recorded_evaluation(folder).get("labels") or data.labels
    scorer = scorer_for(config.evaluation, labels, loop.root)
    set_threads(config)
    config, source = base_of(folder, with_available_device(config))
    loaded = load_model(config, source)
    eval_set = _eval_set(folder, config, data, loaded)
    evaluation = _Evaluation(config, eval_set, scorer, labels, emit)
    base, base_figures = evaluation.run("base", loaded)
    if config.lora.enabled:
        from peft import PeftModel

        model = PeftModel.from_pretrained(loaded.model, str(trained)).eval()
        loaded = msgspec.structs.replace(loaded, model=model)
    else:
        # Two whole models may not fit into memory: the base goes first.
        del loaded
        free_memory()
        loaded = load_whole_model(config, folder, trained)
    tuned, figures = evaluation.run("iteration", loaded)
    paired = table_of(base, tuned)
    return record_holdout_evaluation(
        loop,
        HoldoutEvaluation(
            t=round(time.time(), 3),
            iteration=folder.number,
            sha256=data.splits["holdout"].sha256 or digest_of(data.holdout),
            rows=len(data.holdout),
            metric=config.evaluation.metric if scorer is not None else NO_METRIC,
            score=figures.score,
            passed=figures.passed,
            total=len(tuned),
            loss=figures.loss,
            score_error=figures.score_error,
            loss_error=figures.loss_error,
            base=base_figures,
            paired=paired if scorer is not None else None,
            eval=_eval_figures(folder),
            effective_total=figures.effective_total,
        ),
    )


class _Evaluation:
    """Evaluates one model after the other on the same rows."""

    def __init__(
        self,
        config: Config,
        eval_set: EvalSet,
        scorer: Scorer | None,
        labels: Sequence[str],
        emit: Emit,
    ) -> None:
        from tui_loop.engine.memory import EvalBatch

        self._config, self._eval_set = config, eval_set
        self._scorer, self._labels, self._emit = scorer, labels, emit
        self._batch = EvalBatch(config.evaluation.batch_size)

    def run(self, model: Any, loaded: LoadedModel) -> tuple[list[Example], Figures]:
        """Returns the evaluated examples and their metrics; `model` names it in the progress."""
        from tui_loop.engine.evaluation import evaluate

        examples, _, metrics = evaluate(
            loaded.model,
            loaded.tokenizer,
            self._eval_set,
            self._scorer,
            settings=self._config.evaluation,
            batch=self._batch,
            labels=self._labels,
            poll=lambda: None,
            on_progress=lambda done, total: self._emit(HoldoutProgress(model, done, total)),
        )
        values = (metrics["score"], metrics["passed"], metrics["eval_loss"])
        return examples, figures_of(examples, *values)


def _eval_set(
    folder: IterationFolder, config: Config, data: LoadedData, loaded: LoadedModel
) -> EvalSet:
    """Renders the holdout; outputs may be as long as on the eval set, or as its own references."""
    from tui_loop.engine.evaluation import prepare_eval_set
    from tui_loop.engine.rendering import recorded_renderer

    shape, effective = data.mapping.shape, folder.read_effective()
    renderer = recorded_renderer(loaded, config, shape, folder.loop.root, effective)
    eval_set = prepare_eval_set(data.holdout, renderer, config.evaluation, loaded.model)
    recorded = _recorded_evaluation(folder).get("max_new_tokens")
    if config.evaluation.max_new_tokens is None and isinstance(recorded, int):
        longest = min(max(recorded, eval_set.max_new_tokens), max(1, eval_set.context - 1))
        return msgspec.structs.replace(eval_set, max_new_tokens=longest)
    return eval_set


def _recorded_evaluation(folder: IterationFolder) -> dict[str, Any]:
    """Returns the derived settings of the iteration's own evaluation."""
    table = folder.read_effective().get("evaluation", {})
    return table if isinstance(table, dict) else {}


def _eval_figures(folder: IterationFolder) -> Figures:
    """Returns the iteration's recorded metrics on its eval set."""
    metrics = iteration_of(folder).metrics
    values = (metrics.get("score"), metrics.get("passed"), metrics.get("eval_loss"))
    figures = figures_of(folder.read_examples(), *values)
    return msgspec.structs.replace(figures, total=metrics.get("total"))


def main(arguments: list[str] | None = None) -> int:
    """Runs one holdout evaluation; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tui_loop.engine.holdout_evaluation")
    parser.add_argument("loop", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    args = parser.parse_args(arguments)
    set_environment()
    out = protected_stdout()

    def emit(message: HoldoutMessage) -> None:
        out.write(codec.to_json(message) + b"\n")
        out.flush()

    try:
        emit(HoldoutProgress("loading"))
        try:
            folder = LoopFolder(args.loop).existing(args.number)
            evaluation = evaluate_holdout(folder, args.settings, emit=emit)
        except BrokenPipeError:
            raise
        except Exception as error:  # the edge of the process: the reader gets the error
            status = with_error(ServerStatus("error"), error)
            emit(HoldoutFault(status.message, status.hint, isinstance(error, BadInput)))
            return 1
        emit(HoldoutDone(evaluation))
    except BrokenPipeError:  # the reader has gone
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
