"""Findings on outputs: a wrong form, labels given too often, groups that fail more than the rest.

format_errors  failures that have the right content in another form, are no valid JSON where JSON is
               wanted, or contain none of the labels.

class_bias  few of the labels make up the outputs, or some make up much of them, and one of them is
            given far more often than it should be. The exact test of marginal homogeneity decides
            (McNemar: outputs with the label by mistake against rows of the label with another
            output), adjusted over all labels (Holm).

confused_labels  labels that nearly always get one other label, by a model that learned its rows.

weak_slice  a label, a length, a column's value or words of the prompt. Not reported where the model
            gives few labels at all, nor for a label without training rows: other findings report
            these.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tui_loop.core.clusters import clusters_at
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import (
    LEFT_STANDING,
    chance,
    hardest,
    has_learned,
    ids_of,
    knows_task,
    named,
    with_cause,
)
from tui_loop.core.diagnosis.rules.training_data import trained_on
from tui_loop.core.examples.cause_kinds import Cause
from tui_loop.core.examples.slices import ALIKE, Slice, find_slices, labels_in
from tui_loop.core.examples.table import FAILED, UNSCORED
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.paired_stats import sign_flip
from tui_loop.core.reasoning import answer_of
from tui_loop.core.scoring import label_reader, normalised, pure_scorer
from tui_loop.core.stats import holm
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line

FEWEST = 5
"""The least number of rows for a finding: fewer are an anecdote."""

WORTH_FORMAT = 0.1
"""The least share of the failures for form to be a reason of its own."""

MUCH = 0.2
MOST = 0.5
"""Shares for the severity. MUCH of the failures is a warning. MOST of the failures is an alarm
where that is also MUCH of the scored rows."""

_JSON = ("json_valid", "json_match")
_SHOWN = 40
_SCORER = pure_scorer("json_valid", (), None)
_OTHER_REASON = {Cause.TRUNCATED_OUTPUT.value, Cause.EMPTY.value, Cause.REFUSAL.value}
"""Causes that explain why an output contains no label."""


def format_errors(facts: IterationFacts) -> Iterator[Finding]:
    """Reports failures by form: right content in another form, broken JSON, or no label."""
    view = facts.view if facts.number else None
    if view is None or not (has_learned(facts) or knows_task(facts)):
        return
    scored, failed = len(view) - view.passed.count(UNSCORED), view.passed.count(FAILED)
    other = with_cause(facts, Cause.FORMAT, Cause.NEAR_MISS)
    is_json = facts.measured.metric in _JSON
    if is_json:
        other = hardest(facts, [row for row in range(len(view)) if _is_broken_json(view, row)])
    if len(other) >= max(FEWEST, WORTH_FORMAT * failed):
        is_alarming = len(other) > MOST * failed and len(other) > MUCH * scored
        is_much = len(other) >= MUCH * failed
        what = "are not plain JSON" if is_json else "have the right content in a different form"
        yield Finding(
            FindingKind.FORMAT_ERRORS,
            "alarm" if is_alarming else "warning" if is_much else "note",
            f"{len(other)} of {counted(failed, 'failed output')} {what}, for instance "
            f"{_instance(facts, other[0])}",
            {"outputs": len(other), "failed": failed, "total": scored},
            examples=ids_of(facts, other),
            otherwise="the metric may be stricter than the task requires",
        )
    nameless = [
        row
        for row in with_cause(facts, Cause.OUT_OF_VOCABULARY)
        if _OTHER_REASON.isdisjoint(view.causes[row])
    ]
    if len(nameless) >= max(FEWEST, WORTH_FORMAT * failed):
        yield Finding(
            FindingKind.FORMAT_ERRORS,
            "warning" if len(nameless) >= MUCH * failed and knows_task(facts) else "note",
            f"{len(nameless)} of {counted(failed, 'failed output')} contain none of the "
            f"{len(facts.measured.labels)} labels, for instance {_instance(facts, nameless[0])}",
            {"outputs": len(nameless), "failed": failed, "total": scored},
            examples=ids_of(facts, nameless),
            otherwise="a model that has not learned the labels yet has the same failures",
        )


def _is_broken_json(view: ExampleView, row: int) -> bool:
    """Returns whether an output that was not cut failed and is no valid JSON."""
    if view.passed[row] != FAILED:
        return False
    example = view.table[row]
    is_json = _SCORER is not None and _SCORER.score(example.output or "", "") > 0
    return not example.truncated and not is_json


def _instance(facts: IterationFacts, row: int) -> str:
    view = facts.view
    assert view is not None
    example = view.table[row]
    said = one_line(answer_of(example.output), _SHOWN)
    return f'"{said}" instead of "{one_line(example.reference, _SHOWN)}"'


NEARLY = 0.8
"""The share of a label's outputs that say one other label, from which on this is systematic."""

WORTH_CONFUSED = 0.1
"""The share of the scored rows from which on such labels are worth acting on."""


def confused_labels(facts: IterationFacts) -> Iterator[Finding]:
    """Reports labels that nearly always get one other label, by a model that learned its rows."""
    view = facts.view if facts.number else None
    if view is None or not _knows_its_rows(facts):
        return
    label_of = labels_in(view.table.references)
    read = label_reader(sorted(set(label_of.values())))
    said_for: dict[str, Counter[str]] = defaultdict(Counter)
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, example in enumerate(view.table):
        wanted = label_of.get(example.reference)
        if wanted is None or view.passed[row] == UNSCORED:
            continue
        said = read(example.output or "")
        said_for[wanted][said or ""] += 1
        rows_of[wanted].append(row)
    tops = {wanted: said.most_common(1)[0] for wanted, said in said_for.items()}
    trained = trained_on(facts)
    confused = {
        wanted: said
        for wanted, (said, count) in tops.items()
        if said not in ("", wanted)
        and count >= max(FEWEST, NEARLY * len(rows_of[wanted]))
        and trained.get(wanted, 1)
    }
    scored = sum(map(len, rows_of.values()))
    rows = [row for wanted in confused for row in rows_of[wanted]]
    if not confused or len(rows) < WORTH_CONFUSED * scored:
        return
    if 2 * len({said for said, _ in tops.values()}) <= len(tops):
        return  # the model uses few labels at all: that is no confusion of two of them
    pairs = "; ".join(
        f"{named([wanted])} is predicted as {named([said])} in {said_for[wanted][said]} of "
        f"its {len(rows_of[wanted])} rows"
        for wanted, said in sorted(confused.items())[:3]
    )
    yield Finding(
        FindingKind.CONFUSED_LABELS,
        "warning",
        f"the model learned its training rows, but nearly always confuses some labels: {pairs}. "
        "Training and evaluation data probably label these classes differently",
        {"labels": len(confused), "rows": len(rows), "total": scored},
        examples=ids_of(facts, rows),
        otherwise="classes that differ in only a few words are easily confused, too",
    )


def _knows_its_rows(facts: IterationFacts) -> bool:
    loss = facts.metric("train_rows_loss")
    return loss is not None and loss < LEFT_STANDING


FEW = 2 / 3
"""The number of labels given, relative to the number of labels wanted, up to which they count as
few. Both numbers are 2 to the power of the entropy of the shares in bits. A model that errs evenly
keeps more than nine tenths, also at a score of one half."""

TOO_MANY = 0.15
"""The share of all outputs by which over-used labels exceed their due, from which on they are worth
acting on even where all labels are still given."""

LEVEL = 0.01
NEARLY_ALL = 0.9
NAMING = 0.5
"""The least share of outputs that contain a label. With fewer, the missing labels are the fault."""


def _unbalanced(
    view: ExampleView, pairs: Sequence[tuple[int, str, str]], names: Sequence[str]
) -> list[float]:
    """Returns for each label the p-value that it is given and missed by mistake equally often.

    McNemar's test, or over conversations with several answers the sign-flip test.
    """
    numbers = clusters_at(view.table.clusters, [row for row, _, _ in pairs])
    changes: dict[str, Counter[int]] = {name: Counter() for name in names}
    for place, (_, wanted, said) in enumerate(pairs):
        if said != wanted:
            number = place if numbers is None else numbers[place]
            changes[said][number] -= 1
            if wanted in changes:
                changes[wanted][number] += 1
    return [sign_flip(changes[name].values()) for name in names]


def class_bias(facts: IterationFacts) -> Iterator[Finding]:
    """Reports labels that the model gives far more often than it should."""
    view = facts.view
    if view is None or not facts.measured.labels or not has_learned(facts):
        return
    label_of = {normalised(each): each for each in facts.measured.labels}
    read = label_reader(facts.measured.labels)
    known: dict[str, str | None] = {}  # many rows share a few outputs: each is read once
    pairs: list[tuple[int, str, str]] = []
    scored = 0
    for row, example in enumerate(view.table):
        wanted = label_of.get(normalised(example.reference))
        if view.passed[row] == UNSCORED or wanted is None:
            continue
        scored += 1
        output = example.output or ""
        if output not in known:
            known[output] = read(output)
        said = known[output]
        if said is not None:
            pairs.append((row, wanted, said))
    if len(pairs) < NAMING * scored or not labels_in([wanted for _, wanted, _ in pairs]):
        return
    wanted_counts = Counter(wanted for _, wanted, _ in pairs)
    said_counts = Counter(said for _, _, said in pairs)
    few, due = _spread(said_counts), _spread(wanted_counts)
    names = sorted(said_counts)
    wrongly = Counter(said for _, wanted, said in pairs if said != wanted)
    missed = Counter(wanted for _, wanted, said in pairs if said != wanted)
    p_values = holm(_unbalanced(view, pairs, names))
    over = sorted(
        (p, -wrongly[name], name)
        for p, name in zip(p_values, names, strict=True)
        if p < LEVEL and wrongly[name] > missed[name]
    )
    if not over:
        return
    p, _, top = over[0]
    too_many = sum(said_counts[name] - wanted_counts[name] for _, _, name in over)
    if few > FEW * due and too_many < TOO_MANY * len(pairs):
        return
    never = sorted(wanted_counts.keys() - said_counts.keys())
    is_all = said_counts[top] >= NEARLY_ALL * len(pairs)
    message = (
        "the model gives nearly every row the same label:"
        if is_all
        else "the model uses some labels too often:"
    )
    message = message if is_all or few > FEW * due else "the model uses few labels:"
    message += f" {named([top])} in {said_counts[top]} of {len(pairs)} outputs, but in only "
    message += f"{wanted_counts[top]} of the references ({chance(p)})"
    if len(over) > 1:
        message += f". {named([name for _, _, name in over[1:]], 2)} "
        message += f"{'is' if len(over) == 2 else 'are'} used too often as well"
    if never:
        verb = "is" if len(never) == 1 else "are"
        message += f". {len(never)} of {len(wanted_counts)} labels {verb} never used: "
        message += named(never)
    wrong = [row for row, wanted, said in pairs if said == top != wanted]
    yield Finding(
        FindingKind.CLASS_BIAS,
        "warning",
        message,
        {
            "label": top,
            "said": said_counts[top],
            "due": wanted_counts[top],
            "labels_said": round(few, 3),
            "labels_due": round(due, 3),
            "never_said": len(never),
            "p": p,
        },
        examples=ids_of(facts, hardest(facts, wrong)),
        otherwise="too few steps or too high a learning rate also make a model use few labels",
    )


def says_few(facts: IterationFacts) -> bool:
    """Returns whether few labels make up the outputs, which explains the labels that fail."""
    return any(
        float(each.figures["labels_said"]) <= FEW * float(each.figures["labels_due"])
        for each in class_bias(facts)
    )


def _spread(counts: Counter[str]) -> float:
    """Returns how many equally common labels would be as varied: the exponential of the entropy."""
    total = counts.total()
    shares = [count / total for count in counts.values() if count]
    return math.exp(-math.fsum(share * math.log(share) for share in shares))


TOLD = 3
"""The most weak slices that are reported, the surest first. The list of failures has more."""

WORTH_SLICE, SURE_SLICE = 0.3, 1e-3
"""A slice is worth acting on where it exceeds the usual rate by this share of all failures, and the
p-value is below SURE_SLICE: the weakest of many slices is always somewhat weak."""

_LENGTHS = ("prompt length", "reference length")
_NAME = 40


def weak_slice(facts: IterationFacts) -> Iterator[Finding]:
    """Reports groups of examples that fail more than the rest."""
    view = facts.view
    if view is None or not has_learned(facts) or says_few(facts):
        return
    missing = {label for label, count in trained_on(facts).items() if not count}
    found = find_slices(view.annotated_examples(), facts.measured.labels)
    weak = [each for each in found.weak if each.kind != "label" or each.name not in missing]
    for each in _distinct(weak)[:TOLD]:
        usual = each.elsewhere_failed / max(1, each.elsewhere_total)
        beyond = each.failed - each.total * usual
        failures = each.failed + each.elsewhere_failed
        failed = [row for row in each.indices if view.passed[row] == FAILED]
        yield Finding(
            FindingKind.WEAK_SLICE,
            "warning"
            if beyond >= WORTH_SLICE * failures and each.p_adjusted < SURE_SLICE
            else "note",
            _sentence(each),
            {
                "slice": f"{each.kind}: {each.name}",
                "failed": each.failed,
                "total": each.total,
                "elsewhere_failed": each.elsewhere_failed,
                "elsewhere_total": each.elsewhere_total,
                "p": each.p_adjusted,
                "tested": found.tested,
            },
            examples=ids_of(facts, hardest(facts, failed)),
            otherwise=""
            if each.kind == "label"
            else "the reason may be a label or a length that these examples share",
        )


def _distinct(weak: Sequence[Slice]) -> list[Slice]:
    """Keeps the surest of slices with nearly the same rows; of equally sure ones, a length last."""
    kept: list[Slice] = []
    for each in sorted(weak, key=lambda each: (each.p, each.kind in _LENGTHS)):
        rows = set(each.indices)
        if all(len(rows & {*k.indices}) < ALIKE * len(rows | {*k.indices}) for k in kept):
            kept.append(each)
    return kept


def _sentence(each: Slice) -> str:
    text = f"{each.failed} of {each.total} examples with {_subject(each)} fail, against "
    text += f"{each.elsewhere_failed} of {each.elsewhere_total} others ({chance(each.p_adjusted)})"
    if each.said:
        name, count = each.said[0]
        verb = "was" if count == 1 else "were"
        what = "had no label in the output"
        if name is not None:
            what = f"{verb} predicted as {named([name])}"
        text += f"; {count} of the {each.failed} failures {what}"
    return text


def _subject(each: Slice) -> str:
    name = one_line(each.name, _NAME)
    match each.kind:
        case "label":
            return f'the label "{name}"'
        case "words":
            return f'"{name}" in the prompt'
        case "column":
            return name
        case _:
            return f"a {name}"
