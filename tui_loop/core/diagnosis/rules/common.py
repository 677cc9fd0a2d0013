"""Shared parts of the rules: whether a run taught the model anything, rows by cause, wording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tui_loop.core.clusters import HitCounts, clusters_at
from tui_loop.core.diagnosis.facts import IterationFacts, level, metric_of
from tui_loop.core.diagnosis.findings import EXAMPLES_KEPT
from tui_loop.core.examples.cause_kinds import Cause
from tui_loop.core.examples.table import FAILED, PASSED, UNSCORED
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.scoring import normalised
from tui_loop.core.stats import fisher_greater, share_interval
from tui_loop.core.text.untrusted import one_line

WORTH = 0.25
"""The least share of the base's loss that a run must remove to have taught the model something,
whatever its score. A run that removed less has hardly begun."""

MUCH_LEFT = 0.2
"""Share of the base's eval loss: a run that ends above it has not learned much of the task."""

LEFT_STANDING = 0.5
"""Training loss in nats per token from which on a run whose loss no longer moves has not learned
its rows."""

LOW_SCORE = 0.6
"""A score below it is low where the loss of the training rows is left standing, too."""

ANSWERS = 0.1
"""A model that knows the task gives more than this share of right answers."""

_RIGHT_CONTENT = {Cause.FORMAT.value, Cause.NO_END_TOKEN.value, Cause.NEAR_MISS.value}
"""Causes of failed outputs whose content is right."""


def has_learned(facts: IterationFacts) -> bool:
    """Returns whether the run made the model clearly better than the base, by score or by loss.

    Without a comparison with the base, the training loss must have fallen as much (WORTH).
    """
    if facts.number == 0 or (facts.iteration.error or {}).get("kind") == "diverged":
        return False
    against = facts.against_base
    if against is None:
        # From the first log alone: a run may learn most between its first two logs.
        losses = facts.train_curve.values
        return (
            bool(losses) and level(facts.train_curve.part(0.9, 1).values) < (1 - WORTH) * losses[0]
        )
    if against.interval is not None and against.interval.low > 0:
        return True
    before = metric_of(facts.base, "eval_loss")
    if against.loss is None or before is None:
        return False
    return against.loss.high < 0 and -against.loss.delta >= WORTH * before


def has_much_left(facts: IterationFacts) -> bool:
    """Returns whether the run learned little: much of the base's loss is left, or of its own.

    The base's loss alone says little where the base writes something else altogether: its first
    90% may be the form of the answers. So rows that are still hard after training count as well,
    where the score is low. Without either, the training loss must still be near its start.
    """
    loss, base = facts.metric("eval_loss"), metric_of(facts.base, "eval_loss")
    curve, score = facts.train_curve, facts.metric("score")
    end = level(curve.part(0.9, 1).values) if len(curve) else 0.0
    if loss is None or base is None:
        is_near_start = bool(len(curve)) and end > MUCH_LEFT * curve.values[0]
    else:
        is_near_start = loss > MUCH_LEFT * base
    return is_near_start or (score is not None and score < LOW_SCORE and end > LEFT_STANDING)


def knows_task(facts: IterationFacts) -> bool:
    """Returns whether the model's answers are right, in whatever form, more often than by chance.

    The share of right answers must exceed ANSWERS and the share that the commonest reference
    would reach as the only answer, by the lower end of its 95% interval (Wilson).
    """
    view = facts.view
    if view is None or (facts.iteration.error or {}).get("kind") == "diverged":
        return False
    wanted: Counter[str] = Counter()
    scored: list[int] = []
    right: list[float] = []
    for row, outcome in enumerate(view.passed):
        if outcome == UNSCORED:
            continue
        wanted[normalised(view.table.references[row])] += 1
        is_right = outcome == PASSED or not _RIGHT_CONTENT.isdisjoint(view.causes[row])
        scored.append(row)
        right.append(float(is_right))
    if not wanted:
        return False
    commonest = wanted.most_common(1)[0][1] / wanted.total()
    low, _ = share_interval(right, clusters_at(view.table.clusters, scored))
    return low > max(ANSWERS, commonest)


SPELLED_ALIKE = ("label", "exact_match", "contains", "numeric")
"""Metrics that ignore case, outer spaces and a full stop at the end."""


class NamedLabel(NamedTuple):
    """A label, as it is spelled most often, with its training and evaluation rows."""

    name: str
    train: int
    held: int


def audited_labels(facts: IterationFacts) -> list[NamedLabel]:
    """Returns the labels of both sides from the run's audit, [] where references are none.

    Spellings that the metric takes for one label are one label. Very large sets are incomplete.
    """
    audit = facts.audit if facts.number else None
    merged: dict[str, NamedLabel] = {}
    for each in audit.labels.counts if audit is not None and audit.labels is not None else ():
        form = form_of(facts, each.label)
        known = merged.get(form, NamedLabel(each.label, 0, 0))
        merged[form] = NamedLabel(known.name, known.train + each.train, known.held + each.eval)
    return list(merged.values())


def form_of(facts: IterationFacts, label: str) -> str:
    """Returns a label as the metric compares it."""
    return normalised(label) if facts.measured.metric in SPELLED_ALIKE else label.strip()


class OutcomeTest:
    """Fisher's test whether some rows have an outcome more often than the other scored rows.

    Each conversation with several answers counts once (`core.clusters.HitCounts`). `among`: the
    rows to compare, by default all.
    """

    def __init__(
        self, view: ExampleView, outcome: int = FAILED, among: Iterable[int] | None = None
    ) -> None:
        rows = range(len(view)) if among is None else among
        scored = [row for row in rows if view.passed[row] != UNSCORED]
        hits = [view.passed[row] == outcome for row in scored]
        self._places = {row: place for place, row in enumerate(scored)}
        self._counts = HitCounts(hits, clusters_at(view.table.clusters, scored))

    def p_value(self, rows: Iterable[int]) -> float:
        """Returns the one-sided p-value of the scored ones of these rows."""
        places = [self._places[row] for row in rows if row in self._places]
        return fisher_greater(*self._counts.split(places))


def with_cause(facts: IterationFacts, *causes: Cause) -> list[int]:
    """Returns the failed rows with one of the causes, the highest loss first."""
    view = facts.view
    if view is None:
        return []
    wanted = {cause.value for cause in causes}
    rows = [
        row
        for row, found in enumerate(view.causes)
        if view.passed[row] == FAILED and not wanted.isdisjoint(found)
    ]
    return hardest(facts, rows)


def hardest(facts: IterationFacts, rows: list[int]) -> list[int]:
    """Sorts rows by descending loss; rows without a loss come last."""
    view = facts.view
    if view is None:
        return rows
    losses = view.table.losses
    # A missing loss is NaN, the only value that differs from itself. It has no order of its own.
    return sorted(rows, key=lambda row: (losses[row] != losses[row], -losses[row], row))


_NAME = 40
"""Characters of a name in a message; longer names are cut."""


def chance(p: float) -> str:
    """Returns a p-value as text: `p = 0.03`, `p = 0.0004` or `p < 1e-6`."""
    if p < 1e-6:
        return "p < 1e-6"
    return f"p = {p:.1g}" if p < 0.1 else f"p = {p:.2f}"


def named(names: Sequence[str], shown: int = 3) -> str:
    """Returns names as text: `"refund"`, `"refund" and "login"`, `"a", "b", "c" and 4 more`."""
    parts = [f'"{one_line(each, _NAME)}"' for each in names[:shown]]
    if len(names) > shown:
        return f"{', '.join(parts)} and {len(names) - shown} more"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def ids_of(facts: IterationFacts, rows: Iterable[int]) -> tuple[str, ...]:
    """Returns the ids of the first rows, as many as a finding may have (EXAMPLES_KEPT)."""
    view = facts.view
    if view is None:
        return ()
    return tuple(view.table.ids[row] for row, _ in zip(rows, range(EXAMPLES_KEPT), strict=False))
