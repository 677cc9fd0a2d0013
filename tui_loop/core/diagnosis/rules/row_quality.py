"""Findings on the quality of rows, from the audit of the run's data.

two_names            one class has two names among the training rows.
bad_references       references that are no answer: empty, placeholders, signs only, or extremely
                     long.
sorted_rows          the training rows are sorted, and the run did not shuffle them.
unwanted_references  training rows with references that the evaluation never wants.
garbled_text         texts whose encoding was read wrongly.
few_rows             so few different training rows that they cannot teach the task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding, Severity
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import (
    audited_labels,
    has_much_left,
    named,
)
from tui_loop.core.diagnosis.rules.generalization import WIDE, gap_of
from tui_loop.core.text.figures import counted, of_all
from tui_loop.core.text.untrusted import one_line

if TYPE_CHECKING:
    from tui_loop.core.audit.structs import Count, DataAudit, LabelPair

WORTH_NAMES = 0.05
"""The share of the training rows with the rarer name from which on two names are worth acting
on."""

MUCH, WORTH = 0.1, 0.02
"""Shares of a side's rows with a bad reference: an alarm, a warning."""

SORTED = -4.0
"""The standard score of the runs test below which rows are in blocks."""

FEW = 100
"""So few different rows do not cover a task of natural language."""

BY_CHANCE = 0.01
"""Below this probability, few rows are not why a label is missing."""

WORTH_UNWANTED = 0.1
"""The share of training rows of another kind that is mentioned; twice of it is a warning."""

FEWEST_GARBLED, WORTH_GARBLED = 3, 0.05
MOST_READ = 2000
"""The most evaluation rows whose texts are read, at even distances."""

_GARBLED = re.compile(
    "\ufffd|[\u00c2\u00c3][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192]"
    "|\u00e2(?:\u20ac|\u0080)[\u0080-\uffff]"
)
"""The replacement character, and UTF-8 that was read as Latin-1 or Windows-1252."""

MAY_BE_LABELS = ("are placeholders", "have no letters or digits")
"""A reference such as "none" or "?" that both sides have is a label."""

_SEQUENTIAL = "sequential"


def two_names(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a class that the training rows call by two names."""
    audit = facts.audit if facts.number else None
    rows = audit.rows.train if audit is not None else None
    if audit is None or audit.labels is None or rows is None:
        return
    pairs = [each for each in audit.labels.pairs if _are_two_names(each)]
    if not pairs:
        return
    count = sum(min(each.first.train, each.second.train) for each in pairs)
    share = count / rows.count
    yield Finding(
        FindingKind.TWO_NAMES,
        "warning" if share >= WORTH_NAMES else "note",
        "the training rows seem to use two names for one class: "
        + "; ".join(
            f"{named([each.first.label])} ({each.first.train} rows) and "
            f"{named([each.second.label])} ({each.second.train} rows)"
            for each in pairs[:3]
        )
        + ", so the model cannot know which name is right",
        {"pairs": len(pairs), "rows": count, "share": round(share, 3)},
        otherwise="they may be two classes with similar prompts: read some rows of both",
    )


def bad_references(facts: IterationFacts) -> Iterator[Finding]:
    """Reports references that are no answer, on either side."""
    audit = facts.audit if facts.number else None
    if audit is None or audit.references is None:
        return
    references = audit.references
    kinds = {
        "are empty": references.empty,
        "are placeholders": references.template,
        "have no letters or digits": references.signs_only,
        "are at least ten times as long as usual": references.long,
    }
    for side, what in (("train", "training references"), ("eval", "evaluation references")):
        found = {
            text: count
            for text, both in kinds.items()
            if (count := _side(both.train if side == "train" else both.eval)) is not None
            and not (text in MAY_BE_LABELS and _side(both.train) and _side(both.eval))
        }
        if not found:
            continue
        share = sum(each.share for each in found.values())
        severity: Severity = "alarm" if share >= MUCH else "warning" if share >= WORTH else "note"
        yield Finding(
            FindingKind.BAD_REFERENCES,
            severity,
            "; ".join(
                f"{of_all(each.count, each.of, what)} {text}" for text, each in found.items()
            ),
            {"side": side, "rows": sum(each.count for each in found.values()), "share": share},
            examples=next(iter(found.values())).examples,
            otherwise="some tasks have such references on purpose",
        )


def sorted_rows(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training rows that are sorted and were trained on in that order."""
    audit, config = facts.audit, facts.config
    if audit is None or audit.order is None or config is None or not facts.number:
        return
    other = config.other
    if other.get("train_sampling_strategy") != _SEQUENTIAL or other.get("shuffle_dataset"):
        return
    sortings = {"label": audit.order.by_label, "length": audit.order.by_length}
    found = [name for name, each in sortings.items() if each is not None and each.z < SORTED]
    words = audit.order.by_words
    if words is not None and words.z > -SORTED:
        found.append("subject")
    if not found:
        return
    yield Finding(
        FindingKind.SORTED_ROWS,
        "alarm",
        f"the training rows are sorted by {' and '.join(found)}, and the run did not shuffle them: "
        "each batch has one kind of row, and training on the last kind undoes earlier learning",
        {"sorted_by": ", ".join(found)},
    )


def few_rows(facts: IterationFacts) -> Iterator[Finding]:
    """Reports too few different training rows, where the result shows it."""
    audit = facts.audit if facts.number else None
    if audit is None or audit.rows.train is None:
        return
    different, total = different_rows(audit), audit.rows.train.count
    if different > FEW or _lacks_labels(facts, different):
        return
    of = f" ({total:,} with repeats)" if total > different else ""
    message = f"there are only {different:,} distinct training rows{of}"
    gap = gap_of(facts)
    if gap is not None and gap[2].low > 0 and gap[1] >= WIDE * gap[0]:
        train, held, _, _ = gap
        message += (
            f": the model memorizes them instead of learning the task (a loss of {train:.2g} nats "
        )
        message += f"per token on training rows, {held:.2g} on held-out rows)"
    elif has_much_left(facts):
        message += f" and {counted(facts.run.step, 'step')}: too few to learn a task"
    else:
        return
    yield Finding(
        FindingKind.FEW_ROWS,
        "warning",
        message,
        {"rows": different, "train_rows": total},
        otherwise="a distribution shift between training and held-out rows has the same effect",
    )


def _lacks_labels(facts: IterationFacts, different: int) -> bool:
    """Returns whether training lacks a label that so many random rows would have."""
    labels = audited_labels(facts)
    held = sum(each.held for each in labels)
    missing = (each.held / held for each in labels if each.held and not each.train)
    return any((1 - share) ** different < BY_CHANCE for share in missing)


def garbled_text(facts: IterationFacts) -> Iterator[Finding]:
    """Reports texts whose encoding was read wrongly, among the measured rows of either side."""
    view = facts.view if facts.number else None
    if view is None:
        return
    train = [f"{row.prompt} {row.reference}" for row in facts.training_rows]
    some = range(0, len(view), max(1, -(-len(view) // MOST_READ)))
    held = [f"{view.table[row].prompt} {view.table.references[row]}" for row in some]
    counts = [sum(_GARBLED.search(text) is not None for text in side) for side in (train, held)]
    if max(counts, default=0) < FEWEST_GARBLED:
        return
    shown = next(
        match[0] for text in (*train, *held) if (match := _GARBLED.search(text)) is not None
    )
    share = max(
        count / len(side) for count, side in zip(counts, (train, held), strict=True) if side
    )
    yield Finding(
        FindingKind.GARBLED_TEXT,
        "warning" if share >= WORTH_GARBLED else "note",
        f'text such as "{one_line(shown, 20)}" was read with the wrong encoding in '
        f"{of_all(counts[0], len(train), 'measured training rows')} and "
        f"{of_all(counts[1], len(held), 'evaluation rows')}"
        + ("" if len(held) == len(view) else "; only some evaluation rows were checked"),
        {"train": counts[0], "eval": counts[1]},
    )


def unwanted_references(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training rows with references of a kind that the evaluation never wants."""
    names = audited_labels(facts)
    train, held = (sum(each.train for each in names), sum(each.held for each in names))
    if not train or not held:
        return
    unwanted = [each for each in names if not each.held]
    rows = sum(each.train for each in unwanted)
    missing = sum(each.held for each in names if not each.train)
    # Where the evaluation wants what training lacks, both are two forms of one thing, which
    # `references_differ` reports.
    if rows < WORTH_UNWANTED * train or missing >= WORTH_UNWANTED * held:
        return
    yield Finding(
        FindingKind.UNWANTED_REFERENCES,
        "warning" if rows >= 2 * WORTH_UNWANTED * train else "note",
        f"{of_all(rows, train, 'training rows')} have a reference that no evaluation row has "
        f"({named([each.name for each in unwanted])}): these rows may belong to a different task, "
        "or name the same classes differently",
        {"rows": rows, "train_rows": train, "share": round(rows / train, 3)},
        otherwise="rare classes may be missing from the evaluation by chance",
    )


def different_rows(audit: DataAudit) -> int:
    """Returns the number of training rows that repeat no earlier one."""
    if audit.rows.train is None:
        return 0
    repeated = audit.duplicates.train.folded.count if audit.duplicates.train is not None else 0
    return audit.rows.train.count - repeated


def _are_two_names(pair: LabelPair) -> bool:
    """Returns whether both names are trained on, and their likeness is not an accident.

    Names alone are evidence, also two spellings that the metric takes for one: they are other
    tokens, between which the model has to choose. Prompts that are alike are evidence only where
    the evaluation never wants one of the names: hard classes have such prompts as well.
    """
    if not pair.first.train or not pair.second.train:
        return False
    is_one_sided = not pair.first.eval or not pair.second.eval
    return is_one_sided or pair.kind not in ("prompts", "abbreviation", "typo")


def _side(count: Count | None) -> Count | None:
    return count if count is not None and count.count else None
