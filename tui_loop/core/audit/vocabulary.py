"""Compares the words of both sides: unseen words, and the divergence of word frequencies."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

import msgspec

from tui_loop.core.audit.structs import Both, Draws, Exchange, Vocabulary
from tui_loop.core.audit.texts import SEED, Folded, RowTexts, Sides, counted, counted_ids
from tui_loop.core.text.words import words_of

MOST_DRAWS, MOST_DRAWN, LEAST_DRAWN = 9, 10_000, 8
"""Draws of training rows, and the rows of all draws together; a draw has at least 8."""

EXCHANGED_RATIO, EXCHANGED_GAP = 0.8, 0.05
"""Columns look exchanged where swapping them lowers the divergence to this share, by this much."""

Text = Callable[[RowTexts], str]


class ColumnWords(msgspec.Struct, frozen=True):
    """How often each word occurs in one column (prompts or references) of both sides."""

    train: Counter[str]
    held: Counter[str]


def column_words(rows: Sides[RowTexts], text: Text) -> ColumnWords:
    """Returns the words of a column of both sides."""
    return ColumnWords(word_counts(map(text, rows.train)), word_counts(map(text, rows.held)))


def word_counts(texts: Iterable[str]) -> Counter[str]:
    """Returns how often each word occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words_of(text))
    return counts


def divergence(left: Mapping[str, int], right: Mapping[str, int], words: int = 0) -> float:
    """Returns the Jensen-Shannon divergence of two word frequencies, in bits (Lin 1991).

    `words`: how many words the right side has, where `right` only has those of the left side.
    """
    if not words and len(left) > len(right):
        left, right = right, left
    total, other_total = sum(left.values()), words or sum(right.values())
    if not total or not other_total:
        return 0.0 if total == other_total else 1.0
    both = shared = 0.0
    for word, count in left.items():
        own, theirs = count / total, right.get(word, 0) / other_total
        both += own * math.log2(2 * own / (own + theirs)) if own else 0.0
        if theirs:
            both += theirs * math.log2(2 * theirs / (own + theirs))
            shared += theirs
    return min(1.0, max(0.0, (both + 1 - shared) / 2))


def vocabulary_of(rows: Sides[RowTexts], text: Text, words: ColumnWords) -> Vocabulary | None:
    """Returns how the words of both sides differ, None where a side has none."""
    own, theirs = words.train, words.held
    if not own or not theirs:
        return None
    unseen = [(count, word) for word, count in theirs.items() if word not in own]
    unseen.sort(key=lambda each: (-each[0], each[1]))
    total = sum(theirs.values())
    return Vocabulary(
        Both(sum(own.values()), total),
        Both(len(own), len(theirs)),
        counted(len(unseen), len(theirs), (word for _, word in unseen)),
        counted(sum(count for count, _ in unseen), total),
        round(divergence(theirs, own), 6),
        _draws(rows.train, text, own, len(rows.held)),
    )


def _draws(train: Sequence[RowTexts], text: Text, counts: Counter[str], rows: int) -> Draws | None:
    """Draws as many random training rows as the other side has, at most half of them."""
    rows = min(rows, len(train) // 2, MOST_DRAWN)
    if rows < LEAST_DRAWN:
        return None
    draws = min(MOST_DRAWS, MOST_DRAWN // rows)
    total, generator = sum(counts.values()), random.Random(SEED)
    found = []
    for _ in range(draws):
        drawn = word_counts(map(text, generator.sample(train, rows)))
        rest = {word: counts[word] - count for word, count in drawn.items()}
        found.append(divergence(drawn, rest, total - sum(drawn.values())))
    return Draws(draws, rows, round(fmean(found), 6), round(max(found), 6))


def exchange_of(
    folds: Sides[Folded], prompts: ColumnWords, references: ColumnWords
) -> Exchange | None:
    """Returns whether training prompts look like references, and references like prompts."""
    if not folds.train or not folds.held:
        return None
    straight = divergence(prompts.train, prompts.held)
    straight += divergence(references.train, references.held)
    exchanged = divergence(prompts.train, references.held)
    exchanged += divergence(references.train, prompts.held)
    eval_references = {row.reference for row in folds.held}
    eval_prompts = {row.context for row in folds.held}
    as_references = [row.id for row in folds.train if row.context in eval_references]
    as_prompts = [row.id for row in folds.train if row.reference in eval_prompts]
    is_closer = exchanged <= EXCHANGED_RATIO * straight
    return Exchange(
        round(straight / 2, 6),
        round(exchanged / 2, 6),
        counted_ids(as_references, len(folds.train)),
        counted_ids(as_prompts, len(folds.train)),
        (is_closer and straight - exchanged >= 2 * EXCHANGED_GAP)
        or 2 * len(as_references) > len(folds.train),
    )
