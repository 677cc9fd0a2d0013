"""Scores an output against its reference: a score in [0, 1], higher is better.

Every metric gets the answers alone, without the reasoning before them.

These metrics need no other package. `rouge_l`, `chrf` and a user's `module:function` are in
`engine.scorers`, which makes the same `Scorer`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from tui_loop.core.reasoning import answer_of
from tui_loop.core.text.untrusted import one_line
from tui_loop.core.tool_calls import same_calls

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

PURE_METRICS = (
    "exact_match",
    "contains",
    "regex",
    "label",
    "numeric",
    "json_valid",
    "json_match",
    "tool_call",
    "none",
)
LIBRARY_METRICS = ("rouge_l", "chrf")
NO_METRIC = "none"
TOOL_CALL = "tool_call"

SEARCH_SECONDS, SECONDS_PER_OUTPUT = 2.0, 0.05
"""The time limit of metric regex: SEARCH_SECONDS in all, plus SECONDS_PER_OUTPUT per output."""

_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def is_function(metric: str) -> bool:
    """Whether a metric is a user's `module:function`."""
    return _FUNCTION.fullmatch(metric) is not None


class Scorer(msgspec.Struct, frozen=True):
    """A metric; an example passes from `pass_score` on.

    `compare`: the score in [0, 1] of the answer in the output for the one in the reference.
    """

    metric: str
    pass_score: float
    compare: Callable[[str, str], float]

    def score(self, output: str, reference: str, others: Iterable[str] = ()) -> float:
        """Returns the score of the answer in an output; reasoning before it does not count.

        `others`: further right answers, of which the one that fits best counts.
        """
        answer = answer_of(output)
        return max(self.compare(answer, answer_of(each)) for each in (reference, *others))


def pure_scorer(metric: str, labels: Sequence[str], pattern: str | None) -> Scorer | None:
    """Makes the scorer of one of PURE_METRICS; None for metric `none`.

    Raises BadInput for an invalid pattern.
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
        TOOL_CALL: lambda output, reference: float(same_calls(output, reference)),
    }
    return Scorer(metric, 1.0, simple[metric])


def normalised(text: str) -> str:
    """Normalizes text for `exact_match`.

    That is NFKC, case folding, single spaces, and no space or full stop at the end.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).removesuffix(".").rstrip()


def label_of(output: str, labels: Sequence[str]) -> str | None:
    """Returns the label that `output` predicts, or None.

    That is the first line of its answer if that is a label, else the only label that occurs in the
    answer as a whole word. An output with several labels predicts none.
    """
    return label_reader(labels)(output)


def label_reader(labels: Sequence[str]) -> Callable[[str], str | None]:
    """Returns `label_of` for fixed labels, which are prepared only once."""
    labels_in = labels_reader(labels)

    def read(output: str) -> str | None:
        named = labels_in(output)
        return named[0] if len(named) == 1 else None

    return read


def labels_reader(labels: Sequence[str]) -> Callable[[str], list[str]]:
    """Returns a function that finds all labels in an output.

    That is the first line of the answer if it is a label, else all labels that occur in the answer
    as whole words, in order.
    """
    by_form = {form: label for label in labels if (form := normalised(label))}
    # Longest first: a label that begins with another one must match as a whole.
    alternatives = "|".join(re.escape(form) for form in sorted(by_form, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)") if by_form else None

    def read(output: str) -> list[str]:
        answer = answer_of(output)
        lines = answer.strip().splitlines()
        first = normalised(lines[0]) if lines else ""
        if first in by_form:
            return [by_form[first]]
        forms = pattern.findall(normalised(answer)) if pattern else []
        return [by_form[form] for form in dict.fromkeys(forms)]

    return read


def macro_f1(predicted: Sequence[str | None], expected: Sequence[str]) -> float:
    """Returns the unweighted mean of the F1 of every expected or predicted label."""
    labels = sorted({*expected, *(label for label in predicted if label is not None)})
    scores = []
    for label in labels:
        hits = sum(p == label == e for p, e in zip(predicted, expected, strict=True))
        total = sum(p == label for p in predicted) + sum(e == label for e in expected)
        scores.append(2 * hits / total)
    return sum(scores) / len(scores) if scores else 0.0


def is_number(text: str) -> bool:
    """Returns whether `text` is one number and nothing else."""
    return _NUMBER.fullmatch(text.strip()) is not None


def last_number(text: str) -> Decimal | None:
    """Returns the last number in `text`, without thousands separators (as GSM8K is scored)."""
    numbers = _NUMBER.findall(text)
    try:
        return Decimal(numbers[-1].replace(",", "")) if numbers else None
    except InvalidOperation:
        return None


def _same_label(output: str, reference: str, labels: Sequence[str]) -> float:
    predicted = label_of(output, labels)
    return float(predicted is not None and normalised(predicted) == normalised(reference))


def _numeric_score(output: str, reference: str) -> float:
    number, expected = last_number(output), last_number(reference)
    return float(number is not None and number == expected)


def _regex_score(pattern: str | None) -> Callable[[str, str], float]:
    """Makes a score that searches for `pattern`, or for each reference, within a time limit."""
    # Imported here: it takes 20 ms, and only this metric needs it.
    from tui_loop.core.text.limited_regex import SearchTime, compiled

    time = SearchTime(SEARCH_SECONDS, SECONDS_PER_OUTPUT)

    def prepared(pattern: str) -> tuple[Any, str]:
        what = f"evaluation.pattern: {one_line(pattern, 200)!r}"
        hint = "correct the pattern, or unset it to use each reference as the pattern"
        return compiled(pattern, what, hint), what

    fixed = prepared(pattern) if pattern is not None else None

    def score(output: str, reference: str) -> float:
        expression, what = fixed or prepared(reference)
        return float(time.found(expression, output, what))

    return score


class _Invalid:
    """The value of text that is not JSON."""


_INVALID = _Invalid()


def _parsed(text: str) -> object:
    """Parses the JSON value in `text`, also within a code fence; _INVALID where there is none."""
    body = re.sub(r"^```(?:json)?\s*|\s*```$", "", text.strip())
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _INVALID


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def _json_score(output: str, reference: str) -> float:
    """Returns the Jaccard similarity of the leaves of output and reference."""
    value, expected = _parsed(output), _parsed(reference)
    if value is _INVALID or expected is _INVALID:
        return 0.0
    leaves, expected_leaves = _leaves(value), _leaves(expected)
    return len(leaves & expected_leaves) / len(leaves | expected_leaves)


def _leaves(value: object) -> set[tuple[str, str]]:
    """Returns (path, JSON) of every scalar and empty container; equal sets are equal values."""
    leaves: set[tuple[str, str]] = set()
    pending = [("$", value)]  # no recursion: an output may be nested too deeply for it
    while pending:
        path, item = pending.pop()
        if isinstance(item, dict) and item:
            pending.extend((f"{path}.{json.dumps(key)}", inner) for key, inner in item.items())
        elif isinstance(item, list) and item:
            pending.extend((f"{path}[{n}]", inner) for n, inner in enumerate(item))
        else:
            if isinstance(item, float) and item.is_integer():
                item = int(item)  # 36.0 is 36
            leaves.add((path, json.dumps(item)))
    return leaves
