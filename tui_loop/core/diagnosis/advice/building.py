"""Builds suggestions: the change in words, the reason, and the predicted effect.

A prediction comes from the run's own curve where possible. Where nothing was measured, it is a rule
of thumb and is marked as one: a share of the remaining gain, which the record of earlier verdicts
then confirms or refutes.
"""

from __future__ import annotations

import re
from typing import Any

from tui_loop.core.config.schema import BOOKKEEPING, Config
from tui_loop.core.config.tables import changed_fields, flatten
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Confidence, Finding, Prediction, Suggestion
from tui_loop.core.diagnosis.kinds import SuggestionKind
from tui_loop.core.text.figures import brief

RULE_OF_THUMB = "a rule of thumb, not yet measured in your loops"

_COMMANDS = re.compile(r"\s*\([^()]*\btui-loop\b[^()]*\)")
"""A remark in parentheses that names a command of this program."""


def propose(
    facts: IterationFacts,
    finding: Finding,
    kind: SuggestionKind,
    fields: dict[str, Any],
    *,
    because: str,
    expects: Prediction | None = None,
    confidence: Confidence = "low",
    ground: str = RULE_OF_THUMB,
) -> Suggestion:
    """Returns a suggestion that sets config fields to the values of `fields`.

    `because` alone becomes the text of the decision, since the changes are shown beside it
    everywhere.
    """
    old = flatten(facts.config) if facts.config is not None else {}
    changes = {name: (old.get(name), value) for name, value in fields.items()}
    action = ", ".join(
        f"{name.partition('.')[2]} {brief(before)} → {brief(after)}"
        for name, (before, after) in changes.items()
    )
    return Suggestion(
        kind=kind,
        finding=finding.kind,
        action=action,
        why=because,
        changes=changes,
        expects=expects,
        confidence=confidence,
        ground=ground,
    )


def make_suggestion(
    finding: Finding,
    kind: SuggestionKind,
    action: str,
    *,
    because: str,
    expects: Prediction | None = None,
    confidence: Confidence = "low",
    ground: str = RULE_OF_THUMB,
) -> Suggestion:
    """Returns advice that sets no config field: what to do with the data, or what to read.

    The text of the decision has the advice without its commands.
    """
    return Suggestion(
        kind=kind,
        finding=finding.kind,
        action=action,
        why=f"{because}: {_COMMANDS.sub('', action)}",
        expects=expects,
        confidence=confidence,
        ground=ground,
    )


def gain(facts: IterationFacts, least: float, most: float) -> Prediction | None:
    """Predicts a gain between these shares of the remaining score (to 1), else of the eval loss."""
    score = facts.metric("score")
    if score is not None:
        left = 1.0 - score
        return Prediction(
            "score", score, _rounded(score + least * left), _rounded(score + most * left)
        )
    return loss_gain(facts, least, most)


def loss_gain(facts: IterationFacts, least: float, most: float) -> Prediction | None:
    """Predicts a fall of the eval loss between these shares of it."""
    loss = facts.metric("eval_loss")
    if loss is None:
        return None
    return loss_range(facts, loss * (1 - most), loss * (1 - least))


def loss_range(facts: IterationFacts, low: float, high: float) -> Prediction | None:
    """Predicts an eval loss between two values, in nats per token."""
    loss = facts.metric("eval_loss")
    if loss is None:
        return None
    return Prediction("eval_loss", loss, _rounded(max(0.0, low)), _rounded(high))


def points_gain(facts: IterationFacts, least: float, most: float) -> Prediction | None:
    """Predicts a gain of score between `least` and `most`, as shares of the examples."""
    score = facts.metric("score")
    if score is None:
        return None
    return Prediction("score", score, _rounded(score + least), _rounded(min(1.0, score + most)))


def are_same_settings(one: Config, other: Config) -> bool:
    """Returns whether two configs give the same run except for the seed."""
    changed = changed_fields(one, other)
    return BOOKKEEPING.issuperset(changed)


def _rounded(value: float) -> float:
    """Rounds to three significant digits, enough for a prediction."""
    return float(f"{value:.3g}")
