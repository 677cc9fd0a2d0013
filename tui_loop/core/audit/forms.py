"""Compares the form of the texts of both sides: traits, lengths, shared starts and ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from tui_loop.core.audit.structs import (
    Affix,
    Both,
    Count,
    Difference,
    Prompts,
    Quantiles,
    References,
    TextForm,
    Texts,
)
from tui_loop.core.audit.texts import RowTexts, Sides, counted, counted_ids, quoted
from tui_loop.core.audit.traits import (
    PROMPT_TRAITS,
    REFERENCE_TRAITS,
    prompt_values,
    reference_values,
)
from tui_loop.core.stats import fisher_greater, holm

Rows = Sequence[RowTexts]
Text = Callable[[RowTexts], str]

AFFIX_CHARACTERS = 300
LEAST_AFFIX = 3
"""Characters; shorter starts and ends are shared by chance."""

LEAST_DIFFERENCE = 0.05
SIGNIFICANT = 0.01
"""Shares differ if the difference is at least so large and the corrected p-value at most so."""

LONG_FACTOR, LONG_LEAST = 10, 20

_PLACEHOLDERS = frozenset(
    (
        "todo",
        "tbd",
        "fixme",
        "n/a",
        "na",
        "null",
        "none",
        "nan",
        "undefined",
        "xxx",
        "...",
        "-",
        "?",
    )
)


def references_of(rows: Sides[RowTexts], sample: Sides[RowTexts]) -> References:
    """Returns the form of the references of a sample, and all that are empty or extreme."""
    limit = _long_limit(rows.train)
    return References(
        _texts(sample, lambda row: row.reference, REFERENCE_TRAITS, reference_values),
        _where(rows, lambda row: not row.reference.strip()),
        _where(rows, _has_signs_only),
        _where(rows, lambda row: limit is not None and len(row.reference) >= limit),
        _where(rows, lambda row: _is_placeholder(row.reference)),
    )


def prompts_of(rows: Sides[RowTexts], sample: Sides[RowTexts]) -> Prompts:
    """Returns the form of the prompts of a sample, and which rows have a system or a history."""
    return Prompts(
        _texts(sample, lambda row: row.prompt, PROMPT_TRAITS, prompt_values),
        _where(rows, lambda row: bool(row.system)),
        Both(_system(rows.train, rows.held), _system(rows.held, rows.train)),
        _where(rows, lambda row: row.has_history),
    )


def _texts(
    sample: Sides[RowTexts],
    text: Text,
    names: Iterable[str],
    values: Callable[[str], tuple[str, ...]],
) -> Texts:
    train, held = sample
    form = Both(
        _form(train, held, text, tuple(names), values),
        _form(held, train, text, tuple(names), values),
    )
    return Texts(form, _differences(form))


def _form(
    rows: Rows,
    others: Rows,
    text: Text,
    names: tuple[str, ...],
    values: Callable[[str], tuple[str, ...]],
) -> TextForm | None:
    if not rows:
        return None
    found: list[dict[str, list[str]]] = [defaultdict(list) for _ in names]
    for row in rows:
        for ids, value in zip(found, values(text(row)), strict=True):
            ids[value].append(row.id)
    traits = {
        name: {
            value: counted_ids(ids, len(rows))
            for value, ids in sorted(values_of.items(), key=lambda each: -len(each[1]))
        }
        for name, values_of in zip(names, found, strict=True)
    }
    own, theirs = [text(row) for row in rows], [text(row) for row in others]
    return TextForm(
        quantiles([len(each) for each in own]),
        traits,
        _start(own, theirs),
        _end(own, theirs),
    )


def quantiles(lengths: Sequence[int]) -> Quantiles:
    """Returns quantiles of lengths, by nearest rank."""
    ordered = sorted(lengths)
    shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    return Quantiles(*(ordered[round(share * (len(ordered) - 1))] for share in shares))


def _differences(form: Both[TextForm]) -> tuple[Difference, ...]:
    """Returns the values that differ between the sides, those with the largest difference first."""
    if form.train is None or form.eval is None:
        return ()
    none = counted(0, 0)
    tested: list[tuple[str, str, Count, Count]] = []
    for trait, own in form.train.traits.items():
        theirs = form.eval.traits[trait]
        total, other_total = (next(iter(each.values())).of for each in (own, theirs))
        for value in {**own, **theirs}:
            left, right = own.get(value, none), theirs.get(value, none)
            tested.append(
                (trait, value, _of(left, total), _of(right, other_total)),
            )
    p_values = holm([_p_value(left, right) for _, _, left, right in tested])
    found = [
        Difference(trait, value, left.share, right.share, p_value)
        for (trait, value, left, right), p_value in zip(tested, p_values, strict=True)
        if p_value <= SIGNIFICANT and abs(left.share - right.share) >= LEAST_DIFFERENCE
    ]
    return tuple(sorted(found, key=lambda each: -abs(each.train - each.eval)))


def _of(count: Count, total: int) -> Count:
    return count if count.of else counted(0, total)


def _p_value(left: Count, right: Count) -> float:
    """Returns the two-sided p-value of Fisher's exact test, twice the smaller side."""
    more = fisher_greater(left.count, left.of, right.count, right.of)
    fewer = fisher_greater(right.count, right.of, left.count, left.of)
    return min(1.0, 2 * min(more, fewer))


def _start(own: Sequence[str], theirs: Sequence[str]) -> Affix | None:
    found = _majority_start([text[:AFFIX_CHARACTERS] for text in own])
    if len(found.strip()) < LEAST_AFFIX:
        return None
    return _affix(found, own, theirs, str.startswith)


def _end(own: Sequence[str], theirs: Sequence[str]) -> Affix | None:
    found = _majority_start([text[: -AFFIX_CHARACTERS - 1 : -1] for text in own])[::-1]
    if len(found.strip()) < LEAST_AFFIX:
        return None
    return _affix(found, own, theirs, str.endswith)


def _affix(
    found: str, own: Sequence[str], theirs: Sequence[str], has: Callable[[str, str], bool]
) -> Affix:
    count = sum(has(text, found) for text in own)
    elsewhere = sum(has(text, found) for text in theirs)
    return Affix(
        quoted(found),
        len(found),
        counted(count, len(own)),
        counted(elsewhere, len(theirs)) if theirs else None,
        count == len(own),
    )


def _majority_start(texts: list[str]) -> str:
    """Returns the longest start that more than half of the texts share, cut to whole words.

    Texts that share a start are neighbours in their sorted order, so that such a start is one of
    the middle text.
    """
    if len(texts) < 2 or len(set(texts)) < 2:  # one text repeated has no template
        return ""
    ordered = sorted(texts)
    middle = ordered[len(ordered) // 2]
    low, high = 0, len(middle)
    while low < high:
        length = (low + high + 1) // 2
        start = middle[:length]
        if 2 * sum(text.startswith(start) for text in ordered) > len(ordered):
            low = length
        else:
            high = length - 1
    if low == len(middle) or not (middle[low - 1 : low].isalnum() and middle[low].isalnum()):
        return middle[:low]
    while low and middle[low - 1].isalnum():
        low -= 1
    return middle[:low]


def _system(rows: Rows, others: Rows) -> Affix | None:
    """Returns the most frequent system text."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        if row.system:
            counts[row.system] += 1
    if not counts:
        return None
    text = max(counts, key=lambda each: counts[each])
    elsewhere = sum(row.system == text for row in others)
    return Affix(
        quoted(text),
        len(text),
        counted(counts[text], len(rows)),
        counted(elsewhere, len(others)) if others else None,
        counts[text] == len(rows),
    )


def _where(rows: Sides[RowTexts], holds: Callable[[RowTexts], bool]) -> Both[Count]:
    own, theirs = ([row.id for row in side if holds(row)] for side in rows)
    return Both(
        counted_ids(own, len(rows.train)) if rows.train else None,
        counted_ids(theirs, len(rows.held)) if rows.held else None,
    )


def _long_limit(train: Rows) -> int | None:
    lengths = sorted(len(row.reference) for row in train)
    return max(LONG_LEAST, LONG_FACTOR * lengths[len(lengths) // 2]) if lengths else None


def _has_signs_only(row: RowTexts) -> bool:
    text = row.reference
    return bool(text.strip()) and not any(sign.isalnum() for sign in text)


def _is_placeholder(text: str) -> bool:
    clean = text.strip()
    if clean.casefold() in _PLACEHOLDERS:
        return True
    is_wrapped = clean[:1] == "{" and clean[-1:] == "}"
    return is_wrapped and clean.strip("{}").replace("_", "").isalpha()
