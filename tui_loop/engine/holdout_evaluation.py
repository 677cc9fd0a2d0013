"""A holdout evaluation: the base and an iteration's weights, both on every locked row.

`python -m tui_loop.engine.holdout_evaluation LOOP N` writes the messages of
`core.workflow.holdout`, one a line, to stdout. It keeps figures and the paired table; outputs and
rows live in this process alone. The line in `holdout.jsonl` is on disk before any figure is shown,
so every use is counted. A process that ends before that has shown nothing and does not count.
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

from tui_loop.core.compare.regression import table_of
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.row_versions import digest_of
from tui_loop.core.errors import BadInput
from tui_loop.core.inference_messages import AskingState
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
from tui_loop.engine.inference_server import explained, protected_stdout
from tui_loop.engine.output_capture import set_environment
from tui_loop.engine.sources import read_source

if TYPE_CHECKING:
    from tui_loop.engine.evaluation import EvalSet
    from tui_loop.engine.models import LoadedModel

Tell = Callable[[HoldoutMessage], None]


def look_at_holdout(
    folder: IterationFolder, settings: Sequence[str], *, tell: Tell
) -> HoldoutEvaluation:
    """Measures both models on the holdout and records the look; raises TuiLoopError.

    Measured as the iteration's own evaluation was. `settings`: `run.*` fields for this machine.
    """
    from tui_loop.engine.memory import free_memory
    from tui_loop.engine.model_pool import here, set_threads
    from tui_loop.engine.model_source import find_model
    from tui_loop.engine.models import load_model
    from tui_loop.engine.scorers import scorer_for
    from tui_loop.engine.weights import checked_weights

    loop = folder.loop
    if folder.number == 0:
        raise BadInput(f"{folder} is the untouched base", "name a trained iteration")
    config = with_settings(folder.read_config(), list(settings))
    if config.data.holdout is None:
        raise BadInput(f"{folder} names no holdout", "--set data.holdout=PATH with the next run")
    trained = checked_weights(folder, is_adapter=config.lora.enabled)
    data = load_data(config, loop.root, read_source)
    if not data.holdout:
        raise BadInput(f"{config.data.holdout}: has no rows", "give a file with at least one row")
    labels = _recorded(folder).get("labels") or data.labels
    scorer = scorer_for(config.evaluation, labels, loop.root)
    set_threads(config)
    config = here(config)
    source = find_model(config.model.id, loop.root)
    loaded = load_model(config, source)
    eval_set = _eval_set(folder, config, data, loaded)
    measuring = _Measuring(config, eval_set, scorer, labels, tell)
    base, base_figures = measuring.measured("base", loaded)
    if config.lora.enabled:
        from peft import PeftModel

        model = PeftModel.from_pretrained(loaded.model, str(trained)).eval()
        loaded = msgspec.structs.replace(loaded, model=model)
    else:
        del loaded
        free_memory()
        loaded = load_model(config, source, trained)
    tuned, figures = measuring.measured("iteration", loaded)
    paired = table_of([each.passed for each in base], [each.passed for each in tuned])
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
            eval=_on_eval(folder),
        ),
    )


class _Measuring:
    """Measures one model after the other on the same rows."""

    def __init__(
        self,
        config: Config,
        eval_set: EvalSet,
        scorer: Scorer | None,
        labels: Sequence[str],
        tell: Tell,
    ) -> None:
        from tui_loop.engine.memory import EvalBatch

        self._config, self._eval_set = config, eval_set
        self._scorer, self._labels, self._tell = scorer, labels, tell
        self._batch = EvalBatch(config.evaluation.batch_size)

    def measured(self, doing: Any, loaded: LoadedModel) -> tuple[list[Example], Figures]:
        """The rows of an evaluation, and what they come to."""
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
            progress=lambda done, total: self._tell(HoldoutProgress(doing, done, total)),
        )
        named = (metrics["score"], metrics["passed"], metrics["eval_loss"])
        return examples, figures_of(examples, *named)


def _eval_set(
    folder: IterationFolder, config: Config, data: LoadedData, loaded: LoadedModel
) -> EvalSet:
    """The holdout as tokens; outputs may be as long as on the eval set, or as its own answers."""
    from tui_loop.engine.evaluation import prepare_eval_set
    from tui_loop.engine.rendering import Renderer

    renderer = Renderer(loaded.tokenizer, config, data.mapping.shape)
    eval_set = prepare_eval_set(data.holdout, renderer, config.evaluation, loaded.model)
    recorded = _recorded(folder).get("max_new_tokens")
    if config.evaluation.max_new_tokens is None and isinstance(recorded, int):
        longest = min(max(recorded, eval_set.max_new_tokens), max(1, eval_set.context - 1))
        return msgspec.structs.replace(eval_set, max_new_tokens=longest)
    return eval_set


def _recorded(folder: IterationFolder) -> dict[str, Any]:
    """What the iteration's own evaluation derived."""
    table = folder.read_effective().get("evaluation", {})
    return table if isinstance(table, dict) else {}


def _on_eval(folder: IterationFolder) -> Figures:
    """The iteration's recorded figures on its eval set."""
    metrics = iteration_of(folder).metrics
    named = (metrics.get("score"), metrics.get("passed"), metrics.get("eval_loss"))
    found = figures_of(folder.read_examples(), *named)
    return msgspec.structs.replace(found, total=metrics.get("total"))


def main(arguments: list[str] | None = None) -> int:
    """Looks at the holdout once."""
    parser = argparse.ArgumentParser(prog="python -m tui_loop.engine.holdout_evaluation")
    parser.add_argument("loop", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    args = parser.parse_args(arguments)
    set_environment()
    out = protected_stdout()

    def tell(each: HoldoutMessage) -> None:
        out.write(codec.to_json(each) + b"\n")
        out.flush()

    try:
        tell(HoldoutProgress("loading"))
        try:
            folder = LoopFolder(args.loop).existing(args.number)
            look = look_at_holdout(folder, args.settings, tell=tell)
        except BrokenPipeError:
            raise
        except Exception as error:  # the edge of the process: who waits is told
            state = explained(AskingState("error"), error)
            tell(HoldoutFault(state.message, state.hint, isinstance(error, BadInput)))
            return 1
        tell(HoldoutDone(look))
    except BrokenPipeError:  # nobody listens any more
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
