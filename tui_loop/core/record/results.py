"""What a run came to, from its journal and its examples: for a run that has no summary.

A run writes its results into the journal's end before it writes `summary.json`. A run that was
killed in between, and one whose summary git or a full disk took away, keeps what it measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import number, spell
from tui_loop.core.record.fingerprint import fingerprint_of
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.state import Point, RunState
from tui_loop.core.record.structs import NO_METRICS, Example, Fingerprint

EVALUATED = ("eval_loss", "trainer_eval_loss", "score", "macro_f1")
"""What the final evaluation puts into its `evaluation` event; the rest of it is counted anew."""


class Results(msgspec.Struct, frozen=True):
    """The metrics of an iteration as its summary has them, and how they were measured."""

    metrics: dict[str, Any]
    fingerprint: Fingerprint | None = None


NO_RESULTS = Results(dict(NO_METRICS))


def results_of(folder: IterationFolder, run: RunState) -> Results:
    """The results of the run in `folder`, whose journal folded to `run`.

    The journal's end has them exactly. Journals of older versions, and those of runs that were
    killed after their evaluation, have part of them: the rest comes from `examples.jsonl`. A run
    that was neither ended nor evaluated has none. What cannot be read is left out.
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
    if run.final_evaluation is not None:
        metrics |= _measured(run.final_evaluation)
    return Results(spell(metrics), _fingerprint(folder, examples))


def mean_loss(points: Sequence[Point]) -> float | None:
    """The mean training loss of all steps; a log's loss is the mean since the log before."""
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
    """What the training logs say; {} for the base."""
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
    """What the rows of the final evaluation add up to; {} without any."""
    if not examples:
        return {}
    scores = [each.score for each in examples if each.score is not None]
    weighed = [(number(each.loss), each.supervised_tokens) for each in examples]
    losses = [loss * tokens for loss, tokens in weighed if loss is not None]
    tokens = sum(each.supervised_tokens for each in examples)
    return {
        "eval_loss": math.fsum(losses) / tokens if losses and tokens else None,
        "score": fmean(scores) if scores else None,
        "passed": sum(each.passed is True for each in examples) if scores else None,
        "total": len(examples),
        "eval_tokens": tokens,
        "outputs_truncated": sum(each.truncated for each in examples),
    }


def _measured(evaluation: Point) -> dict[str, Any]:
    known = {name: evaluation.values[name] for name in EVALUATED if name in evaluation.values}
    return {**known, "weights_step": evaluation.step}


def _fingerprint(folder: IterationFolder, examples: Sequence[Example]) -> Fingerprint | None:
    """How the examples were measured; the base's weights are not known here."""
    try:
        labels = folder.read_effective()["evaluation"]["labels"]
        return fingerprint_of(folder.read_config(), examples, labels) if examples else None
    except (BadInput, KeyError, TypeError):
        return None
