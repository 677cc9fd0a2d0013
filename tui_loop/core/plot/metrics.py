"""Metrics of a run: their order, names and units on a screen, and which of them are smoothed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tui_loop.core.record import system_metrics
from tui_loop.core.text.figures import brief_number, percent
from tui_loop.core.text.untrusted import one_line

EVALUATED = "eval_"
"""What the name of a metric of an evaluation starts with, if it is a training metric too."""

_FIRST = ("loss", "score", "mean_token_accuracy", "entropy", "grad_norm", "learning_rate")
_LAST = ("num_tokens",)

NOISY = {
    *("loss", "losses", "nll", "norm", "entropy", "perplexity", "accuracy", "accuracies"),
    *("reward", "rewards", "margin", "margins", "logits", "logps", "kl", "error", "f1"),
}
"""Words of metrics that are estimated from one batch: they scatter from step to step around a
value that changes slowly, so a mean of recent steps shows that value."""

EXACT = {
    *("lr", "rate", "num", "count", "total", "steps", "epoch", "tokens", "samples", "rows"),
    *("memory", "bytes", "flos", "scale", "per", "seconds", "time", "runtime", "length"),
}
"""Words of rates, counts, sizes and settings. Each value is exact, a mean would be one that the
run never had, and its delay would move a change to later steps. They outweigh NOISY:
`num_loss_tokens` is a count."""

_WORD = re.compile(r"[a-z]+[0-9]*")
_NAME_LIMIT = 40


def metric_names(
    logged: Iterable[str], evaluated: Iterable[str], system: Iterable[str] = ()
) -> list[str]:
    """Returns every metric of a run in the order of its charts.

    Training metrics and those of evaluations come first, `eval_x` after `x`, then system metrics.
    A name belongs to the first of these groups that has it.
    """
    names = {*logged, *evaluated}
    return [*sorted(names, key=_place), *system_metrics.drawn_metrics(set(system) - names)]


def _place(name: str) -> tuple[int, str, bool]:
    base = name.removeprefix(EVALUATED)
    if base in _FIRST:
        return _FIRST.index(base), base, base != name
    return len(_FIRST) + (base in _LAST), base, base != name


def evaluated_name(metric: str, evaluated: Iterable[str]) -> str | None:
    """Returns the name of `metric` in evaluations: `eval_loss` for `loss`, else its own."""
    names = set(evaluated)
    return next((name for name in (EVALUATED + metric, metric) if name in names), None)


def is_smoothed(metric: str) -> bool:
    """Returns whether smoothing applies to a training metric: it is NOISY and not EXACT.

    An unknown metric is drawn as it was logged.
    """
    words = set(_WORD.findall(metric.lower()))
    return bool(words & NOISY) and not words & EXACT


def metric_label(metric: str) -> str:
    """Returns a metric's name for a screen: `grad norm`, `GPU 0 use`."""
    label = system_metrics.metric_label(metric)
    if label != metric:
        return label
    return one_line(metric, _NAME_LIMIT).replace("_", " ") or "(no name)"


def metric_text(metric: str, value: float) -> str:
    """Returns a value with its unit: `0.82`, `71%`, `12.5 GiB`. `value` is scaled as drawn."""
    if unit := system_metrics.metric_unit(metric):
        return f"{brief_number(value)}{'' if unit == '%' else ' '}{unit}"
    if metric == "score" and 0 <= value <= 1:
        return percent(value)
    return figure(value)


def drawn_scale(metric: str) -> float:
    """Returns the factor from a recorded value to the drawn one: bytes are drawn in GiB."""
    return system_metrics.shown_value(metric, 1.0)


def figure(value: float) -> str:
    """Returns three decimals where they mean something, so a changing figure keeps its width."""
    return f"{value:.3f}" if 0.01 <= abs(value) < 1000 else brief_number(value)
