"""Findings on training rows that differ from evaluation rows, from the audit of the run's data.

exchanged_columns  the training prompts look like references, and the references like prompts.
poor_prompts       few different prompts, which have several references each.
references_differ  both sides write their references in another form, or use other label names.
prompts_differ     both sides write their prompts in another form.
answer_in_prompt   the prompt contains the reference, on one side or on both.
other_vocabulary   the evaluation is about something else: its words are not those of training.
unbalanced_labels  one label has far more of the rows of one side than of the other.

A run of an earlier version recorded no audit; nothing is claimed about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING

from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Figure, Finding, Severity
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import (
    SPELLED_ALIKE,
    audited_labels,
    form_of,
    named,
)
from tui_loop.core.scoring import normalised
from tui_loop.core.text.figures import of_all
from tui_loop.core.text.untrusted import one_line

if TYPE_CHECKING:
    from tui_loop.core.audit.structs import Affix, Count, DataAudit, Difference, LabelPair, Texts

NEARLY_ALL = 0.9
MOST, WORTH, MENTIONED = 0.5, 0.25, 0.1
"""Shares of the rows of a side. From MOST on, a difference alone explains a low score. From
WORTH on, it is worth acting on, and from MENTIONED on, it is mentioned."""

LENGTHS_APART = 3.0
"""The factor between the median lengths of both sides from which on they differ in kind."""

LEAST_APART = 20
"""Characters; medians that are nearer to one another do not differ in kind."""

UNSEEN = 0.25
"""The share of the evaluation's words that training lacks, from which on they are other texts."""

BEYOND_CHANCE = 3.0
"""How many times as far apart the words of both sides are as those of random training rows."""

OVER = 0.25
"""How much more of the training rows than of the evaluation rows one label has."""

_SHOWN = 60

_TRAITS = {"lines": "number of lines", "number": "number format"}
"""The words for traits whose name alone is not clear."""


def exchanged_columns(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training rows whose prompts and references look exchanged."""
    audit = _audit(facts)
    exchange = audit.exchange if audit is not None else None
    if exchange is None or not exchange.looks_exchanged:
        return
    swapped = exchange.prompts_as_references
    yield Finding(
        FindingKind.EXCHANGED_COLUMNS,
        "alarm",
        "prompts and references of the training rows look exchanged: "
        f"{of_all(swapped.count, swapped.of, 'training prompts')} equal an evaluation reference. "
        "With the training columns exchanged, the word frequencies of training and evaluation "
        f"would differ by {exchange.exchanged:.2f} bits instead of {exchange.straight:.2f}",
        {"straight": exchange.straight, "exchanged": exchange.exchanged, "rows": swapped.count},
    )


def poor_prompts(facts: IterationFacts) -> Iterator[Finding]:
    """Reports prompts that do not decide the answer: few different ones, with several references.

    Contradictions of a few rows are noise of the labels. Of much of both sides, they show that the
    prompt lacks what the answer depends on.
    """
    audit = _audit(facts)
    if audit is None:
        return
    sides = (audit.duplicates.train, audit.duplicates.eval)
    counts = [each.conflicting for each in sides if each is not None]
    if len(counts) < 2 or any(each is None or each.share < WORTH for each in counts):
        return
    train, held = (each for each in counts if each is not None)
    split = facts.splits.get("train")
    unused = split.unused if split is not None else ()
    yield Finding(
        FindingKind.POOR_PROMPTS,
        "alarm",
        "the prompts do not determine the answer: "
        f"{of_all(train.count, train.of, 'training rows')} and "
        f"{of_all(held.count, held.of, 'evaluation rows')} have a prompt that recurs with a "
        "different reference"
        + (f"; unused column{'s' if len(unused) > 1 else ''}: {named(unused)}" if unused else ""),
        {"train": train.count, "eval": held.count, "unused": ", ".join(unused)},
        examples=held.examples,
        otherwise="random labels have the same effect",
    )


def references_differ(facts: IterationFacts) -> Iterator[Finding]:
    """Reports references that both sides write differently, by label names or by form."""
    audit = _audit(facts)
    if audit is None:
        return
    names = list(_label_names(facts, audit))
    if names:
        yield from names
        return
    texts = audit.references.texts if audit.references is not None else None
    if texts is None:
        return
    differences = [each for each in texts.differences if _matters(each, facts)]
    labels = {normalised(each.label) for each in audit.labels.counts} if audit.labels else set()
    parts = [*_length_parts(texts), *_affix_parts(texts, labels), *_trait_parts(differences)]
    if parts:
        yield _form_finding(FindingKind.REFERENCES_DIFFER, "references", parts)


def prompts_differ(facts: IterationFacts) -> Iterator[Finding]:
    """Reports prompts that both sides write differently: template, context, form, length."""
    audit = _audit(facts)
    prompts = audit.prompts if audit is not None else None
    if prompts is None:
        return
    parts = [
        *_count_parts("a system text", prompts.with_system.train, prompts.with_system.eval),
        *_count_parts("earlier turns", prompts.with_history.train, prompts.with_history.eval),
        *_affix_parts(prompts.texts),
        *_length_parts(prompts.texts),
        *_trait_parts(prompts.texts.differences),
    ]
    system = prompts.system
    if system.train is not None and system.eval is not None:
        parts += _one_affix("the system text", system.train, "training", "evaluation")
    if parts:
        yield _form_finding(FindingKind.PROMPTS_DIFFER, "prompts", parts)


def answer_in_prompt(facts: IterationFacts) -> Iterator[Finding]:
    """Reports prompts that contain their reference."""
    audit = _audit(facts)
    if audit is None or audit.echo is None or audit.echo.train is None or audit.echo.eval is None:
        return
    train, held = audit.echo.train, audit.echo.eval
    given = train.found.share - train.by_chance.share
    wanted = held.found.share - held.by_chance.share
    if max(given, wanted) < WORTH or (_is_extraction(facts) and abs(given - wanted) < WORTH):
        return
    rows = (
        f"{of_all(train.found.count, train.found.of, 'training prompts')} and "
        f"{of_all(held.found.count, held.found.of, 'evaluation prompts')} contain their reference"
    )
    figures: dict[str, Figure] = {"train": train.found.count, "eval": held.found.count}
    if given - wanted >= WORTH:
        yield Finding(
            FindingKind.ANSWER_IN_PROMPT,
            "alarm" if given - wanted >= MOST else "warning",
            f"{rows}: training prompts give the answer away, so the model learns to copy it",
            {**figures, "side": "train"},
            examples=train.found.examples,
        )
    elif wanted - given >= WORTH:
        yield Finding(
            FindingKind.ANSWER_IN_PROMPT,
            "warning",
            f"{rows}: evaluation prompts give the answer away, so the score means little",
            {**figures, "side": "eval"},
            examples=held.found.examples,
            otherwise="in extraction tasks the prompt contains the answer; training prompts should "
            "then contain it, too",
        )
    else:
        yield Finding(
            FindingKind.ANSWER_IN_PROMPT,
            "warning" if facts.measured.metric == "label" else "note",
            f"{rows}: the score only measures copying",
            {**figures, "side": "both"},
            examples=held.found.examples,
            otherwise="in extraction tasks the prompt contains the answer",
        )


def other_vocabulary(facts: IterationFacts) -> Iterator[Finding]:
    """Reports an evaluation whose words are not those of training."""
    audit = _audit(facts)
    words = audit.vocabulary if audit is not None else None
    if words is None or words.by_chance is None:
        return
    apart, usual = words.divergence, words.by_chance
    if words.unseen_tokens.share < UNSEEN or apart < BEYOND_CHANCE * max(usual.mean, 1e-3):
        return
    shown = ", ".join(f'"{one_line(each, 20)}"' for each in words.unseen_words.examples[:3])
    yield Finding(
        FindingKind.OTHER_VOCABULARY,
        "alarm" if words.unseen_tokens.share >= MOST else "warning",
        f"{words.unseen_tokens.share:.0%} of the evaluation's words never occur in training (such "
        f"as {shown}), so the evaluation is about something else. Its word frequencies differ from "
        f"training by {apart:.2f} bits, against {usual.mean:.2f} for random training rows",
        {"unseen": words.unseen_tokens.share, "divergence": apart, "by_chance": usual.mean},
        otherwise="names and numbers that differ in every row also count as unseen words",
    )


def unbalanced_labels(facts: IterationFacts) -> Iterator[Finding]:
    """Reports the label whose share of the rows differs the most between both sides."""
    labels = audited_labels(facts)
    train, held = (sum(each.train for each in labels), sum(each.held for each in labels))
    both = [each for each in labels if each.train and each.held]
    if not both:
        return
    apart, most = max((abs(each.train / train - each.held / held), each) for each in both)
    if apart < OVER:
        return
    trained, wanted = most.train / train, most.held / held
    message = f"{of_all(most.train, train, 'training rows')} but "
    message += "only " if trained > wanted else ""
    message += f"{of_all(most.held, held, 'evaluation rows')} have the reference "
    message += f"{named([most.name])}, so "
    if trained > wanted:
        message += "the model learns to predict it too often"
        otherwise = "if real inputs are as unbalanced as training, the evaluation should be too"
    else:
        message += "the score mostly depends on a label with few training rows"
        otherwise = "if real inputs are as unbalanced as the evaluation, training should be too"
    yield Finding(
        FindingKind.UNBALANCED_LABELS,
        "alarm" if trained >= NEARLY_ALL else "warning",
        message,
        {"label": most.name, "train": round(trained, 3), "eval": round(wanted, 3)},
        otherwise=otherwise,
    )


def _audit(facts: IterationFacts) -> DataAudit | None:
    return facts.audit if facts.number else None


def _is_extraction(facts: IterationFacts) -> bool:
    return facts.measured.metric == "contains"


def _label_names(facts: IterationFacts, audit: DataAudit) -> Iterator[Finding]:
    """Yields the finding on label names that only one side uses for a class of both."""
    labels = audit.labels
    if labels is None:
        return
    names = audited_labels(facts)
    only_train = [each for each in names if not each.held]
    only_held = [each for each in names if not each.train]
    if not only_train or not only_held:
        return
    train, held = (sum(each.train for each in names), sum(each.held for each in names))
    missing = sum(each.held for each in only_held)
    share = min(missing / held, sum(each.train for each in only_train) / train)
    renamed = [each for each in labels.pairs if _is_renamed(facts, each)]
    if not renamed and share < WORTH:
        return
    if renamed:
        message = "training and evaluation name the same classes differently: "
        message += ", ".join(_pair_words(each) for each in renamed[:3])
    else:
        message = "training and evaluation use different references: only training has "
        message += f"{named([each.name for each in only_train])}, only the evaluation has "
        message += named([each.name for each in only_held])
    yield Finding(
        FindingKind.REFERENCES_DIFFER,
        "alarm" if share >= MOST else "warning" if share >= MENTIONED else "note",
        f"{message}; {of_all(missing, held, 'evaluation rows')} have a reference that no training "
        "row has",
        {"rows": missing, "total": held, "share": round(share, 3)},
        examples=labels.only_eval.rows.examples,
    )


def _is_renamed(facts: IterationFacts, pair: LabelPair) -> bool:
    """Returns whether each side uses one of both names, which score differently."""
    first, second = pair.first, pair.second
    if form_of(facts, first.label) == form_of(facts, second.label):
        return False
    return (not first.train and not second.eval) or (not second.train and not first.eval)


def _pair_words(pair: LabelPair) -> str:
    train, held = (
        (pair.first, pair.second)
        if pair.first.train and not pair.first.eval
        else (pair.second, pair.first)
    )
    return f"{named([train.label])} in training is {named([held.label])} in the evaluation"


def _matters(difference: Difference, facts: IterationFacts) -> bool:
    """Returns whether a difference of references can cost score.

    Most metrics ignore case, outer spaces and a full stop.
    """
    if facts.measured.metric not in SPELLED_ALIKE:
        return True
    if difference.trait == "last character":
        return difference.value not in (".", "letter")
    return difference.trait not in ("case", "leading white space", "trailing white space")


def _trait_parts(differences: Sequence[Difference]) -> list[tuple[float, str]]:
    """Returns (how far apart, text) of the traits that differ, each once."""
    found: dict[str, tuple[float, str]] = {}
    for each in differences:
        apart = abs(each.train - each.eval)
        if apart >= WORTH and each.trait not in found:
            found[each.trait] = (
                apart,
                f'{_TRAITS.get(each.trait, each.trait)} "{each.value}" in {each.train:.0%} of '
                f"training rows and {each.eval:.0%} of evaluation rows",
            )
    return list(found.values())


def _affix_parts(texts: Texts, labels: Set[str] = frozenset()) -> list[tuple[float, str]]:
    """Returns the starts and ends that only one side shares, except whole labels."""
    train, held = texts.form.train, texts.form.eval
    parts: list[tuple[float, str]] = []
    for side, own, other in (("training", train, "evaluation"), ("evaluation", held, "training")):
        if own is None:
            continue
        for what, affix in (("the start", own.start), ("the end", own.end)):
            if affix is not None and normalised(affix.text) not in labels:
                parts += _one_affix(what, affix, side, other)
    return parts


def _one_affix(what: str, affix: Affix, side: str, other: str) -> list[tuple[float, str]]:
    elsewhere = affix.elsewhere.share if affix.elsewhere is not None else 0.0
    apart = affix.rows.share - elsewhere
    if apart < WORTH:
        return []
    text = one_line(affix.text, _SHOWN)
    shares = f"{affix.rows.share:.0%} of {side} rows and {elsewhere:.0%} of {other} rows"
    return [(apart, f'{what} "{text}" in {shares}')]


def _length_parts(texts: Texts) -> list[tuple[float, str]]:
    train, held = texts.form.train, texts.form.eval
    if train is None or held is None:
        return []
    short, long = sorted((train.characters.median, held.characters.median))
    if long - short < LEAST_APART or long < LENGTHS_APART * max(1, short):
        return []
    return [
        (
            1.0 - short / long,
            f"a median length of {train.characters.median} characters in training and "
            f"{held.characters.median} in the evaluation",
        )
    ]


def _count_parts(what: str, train: Count | None, held: Count | None) -> list[tuple[float, str]]:
    if train is None or held is None or abs(train.share - held.share) < WORTH:
        return []
    return [
        (
            abs(train.share - held.share),
            f"{what} in {train.share:.0%} of training rows and {held.share:.0%} of evaluation rows",
        )
    ]


def _form_finding(kind: FindingKind, what: str, parts: list[tuple[float, str]]) -> Finding:
    ordered = sorted(parts, key=lambda each: -each[0])
    apart = ordered[0][0]
    severity: Severity = "alarm" if apart >= NEARLY_ALL else "warning" if apart >= MOST else "note"
    return Finding(
        kind,
        severity,
        f"{what} differ in form between training and evaluation: "
        + "; ".join(text for _, text in ordered[:3]),
        {"apart": round(apart, 3), "differences": len(ordered)},
        otherwise="a capable model can cope with a small difference",
    )
