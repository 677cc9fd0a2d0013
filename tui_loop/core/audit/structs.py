"""Structs of `audit.json`: facts that need the data, which a reader of the record may not have.

`None` in place of a fact means that it does not apply, as prompts of plain text.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")


class Count(msgspec.Struct, frozen=True):
    """How many of how many, with up to five examples: ids of rows, or words."""

    count: int
    of: int
    share: float
    examples: tuple[str, ...] = ()


class Both(msgspec.Struct, Generic[T], frozen=True):
    """A fact about the training rows and about the evaluation rows, None without rows."""

    train: T | None
    eval: T | None


class Rows(msgspec.Struct, frozen=True):
    """The number of rows of a side, and of those that facts about words and about form are from.

    Where they are fewer than `count`, they are a random sample of seed `seed`. All other facts are
    from all rows.
    """

    count: int
    for_words: int
    for_form: int
    seed: int


class Quantiles(msgspec.Struct, frozen=True):
    """Quantiles of lengths in characters, nearest rank."""

    least: int
    p05: int
    p25: int
    median: int
    p75: int
    p95: int
    most: int


class Affix(msgspec.Struct, frozen=True):
    """The longest start (or end) that more than half of the rows share.

    `text` is cut to 80 characters and `characters` is its whole length, at most 300. `rows` have it
    on this side and `elsewhere` on the other side. `is_common`: all rows of this side have it.
    """

    text: str
    characters: int
    rows: Count
    elsewhere: Count | None
    is_common: bool


class TextForm(msgspec.Struct, frozen=True):
    """The form of the texts of one side.

    `traits` has, for each trait such as `case`, the number of texts with each of its values.
    `start` and `end` are None where no start or end is shared.
    """

    characters: Quantiles
    traits: dict[str, dict[str, Count]]
    start: Affix | None
    end: Affix | None


class Difference(msgspec.Struct, frozen=True):
    """A value of a trait that the two sides have in different shares, with the p-value.

    The test is Fisher's exact test, two-sided, corrected for the number of values by Holm's method.
    """

    trait: str
    value: str
    train: float
    eval: float
    p_value: float


class Texts(msgspec.Struct, frozen=True):
    """The form of prompts or of references on both sides, and what differs the most first."""

    form: Both[TextForm]
    differences: tuple[Difference, ...]


class References(msgspec.Struct, frozen=True):
    """The form of references, and those that are no usable answer.

    `signs_only`: without a letter and without a digit. `long`: at least ten times as long as the
    median of the training references, and at least 20 characters. `template`: text that was
    meant to be replaced, such as `{answer}`, `TODO` or `N/A`.
    """

    texts: Texts
    empty: Both[Count]
    signs_only: Both[Count]
    long: Both[Count]
    template: Both[Count]


class Prompts(msgspec.Struct, frozen=True):
    """The form of prompts (of conversations the last turn before the answer) and their context.

    `with_system`: rows with a system turn. `system`: the most frequent system text, with the rows
    that have it. `with_history`: rows with several turns before the answer.
    """

    texts: Texts
    with_system: Both[Count]
    system: Both[Affix]
    with_history: Both[Count]


class LabelCount(msgspec.Struct, frozen=True):
    """The rows of one label. The text is cut to 80 characters."""

    label: str
    train: int
    eval: int


class LabelSet(msgspec.Struct, frozen=True):
    """Labels that only one side has: their number, the rows that have one, the most frequent."""

    labels: int
    rows: Count
    names: tuple[str, ...]


class Balance(msgspec.Struct, frozen=True):
    """How evenly the labels of a side are spread; `ratio` is the largest to the smallest label."""

    labels: int
    largest: str
    rows: Count
    smallest: str
    smallest_rows: int
    ratio: float


Likeness = Literal["case", "spaces", "punctuation", "typo", "abbreviation", "synonym", "prompts"]


class LabelPair(msgspec.Struct, frozen=True):
    """Two labels that may be names of one class, with their rows.

    `kind`: they differ only in case, spaces or punctuation; they are a typo apart; one abbreviates
    the other; a short list has them as synonyms; or their training prompts use the same words, so
    that a random exchange of the two labels is as good (`p_value` of a permutation test).
    """

    kind: Likeness
    first: LabelCount
    second: LabelCount
    p_value: float | None = None


class Labels(msgspec.Struct, frozen=True):
    """The references as labels, without outer spaces. `counts` has the 50 most frequent."""

    counts: tuple[LabelCount, ...]
    only_train: LabelSet
    only_eval: LabelSet
    balance: Both[Balance]
    pairs: tuple[LabelPair, ...]


class Echo(msgspec.Struct, frozen=True):
    """Prompts that contain their reference as whole words, ignoring case.

    `by_chance`: prompts that contain the reference of another row of their side, drawn at random.
    """

    found: Count
    by_chance: Count


class Draws(msgspec.Struct, frozen=True):
    """Divergence of `rows` random training rows from the other ones, over several draws."""

    draws: int
    rows: int
    mean: float
    largest: float


class Vocabulary(msgspec.Struct, frozen=True):
    """The words of both sides. Divergences are Jensen-Shannon divergences of word frequencies.

    They are in bits, from 0 (equal) to 1 (no common word). Compare `divergence` with `by_chance`:
    small samples differ by chance. `unseen_words` are the distinct words of the evaluation
    that training lacks, and `unseen_tokens` counts each of their occurrences.
    """

    words: Both[int]
    distinct: Both[int]
    unseen_words: Count
    unseen_tokens: Count
    divergence: float
    by_chance: Draws | None


class Duplicates(msgspec.Struct, frozen=True):
    """Rows that repeat an earlier one of their side.

    `folded` counts texts as equal that differ only in case and white space. `conflicting`: rows
    whose prompt has several references, from `conflicts` prompts.
    """

    exact: Count
    folded: Count
    conflicting: Count | None
    conflicts: int


class Shared(msgspec.Struct, frozen=True):
    """Evaluation rows whose prompt is in training; for plain text, whose text is.

    `folded` ignores case and white space. Of these rows, `same_reference` have a reference that
    training has for the prompt, and `other_reference` do not.
    """

    exact: Count
    folded: Count
    same_reference: Count | None
    other_reference: Count | None


class Sorting(msgspec.Struct, frozen=True):
    """Whether the order of the training rows groups what is equal.

    `runs` of equal neighbours against those `expected` of a shuffled order, with the standard
    score `z` of the difference: below -4 the rows are sorted or in blocks. `longest`: rows in
    the longest run. (Barton and David 1957; for two values Wald and Wolfowitz 1940.)
    """

    runs: int
    expected: float
    z: float
    longest: int


class Neighbours(msgspec.Struct, frozen=True):
    """Mean similarity of the words of adjacent rows, and of random pairs of rows.

    It is the Jaccard similarity of the prompts' words, weighted by inverse document frequency. Rows
    that are sorted by source or subject have similar neighbours: `z` is then above 4.
    """

    adjacent: float
    random: float
    pairs: int
    z: float


class Order(msgspec.Struct, frozen=True):
    """The order of the training rows in the file, before any shuffling.

    `by_length` has runs of rows that are longer, or not longer, than the median.
    """

    by_label: Sorting | None
    by_length: Sorting | None
    by_words: Neighbours | None


class Exchange(msgspec.Struct, frozen=True):
    """Whether prompts and references of the training rows look exchanged.

    The divergences compare words of training and evaluation, in bits, averaged over both columns:
    `straight` as they are, `exchanged` with the training columns swapped.
    """

    straight: float
    exchanged: float
    prompts_as_references: Count
    references_as_prompts: Count
    looks_exchanged: bool


class DataAudit(msgspec.Struct, frozen=True):
    """Training rows against evaluation rows. `digest` identifies the texts that were read.

    `labels`: None where the references are not labels. `vocabulary`: of prompts, or of plain text.
    """

    digest: str
    rows: Both[Rows]
    labels: Labels | None
    references: References | None
    prompts: Prompts | None
    echo: Both[Echo] | None
    vocabulary: Vocabulary | None
    reference_vocabulary: Vocabulary | None
    duplicates: Both[Duplicates]
    shared: Shared | None
    order: Order | None
    exchange: Exchange | None


class Places(msgspec.Struct, frozen=True):
    """Where the loss of answers is: mean losses in nats of their tokens, over `rows` answers.

    `first` is the first trained token of an answer, which decides which answer it becomes; `last`
    its last one, which ends it. `between` is the mean of all others, None where no answer has any.
    """

    rows: int
    first: float
    between: float | None
    last: float


class Moved(msgspec.Struct, frozen=True):
    """How far an adapter moved the layers of one name, relative to the weights of the base.

    The size of a change is its Frobenius norm divided by that of the weights. `layers` is how many
    layers of the name have an adapter.
    """

    name: str
    layers: int
    least: float
    median: float
    most: float


class WeightsAudit(msgspec.Struct, frozen=True):
    """Which weights were trained and how far they moved; `moved` is empty without an adapter."""

    trained: int
    parameters: int
    moved: tuple[Moved, ...]


class Audit(msgspec.Struct, frozen=True):
    """The content of `audit.json`. A part that was not recorded is None."""

    version: int = 1
    data: DataAudit | None = None
    losses: Places | None = None
    weights: WeightsAudit | None = None
