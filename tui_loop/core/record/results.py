"""Derives the results of a run without a summary from its journal and its examples.

A run writes its results into the journal's last event before it writes `summary.json`. So a run
that was killed in between, or whose summary git or a full disk removed, keeps its results.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean
from typing import Any

import msgspec

from tui_loop.core.data.rows import SOURCE
from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import number, spell
from tui_loop.core.record.fingerprint import fingerprint_of
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.points import Point
from tui_loop.core.record.state import RunState
from tui_loop.core.record.structs import NO_METRICS, Example, Fingerprint

EVALUATED = ("eval_loss", "trainer_eval_loss", "score", "macro_f1")
"""The values in the final `evaluation` event, and by source `score.NAME`, `eval_loss.NAME`; the
others are computed from the examples."""


_BY_SOURCE = ("eval_loss.", "score.", "passed.", "total.")


def is_by_source(name: str) -> bool:
    """Returns whether a metric is that of one of several sources: `score.orders`."""
    return name.startswith(_BY_SOURCE)


def metrics_by_source(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the metrics of each of several sources: {"orders": {"score": 0.5, "total": 20}}."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in metrics.items():
        if is_by_source(name):
            metric, _, source = name.partition(".")
            found.setdefault(source, {})[metric] = value
    return found


def compared_metrics(names: Collection[str], known: Sequence[str]) -> list[str]:
    """Returns those of the `known` metrics that are among `names`, and these of each source."""
    found = [name for name in known if name in names]
    return found + [
        name for name in names if is_by_source(name) and name.partition(".")[0] in known
    ]


class Results(msgspec.Struct, frozen=True):
    """The metrics of an iteration as in its summary, and the fingerprint of their evaluation."""

    metrics: dict[str, Any]
    fingerprint: Fingerprint | None = None


NO_RESULTS = Results(dict(NO_METRICS))


def results_of(folder: IterationFolder, run: RunState) -> Results:
    """Returns the results of the run in `folder`, whose journal folded to `run`.

    The journal's `run_ended` has them all. Without it (older versions, runs that were killed after
    their evaluation) the rest comes from `examples.jsonl`. A run that neither ended nor was
    evaluated has no results. Values that cannot be read are left out.
    """
    if run.results is not None:
        return _recorded(run.results, run.results_fingerprint)
    try:
        examples = folder.read_examples()
    except BadInput:
        examples = []
    if run.ended is None and not examples and run.final_evaluation is None:
        return NO_RESULTS
    metrics = NO_METRICS | _trained(folder, run) | _counted(examples)
    metrics |= _counted_by_source(examples, _sources(folder))
    if run.final_evaluation is not None:
        metrics |= _measured(run.final_evaluation)
    return Results(spell(metrics), _fingerprint(folder, examples))


def mean_loss(points: Sequence[Point]) -> float | None:
    """Returns the mean training loss of all steps; each log has the mean since the previous one."""
    total, last = 0.0, 0
    for point in points:
        if "loss" in point.values:
            total += point.values["loss"] * (point.step - last)
            last = point.step
    return total / last if last else None


def _recorded(metrics: dict[str, Any], fingerprint: dict[str, Any] | None) -> Results:
    try:
        known = msgspec.convert(fingerprint, Fingerprint | None)
    except msgspec.ValidationError:  # of a journal that somebody edited
        known = None
    return Results(NO_METRICS | metrics, known)


def _trained(folder: IterationFolder, run: RunState) -> dict[str, Any]:
    """Returns the results of training, {} for the base."""
    if folder.number == 0:
        return {}
    try:
        rows = folder.read_splits()["train"].rows
    except (BadInput, KeyError):
        rows = None
    epoch = run.metrics[-1].epoch if run.metrics else None
    return {
        "train_loss": mean_loss(run.metrics),
        "steps": run.step,
        "epochs": round(epoch, 4) if epoch is not None else None,
        "train_rows": rows,
        "train_runtime": round(run.training_s, 4),
    }


def _counted(examples: Sequence[Example]) -> dict[str, Any]:
    """Returns the totals over the rows of the final evaluation, {} without any."""
    if not examples:
        return {}
    scores = [each.score for each in examples if each.score is not None]
    weighted = [(number(each.loss), each.supervised_tokens) for each in examples]
    losses = [loss * tokens for loss, tokens in weighted if loss is not None]
    tokens = sum(each.supervised_tokens for each in examples)
    return {
        "eval_loss": math.fsum(losses) / tokens if losses and tokens else None,
        "score": fmean(scores) if scores else None,
        "passed": sum(each.passed is True for each in examples) if scores else None,
        "total": len(examples),
        "eval_tokens": tokens,
        "outputs_truncated": sum(each.truncated for each in examples),
    }


def _counted_by_source(examples: Sequence[Example], sources: Collection[str]) -> dict[str, Any]:
    """Returns the totals of each of several sources."""
    found: dict[str, Any] = {}
    for source in sources:
        own = [each for each in examples if each.columns.get(SOURCE) == source]
        counts = _counted(own)
        names = ("total", "passed", "score", "eval_loss")
        found |= {
            f"{name}.{source}": counts[name] for name in names if counts.get(name) is not None
        }
    return found


def _sources(folder: IterationFolder) -> Collection[str]:
    try:
        split = folder.read_splits().get("eval")
    except BadInput:
        return ()
    return split.sources if split is not None else ()


def _measured(evaluation: Point) -> dict[str, Any]:
    values = evaluation.values
    known = {name: values[name] for name in values if name.partition(".")[0] in EVALUATED}
    return {**known, "weights_step": evaluation.step}


def _fingerprint(folder: IterationFolder, examples: Sequence[Example]) -> Fingerprint | None:
    """Returns the fingerprint of the evaluation, without the base's weights, unknown here."""
    try:
        effective = folder.read_effective()
        labels = effective["evaluation"]["labels"]
        if not examples:
            return None
        fingerprint = fingerprint_of(folder.read_config(), examples, labels)
    except (BadInput, KeyError, TypeError):
        return None
    # Earlier versions measured the loss of the last answer, whatever they trained on.
    is_earlier = "rendering" not in effective
    return msgspec.structs.replace(fingerprint, loss="") if is_earlier else fingerprint
