"""Weaker signs that references are wrong, told as notes, with the rows to look at.

label_noise  after several passes training rows are still not what the model would say, about as
             often as held-out ones, though nothing else is seen to hold the fit back; or far more
             held-out references are next to impossible for the model than it could be sure of,
             though it does not know its training rows by heart.

For the second: where a model's probabilities are what they say, labels that it gives less than e
come at most as often as all other labels together are given, e times their number. With e so chosen
that this is IMPOSSIBLE, the exact binomial test says whether more references are that unlikely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.gaps import missing_labels
from tui_loop.core.diagnosis.rules.generalisation import memorised
from tui_loop.core.diagnosis.rules.hardness import FEWEST, NOT_SAID, Hardness, hardness_of
from tui_loop.core.diagnosis.rules.inputs import truncated_inputs
from tui_loop.core.diagnosis.rules.labels import says_few
from tui_loop.core.diagnosis.rules.learned import has_learned, knows_task
from tui_loop.core.diagnosis.rules.noise import contradictions, hard_training_rows
from tui_loop.core.diagnosis.rules.rates import learning_rate_too_high, learning_rate_too_low
from tui_loop.core.diagnosis.rules.setup import undertrained_adapter
from tui_loop.core.diagnosis.rules.telling import chance, ids_of
from tui_loop.core.diagnosis.rules.training import diverged, unstable
from tui_loop.core.stats import wilson
from tui_loop.core.text.figures import of_all

PASSES = 2.5
"""Epochs after which a row that was learned no longer stands out, though the loss still falls."""

AS_HARD = 0.6
"""Share of the held-out rows' hard ones: of healthy runs 0.1 to 0.6 times as many training rows
were hard as held-out ones after three to eight passes."""

MUCH = 0.2
"""Of fewer hard rows a large set that was passed a few times has as many, and nothing is wrong."""

IMPOSSIBLE = 0.05
LEVEL = 0.01
KNOWN = 0.1
"""Where fewer training rows than that are not what the model would say, it is sure of what it has
seen, and its probabilities elsewhere are not what they say."""

FAIR = 0.4
"""Score from which on what a model holds against a reference is worth reading."""

TURNED = 1.25
"""And where the eval loss rose by more than that from its lowest, it has grown far too sure."""

LINES_SHOWN = 5
LINES_KEPT = 20

_Rule = Callable[[Case], Iterable[Finding]]
_WEAK_FIT: tuple[_Rule, ...] = (
    diverged,
    unstable,
    learning_rate_too_high,
    learning_rate_too_low,
    undertrained_adapter,
    truncated_inputs,
)
_OTHERWISE_UNSURE: tuple[_Rule, ...] = (*_WEAK_FIT, memorised, missing_labels)


def still_hard(case: Case) -> Iterator[Finding]:
    """Training rows that many passes did not teach."""
    hardness, epochs = hardness_of(case), case.metric("epochs") or 0.0
    if hardness is None or not hardness.labels or epochs < PASSES:
        return
    trained, held = len(hardness.trained), len(hardness.held)
    ours, theirs = hardness.trained_above(NOT_SAID), hardness.held_above(NOT_SAID)
    if min(trained, held) < FEWEST or ours < MUCH * trained:
        return
    if not _is_as_hard(ours, trained, theirs, held) or not _is_fair(case):
        return
    if says_few(case) or _any_of((hard_training_rows, contradictions, *_WEAK_FIT), case):
        return
    lines = hardness.lines(NOT_SAID)
    yield Finding(
        FindingKind.LABEL_NOISE,
        "note",
        f"after {epochs:.2g} passes {of_all(ours, trained, 'measured training rows')} are still "
        f"not what the model would say, of the held-out rows {theirs} of {held}: nothing else is "
        "seen to hold the fit back, so some references may be wrong; the hardest are "
        + _lines(lines),
        {
            "hard_training_rows": ours,
            "training_rows": trained,
            "hard_held_out_rows": theirs,
            "held_out_rows": held,
            "epochs": epochs,
            "lines": _listed(lines[:LINES_KEPT]),
        },
        otherwise="too weak a fit does the same: if more passes or a larger adapter lower the "
        "training loss and the score rises with it, the references are right",
    )


def next_to_impossible(case: Case) -> Iterator[Finding]:
    """Held-out references that the model rules out, more of them than it could be sure of."""
    hardness = hardness_of(case)
    if hardness is None or hardness.labels < 2 or not _is_fair(case):
        return
    curve = case.eval_curve
    if len(curve) and curve.values[-1] > TURNED * min(curve.values):
        return
    if hardness.trained_above(NOT_SAID) < KNOWN * len(hardness.trained):
        return
    ruled_out = math.log((hardness.labels - 1) / IMPOSSIBLE)
    count, held = hardness.held_above(ruled_out), len(hardness.held)
    p = binomial_tail(count, held, IMPOSSIBLE)
    if p >= LEVEL or _trained_alike(hardness, ruled_out) or says_few(case):
        return
    if _any_of(_OTHERWISE_UNSURE, case):
        return
    trained = hardness.trained_above(ruled_out)
    yield Finding(
        FindingKind.LABEL_NOISE,
        "note",
        f"the model rules out {of_all(count, held, 'held-out references')}, giving each less than "
        f"{math.exp(-ruled_out):.1%}, where a model that is as sure as it is right rules out "
        f"{IMPOSSIBLE:.0%} at most ({chance(p)}); of its training rows it rules out {trained} of "
        f"{len(hardness.trained)}: some of these references may be wrong",
        {
            "ruled_out": count,
            "total": held,
            "training_rows_ruled_out": trained,
            "training_rows": len(hardness.trained),
            "p": p,
        },
        examples=ids_of(case, [row for value, row in hardness.held if value > ruled_out]),
        otherwise="rows of a kind that was not trained on get such probabilities too: read them",
    )


def binomial_tail(count: int, total: int, share: float) -> float:
    """The chance of `count` or more of `total` where each has the chance `share`."""
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
    """Whether the share of hard training rows is surely above AS_HARD of the held-out ones'
    (Newcombe's interval of a difference, from Wilson's of the two shares)."""
    a, b = ours / trained, theirs / held
    half = math.hypot(a - wilson(ours, trained)[0], AS_HARD * (wilson(theirs, held)[1] - b))
    return a - AS_HARD * b > half


def _is_fair(case: Case) -> bool:
    """Whether the run made a model of which more can be expected than of a bad one."""
    return has_learned(case) and knows_task(case) and (case.metric("score") or 0.0) >= FAIR


def _trained_alike(hardness: Hardness, ruled_out: float) -> bool:
    """Whether the training rows are ruled out too often as well: then it is no matter of eval."""
    count, total = hardness.trained_above(ruled_out), len(hardness.trained)
    return wilson(count, total)[0] > IMPOSSIBLE


def _any_of(rules: Iterable[_Rule], case: Case) -> bool:
    return any(each.severity != "note" for rule in rules for each in rule(case))


def _lines(lines: list[int]) -> str:
    return f"line {lines[0]}" if len(lines) == 1 else f"lines {_listed(lines[:LINES_SHOWN])}"


def _listed(lines: list[int]) -> str:
    return ", ".join(map(str, lines))


RULES = (still_hard, next_to_impossible)
