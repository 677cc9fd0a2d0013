"""References as labels: the labels of each side, their balance, and two names of one class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tui_loop.core.audit.label_pairs import alike_prompts, similar_names
from tui_loop.core.audit.structs import Balance, Both, LabelCount, Labels, LabelSet
from tui_loop.core.audit.texts import EXAMPLES, RowTexts, Sides, counted_ids, quoted

Rows = Sequence[RowTexts]

MOST_COUNTS = 50

MOST_LABELS, MOST_NUMBERS = 100, 20
LONGEST_LABEL = 40
LEAST_REPEATS = 3
"""References are labels where few (of numbers very few), short and repeated so often on average."""


def are_labels(rows: Sides[RowTexts]) -> bool:
    """Whether the references of a side are few and short, so that they look like labels."""
    return _look_like_labels(rows.train) or _look_like_labels(rows.held)


def labels_of(rows: Sides[RowTexts]) -> Labels:
    """Returns the facts about labels; white space around a label does not count."""
    train, held = rows
    own, theirs = (Counter(row.reference.strip() for row in side) for side in rows)
    names = sorted({*own, *theirs}, key=lambda name: (-own[name] - theirs[name], name))
    counts = [LabelCount(quoted(name), own[name], theirs[name]) for name in names[:MOST_COUNTS]]
    pairs = similar_names(names, own, theirs)
    named = {frozenset((each.first.label, each.second.label)) for each in pairs}
    pairs += [
        each
        for each in alike_prompts([*train, *held], own, theirs)
        if frozenset((each.first.label, each.second.label)) not in named
    ]
    return Labels(
        tuple(counts),
        _only(train, own, theirs),
        _only(held, theirs, own),
        Both(_balance(train, own), _balance(held, theirs)),
        tuple(pairs),
    )


def _look_like_labels(rows: Rows) -> bool:
    counts = Counter(row.reference.strip() for row in rows)
    if not counts or len(counts) * LEAST_REPEATS > len(rows):
        return False
    most = MOST_NUMBERS if all(_is_number(name) for name in counts) else MOST_LABELS
    return len(counts) <= most and max(map(len, counts)) <= LONGEST_LABEL


def _is_number(text: str) -> bool:
    return text.replace(".", "").replace(",", "").lstrip("-").isdigit()


def _only(rows: Rows, own: Counter[str], theirs: Counter[str]) -> LabelSet:
    names = [name for name, _ in own.most_common() if name not in theirs]
    lacking = frozenset(names)
    ids = [row.id for row in rows if row.reference.strip() in lacking]
    kept = tuple(quoted(name) for name in names[:EXAMPLES])
    return LabelSet(len(names), counted_ids(ids, len(rows)), kept)


def _balance(rows: Rows, counts: Counter[str]) -> Balance | None:
    if not rows:
        return None
    ordered = counts.most_common()
    (largest, most), (smallest, least) = ordered[0], ordered[-1]
    ids = [row.id for row in rows if row.reference.strip() == largest]
    return Balance(
        len(counts),
        quoted(largest),
        counted_ids(ids, len(rows)),
        quoted(smallest),
        least,
        round(most / least, 2),
    )
