"""Findings on training data: rows that training hardly covers, and rows that occur repeatedly.

data_gap  labels of evaluation rows that no training row has, or that hardly any has and that fail
          for it; failures without a similar row among the measured training rows, more often than
          passed rows.

duplicates  training rows with the input of another training row.
leakage     evaluation rows whose input was trained on: exactly, by the index of all rows, or
            nearly, as far as the measured training rows show it.

Row ids show equal inputs only where they are hashes of the input, not ids from the data itself.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from statistics import median

from tui_loop.core.data.rows import Row
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import EXAMPLES_KEPT, Figure, Finding, Severity
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import (
    OutcomeTest,
    chance,
    hardest,
    has_learned,
    ids_of,
    named,
)
from tui_loop.core.examples.slices import labels_in
from tui_loop.core.examples.table import FAILED, PASSED, UNSCORED
from tui_loop.core.examples.tfidf_index import SIMILAR, TrainingIndex
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.preflight.near_duplicates import overlap_of
from tui_loop.core.record.files import short_hash
from tui_loop.core.scoring import normalised
from tui_loop.core.stats import benjamini_hochberg, wilson
from tui_loop.core.text.figures import counted, of_all

RARE = 0.25
"""A label with less than this share of the median label's training rows is rare."""

MUCH_WANTED = 0.2
"""The share of the evaluation rows with a label without training rows from which on the score says
little about the rest."""

LEVEL = 0.05
FAR_LEVEL = 0.01
"""Stricter than LEVEL, since similarity depends on other things (length, wording) as well."""

SURE = 1e-3
"""Rows that are merely alike are a leak only where they certainly pass more often."""

FAR_SHARE = 0.2
"""The least share of failures far from training. With fewer, most failures have another reason."""

MOST_FAR = 0.5
"""From this share of the failures on, nothing else needs to explain them."""

FEWEST_TRAINED = 20
"""The least number of measured training rows in which similar rows are searched."""

LOOKED_AT = 250
"""The most evaluation rows whose nearest training rows are searched, at even distances: about a
second."""


def missing_labels(facts: IterationFacts) -> Iterator[Finding]:
    """Reports labels of evaluation rows that no training row has."""
    view = facts.view
    counts = trained_on(facts) if facts.number else {}
    if view is None or not counts or not any(counts.values()):
        return
    rows = _rows_by_label(view)
    missing = sorted((label for label, count in counts.items() if not count))
    if missing:
        wanted = [row for label in missing for row in rows[label]]
        scored, failed = _failures(view, wanted)
        text = f"; {failed} of {scored} such rows fail" if scored else ""
        yield Finding(
            FindingKind.DATA_GAP,
            "alarm" if len(wanted) >= MUCH_WANTED * len(view) else "warning",
            f"{of_all(len(wanted), len(view), 'held-out rows')} have a reference that no training "
            f"row has ({named(missing)}){text}",
            {
                "labels": ", ".join(missing),
                "rows": len(wanted),
                "total": len(view),
                "failed": failed,
            },
            examples=ids_of(facts, hardest(facts, wanted)),
        )


def rare_labels(facts: IterationFacts) -> Iterator[Finding]:
    """Reports labels with few training rows that fail more often than the rest."""
    view = facts.view
    counts = trained_on(facts) if has_learned(facts) else {}
    if view is None or not any(counts.values()):
        return
    usual = median(counts.values())
    rare = [label for label, count in counts.items() if 0 < count < RARE * usual]
    rows = _rows_by_label(view)
    everything = _failures(view, range(len(view)))
    test = OutcomeTest(view)
    tested = []
    for label in rare:
        scored, failed = _failures(view, rows[label])
        rest = everything[1] - failed, everything[0] - scored
        tested.append((test.p_value(rows[label]), label, failed, scored, rest))
    adjusted = benjamini_hochberg([each[0] for each in tested])
    for p, (_, label, failed, scored, rest) in sorted(zip(adjusted, tested, strict=True)):
        usually = rest[0] / max(1, rest[1])
        if p < LEVEL or failed > usually * scored:
            yield Finding(
                FindingKind.DATA_GAP,
                "warning" if p < LEVEL else "note",
                f"label {named([label])} has {counted(counts[label], 'training row')} (usually "
                f"{usual:.0f} per label); {failed} of its {counted(scored, 'example')} fail, "
                f"against {rest[0]} of {rest[1]} others ({chance(p)})",
                {
                    "label": label,
                    "train_rows": counts[label],
                    "usual_train_rows": usual,
                    "failed": failed,
                    "scored": scored,
                    "elsewhere_failed": rest[0],
                    "elsewhere_scored": rest[1],
                    "p": p,
                },
                examples=ids_of(facts, hardest(facts, _failed(view, rows[label]))),
                otherwise="a rare label may also be a harder one"
                if p < LEVEL
                else "this may be chance: the label has few held-out rows",
            )


def far_failures(facts: IterationFacts) -> Iterator[Finding]:
    """Reports failures without similar training rows, except those of missing labels."""
    view, rows = facts.view, facts.training_rows
    if view is None or len(rows) < FEWEST_TRAINED or not has_learned(facts):
        return
    counts = trained_on(facts)
    label_of = labels_in(view.table.references)
    scored = [
        row
        for row, outcome in enumerate(view.passed)
        if outcome != UNSCORED and counts.get(label_of.get(view.table.references[row], ""), 1)
    ]
    scored = scored[:: max(1, -(-len(scored) // LOOKED_AT))]
    index = TrainingIndex([Row(r.id, r.prompt, r.reference, r.source_line) for r in rows])
    far = {row for row in scored if _is_far(index, view.table[row].prompt)}
    failed = {row for row in scored if view.passed[row] == FAILED}
    far_failed, near_failed = len(far & failed), len(failed - far)
    near = len(scored) - len(far)
    if not far or not near or far_failed < FAR_SHARE * len(failed):
        return
    p = OutcomeTest(view, among=scored).p_value(far)
    if p >= FAR_LEVEL:
        return
    measured, total = len(rows), rows[0].sampled_of
    where = "training row"
    if measured < total:
        where = f"row among the {measured:,} measured training rows"
    yield Finding(
        FindingKind.DATA_GAP,
        "alarm" if far_failed >= MOST_FAR * len(failed) else "warning",
        f"{far_failed} of {counted(len(far), 'example')} without a similar {where} fail, against "
        f"{near_failed} of {near} others ({chance(p)})",
        {
            "far_failed": far_failed,
            "far": len(far),
            "near_failed": near_failed,
            "near": near,
            "measured": measured,
            "train_rows": total,
            "similarity_below": SIMILAR,
            "p": p,
        },
        examples=ids_of(facts, hardest(facts, sorted(far & failed))),
        otherwise="prompts with unusual words may be harder anyway"
        + ("" if measured >= total else "; a training row that was not measured may be similar"),
    )


def trained_on(facts: IterationFacts) -> dict[str, int]:
    """Returns the number of training rows by label of the evaluation rows.

    {} where references are no labels, or where the training rows are not indexed.
    """
    view = facts.view
    label_of = labels_in(view.table.references) if view is not None else {}
    if not label_of:
        return {}
    counts = _audited(facts)
    if all(normalised(label) in counts for label in label_of.values()):
        return {label: counts[normalised(label)] for label in label_of.values()}
    # The index has one reference a row, and a conversation several answers.
    index = facts.row_index("train") if view is not None and view.table.clusters is None else {}
    if not index:
        return {}
    by_hash = Counter(index.values())
    return {
        label: sum(by_hash[short_hash(each)] for each in spellings)
        for label, spellings in _spellings(facts, label_of).items()
    }


def _audited(facts: IterationFacts) -> Counter[str]:
    """Returns the number of training rows by normalized label, as the run recorded it."""
    counts: Counter[str] = Counter()
    if facts.audit is not None and facts.audit.labels is not None:
        for each in facts.audit.labels.counts:
            counts[normalised(each.label)] += each.train
    return counts


def _spellings(facts: IterationFacts, label_of: Mapping[str, str]) -> dict[str, set[str]]:
    """Returns the ways in which training rows may write each label.

    The index of training rows has only hashes of references, so spellings must be guessed.
    """
    known = {*label_of, *facts.measured.labels, *(row.reference for row in facts.training_rows)}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for each in known:
        bare = each.strip()
        cases = {bare, bare.lower(), bare.upper(), bare.capitalize(), bare.title()}
        found[normalised(each)] |= {each, *cases, *(f" {form}" for form in cases)}
    return {label: found[normalised(label)] for label in label_of.values()}


def _rows_by_label(view: ExampleView) -> dict[str, list[int]]:
    label_of, rows = labels_in(view.table.references), defaultdict[str, list[int]](list)
    for row, reference in enumerate(view.table.references):
        rows[label_of[reference]].append(row)
    return rows


def _is_far(index: TrainingIndex, text: str) -> bool:
    nearest = index.nearest(text, 1)
    return not nearest or nearest[0].similarity < SIMILAR


def _failed(view: ExampleView, rows: list[int]) -> list[int]:
    return [row for row in rows if view.passed[row] == FAILED]


def _failures(view: ExampleView, rows: list[int] | range) -> tuple[int, int]:
    """Returns the numbers of scored and of failed rows."""
    outcomes = Counter(view.passed[row] for row in rows)
    return outcomes.total() - outcomes[UNSCORED], outcomes[FAILED]


HEAVY = 0.1
"""Share of repeated rows from which on they are worth acting on: they take a tenth of each epoch.
Most data has a few."""

FEW = 0.01
"""Below this share, repeated rows are not reported, and leaked rows need no action."""

MISLEADS = 0.05
"""A score may be too high by the share of leaked rows. Changes are typically about 5 points."""

FEW_ROWS = 5
"""With fewer rows, no p-value is reported."""

_HASHED = re.compile(r"([0-9a-f]{12})(?:-\d{1,9})?")
"""An id that `core.data.row_store` made: a hash of the input, and a number for each repetition."""


def inputs_of(index: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Groups (id, hash of the reference) by hash of the input; {} where ids are the data's own."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, reference in index.items():
        match = _HASHED.fullmatch(name)
        if match is None:
            return {}
        found[match[1]].append((name, reference))
    return found


def duplicates(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training rows that repeat the input of another one."""
    trained = inputs_of(facts.row_index("train")) if facts.number else {}
    counts = Counter({name: len(rows) for name, rows in trained.items()})
    total, repeats = counts.total(), counts.total() - len(counts)
    if not total or repeats < FEW * total:
        return
    most = counts.most_common(1)[0][1]
    repeated = sum(count > 1 for count in counts.values())
    alike = total - sum(len({reference for _, reference in rows}) for rows in trained.values())
    yield Finding(
        FindingKind.DUPLICATES,
        "warning" if repeats >= HEAVY * total else "note",
        f"{of_all(repeats, total, 'training rows')} repeat the input of another row, "
        f"{f'{alike:,} of them' if alike else 'none'} with the same reference. "
        f"{counted(repeated, 'input')} {'occurs' if repeated == 1 else 'occur'} up to {most} times "
        f"and so {'counts' if repeated == 1 else 'count'} more than others in training",
        {
            "repeats": repeats,
            "train_rows": total,
            "same_reference": alike,
            "inputs": len(counts),
            "most": most,
        },
        otherwise="inputs that are frequent in practice may be repeated on purpose",
    )


def leakage(facts: IterationFacts) -> Iterator[Finding]:
    """Reports evaluation rows whose input was trained on, exactly or nearly."""
    if facts.number == 0:
        return
    index = facts.row_index("eval")
    trained, held = inputs_of(facts.row_index("train")), inputs_of(index)
    leaked = [
        (name, reference in {each for _, each in trained[root]})
        for root, rows in held.items()
        if root in trained
        for name, reference in rows
    ]
    if leaked:
        yield _same(facts, leaked, len(index))
    if len(leaked) < MISLEADS * len(index) or not index:
        yield from _nearly_the_same(facts, {name for name, _ in leaked})


def _same(facts: IterationFacts, leaked: list[tuple[str, bool]], total: int) -> Finding:
    """Returns the finding on exact inputs; `leaked` has (id, whether the reference is the same)."""
    alike = sum(is_alike for _, is_alike in leaked)
    names = {name for name, _ in leaked}
    message = f"{of_all(len(leaked), total, 'held-out rows')} "
    message += f"{'has' if len(leaked) == 1 else 'have'} an input that was trained on, "
    message += f"{alike or 'none'} of them with the same answer"
    comparison, figures = _how_they_do(facts, names)
    return Finding(
        FindingKind.LEAKAGE,
        _gravity(len(leaked), total),
        message + comparison,
        {"leaked": len(leaked), "same_answer": alike, "total": total, **figures},
        examples=tuple(name for name, _ in leaked[:EXAMPLES_KEPT]),
    )


def _nearly_the_same(facts: IterationFacts, known: set[str]) -> Iterator[Finding]:
    """Reports evaluation inputs that are nearly the input of a measured training row.

    The inputs of other training rows are unknown. `known`: ids that are reported already.
    """
    rows, view = facts.training_rows, facts.view
    if not rows or view is None:
        return
    prompts = [each.prompt or each.reference for each in view.table]
    overlap = overlap_of([each.prompt or each.reference for each in rows], prompts)
    found = {
        at: place
        for at, place in (overlap.same | overlap.near).items()
        if view.table.ids[at] not in known
    }
    if not found:
        return
    total, measured = rows[0].sampled_of, len(rows)
    twins = len(set(found.values()))
    names = {view.table.ids[at] for at in found}
    message = f"{of_all(len(found), len(prompts), 'held-out rows')} "
    message += f"{'has' if len(found) == 1 else 'have'} nearly the same input as a training row"
    figures: dict[str, Figure] = {"near": len(found), "total": len(prompts), "twins": twins}
    sure, estimate = len(found), ""
    if measured < total:
        low, high = (round(total * share) for share in wilson(twins, measured))
        sure = max(sure, low)
        estimate = f". Only {measured:,} of {total:,} training rows were checked; an estimated "
        estimate += f"{low:,} to {high:,} of all training rows nearly repeat a held-out row"
        figures |= {"measured": measured, "train_rows": total, "low": low, "high": high}
    comparison, more = _how_they_do(facts, names)
    helps = more.get("p")
    is_shown = isinstance(helps, float) and helps < SURE
    yield Finding(
        FindingKind.LEAKAGE,
        "warning" if sure >= MISLEADS * len(prompts) and is_shown else "note",
        message + comparison + estimate,
        {**figures, **more},
        examples=tuple(view.table.ids[at] for at in sorted(found)[:EXAMPLES_KEPT]),
        otherwise="similar rows may be independent; this is leakage only if one was made from the "
        "other",
    )


def _how_they_do(facts: IterationFacts, names: set[str]) -> tuple[str, dict[str, Figure]]:
    """Returns how often the rows with these ids pass, and the others, as a text and as figures.

    The score may be too high by the difference.
    """
    view = facts.view
    if view is None:
        return "", {}
    own: Counter[int] = Counter()
    others: Counter[int] = Counter()
    rows = [row for row, name in enumerate(view.table.ids) if name in names]
    for name, outcome in zip(view.table.ids, view.passed, strict=True):
        (own if name in names else others)[outcome] += 1
    total, rest = own[PASSED] + own[FAILED], others[PASSED] + others[FAILED]
    if not total:
        return "", {}
    figures: dict[str, Figure] = {"passed": own[PASSED], "scored": total}
    if not rest:
        return (
            f"; {own[PASSED]} of {total} such rows pass, and there are no other rows to compare "
            "with",
            figures,
        )
    p = OutcomeTest(view, PASSED).p_value(rows)
    figures |= {"others_passed": others[PASSED], "others_scored": rest, "p": p}
    text = f"; {own[PASSED]} of {total} such rows pass, against {others[PASSED]} of {rest} others"
    return text if total < FEW_ROWS else f"{text} ({chance(p)})", figures


def _gravity(count: int, total: int) -> Severity:
    """Returns the severity of `count` leaked rows of `total`."""
    if count >= MISLEADS * total:
        return "alarm"
    return "warning" if count >= FEW * total else "note"
