"""Finds slices that fail more often than chance explains, and the wrong answers per label.

A group is a set of rows with a common property. `find_slices` compares every group with all other
examples by Fisher's one-sided test and adjusts the p-values for multiple testing (Benjamini and
Hochberg); a slice is weak below LEVEL. Each kind of group has the same weight, so that hundreds of
words do not hide nine labels: p-values are divided by weights that are 1 on average (Genovese,
Roeder and Wasserman, "False discovery control with p-value weighting", 2006). Examples without an
outcome are left out. Where examples are not independent, the test counts each group of them
once, with the share of its examples that failed (`core.clusters.HitCounts`).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Literal

import msgspec

from tui_loop.core.clusters import Clusters, HitCounts, clusters_at, clusters_of, group_of
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import label_reader, normalised
from tui_loop.core.stats import benjamini_hochberg, fisher_greater, share_interval, wilson

Kind = Literal["label", "prompt length", "reference length", "column", "words"]

Term = str | tuple[str, str]
"""One or two consecutive words of a prompt."""

MOST_LABELS = 100
"""With more distinct references, these are texts and not labels."""

SMALLEST = 5
"""Words and column values in fewer rows are not tested."""

PROMPT_CHARACTERS = 1000
"""The start of a prompt that is read for words."""

WORD_CHARACTERS = 1_500_000
"""The limit for all prompts together (0.5 s); beyond it every n-th row is read."""

_WORD = re.compile(r"\w+(?:['’]\w+)?")


class Group(msgspec.Struct, frozen=True):
    """Row positions with a common property."""

    kind: Kind
    name: str
    rows: Sequence[int]


class WordCounts(msgspec.Struct, frozen=True):
    """In how many rows, and in how many failed rows, each term occurs.

    Only terms in at least SMALLEST rows (one in a thousand of many) and at most half of them.
    """

    rows: Sequence[int]
    found: Mapping[Term, int]
    found_failed: Mapping[Term, int]

    def counts(self) -> Iterator[tuple[Term, int, int]]:
        """Yields (term, failed rows, rows)."""
        for term, total in self.found.items():
            yield term, self.found_failed[term], total


def label_groups(references: Sequence[str]) -> list[Group]:
    """Groups rows by label, sorted; [] where references are texts, not labels."""
    labels = labels_in(references)
    rows: dict[str, list[int]] = {label: [] for label in labels.values()}
    if not labels:
        return []
    for at, reference in enumerate(references):
        rows[labels[reference]].append(at)
    return [Group("label", label, rows[label]) for label in sorted(rows)]


def labels_in(references: Sequence[str]) -> dict[str, str]:
    """Maps each spelling to its label, {} where references are not labels."""
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
    """Groups rows by quartiles of text length in words; fewer groups where many are equal."""
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
    """Groups rows by `column=value`, for values in at least SMALLEST rows and not in all."""
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
    """Counts case-folded words and pairs of consecutive words over all and over failed rows."""
    size = sum(min(len(prompt), PROMPT_CHARACTERS) for prompt in prompts)
    rows = range(0, len(prompts), 1 + size // WORD_CHARACTERS)
    least = max(SMALLEST, len(rows) // 1000)
    texts = [prompt_words(prompts[at]) for at in rows]
    failing = [words for at, words in zip(rows, texts, strict=True) if failed[at]]
    found: dict[Term, int] = {}
    found_failed: dict[Term, int] = {}
    for each in (_terms, _pairs):
        counts = Counter(chain.from_iterable(map(each, texts)))
        common = {term: n for term, n in counts.items() if least <= n and 2 * n <= len(rows)}
        found |= common
        counts = Counter(chain.from_iterable(map(each, failing)))
        found_failed |= {term: counts[term] for term in common}
    return WordCounts(rows, found, found_failed)


def rows_with(
    terms: Iterable[Term], prompts: Sequence[str], rows: Sequence[int]
) -> dict[Term, list[int]]:
    """Returns for each term those of `rows` whose prompts contain it."""
    members: dict[Term, list[int]] = {term: [] for term in terms}
    searched = members.keys()
    for at in rows:
        words = prompt_words(prompts[at])
        for term in searched & (_terms(words) | _pairs(words)):
            members[term].append(at)
    return members


def term_text(term: Term) -> str:
    """Returns a term as text."""
    return term if isinstance(term, str) else " ".join(term)


def prompt_words(prompt: str) -> list[str]:
    """Returns the case-folded words at a prompt's start."""
    return _WORD.findall(prompt[:PROMPT_CHARACTERS].casefold())


def _terms(words: list[str]) -> set[Term]:
    return set(words)


def _pairs(words: list[str]) -> set[Term]:
    return set(pairwise(words))


def _span(low: int, high: int) -> str:
    unit = "word" if high == 1 else "words"
    return f"{high} {unit}" if low == high else f"{low} to {high} {unit}"


LEVEL = 0.05
LISTED = 40
"""The most weak slices in a result, those with the lowest p-values."""

ALIKE = 0.8
"""Words whose rows overlap a listed slice's rows this much (Jaccard) add no information."""

_TOO_LITTLE = 1.0
"""Only groups this many standard errors above the rest get the exact test, to save time."""


class Slice(msgspec.Struct, frozen=True):
    """A group of examples and its failures, compared with all others (`elsewhere`).

    `low` and `high`: the Wilson interval of `share`, over groups of examples where these are not
    independent. `indices`: the positions of its rows. `said`: for a label, the labels in its failed
    outputs, the most common first; None for no label.
    """

    kind: Kind
    name: str
    indices: tuple[int, ...]
    failed: int
    total: int
    share: float
    low: float
    high: float
    elsewhere_failed: int
    elsewhere_total: int
    p: float
    p_adjusted: float
    said: tuple[tuple[str | None, int], ...] = ()

    @property
    def is_weak(self) -> bool:
        return self.p_adjusted < LEVEL


class Slices(msgspec.Struct, frozen=True):
    """Result of `find_slices`; `weak` by p-value, `labels`: all labels, `tested`: groups tested.

    Words are read in `words_rows` of the `scored` rows: all, or every n-th of very many. Counts and
    positions of a slice by words refer to these rows.
    """

    weak: list[Slice]
    labels: list[Slice]
    tested: int
    scored: int
    words_rows: int


class _Scored:
    """The examples with an outcome, as columns."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.at: list[int] = []
        self.failed: list[bool] = []
        self.prompts: list[str] = []
        self.references: list[str] = []
        self.outputs: list[str | None] = []
        self.columns: list[dict[str, str]] = []
        groups: list[str] = []
        for at, row in enumerate(examples):
            if row.passed is not None:
                self.at.append(at)
                self.failed.append(not row.passed)
                self.prompts.append(row.prompt)
                self.references.append(row.reference)
                self.outputs.append(None if row.passed else row.output)
                self.columns.append(row.columns)
                groups.append(group_of(row))
        self.clusters = clusters_of(groups)


def find_slices(examples: Sequence[Example], labels: Sequence[str] = ()) -> Slices:
    """Returns the weak slices of an evaluation and the breakdown by label.

    `labels`: the valid labels; by default the references where these are labels.
    """
    rows = _Scored(examples)
    groups, by_label = _groups(rows)
    words = count_words(rows.prompts, rows.failed)
    terms, word_p_values = _promising(rows, words)
    counts = HitCounts(rows.failed, rows.clusters)
    p_values = [fisher_greater(*counts.split(group.rows)) for group in groups]
    tested = len(groups) + len(words.found)
    weights = _weights(groups, len(words.found))
    weighted = [p / weights[group.kind] for p, group in zip(p_values, groups, strict=True)]
    weighted += [p / weights["words"] for p in word_p_values]
    adjusted = benjamini_hochberg([min(1.0, p) for p in weighted], tested)
    said = _confusions(rows, groups[:by_label], labels)
    everything = sum(rows.failed), len(rows.at)
    slices = [
        _slice(rows, group, p, p_adjusted, among=everything, said=said.get(group.name, ()))
        for group, p, p_adjusted in zip(groups, p_values, adjusted[: len(groups)], strict=True)
    ]
    weak_words = _weak_words(rows, words, terms, word_p_values, adjusted[len(groups) :])
    weak = sorted(
        _distinct([each for each in slices if each.is_weak], weak_words), key=lambda each: each.p
    )
    return Slices(weak[:LISTED], slices[:by_label], tested, len(rows.at), len(words.rows))


def _weights(groups: Sequence[Group], words: int) -> dict[Kind, float]:
    """Returns the weight of a p-value by the kind of its group.

    The weight of words is at most 1, since only some of them are tested.
    """
    counts: Counter[Kind] = Counter(group.kind for group in groups)
    if words:
        counts["words"] = words
    total = sum(counts.values())
    weights: dict[Kind, float] = {
        kind: total / (len(counts) * count) for kind, count in counts.items()
    }
    return weights | {"words": min(1.0, weights.get("words", 1.0))}


def _groups(rows: _Scored) -> tuple[list[Group], int]:
    """Returns all groups except those by words, and how many of them, at the start, are labels."""
    groups = label_groups(rows.references)
    by_label = len(groups)
    groups += length_groups("prompt length", "prompt", rows.prompts)
    if not by_label:
        groups += length_groups("reference length", "reference", rows.references)
    return groups + column_groups(rows.columns), by_label


def _confusions(
    rows: _Scored, groups: Sequence[Group], labels: Sequence[str]
) -> dict[str, tuple[tuple[str | None, int], ...]]:
    """Returns for each label the labels in its failed outputs, the most common first."""
    read = label_reader(list(labels) or [group.name for group in groups])
    known: dict[str | None, str | None] = {None: None}
    found = {}
    for group in groups:
        own, counts = normalised(group.name), Counter[str | None]()
        for at in group.rows:
            if rows.failed[at]:
                output = rows.outputs[at]
                if output not in known:
                    known[output] = read(output or "")
                said = known[output]
                if said is None or normalised(said) != own:
                    counts[said] += 1
        found[group.name] = tuple(
            sorted(counts.items(), key=lambda item: (-item[1], item[0] is None, item[0] or ""))
        )
    return found


def _promising(rows: _Scored, words: WordCounts) -> tuple[list[Term], list[float]]:
    """Returns the terms that fail more than the rest, with p-values; others are not tested.

    The others have p-values above LEVEL, which do not change adjusted ones below it.
    """
    total, failures = len(words.rows), sum(rows.failed[at] for at in words.rows)
    terms, p_values = [], []
    if 0 < failures < total:
        share = failures / total
        for term, in_failed, in_rows in words.counts():
            error = math.sqrt(in_rows * share * (1 - share))
            if in_failed > in_rows * share + _TOO_LITTLE * error:
                terms.append(term)
                p_values.append(
                    fisher_greater(in_failed, in_rows, failures - in_failed, total - in_rows)
                )
    clusters = clusters_at(rows.clusters, words.rows)
    if clusters is not None:
        p_values = _by_cluster(rows, words, terms, clusters)
    return terms, p_values


def _by_cluster(
    rows: _Scored, words: WordCounts, terms: Sequence[Term], clusters: Clusters
) -> list[float]:
    """Returns the p-values of terms where each cluster counts once."""
    place = {at: place for place, at in enumerate(words.rows)}
    counts = HitCounts([rows.failed[at] for at in words.rows], clusters)
    members = rows_with(terms, rows.prompts, words.rows)
    return [fisher_greater(*counts.split([place[at] for at in members[term]])) for term in terms]


def _weak_words(
    rows: _Scored,
    words: WordCounts,
    terms: Sequence[Term],
    p_values: Sequence[float],
    adjusted: Sequence[float],
) -> list[Slice]:
    """Returns the weak slices by words, by p-value."""
    order = sorted(range(len(terms)), key=lambda n: (p_values[n], term_text(terms[n])))
    sure = [n for n in order if adjusted[n] < LEVEL][: 2 * LISTED]
    members = rows_with([terms[n] for n in sure], rows.prompts, words.rows)
    read = sum(rows.failed[at] for at in words.rows), len(words.rows)
    return [
        _slice(
            rows,
            Group("words", term_text(terms[n]), members[terms[n]]),
            p_values[n],
            adjusted[n],
            among=read,
        )
        for n in sure
    ]


def _slice(
    rows: _Scored,
    group: Group,
    p: float,
    p_adjusted: float,
    *,
    among: tuple[int, int],
    said: tuple[tuple[str | None, int], ...] = (),
) -> Slice:
    failed, total = sum(map(rows.failed.__getitem__, group.rows)), len(group.rows)
    low, high = wilson(failed, total)
    if (clusters := clusters_at(rows.clusters, group.rows)) is not None:
        low, high = share_interval([float(rows.failed[at]) for at in group.rows], clusters)
    return Slice(
        kind=group.kind,
        name=group.name,
        indices=tuple(map(rows.at.__getitem__, group.rows)),
        failed=failed,
        total=total,
        share=failed / total,
        low=low,
        high=high,
        elsewhere_failed=among[0] - failed,
        elsewhere_total=among[1] - total,
        p=p,
        p_adjusted=p_adjusted,
        said=said,
    )


def _distinct(weak: Sequence[Slice], heard: Sequence[Slice]) -> list[Slice]:
    """The slices, and of those by words what is not nearly another one."""
    kept = [(each, frozenset(each.indices)) for each in weak]
    for each in heard:
        own = frozenset(each.indices)
        if not any(_are_alike(own, other) for _, other in kept):
            kept.append((each, own))
    return [each for each, _ in kept]


def _are_alike(one: frozenset[int], other: frozenset[int]) -> bool:
    fewer, more = sorted((len(one), len(other)))
    return fewer >= ALIKE * more and len(one & other) >= ALIKE * len(one | other)
