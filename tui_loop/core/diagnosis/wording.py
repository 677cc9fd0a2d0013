"""Words a diagnosis, the same for the screen, the command line and the report."""

from __future__ import annotations

from typing import Any

from tui_loop.core.diagnosis.findings import Prediction, Severity, Suggestion
from tui_loop.core.record.codec import number
from tui_loop.core.text.figures import percent

GLYPHS: dict[Severity, str] = {"alarm": "●", "warning": "◐", "note": "○"}

VERDICTS: dict[str, tuple[str, str, str]] = {
    "confirmed": ("✓", "confirmed", "confirmed by replicates"),
    "refuted": ("✗", "refuted", "refuted by replicates"),
    "consistent": ("✓", "expected", "consistent with the prediction"),
    "against": ("✗", "against", "against the prediction"),
    "too close to call": ("≈", "too close", "too close to call"),
}
"""For each verdict its symbol, a short word (at most nine letters) for tables, and a sentence."""


def verdict_words(word: str | None) -> tuple[str, str, str]:
    """Returns symbol, short word and sentence of a recorded verdict; an unknown one unchanged."""
    if not word:
        return "", "", ""
    return VERDICTS.get(word, ("·", word, f"the verdict on the prediction: {word}"))


def kind_words(kind: str) -> str:
    """Returns the name of a kind for people: `learning rate too high`."""
    return kind.replace("_", " ")


def expected(prediction: Prediction) -> str:
    """Returns `expects score 62% to 70% (now 58%)`."""
    return _expected(prediction.metric, prediction.was, prediction.low, prediction.high, "now")


def expected_of(predicted: dict[str, Any] | None) -> str:
    """Returns the same for a draft or a decision, "" without a readable prediction."""
    table = predicted or {}
    metric = table.get("metric")
    was, low, high = (number(table.get(name)) for name in ("was", "low", "high"))
    if not isinstance(metric, str) or was is None or low is None or high is None:
        return ""
    return _expected(metric, was, low, high, "was")


def tried_already(suggestion: Suggestion) -> str:
    """Returns which iterations had the same settings, "" where none had."""
    numbers = ", ".join(map(str, suggestion.tried))
    return f"tried already: {numbers}" if numbers else ""


def _expected(metric: str, was: float, low: float, high: float, when: str) -> str:
    if metric == "score":
        parts = [percent(value) for value in (low, high, was)]
    else:
        digits = 2 if high - low >= 0.02 else 3
        parts = [f"{value:.{digits}f}" for value in (low, high, was)]
    return f"expects {kind_words(metric)} {parts[0]} to {parts[1]} ({when} {parts[2]})"
