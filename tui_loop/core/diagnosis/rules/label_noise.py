"""Findings on references that may be wrong, in training and in evaluation rows.

label_noise  training rows are harder than evaluation rows, which wrong references among them
             explain more easily than anything else; training rows of one input have several
             labels; or a good model and the iterations before it agree on another answer than an
             evaluation reference (core.examples.suspects).

A training row should be no harder than an evaluation row. So the measured training rows are
compared with the evaluation rows: how many of each are above a loss that only every fourth, tenth
or twentieth evaluation row exceeds. Fisher's test decides, which is exact for such thresholds (the
precedence test), adjusted for three of them (Holm). A threshold is never below the loss at which
the model would give another answer. References that are wrong in both training and evaluation data
show only in the third way. A memorized row has a low loss, however wrong its reference is.

Two weaker signs are reported as notes:

label_noise  after several epochs the model would still give other answers on training rows, about
             as often as on evaluation rows, and nothing else limits the fit; or far more evaluation
             references are nearly impossible for the model than calibration allows, although it
             has not memorized its training rows.

The second sign: if a model's probabilities are calibrated, labels with a probability below e occur
at most with e times the number of other labels. With e chosen so that this is IMPOSSIBLE, the exact
binomial test shows whether more references are that unlikely.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from statistics import median
from typing import NamedTuple

from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding, Severity
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import chance, has_learned, ids_of, knows_task, with_cause
from tui_loop.core.diagnosis.rules.generalization import memorised
from tui_loop.core.diagnosis.rules.hardness import FEWEST_ROWS, NOT_SAID, Hardness, hardness_of
from tui_loop.core.diagnosis.rules.learning_rate import (
    learning_rate_too_high,
    learning_rate_too_low,
)
from tui_loop.core.diagnosis.rules.outputs import says_few
from tui_loop.core.diagnosis.rules.run_health import diverged, unstable
from tui_loop.core.diagnosis.rules.settings import undertrained_adapter
from tui_loop.core.diagnosis.rules.training_data import inputs_of, missing_labels, trained_on
from tui_loop.core.diagnosis.rules.truncation import truncated_inputs
from tui_loop.core.examples.cause_kinds import Cause
from tui_loop.core.examples.slices import labels_in
from tui_loop.core.examples.tfidf_index import LABEL_ROWS
from tui_loop.core.stats import fisher_greater, holm, wilson
from tui_loop.core.text.figures import counted, of_all

HELD_OUT_ABOVE = (0.25, 0.1, 0.05)
"""Shares of the evaluation rows that are above the three thresholds."""

LEVEL, LIKELY = 0.01, 0.05
"""The p-values of the test alone, and of the test where the mean losses say the same."""

TWICE = 2.0
"""A text is hard from twice the median loss per token on."""

HEAVY = 0.1
"""From this share of wrong references on, the figures themselves mislead."""

WORTH = 0.01
"""From this share of contradicting training rows on, they are worth acting on."""

GOOD = 0.75
"""The least score of an iteration whose agreement with others counts. Iterations that fail more
share so many errors that their agreement says little: in a loop of hard messages, none of the
references that were suspect at scores of 62 and 70% was wrong."""

LINES_SHOWN = 5
LINES_KEPT = 20


class _Hard(NamedTuple):
    """The training and evaluation rows above one loss, in numbers.

    `share`: the share of wrong references that the counts suggest, with its 95% interval from
    `low` to `high`.
    `above`: the loss, in nats.
    """

    trained: int
    held: int
    p: float
    share: float
    low: float
    high: float
    above: float


def hard_training_rows(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training rows that are harder than evaluation rows, although trained on."""
    hardness = hardness_of(facts) if has_learned(facts) else None
    if hardness is None or min(len(hardness.trained), len(hardness.held)) < FEWEST_ROWS:
        return
    found = _surest(hardness)
    if found.p >= LEVEL or found.low <= 0:
        return
    trained, held, places = len(hardness.trained), len(hardness.held), hardness.places(found.above)
    yield Finding(
        FindingKind.LABEL_NOISE,
        "alarm" if found.share >= HEAVY else "warning",
        f"an estimated {_percent(found.share)} of the training references are wrong (95% interval "
        f"{_percent(found.low)} to {_percent(found.high)}): after training, the loss is very high "
        f"in {of_all(found.trained, trained, 'measured training rows')}, but only in "
        f"{of_all(found.held, held, 'held-out rows')}, {chance(found.p)}. Highest losses: "
        f"{_lines(places)}",
        {
            "hard_training_rows": found.trained,
            "training_rows": trained,
            "hard_held_out_rows": found.held,
            "held_out_rows": held,
            "share": round(found.share, 3),
            "low": round(found.low, 3),
            "high": round(found.high, 3),
            "p": found.p,
            "lines": ", ".join(places[:LINES_KEPT]),
        },
        otherwise="the training rows may simply be harder than the held-out ones: read these lines "
        "first",
    )


def contradictions(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training rows of one input with several references, where references are labels."""
    index = facts.row_index("train") if facts.number else {}
    if len(set(index.values())) * LABEL_ROWS > len(index):
        return  # references are texts, and several texts may answer one prompt
    in_conflict = wrong = inputs = 0
    for rows in inputs_of(index).values():
        said = Counter(reference for _, reference in rows)
        if len(said) > 1:
            inputs += 1
            in_conflict += len(rows)
            wrong += len(rows) - max(said.values())  # at best, the commonest reference is right
    if not in_conflict:
        return
    severity: Severity = "note"
    if in_conflict >= WORTH * len(index):
        severity = "alarm" if wrong >= HEAVY * len(index) else "warning"
    yield Finding(
        FindingKind.LABEL_NOISE,
        severity,
        f"{of_all(in_conflict, len(index), 'training rows')} contradict one another: "
        f"{inputs:,} {'input has' if inputs == 1 else 'inputs have'} more than one reference, so "
        f"at least {counted(wrong, 'reference')} {'is' if wrong == 1 else 'are'} wrong",
        {"in_conflict": in_conflict, "wrong": wrong, "inputs": inputs, "train_rows": len(index)},
        otherwise="an input may have several right answers",
    )


def suspect_references(facts: IterationFacts) -> Iterator[Finding]:
    """Reports evaluation references where the iterations agree on another answer."""
    view = facts.view
    if view is None or not has_learned(facts) or (facts.metric("score") or 0.0) < GOOD:
        return
    label_of, counts = labels_in(view.table.references), trained_on(facts)
    # A label without any training row is left out: that it fails is a data gap.
    rows = [
        row
        for row in with_cause(facts, Cause.SUSPECT_REFERENCE)
        if counts.get(label_of.get(view.table.references[row], ""), 1)
    ]
    if not rows:
        return
    yield Finding(
        FindingKind.LABEL_NOISE,
        "note",
        f"{of_all(len(rows), len(view), 'held-out references')} may be wrong: at least 80% of the "
        "iterations agree on a different answer",
        {"suspect": len(rows), "total": len(view)},
        examples=ids_of(facts, rows),
        otherwise="iterations with the same base and training data make the same mistakes: read "
        "these rows before you change any",
    )


def _surest(hardness: Hardness) -> _Hard:
    """Returns the counts at the threshold with the smallest adjusted p-value."""
    trained, held = len(hardness.trained), len(hardness.held)
    values = [value for value, _ in hardness.held]
    least = NOT_SAID if hardness.labels else TWICE * median(values)
    tried = []
    for share in HELD_OUT_ABOVE:
        above = max(least, values[math.ceil(share * held) - 1])
        tried.append((above, hardness.trained_above(above), hardness.held_counts(above)))
    p_values = holm([fisher_greater(ours, trained, *theirs) for _, ours, theirs in tried])
    p, (above, ours, theirs) = min(zip(p_values, tried, strict=True))
    share, low, high = _excess(ours, trained, *theirs)
    return _Hard(ours, hardness.held_above(above), p, share, low, high, above)


def _excess(ours: int, trained: int, theirs: int, held: int) -> tuple[float, float, float]:
    """Returns (a - b) / (1 - b) and its 95% interval, for the hard shares a and b of the two sets.

    The interval is that of Newcombe (1998), from Wilson's intervals of the two shares.
    """
    a, b = ours / trained, theirs / held
    (a_low, a_high), (b_low, b_high) = wilson(ours, trained), wilson(theirs, held)
    low = a - b - math.hypot(a - a_low, b_high - b)
    high = a - b + math.hypot(a_high - a, b - b_low)
    return (a - b) / (1 - b), max(0.0, low / (1 - b)), min(1.0, high / (1 - b))


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


PASSES = 2.5
"""Epochs after which a learned row no longer has a high loss, though its loss still falls."""

AS_HARD = 0.6
"""The share of hard training rows, relative to that of hard evaluation rows. In healthy runs, 0.1
to 0.6 times as many training rows were hard as evaluation rows, after three to eight passes."""

MUCH = 0.2
"""The least share of hard training rows. A large set that was passed a few times may have fewer,
and nothing is wrong."""

IMPOSSIBLE = 0.05
"""The largest share of references that a calibrated model rules out."""

KNOWN = 0.1
"""The least share of training rows that are not what the model would say. With fewer, the model is
certain of what it has seen, and its probabilities for other rows are not calibrated."""

FAIR = 0.4
"""The least score at which a model's disagreement with a reference is worth reading."""

MANY = 0.15
"""The share of references that the model rules out, while it would say most others, from which on
they are worth a warning: rows of another kind make all losses rise."""

TURNED = 1.25
"""The largest final eval loss, as a multiple of the lowest one. Above it, the model has become far
too certain."""


_Rule = Callable[[IterationFacts], Iterable[Finding]]
_WEAK_FIT: tuple[_Rule, ...] = (
    diverged,
    unstable,
    learning_rate_too_high,
    learning_rate_too_low,
    undertrained_adapter,
    truncated_inputs,
)
"""Rules whose findings explain training rows that stay hard."""

_OTHERWISE_UNSURE: tuple[_Rule, ...] = (*_WEAK_FIT, memorised, missing_labels)
"""Rules whose findings explain low probabilities of right references."""


def still_hard(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training rows that many passes did not teach."""
    hardness, epochs = hardness_of(facts), facts.metric("epochs") or 0.0
    if hardness is None or not hardness.labels or epochs < PASSES:
        return
    trained, held = len(hardness.trained), len(hardness.held)
    ours, theirs = hardness.trained_above(NOT_SAID), hardness.held_above(NOT_SAID)
    if min(trained, held) < FEWEST_ROWS or ours < MUCH * trained:
        return
    counts = hardness.held_counts(NOT_SAID)
    if not _is_as_hard(ours, trained, *counts) or not _is_fair(facts):
        return
    if says_few(facts) or _any_of((hard_training_rows, contradictions, *_WEAK_FIT), facts):
        return
    lines = hardness.places(NOT_SAID)
    own, eval_loss = facts.metric("train_rows_loss"), facts.metric("eval_loss")
    # Rows that were trained on are easier than others, unless their references are in the way.
    is_harder = own is not None and eval_loss is not None and own > eval_loss
    p = fisher_greater(ours, trained, *hardness.held_counts(NOT_SAID))
    yield Finding(
        FindingKind.LABEL_NOISE,
        "warning" if is_harder and p < LIKELY else "note",
        f"after {epochs:.2g} epochs, {of_all(ours, trained, 'measured training rows')} and "
        f"{theirs} of {held} held-out rows still have a reference that the model gives less than "
        "50% probability. No other cause was found, so some references may be wrong. Highest "
        f"losses: {_lines(lines)}",
        {
            "hard_training_rows": ours,
            "training_rows": trained,
            "hard_held_out_rows": theirs,
            "held_out_rows": held,
            "epochs": epochs,
            "lines": _listed(lines[:LINES_KEPT]),
        },
        otherwise="underfitting has the same effect: if more epochs or a larger adapter lower the "
        "training loss and raise the score, the references are right",
    )


def next_to_impossible(facts: IterationFacts) -> Iterator[Finding]:
    """Reports evaluation references that the model rules out, more of them than it can justify."""
    hardness = hardness_of(facts)
    if hardness is None or hardness.labels < 2 or not _is_fair(facts):
        return
    curve = facts.eval_curve
    if len(curve) and curve.values[-1] > TURNED * min(curve.values):
        return
    if hardness.trained_above(NOT_SAID) < KNOWN * len(hardness.trained):
        return
    # The loss of a label with probability e, where e (labels - 1) is IMPOSSIBLE: see above.
    ruled_out = math.log((hardness.labels - 1) / IMPOSSIBLE)
    count, held = hardness.held_above(ruled_out), len(hardness.held)
    p = binomial_tail(*hardness.held_counts(ruled_out, rounds_up=False), IMPOSSIBLE)
    if p >= LEVEL or _trained_alike(hardness, ruled_out) or says_few(facts):
        return
    if _any_of(_OTHERWISE_UNSURE, facts):
        return
    trained = hardness.trained_above(ruled_out)
    others = [value for value, _ in hardness.held if value <= ruled_out]
    is_clear = bool(others) and median(others) < NOT_SAID and count >= MANY * held
    yield Finding(
        FindingKind.LABEL_NOISE,
        "warning" if is_clear else "note",
        f"{of_all(count, held, 'held-out references')} may be wrong: the model gives each a "
        f"probability below {math.exp(-ruled_out):.1%}. A calibrated model would do so for at most "
        f"{IMPOSSIBLE:.0%} of all references ({chance(p)}). Of the training references, {trained} "
        f"of {len(hardness.trained)} have such a low probability",
        {
            "ruled_out": count,
            "total": held,
            "training_rows_ruled_out": trained,
            "training_rows": len(hardness.trained),
            "p": p,
        },
        examples=ids_of(facts, [row for value, row in hardness.held if value > ruled_out]),
        otherwise="rows unlike the training rows also get low probabilities: read these rows first",
    )


def binomial_tail(count: int, total: int, share: float) -> float:
    """Returns the probability of at least `count` hits in `total` trials of probability `share`."""
    return min(
        1.0,
        math.fsum(
            math.exp(
                math.lgamma(total + 1)
                - math.lgamma(k + 1)
                - math.lgamma(total - k + 1)
                + k * math.log(share)
                + (total - k) * math.log1p(-share)
            )
            for k in range(count, total + 1)
        ),
    )


def _is_as_hard(ours: int, trained: int, theirs: int, held: int) -> bool:
    """Returns whether training rows are certainly hard AS_HARD times as often as evaluation rows.

    The interval is Newcombe's for a difference, from Wilson's intervals of the two shares.
    """
    a, b = ours / trained, theirs / held
    half = math.hypot(a - wilson(ours, trained)[0], AS_HARD * (wilson(theirs, held)[1] - b))
    return a - AS_HARD * b > half


def _is_fair(facts: IterationFacts) -> bool:
    """Returns whether the model is good enough for its disagreement with a reference to count."""
    return has_learned(facts) and knows_task(facts) and (facts.metric("score") or 0.0) >= FAIR


def _trained_alike(hardness: Hardness, ruled_out: float) -> bool:
    """Returns whether the model rules out too many training rows, too.

    The cause is then not in the evaluation references.
    """
    count, total = hardness.trained_above(ruled_out), len(hardness.trained)
    return wilson(count, total)[0] > IMPOSSIBLE


def _any_of(rules: Iterable[_Rule], facts: IterationFacts) -> bool:
    """Returns whether any of the rules has a finding that is more than a note."""
    return any(each.severity != "note" for rule in rules for each in rule(facts))


def _lines(lines: list[str]) -> str:
    return f"line {lines[0]}" if len(lines) == 1 else f"lines {_listed(lines[:LINES_SHOWN])}"


def _listed(lines: list[str]) -> str:
    return ", ".join(lines)
