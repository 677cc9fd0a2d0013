"""Makes the scorer of a config's metric: a pure one, a library's, or a user's function."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import Evaluation
from tui_loop.core.consent import require_consent
from tui_loop.core.errors import BadInput, NeedsExtra
from tui_loop.core.scoring import LIBRARY_METRICS, PURE_METRICS, Scorer, is_function, pure_scorer
from tui_loop.engine.extras import is_installed
from tui_loop.engine.foreign_code import metric_code

DEFAULT_PASS = 0.5
"""The pass score of a graded metric where `evaluation.pass_score` is unset."""


def check_metric(name: str) -> None:
    """Raises BadInput unless `name` is a metric or can be `module:function`; imports nothing."""
    if name in PURE_METRICS or name in LIBRARY_METRICS or is_function(name):
        return
    known = [*PURE_METRICS, *LIBRARY_METRICS]
    close = difflib.get_close_matches(name, known, n=1)
    guess = f", did you mean {close[0]}?" if close else ""
    raise BadInput(
        f"evaluation.metric: no such metric {name!r}{guess}",
        f"choose one of {', '.join(known)}, or module:function",
    )


def scorer_for(settings: Evaluation, labels: Sequence[str], root: Path) -> Scorer | None:
    """Makes the scorer with its configured pass score; None for metric `none`.

    Raises BadInput for an unknown metric, NeedsConsent for a function without consent.
    """
    name = settings.metric
    check_metric(name)
    if name in PURE_METRICS:
        scorer = pure_scorer(name, labels, settings.pattern)
    elif name in LIBRARY_METRICS:
        scorer = _library_scorer(name)
    else:
        scorer = _function_scorer(name, root)
    if scorer is None or settings.pass_score is None:
        return scorer
    return msgspec.structs.replace(scorer, pass_score=settings.pass_score)


def _library_scorer(name: str) -> Scorer:
    module = {"rouge_l": "rouge_score", "chrf": "sacrebleu"}[name]
    if not is_installed(module):
        raise NeedsExtra(f"metric {name}", "train")
    return Scorer(name, DEFAULT_PASS, _rouge_l() if name == "rouge_l" else _chrf())


def _rouge_l() -> Callable[[str, str], float]:
    from rouge_score.rouge_scorer import RougeScorer

    rouge = RougeScorer(["rougeL"], use_stemmer=False)
    return lambda output, reference: float(rouge.score(reference, output)["rougeL"].fmeasure)


def _chrf() -> Callable[[str, str], float]:
    from sacrebleu.metrics import CHRF

    chrf = CHRF()
    return lambda output, reference: chrf.sentence_score(output, [reference]).score / 100


def _function_scorer(name: str, root: Path) -> Scorer:
    """Imports a user's function (output, reference) -> score, also from the project's folder."""
    require_consent(metric_code(name, root.resolve()))
    module, _, function = name.partition(":")
    folder = str(root.resolve())
    sys.path.append(folder)  # last: its files must not shadow a library's modules
    try:
        _import_from(folder, module.partition(".")[0])
        score = getattr(importlib.import_module(module), function)
    except Exception as error:  # importing a user's module may raise anything
        raise BadInput(
            f"evaluation.metric: {name}: {type(error).__name__}: {error}",
            f"correct the module, which must be in {folder} or installed",
        ) from error
    finally:
        sys.path.remove(folder)

    def checked(output: str, reference: str) -> float:
        try:
            value = float(score(output, reference))
        except Exception as error:  # so may calling its function
            raise BadInput(
                f"evaluation.metric: {name}: {type(error).__name__}: {error}",
                "correct the function, which is called with (output, reference)",
            ) from error
        if not 0.0 <= value <= 1.0:
            raise BadInput(
                f"evaluation.metric: {name} returned {value}",
                "a score must be between 0 and 1",
            )
        return value

    return Scorer(name, DEFAULT_PASS, checked)


def _import_from(folder: str, name: str) -> None:
    """Imports a top-level module from `folder`, even if an installed one has the same name."""
    spec = PathFinder.find_spec(name, [folder])
    if spec is None or spec.loader is None or name in sys.modules:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
