"""The parts of a diagnosis: findings, suggestions with a predicted effect, and a verdict.

The screen, the command line and reports show the same texts.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tui_loop.core.record.codec import number
from tui_loop.core.text.figures import percent

Severity = Literal["alarm", "warning", "note"]
"""Alarm: the run is useless or its figures mislead. Warning: worth acting on. Note: for
information."""

Confidence = Literal["high", "medium", "low"]

EXAMPLES_KEPT = 20
"""The most example ids in a finding. The most relevant ones come first."""

Figure = float | int | str


class Finding(msgspec.Struct, frozen=True):
    """One fact about an iteration that the record shows.

    `kind`: a `FindingKind`; a stored file may have one of a newer version. `message`: a plain
    sentence with figures. `figures`: the same figures by name. `steps`, `examples` (ids) and
    `iterations`: where the finding can be seen. `otherwise`: what else could explain the finding,
    "" where nothing could. `follows_from`: the kind of the finding that explains this one, "" for a
    cause; what follows from a cause gets no suggestions.
    """

    kind: str
    severity: Severity
    message: str
    figures: dict[str, Figure] = {}
    steps: tuple[int, ...] = ()
    examples: tuple[str, ...] = ()
    iterations: tuple[int, ...] = ()
    otherwise: str = ""
    follows_from: str = ""


class Prediction(msgspec.Struct, frozen=True):
    """The expected range of a metric: `score` in [0, 1] or `eval_loss` in nats per token.

    `was`: the value of the iteration that the suggestion was made for. The range is `low` to
    `high`.
    """

    metric: Literal["score", "eval_loss"]
    was: float
    low: float
    high: float

    @property
    def wants_more(self) -> bool:
        """Returns whether a higher value is better."""
        return self.metric == "score"


class Suggestion(msgspec.Struct, frozen=True):
    """A change to make, and its predicted effect.

    `kind`: a `SuggestionKind` (`lower_learning_rate`). `finding`: the `FindingKind` that the
    suggestion answers. In stored files, either may be one of a newer version.
    `changes`: {"group.field": (old, new)}, {} for advice on data, which is no config field.
    `action`: the change in words. `why`: the text of the decision if the suggestion is applied.
    `ground`: what `confidence` rests on. `tried`: the iterations with the same settings. `record`:
    the results of this kind so far, in words; "" where it was never judged.
    """

    kind: str
    finding: str
    action: str
    why: str
    changes: dict[str, tuple[Any, Any]] = {}
    expects: Prediction | None = None
    confidence: Confidence = "low"
    ground: str = ""
    tried: tuple[int, ...] = ()
    record: str = ""

    @property
    def name(self) -> str:
        """Returns the suggestion's name in `decision.toml`: `overfitting/fewer_epochs`."""
        return f"{self.finding}/{self.kind}"


Word = Literal["confirmed", "refuted", "consistent", "against", "too close to call"]


class Verdict(msgspec.Struct, frozen=True):
    """Whether a prediction came true.

    `confirmed` and `refuted` rest on replicates of both configs. Without replicates, a result is
    `consistent` with the prediction or `against` it. `sentence` has the figures.
    """

    word: Word
    sentence: str
    suggestion: str
    measured: float | None = None


class Diagnosis(msgspec.Struct, frozen=True):
    """The diagnosis of one iteration (`diagnosis.json`); the most important entries come first."""

    number: int
    findings: tuple[Finding, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    verdict: Verdict | None = None


GLYPHS: dict[Severity, str] = {"alarm": "●", "warning": "◐", "note": "○"}

VERDICTS: dict[str, tuple[str, str, str]] = {
    "confirmed": ("✓", "confirmed", "confirmed by replicates"),
    "refuted": ("✗", "refuted", "refuted by replicates"),
    "consistent": ("✓", "expected", "consistent with the prediction"),
    "against": ("✗", "against", "against the prediction"),
    "too close to call": ("≈", "too close", "too close to call"),
}
"""The symbol of each verdict, a short word (at most nine letters) for tables, and a sentence."""


def verdict_words(word: str | None) -> tuple[str, str, str]:
    """Returns symbol, short word and sentence of a recorded verdict; an unknown one unchanged."""
    if not word:
        return "", "", ""
    return VERDICTS.get(word, ("·", word, f"verdict on the prediction: {word}"))


def kind_words(kind: str) -> str:
    """Returns the name of a kind for people: `learning rate too high`."""
    return kind.replace("_", " ")


def cause_words(finding: Finding) -> str:
    """Returns `follows from: answer in prompt`, "" for a cause."""
    return f"follows from: {kind_words(finding.follows_from)}" if finding.follows_from else ""


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
    many = "s" if len(suggestion.tried) > 1 else ""
    return f"tried already in iteration{many} {numbers}" if numbers else ""


def _expected(metric: str, was: float, low: float, high: float, when: str) -> str:
    if metric == "score":
        parts = [percent(value) for value in (low, high, was)]
    else:
        digits = 2 if high - low >= 0.02 else 3
        parts = [f"{value:.{digits}f}" for value in (low, high, was)]
    return f"expects {kind_words(metric)} {parts[0]} to {parts[1]} ({when} {parts[2]})"
