"""Finds what repeats: duplicate rows, conflicting references, prompts on both sides, echoes."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from tui_loop.core.audit.structs import Duplicates, Echo, Shared
from tui_loop.core.audit.texts import SEED, Folded, RowTexts, Sides, counted_ids

TRIES = 10
"""Draws of another row until one has another reference."""

_UNSPACED_FROM = "\u0e00"
"""From Thai on, most scripts put no space between words."""


def duplicates_of(
    rows: Sequence[RowTexts], folds: Sequence[Folded], *, has_prompts: bool
) -> Duplicates | None:
    """Returns the rows that repeat an earlier one, and the conflicts; None without rows."""
    if not rows:
        return None
    exact = _repeats((row.id, (row.system, row.context, row.reference)) for row in rows)
    loose = _repeats((row.id, (row.system, row.context, row.reference)) for row in folds)
    first: dict[tuple[str, str], str] = {}
    conflicts: set[tuple[str, str]] = set()
    for row in folds:
        prompt = (row.system, row.context)
        if first.setdefault(prompt, row.reference) != row.reference:
            conflicts.add(prompt)
    conflicting = [row.id for row in folds if (row.system, row.context) in conflicts]
    total = len(rows)
    return Duplicates(
        counted_ids(exact, total),
        counted_ids(loose, total),
        counted_ids(conflicting, total) if has_prompts else None,
        len(conflicts) if has_prompts else 0,
    )


def _repeats(rows: Iterable[tuple[str, Hashable]]) -> list[str]:
    """Returns the ids of rows whose texts an earlier row has."""
    seen: set[Hashable] = set()
    ids = []
    for name, texts in rows:
        if texts in seen:
            ids.append(name)
        seen.add(texts)
    return ids


def shared_of(rows: Sides[RowTexts], folds: Sides[Folded], *, has_prompts: bool) -> Shared | None:
    """Returns the evaluation rows whose prompt (or plain text) is in training."""
    if not rows.train or not rows.held:
        return None
    texts = {row.context or row.reference for row in rows.train}
    exact = [row.id for row in rows.held if (row.context or row.reference) in texts]
    wanted = {row.context or row.reference for row in folds.held}
    references: dict[str, set[str]] = defaultdict(set)
    for row in folds.train:
        if (text := row.context or row.reference) in wanted:
            references[text].add(row.reference)
    shared = [row for row in folds.held if (row.context or row.reference) in references]
    same = [row.id for row in shared if row.reference in references[row.context]]
    other = [row.id for row in shared if row.reference not in references[row.context]]
    total = len(rows.held)
    return Shared(
        counted_ids(exact, total),
        counted_ids([row.id for row in shared], total),
        counted_ids(same, total) if has_prompts else None,
        counted_ids(other, total) if has_prompts else None,
    )


def echo_of(rows: Sequence[Folded]) -> Echo | None:
    """Returns how many prompts contain their reference, and how many that of another row."""
    if not rows:
        return None
    generator = random.Random(SEED)
    found, by_chance, drawn = [], [], 0
    for row in rows:
        if contains(row.context, row.reference):
            found.append(row.id)
        other = _another(rows, row.reference, generator)
        if other is not None:
            drawn += 1
            if contains(row.context, other):
                by_chance.append(row.id)
    return Echo(counted_ids(found, len(rows)), counted_ids(by_chance, drawn))


def contains(text: str, part: str) -> bool:
    """Whether `part` is in `text` as whole words."""
    place = text.find(part) if part else -1
    while place >= 0:
        end = place + len(part)
        before = text[place - 1] if place else ""
        if _ends_word(before, part[0]) and _ends_word(part[-1], text[end : end + 1]):
            return True
        place = text.find(part, place + 1)
    return False


def _ends_word(left: str, right: str) -> bool:
    """Whether a word may end between two characters."""
    if not (left.isalnum() and right.isalnum()):
        return True
    return left >= _UNSPACED_FROM and right >= _UNSPACED_FROM


def _another(rows: Sequence[Folded], own: str, generator: random.Random) -> str | None:
    for _ in range(TRIES):
        other = rows[int(generator.random() * len(rows))].reference
        if other != own:
            return other
    return None
