"""What nothing explains, and what an experiment shows.

unexplained  the score is low, or much of the loss is left, and no finding names a cause.
experiment   the iteration was run to separate two explanations, and shows which one is left.

An experiment is a run that the diagnosis suggested for an unexplained result. Its outcome is read
from the record alone, by the name of the suggestion in its decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tui_loop.core.diagnosis.explaining import OUTPUTS, RESULTS, is_exact
from tui_loop.core.diagnosis.facts import IterationFacts, metric_of
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind
from tui_loop.core.diagnosis.rules.common import LOW_SCORE, has_much_left
from tui_loop.core.diagnosis.rules.generalization import BY_HEART
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.slices import labels_in
from tui_loop.core.stats import wilson
from tui_loop.core.text import figures

LEARNED = "learned"
"""The symptom of a good loss with a bad score; the other one is `left`."""

SURE, MOSTLY = 0.1, 3.0
"""Nats of a token that a model is nearly certain of; and how many times as large a loss as all
others is most of the loss."""

ABOVE_COMMONEST = 0.15
"""How much more than the share of the commonest label a model that has learned something scores."""

MEMORIZED = 5 * BY_HEART
"""Nats per token of rows that were seen often: below, the model can learn them."""

NO_CAUSES = RESULTS | {FindingKind.LEAKAGE, FindingKind.DUPLICATES}
"""Findings that do not explain a low score, or a high loss."""

FORM = frozenset(
    (FindingKind.NO_END_TOKEN, FindingKind.FORMAT_ERRORS, FindingKind.TRUNCATED_OUTPUTS)
)
"""Findings on how outputs end and look."""

EXPERIMENTS = frozenset(
    (
        SuggestionKind.OVERFIT_FEW,
        SuggestionKind.SMALLER_RATE,
        SuggestionKind.LARGER_RATE,
        SuggestionKind.ON_TRAINING_ROWS,
    )
)


def unexplained(facts: IterationFacts, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Reports a bad result where no finding that is more than a note names a cause."""
    is_left, score = has_much_left(facts), facts.metric("score")
    # Where the loss is good, how outputs end and look explains a score; else it follows.
    follows = NO_CAUSES | OUTPUTS if is_left else NO_CAUSES | OUTPUTS - FORM
    causes = [
        each.kind
        for each in findings
        if each.severity != "note" and (is_exact(each) or each.kind not in follows)
    ]
    if causes or not facts.number or facts.iteration.state != "finished":
        return
    if is_left:
        loss, base = facts.metric("eval_loss"), metric_of(facts.base, "eval_loss")
        what = f"the eval loss is still {figures.loss(loss)}" + (
            f" ({100 * loss / base:.0f}% of the base model's)" if loss and base else ""
        )
        symptom, kind = f"the run learned little: {what}", "left"
        rest = "the step size, rows that contradict one another, or too small an adapter"
    elif score is not None and _is_surely_low(facts, score):
        loss = facts.metric("eval_loss")
        symptom = f"the score is only {figures.percent(score)} although the eval loss is low"
        symptom += f" ({figures.loss(loss)})"
        kind = LEARNED
        rest = "evaluation rows that are unlike the training rows, wrong references, or too few "
        rest += "training rows"
    else:
        return
    yield Finding(
        FindingKind.UNEXPLAINED,
        "warning",
        f"{symptom}, and nothing in the record explains this{_place_words(facts)}",
        {"symptom": kind},
        otherwise=f"the cause may be {rest}; an experiment would show which",
    )


def _place_words(facts: IterationFacts) -> str:
    """Returns where the loss is if one place has most of it, or that the facts are missing.

    "" where no place has.
    """
    if facts.audit is None:
        return "; the record lacks a comparison of training and evaluation rows"
    places = facts.recorded.losses if facts.recorded is not None else None
    if places is None:
        return ""
    if max(places.first, places.between or 0.0, places.last) < SURE:
        return (
            "; the model is nearly certain of every reference token, so the cause is probably how "
            "outputs are generated or scored"
        )
    rest = max(places.between or 0.0, places.last)
    if places.first > MOSTLY * rest:
        return f"; most of the loss is in the first token of an answer ({places.first:.2g} nats)"
    if places.last > MOSTLY * max(places.first, places.between or 0.0):
        return f"; most of the loss is in the token that ends an answer ({places.last:.2g} nats)"
    return ""


def _is_surely_low(facts: IterationFacts, score: float) -> bool:
    """Returns whether the score is low, even if the evaluation rows were unlucky ones.

    It is also low where the commonest answer alone would reach nearly as much.
    """
    total = round(facts.effective_total)
    limit = max(LOW_SCORE, _commonest(facts) + ABOVE_COMMONEST)
    return total > 0 and wilson(round(score * total), total)[1] < limit


def _commonest(facts: IterationFacts) -> float:
    """Returns the share of the commonest label among the references, 0 without labels."""
    label_of = labels_in(facts.view.table.references) if facts.view is not None else {}
    if facts.view is None or not label_of:
        return 0.0
    counts = Counter(label_of[each] for each in facts.view.table.references)
    return counts.most_common(1)[0][1] / counts.total()


def experiment(facts: IterationFacts) -> Iterator[Finding]:
    """Reads the outcome of an experiment."""
    kind = experiment_of(facts)
    if kind is None or facts.parent is None:
        return
    parent = facts.parent.number
    if kind == SuggestionKind.OVERFIT_FEW:
        outcome, text = _overfitting(facts)
    elif kind == SuggestionKind.ON_TRAINING_ROWS:
        outcome, text = _on_training_rows(facts)
    else:
        outcome, text = _other_rate(facts, kind)
    if not outcome:
        return
    yield Finding(
        FindingKind.EXPERIMENT,
        "warning",
        f"experiment on iteration {parent}: {text}",
        {"experiment": kind, "outcome": outcome, "parent": parent},
        iterations=(parent,),
    )


def experiment_of(facts: IterationFacts) -> str | None:
    """Returns the kind of the experiment that this iteration is, None where it is none."""
    try:
        name = facts.folder.read_decision().suggestion or ""
    except (BadInput, OSError):
        return None
    finding, _, kind = name.partition("/")
    return kind if finding == FindingKind.UNEXPLAINED and kind in EXPERIMENTS else None


def _overfitting(facts: IterationFacts) -> tuple[str, str]:
    loss = facts.metric("train_rows_loss")
    if loss is None:
        loss = facts.train_curve.values[-1] if len(facts.train_curve) else None
    if loss is None:
        return "", ""
    seen = f"trained many times on a few rows, the model reaches a loss of {figures.loss(loss)}"
    if loss < MEMORIZED:
        return "rows", (
            f"{seen}. The model can learn rows with these settings, so the cause is in the rows: "
            "they contradict one another, or are too varied for so few epochs"
        )
    return "settings", (
        f"{seen}. Even these rows were not learned, so the cause is in the settings: the step "
        "size, the adapter, or the tokens that count in the loss"
    )


def _on_training_rows(facts: IterationFacts) -> tuple[str, str]:
    score = facts.metric("score")
    if score is None:
        return "", ""
    seen = f"on training rows the score is {figures.percent(score)}"
    if score >= LOW_SCORE:
        return "rows", (
            f"{seen}. The model does what it was trained to do, so the evaluation rows differ from "
            "the training rows or are wrong, or there are too few training rows"
        )
    return "measuring", (
        f"{seen}. The model fails on rows that it was trained on, so the cause is in how outputs "
        "are generated and scored, or in references that contradict one another"
    )


def _other_rate(facts: IterationFacts, kind: str) -> tuple[str, str]:
    against = facts.against_parent
    if against is None:
        return "", ""
    word = "smaller" if kind == SuggestionKind.SMALLER_RATE else "larger"
    if "better" in against.claim:
        return "rate", (
            f"a {word} learning rate did better ({against.change_words}), so the learning rate was "
            "the cause"
        )
    return "not the rate", (
        f"a {word} learning rate did no better ({against.claim}), so the learning rate is not the "
        "cause"
    )
