"""The groups that examples fall into: by label, length, column, and the words of the prompt.

A group is the rows that share something; whether it fails more than chance would have it is
`core.examples.slices`' to say.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Literal

import msgspec

from tui_loop.core.scoring import normalised

Kind = Literal["label", "prompt length", "reference length", "column", "words"]

Term = str | tuple[str, str]
"""A word of a prompt, or two in turn."""

MOST_LABELS = 100
"""With more different references, these are texts and not labels."""

SMALLEST = 5
"""Words and column values in fewer rows can tell nothing."""

PROMPT_CHARACTERS = 1000
"""So much of a prompt is read for its words."""

WORD_CHARACTERS = 1_500_000
"""And so much of all prompts: of more, rows at even distances are read (some 0.5 s)."""

_WORD = re.compile(r"\w+(?:['’]\w+)?")


class Group(msgspec.Struct, frozen=True):
    """Rows, by position, that have something in common."""

    kind: Kind
    name: str
    rows: Sequence[int]


class WordCounts(msgspec.Struct, frozen=True):
    """In how many of the rows read a word or two in turn occur, and in how many failed ones.

    Only what is in at least SMALLEST rows (one in a thousand of many) and at most half of them.
    """

    rows: Sequence[int]
    found: Mapping[Term, int]
    found_failed: Mapping[Term, int]

    def counts(self) -> Iterator[tuple[Term, int, int]]:
        """(term, failed rows, rows) of what was counted."""
        for term, total in self.found.items():
            yield term, self.found_failed[term], total


def label_groups(references: Sequence[str]) -> list[Group]:
    """Rows by reference, in the labels' order; [] where references are texts, not labels."""
    labels = labels_in(references)
    rows: dict[str, list[int]] = {label: [] for label in labels.values()}
    if not labels:
        return []
    for at, reference in enumerate(references):
        rows[labels[reference]].append(at)
    return [Group("label", label, rows[label]) for label in sorted(rows)]


def labels_in(references: Sequence[str]) -> dict[str, str]:
    """The label by each way to write it; {} where references are not few that repeat."""
    spellings = Counter(references)
    if len(spellings) > 2 * MOST_LABELS:
        return {}
    by_form: dict[str, str] = {}
    for spelling, _ in spellings.most_common():
        by_form.setdefault(normalised(spelling), spelling)
    if not 2 <= len(by_form) <= MOST_LABELS or 2 * len(by_form) > len(references):
        return {}
    return {spelling: by_form[normalised(spelling)] for spelling in spellings}


def length_groups(kind: Kind, what: str, texts: Sequence[str]) -> list[Group]:
    """Rows by quarters of the texts' lengths in words; fewer groups where many are alike."""
    lengths = [len(text.split()) for text in texts]
    if not lengths:
        return []
    order = sorted(lengths)
    cuts = sorted({order[(len(order) - 1) * quarter // 4] for quarter in (1, 2, 3)} | {order[-1]})
    rows: list[list[int]] = [[] for _ in cuts]
    place = {}
    for length in set(lengths):
        place[length] = next(n for n, cut in enumerate(cuts) if length <= cut)
    for at, length in enumerate(lengths):
        rows[place[length]].append(at)
    groups, low = [], order[0]
    for cut, members in zip(cuts, rows, strict=True):
        groups.append(Group(kind, f"{what} of {_span(low, cut)}", members))
        low = cut + 1
    return groups if len(groups) > 1 else []


def column_groups(columns: Iterable[Mapping[str, str]]) -> list[Group]:
    """Rows by `column=value`, for values in at least SMALLEST rows and not in all."""
    rows: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    total = 0
    for at, values in enumerate(columns):
        total += 1
        for item in values.items():
            rows[item].append(at)
    return [
        Group("column", f"{name}={value}", members)
        for (name, value), members in sorted(rows.items())
        if SMALLEST <= len(members) < total
    ]


def count_words(prompts: Sequence[str], failed: Sequence[bool]) -> WordCounts:
    """Words and pairs of neighbouring words, case folded, and how often they go with failing."""
    size = sum(min(len(prompt), PROMPT_CHARACTERS) for prompt in prompts)
    rows = range(0, len(prompts), 1 + size // WORD_CHARACTERS)
    least = max(SMALLEST, len(rows) // 1000)
    texts = [words_of(prompts[at]) for at in rows]
    failing = [words for at, words in zip(rows, texts, strict=True) if failed[at]]
    found: dict[Term, int] = {}
    found_failed: dict[Term, int] = {}
    for each in (_terms, _pairs):
        counts = Counter(chain.from_iterable(map(each, texts)))
        kept = {term: n for term, n in counts.items() if least <= n and 2 * n <= len(rows)}
        found |= kept
        counts = Counter(chain.from_iterable(map(each, failing)))
        found_failed |= {term: counts[term] for term in kept}
    return WordCounts(rows, found, found_failed)


def rows_with(
    terms: Iterable[Term], prompts: Sequence[str], rows: Sequence[int]
) -> dict[Term, list[int]]:
    """Of `rows`, those whose prompts have the term, for each of them."""
    members: dict[Term, list[int]] = {term: [] for term in terms}
    wanted = members.keys()
    for at in rows:
        words = words_of(prompts[at])
        for term in wanted & (_terms(words) | _pairs(words)):
            members[term].append(at)
    return members


def spelled(term: Term) -> str:
    """The words of a term as they stand in a prompt."""
    return term if isinstance(term, str) else " ".join(term)


def words_of(prompt: str) -> list[str]:
    """The words of a prompt's beginning, case folded."""
    return _WORD.findall(prompt[:PROMPT_CHARACTERS].casefold())


def _terms(words: list[str]) -> set[Term]:
    return set(words)


def _pairs(words: list[str]) -> set[Term]:
    return set(pairwise(words))


def _span(low: int, high: int) -> str:
    unit = "word" if high == 1 else "words"
    return f"{high} {unit}" if low == high else f"{low} to {high} {unit}"
