"""Findings on how the evaluation was done, from its settings and examples.

sampled             outputs were drawn at random, so the score is lower and changes from run to run.
stop_in_references  a stop string occurs within references, so no output can match them.
metric_misfit       the metric does not fit the form of the references: another one passes far more.
label_not_listed    the label set of the config lacks references.
partly_trained      every answer of a conversation is scored, and only the last one was trained on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import ids_of, named
from tui_loop.core.examples.slices import labels_in
from tui_loop.core.examples.table import FAILED, PASSED
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.reasoning import answer_of
from tui_loop.core.scoring import is_number, label_reader, normalised, pure_scorer
from tui_loop.core.text.figures import brief_number, of_all
from tui_loop.core.text.untrusted import one_line

if TYPE_CHECKING:
    from tui_loop.core.audit.structs import Count

WILD = 1.0
"""From this temperature on, chance alone makes many outputs wrong."""

WORTH = 0.05
MUCH = 0.2
"""Shares of the scored examples: worth a warning, and worth an alarm."""

APART = 0.25
"""By how much the shares of trained and of scored answers with earlier turns differ."""

FEWEST_WRONG = 3

FITTING = 0.3
"""The gain in score by another metric from which on the metric is the reason."""

READ = 500
"""The most examples that other metrics are tried on."""


def sampled(facts: IterationFacts) -> Iterator[Finding]:
    """Reports outputs that were drawn at random."""
    config = facts.config
    if config is None or not config.evaluation.do_sample:
        return
    temperature = config.evaluation.temperature
    yield Finding(
        FindingKind.SAMPLED,
        "alarm" if temperature > WILD else "warning" if temperature == WILD else "note",
        f"the outputs were sampled at temperature {brief_number(temperature)}: the score is partly "
        "random, and lower than with greedy decoding",
        {"temperature": temperature},
        otherwise=""
        if temperature > WILD
        else "if the product samples its outputs, the evaluation should sample as well",
    )


def stop_in_references(facts: IterationFacts) -> Iterator[Finding]:
    """Reports stop strings that occur within references."""
    view, config = facts.view, facts.config
    if view is None or config is None:
        return
    for stop in config.evaluation.stop:
        rows = [
            row for row, reference in enumerate(view.table.references) if stop in reference.strip()
        ]
        if not rows:
            continue
        failed = sum(view.passed[row] == FAILED for row in rows)
        share = len(rows) / len(view)
        yield Finding(
            FindingKind.STOP_IN_REFERENCES,
            "alarm" if share >= MUCH else "warning" if share >= WORTH else "note",
            f'evaluation.stop ends outputs at "{one_line(stop, 20)}", but '
            f"{of_all(len(rows), len(view), 'references')} contain this string, so the outputs "
            f"for them are cut short ({failed} failed)",
            {"stop": stop, "rows": len(rows), "total": len(view), "failed": failed},
            examples=ids_of(facts, rows),
        )


def metric_misfit(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a metric that fails what a metric for such references passes, or the reverse."""
    view, metric = facts.view, facts.measured.metric
    if view is None or not facts.number:
        return
    yield from _passes_too_much(facts, view)
    fitting = _metric_for(view.table.references)
    labels = facts.measured.labels or tuple(set(labels_in(view.table.references).values()))
    scorer = pure_scorer(fitting, labels, None) if fitting else None
    if (
        scorer is None
        or fitting == metric
        or metric not in ("exact_match", "json_match", "numeric", "label")
    ):
        return
    rows = [row for row, outcome in enumerate(view.passed) if outcome in (PASSED, FAILED)]
    rows = rows[:: max(1, -(-len(rows) // READ))]
    if not rows:
        return
    now = sum(view.passed[row] == PASSED for row in rows)
    then = sum(_passes(view, row, scorer.score) for row in rows)
    if then - now < FITTING * len(rows):
        return
    yield Finding(
        FindingKind.METRIC_MISFIT,
        "warning" if fitting == "label" else "alarm",
        f"metric {metric} passes {of_all(now, len(rows), 'examples')}, but metric {fitting}, which "
        f"fits these references better, would pass {then}: outputs fail by form, not by content",
        {
            "metric": metric,
            "fitting": fitting,
            "passed": now,
            "would_pass": then,
            "total": len(rows),
        },
        examples=ids_of(facts, [row for row in rows if view.passed[row] == FAILED]),
        otherwise="the program that reads the outputs may need the exact format",
    )


def _passes_too_much(facts: IterationFacts, view: ExampleView) -> Iterator[Finding]:
    """Yields the finding on a metric that passes outputs with another label than the reference."""
    label_of = labels_in(view.table.references)
    read = label_reader(sorted(set(label_of.values())))
    passed = [row for row, outcome in enumerate(view.passed) if outcome == PASSED]
    some = passed[:: max(1, -(-len(passed) // READ))]
    wrong = [
        row
        for row in some
        if (wanted := label_of.get(view.table.references[row])) is not None
        and (said := read(view.table[row].output or "")) is not None
        and said != wanted
    ]
    if len(wrong) < max(FEWEST_WRONG, WORTH * len(some)):
        return
    yield Finding(
        FindingKind.METRIC_MISFIT,
        "alarm",
        f"the score is too high: {of_all(len(wrong), len(some), 'passed outputs')} name a "
        f"different label than the reference, but metric {facts.measured.metric} passes them",
        {
            "metric": facts.measured.metric,
            "fitting": "label",
            "passed": len(some),
            "would_pass": len(some) - len(wrong),
            "total": len(some),
        },
        examples=ids_of(facts, wrong),
    )


def partly_trained(facts: IterationFacts) -> Iterator[Finding]:
    """Reports answers that are scored although the loss never counted such answers."""
    config, audit = facts.config, facts.audit
    both = audit.prompts.with_history if audit is not None and audit.prompts else None
    if config is None or not facts.number or both is None or not both.train or not both.eval:
        return
    history = both.eval
    if config.data.train_on != "last":
        yield from _other_answers(both.train, history)
        return
    if config.evaluation.turns != "all" or not history.count:
        return
    yield Finding(
        FindingKind.PARTLY_TRAINED,
        "warning",
        "every answer of a conversation is scored (evaluation.turns = all), but only the last one "
        "was trained on (data.train_on = last)",
        {"conversations": history.count},
    )


def _other_answers(train: Count, held: Count) -> Iterator[Finding]:
    """Yields the finding on answers of conversations that are hardly trained on."""
    if abs(train.share - held.share) < APART:
        return
    which = "first" if train.share > held.share else "later"
    yield Finding(
        FindingKind.PARTLY_TRAINED,
        "alarm",
        f"{of_all(train.count, train.of, 'trained answers')} but "
        f"{of_all(held.count, held.of, 'scored answers')} follow earlier turns, so the {which} "
        "answers of conversations were hardly trained on",
        {"train": train.count, "eval": held.count},
        otherwise="turns with a weight of 0 are left out of training on purpose",
    )


def label_not_listed(facts: IterationFacts) -> Iterator[Finding]:
    """Reports references that are not in the label set of the config."""
    view, config = facts.view, facts.config
    labels = config.evaluation.labels if config is not None else None
    if view is None or not labels or facts.measured.metric != "label":
        return
    known = {normalised(each) for each in labels}
    rows = [row for row, each in enumerate(view.table.references) if normalised(each) not in known]
    if not rows:
        return
    share = len(rows) / len(view)
    lacking = sorted({view.table.references[row].strip() for row in rows})
    yield Finding(
        FindingKind.LABEL_NOT_LISTED,
        "alarm" if share >= MUCH else "warning" if share >= WORTH else "note",
        f"evaluation.labels lacks {named(lacking)}, so no output can match "
        f"{of_all(len(rows), len(view), 'references')}",
        {"rows": len(rows), "total": len(view)},
        examples=ids_of(facts, rows),
    )


def _metric_for(references: Sequence[str]) -> str:
    """Returns the metric that fits the form of nearly all references, "" where none is special."""
    some = [answer_of(each).strip() for each in references[:READ]]
    for metric, has_form in _FORMS.items():
        if some and sum(map(has_form, some)) >= 0.95 * len(some):
            return metric
    return "label" if labels_in(references) else ""


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


_FORMS: dict[str, Callable[[str], bool]] = {"json_match": _is_json, "numeric": is_number}


def _passes(view: ExampleView, row: int, score: Callable[[str, str], float]) -> bool:
    return score(view.table[row].output or "", view.table.references[row]) >= 1.0
