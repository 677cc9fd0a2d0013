"""Scoring an output against its reference: score in [0, 1], higher is better.

These scorers need nothing installed; `rouge_l`, `chrf` and a user's own `module:function`
live with the engine and give the same `Scorer`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from tui_loop.core.text.untrusted import one_line

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

PURE_METRICS = (
    "exact_match",
    "contains",
    "regex",
    "label",
    "numeric",
    "json_valid",
    "json_match",
    "none",
)
LIBRARY_METRICS = ("rouge_l", "chrf")
NO_METRIC = "none"

SEARCH_SECONDS, SECONDS_PER_OUTPUT = 2.0, 0.05
"""What metric regex may take: the first for all outputs, the second more with each of them."""

_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def is_function(metric: str) -> bool:
    """Whether a metric is somebody's own `module:function`."""
    return _FUNCTION.fullmatch(metric) is not None


class Scorer(msgspec.Struct, frozen=True):
    """`score(output, reference)` in [0, 1], and from which score on an example passes."""

    metric: str
    pass_score: float
    score: Callable[[str, str], float]


def pure_scorer(metric: str, labels: Sequence[str], pattern: str | None) -> Scorer | None:
    """The scorer for one of PURE_METRICS; None for metric `none`.

    Raises BadInput for a pattern that is no regular expression.
    """
    if metric == NO_METRIC:
        return None
    if metric == "label":
        known = list(labels)
        return Scorer(metric, 1.0, lambda output, reference: _same_label(output, reference, known))
    if metric == "regex":
        return Scorer(metric, 1.0, _regex_score(pattern))
    simple: dict[str, Callable[[str, str], float]] = {
        "exact_match": lambda output, reference: float(normalised(output) == normalised(reference)),
        "contains": lambda output, reference: float(normalised(reference) in normalised(output)),
        "numeric": _numeric_score,
        "json_valid": lambda output, _: float(_parsed(output) is not _INVALID),
        "json_match": _json_score,
    }
    return Scorer(metric, 1.0, simple[metric])


def normalised(text: str) -> str:
    """Text as `exact_match` compares it.

    NFKC, case folded, runs of white space as one blank, none around, final full stop dropped.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).removesuffix(".").rstrip()


def label_of(output: str, labels: Sequence[str]) -> str | None:
    """The label that `output` names, or None.

    Its first line if that is a label; else the one label that occurs in it as a whole word;
    an output that names several labels names none.
    """
    return label_reader(labels)(output)


def label_reader(labels: Sequence[str]) -> Callable[[str], str | None]:
    """`label_of` for many outputs: the labels are prepared once."""
    named = names_reader(labels)

    def read(output: str) -> str | None:
        found = named(output)
        return found[0] if len(found) == 1 else None

    return read


def names_reader(labels: Sequence[str]) -> Callable[[str], list[str]]:
    """Gives all labels that an output names: its first line's, else those that occur in it as
    whole words, in order."""
    by_form = {form: label for label in labels if (form := normalised(label))}
    longest_first = "|".join(re.escape(form) for form in sorted(by_form, key=len, reverse=True))
    named_in = re.compile(rf"(?<!\w)(?:{longest_first})(?!\w)") if by_form else None

    def read(output: str) -> list[str]:
        lines = output.strip().splitlines()
        first = normalised(lines[0]) if lines else ""
        if first in by_form:
            return [by_form[first]]
        found = named_in.findall(normalised(output)) if named_in else []
        return [by_form[form] for form in dict.fromkeys(found)]

    return read


def macro_f1(said: Sequence[str | None], wanted: Sequence[str]) -> float:
    """Unweighted mean of the F1 of every label that was wanted or said."""
    labels = sorted({*wanted, *(label for label in said if label is not None)})
    scores = []
    for label in labels:
        hits = sum(s == label == w for s, w in zip(said, wanted, strict=True))
        total = sum(s == label for s in said) + sum(w == label for w in wanted)
        scores.append(2 * hits / total)
    return sum(scores) / len(scores) if scores else 0.0


def last_number(text: str) -> Decimal | None:
    """The last number in `text`, thousands separators dropped (as GSM8K is scored)."""
    found = _NUMBER.findall(text)
    try:
        return Decimal(found[-1].replace(",", "")) if found else None
    except InvalidOperation:
        return None


def _same_label(output: str, reference: str, labels: Sequence[str]) -> float:
    said = label_of(output, labels)
    return float(said is not None and normalised(said) == normalised(reference))


def _numeric_score(output: str, reference: str) -> float:
    said, wanted = last_number(output), last_number(reference)
    return float(said is not None and said == wanted)


def _regex_score(pattern: str | None) -> Callable[[str, str], float]:
    """Searches for `pattern`, or for each reference as a pattern, in a time that is limited."""
    from tui_loop.core.text.limited_regex import (  # 20 ms, for this metric alone
        SearchTime,
        compiled,
    )

    time = SearchTime(SEARCH_SECONDS, SECONDS_PER_OUTPUT)

    def prepared(pattern: str) -> tuple[Any, str]:
        what = f"evaluation.pattern: {one_line(pattern, 200)!r}"
        hint = "correct the pattern, or unset it to use each reference as one"
        return compiled(pattern, what, hint), what

    fixed = prepared(pattern) if pattern is not None else None

    def score(output: str, reference: str) -> float:
        wanted, what = fixed or prepared(reference)
        return float(time.found(wanted, output, what))

    return score


class _Invalid:
    """What text that is not JSON parses to."""


_INVALID = _Invalid()


def _parsed(text: str) -> object:
    """The JSON value in `text`, a code fence around it allowed; _INVALID where there is none."""
    body = re.sub(r"^```(?:json)?\s*|\s*```$", "", text.strip())
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _INVALID


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")


def _json_score(output: str, reference: str) -> float:
    """Share of the reference's leaves that the output has, 1 only if it has nothing else."""
    said, wanted = _parsed(output), _parsed(reference)
    if said is _INVALID or wanted is _INVALID:
        return 0.0
    said_leaves, wanted_leaves = _leaves(said), _leaves(wanted)
    return len(said_leaves & wanted_leaves) / len(said_leaves | wanted_leaves)


def _leaves(value: object) -> set[tuple[str, str]]:
    """(path, JSON) of every scalar and empty container; equal sets are equal values."""
    leaves: set[tuple[str, str]] = set()
    waiting = [("$", value)]  # no recursion: an output may be nested absurdly deep
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, dict) and item:
            waiting.extend((f"{path}.{json.dumps(key)}", inner) for key, inner in item.items())
        elif isinstance(item, list) and item:
            waiting.extend((f"{path}[{n}]", inner) for n, inner in enumerate(item))
        else:
            if isinstance(item, float) and item.is_integer():
                item = int(item)  # 36.0 is 36
            leaves.add((path, json.dumps(item)))
    return leaves
