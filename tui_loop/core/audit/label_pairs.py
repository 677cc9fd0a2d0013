"""Finds pairs of labels that may be two names of one class, by their names and by their prompts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, combinations

from tui_loop.core.audit.structs import LabelCount, LabelPair, Likeness
from tui_loop.core.audit.texts import SEED, RowTexts, fold, quoted
from tui_loop.core.audit.vocabulary import divergence
from tui_loop.core.text.similarity import edit_distance, edits_allowed, same_figures
from tui_loop.core.text.words import words_of

MOST_NAMES = 200
MOST_PAIRS = 20
"""Pairs are searched among the most frequent labels, and so many are recorded."""

MOST_CLASSES, LEAST_ROWS, MOST_ROWS = 20, 30, 100
"""Prompts are compared of the most frequent labels with enough rows, up to so many rows each."""

LEAST_USES = 3
"""Words of fewer prompts say nothing about a label."""

MOST_TESTS, PERMUTATIONS, FIRST_PERMUTATIONS = 10, 19, 5
ALIKE = 0.1
"""From this p-value on, the prompts of two labels cannot be distinguished by their words."""

_SYNONYMS = tuple(
    frozenset(line.split())
    for line in (
        "yes true y t 1 correct entailment",
        "no false n f 0 incorrect contradiction",
        "positive pos good favorable favourable happy 1",
        "negative neg bad unfavorable unfavourable unhappy 0",
        "neutral neu mixed none other",
        "spam junk unwanted",
        "ham legitimate legit",
        "toxic abusive offensive hateful",
        "high urgent critical severe",
        "low minor trivial",
    )
)


def similar_names(names: Sequence[str], own: Counter[str], theirs: Counter[str]) -> list[LabelPair]:
    """Returns pairs with similar names, most rows first; `names` are the most frequent first.

    Labels that both sides have under both names are two classes unless only case, spaces or
    punctuation differ.
    """
    pairs = []
    for first, second in combinations(names[:MOST_NAMES], 2):
        kind = _spelling(first, second)
        if kind is None and not _both_know(first, second, own, theirs):
            kind = _naming(first, second)
        if kind is not None:
            pairs.append(LabelPair(kind, _count(first, own, theirs), _count(second, own, theirs)))
            if len(pairs) == MOST_PAIRS:
                break
    return pairs


def alike_prompts(
    rows: Iterable[RowTexts], own: Counter[str], theirs: Counter[str]
) -> list[LabelPair]:
    """Returns pairs of labels whose prompts use the same words, by a permutation test.

    Each label is compared with the label that is nearest by its words.
    """
    words = _words_by_label(rows, own + theirs)
    counts = {name: _document_counts(each) for name, each in words.items()}
    distances = {
        pair: divergence(counts[pair[0]], counts[pair[1]]) for pair in combinations(words, 2)
    }
    nearest = {
        min((pair for pair in distances if name in pair), key=distances.__getitem__)
        for name in words
        if len(words) > 1
    }
    pairs = []
    for pair in sorted(nearest, key=distances.__getitem__)[:MOST_TESTS]:
        p_value = _permutation_p(words[pair[0]], words[pair[1]])
        if p_value >= ALIKE:
            first, second = (_count(name, own, theirs) for name in pair)
            pairs.append(LabelPair("prompts", first, second, round(p_value, 4)))
    return pairs


def _count(name: str, own: Counter[str], theirs: Counter[str]) -> LabelCount:
    return LabelCount(quoted(name), own[name], theirs[name])


def _spelling(first: str, second: str) -> Likeness | None:
    """Returns the difference between labels that are equal but for case, spaces, punctuation."""
    left, right = first.casefold(), second.casefold()
    if left == right:
        return "case"
    if "".join(left.split()) == "".join(right.split()):
        return "spaces"
    left, right = (_signless(each) for each in (left, right))
    return "punctuation" if left and left == right and same_figures(first, second) else None


def _naming(first: str, second: str) -> Likeness | None:
    left, right = fold(first), fold(second)
    if any(left in each and right in each for each in _SYNONYMS):
        return "synonym"
    short, long = sorted((_signless(left), _signless(right)), key=len)
    if not short or not same_figures(left, right):
        return None
    if len(short) > 1 and (long.startswith(short) or short == _initials(max(left, right, key=len))):
        return "abbreviation"
    distance = edit_distance(left, right, edits_allowed(long))
    return "typo" if distance is not None else None


def _both_know(first: str, second: str, own: Counter[str], theirs: Counter[str]) -> bool:
    """Whether one side has both labels: then it uses them for two classes."""
    return (first in own and second in own) or (first in theirs and second in theirs)


def _signless(text: str) -> str:
    return "".join(sign for sign in text if sign.isalnum())


def _initials(text: str) -> str:
    return "".join(word[0] for word in text.replace("_", " ").replace("-", " ").split())


def _words_by_label(
    rows: Iterable[RowTexts], counts: Counter[str]
) -> dict[str, list[frozenset[str]]]:
    """Returns the words of random rows of the most frequent labels."""
    chosen = [name for name, count in counts.most_common(MOST_CLASSES) if count >= LEAST_ROWS]
    by_label: dict[str, list[str]] = {name: [] for name in chosen}
    for row in rows:
        if (prompts := by_label.get(row.reference.strip())) is not None and row.prompt:
            prompts.append(row.prompt)
    generator = random.Random(SEED)
    found = {}
    for name, prompts in by_label.items():
        if len(prompts) >= LEAST_ROWS:
            kept = generator.sample(prompts, min(MOST_ROWS, len(prompts)))
            found[name] = [frozenset(words_of(prompt)) for prompt in kept]
    uses = _document_counts(chain.from_iterable(found.values()))
    used = frozenset(word for word, count in uses.items() if count >= LEAST_USES)
    return {name: [words & used for words in each] for name, each in found.items()}


def _document_counts(rows: Iterable[frozenset[str]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for words in rows:
        counts.update(words)
    return counts


def _permutation_p(first: Sequence[frozenset[str]], second: Sequence[frozenset[str]]) -> float:
    """Returns the share of random assignments of both labels that are at least as far apart.

    Stops after a few assignments where none is: the labels differ.
    """
    generator = random.Random(SEED)
    pool, size = [*first, *second], len(first)
    uses = _document_counts(pool)
    used = frozenset(word for word, count in uses.items() if count >= LEAST_USES)
    pool = [words & used for words in pool]
    total = Counter({word: uses[word] for word in used})
    distance = _split_divergence(pool[:size], total)
    as_far, done = 0, 0
    while done < PERMUTATIONS and (as_far or done < FIRST_PERMUTATIONS):
        generator.shuffle(pool)
        done += 1
        as_far += _split_divergence(pool[:size], total) >= distance
    return 0.0 if not as_far else (as_far + 1) / (done + 1)


def _split_divergence(rows: Iterable[frozenset[str]], total: Counter[str]) -> float:
    """Returns the divergence of rows from the other rows of a pool with `total` counts."""
    counts = _document_counts(rows)
    rest = {word: count - counts[word] for word, count in total.items()}
    return divergence(counts, rest)
