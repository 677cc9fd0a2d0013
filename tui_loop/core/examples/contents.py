"""What an output says, held against the reference: right in another form, nearly, or wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

import msgspec

from tui_loop.core.examples.found import Cause, Found, Measured
from tui_loop.core.examples.values import json_in_text, number_elsewhere
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import last_number, names_reader, normalised
from tui_loop.core.text.similarity import (
    COMPARED,
    edit_distance,
    edits_allowed,
    found_within,
    normal,
    normal_same_but_for_signs,
    same_but_for_signs,
    same_figures,
)
from tui_loop.core.text.untrusted import one_line

_SHOWN = 32
_FEW = 3
_JSON = ("json_match", "json_valid")
_WORDS = re.compile(r"\w+")
_SIGNS = re.compile(r"[^\w\s]")


class Case(msgspec.Struct, frozen=True):
    """A failed example with an output; `said` and `wanted` are output and reference normalised."""

    example: Example
    measured: Measured
    output: str
    said: str
    wanted: str

    @property
    def reference(self) -> str:
        return self.example.reference


def case_of(example: Example, measured: Measured) -> Case:
    """The example with its texts as they are compared."""
    output = example.output or ""
    return Case(example, measured, output, normalised(output), normal(example.reference))


def content_cause(case: Case) -> Found | None:
    """What is to be said of the content: no_end_token, format, near_miss or wrong_label."""
    named = _labels_said(case)
    others = [each for each in named if normal(each) != case.wanted]
    if named and len(others) == len(named):
        return _wrong_label(case, others)
    if _is_pattern(case):
        return None
    place = _place(case)
    return (
        _other_json(case)
        or _other_signs(case)
        or _went_on(case, place)
        or _with_others(case, others)
        or _nearly(case)
        or _within(case, place)
        or _other_value(case)
    )


def otherwise(case: Case) -> str:
    """How an output is wrong for which no name is known, in the terms of the metric."""
    metric, score = case.measured.metric, case.example.score
    if metric == "numeric":
        return _other_number(case)
    if metric in _JSON and not score:
        return "no JSON in the output that can be read, or other values throughout"
    if metric == "regex":
        return f"the pattern {quoted(case.measured.pattern or case.reference)} matches nowhere"
    if case.wanted.startswith(case.said):
        ends = f"{len(case.said)} of {len(case.wanted)} characters"
        return f"ends after the first {ends} of the reference"
    scored = f"score {score:.2f}, " if score else ""
    words = set(_WORDS.findall(case.wanted))
    if len(words) <= _FEW:
        return f"{scored}said {quoted(case.output)}, wanted {quoted(case.reference)}"
    shared = len(words & set(_WORDS.findall(case.said)))
    return f"{scored}{shared} of the reference's {len(words)} words are in the output"


def limit_of(measured: Measured) -> str:
    """The limit of new tokens, in words."""
    if measured.max_new_tokens is None:
        return "the limit of new tokens"
    return f"the limit of {count(measured.max_new_tokens, 'new token')}"


def count(number: int, thing: str) -> str:
    """`1 token`, `2 tokens`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def quoted(text: str, limit: int = _SHOWN) -> str:
    """The start of a text, safe to show, in quotes."""
    return f"'{one_line(text, limit)}'"


def _labels_said(case: Case) -> list[str]:
    measured = case.measured
    if not measured.labels:
        return []
    if measured.metric == "label":
        return _names(measured.labels)(case.output)
    label = _forms(measured.labels).get(case.said)  # of exact_match: the whole output is a label
    return [] if label is None else [label]


def _wrong_label(case: Case, others: list[str]) -> Found:
    told = " and ".join(one_line(each, _SHOWN) for each in others[:_FEW])
    more = f" and {len(others) - _FEW} more" if len(others) > _FEW else ""
    wanted = one_line(case.reference, _SHOWN)
    return Found(Cause.WRONG_LABEL, f"said {told}{more}, wanted {wanted}")


def _is_pattern(case: Case) -> bool:
    """Whether the reference is a pattern and no text to hold the output against."""
    measured = case.measured
    own = measured.metric == "regex" and measured.pattern is None
    return own and _SIGNS.search(case.reference) is not None


def _place(case: Case) -> int | None:
    """Where the reference stands in the output; metric numeric looks for its number instead."""
    if case.measured.metric == "numeric" and _number(case.wanted) is not None:
        return None
    return found_within(case.wanted, case.said)


def _other_json(case: Case) -> Found | None:
    metric = case.measured.metric
    if metric not in _JSON and case.reference.lstrip()[:1] not in ("{", "["):
        return None
    why = json_in_text(case.output, None if metric == "json_valid" else case.reference)
    return None if why is None else Found(Cause.FORMAT, why)


def _other_signs(case: Case) -> Found | None:
    if not normal_same_but_for_signs(case.said, case.wanted):
        return None
    how = "case or white space" if case.said == case.wanted else "punctuation or spacing"
    return Found(Cause.NEAR_MISS, f"differs only in {how}: {quoted(case.output)}")


def _went_on(case: Case, place: int | None) -> Found | None:
    if place != 0 or not case.example.truncated:
        return None
    return Found(
        Cause.NO_END_TOKEN, f"the reference is there, then on to {limit_of(case.measured)}"
    )


def _with_others(case: Case, others: list[str]) -> Found | None:
    """Several labels, the right one among them."""
    if not others:
        return None
    if len(others) >= _FEW:
        wanted = one_line(case.reference, _SHOWN)
        return Found(Cause.WRONG_LABEL, f"named {len(others) + 1} labels, wanted {wanted} alone")
    told = ", ".join(one_line(each, _SHOWN) for each in others)
    return Found(Cause.FORMAT, f"names the right label, and {told} too")


def _nearly(case: Case) -> Found | None:
    distance = _distance(case.said, case.wanted)
    if distance is not None:
        of = min(len(case.wanted), COMPARED)
        told = f"edit distance {distance} of {of} characters: {quoted(case.output)}"
        return Found(Cause.NEAR_MISS, told)
    first, _, rest = case.output.strip().partition("\n")
    if not rest:
        return None
    if same_but_for_signs(first, case.reference):
        told = f"line 1 differs only in punctuation or spacing: {quoted(first)}"
        return Found(Cause.NEAR_MISS, told)
    distance = _distance(normalised(first), case.wanted)
    if distance is None:
        return None
    told = f"edit distance {distance} of {len(case.wanted)} in line 1: {quoted(first)}"
    return Found(Cause.NEAR_MISS, told)


def _distance(said: str, wanted: str) -> int | None:
    """The edit distance where it is small and the numbers are equal."""
    allowed = edits_allowed(wanted)
    if not allowed or abs(len(said) - len(wanted)) > allowed:
        return None
    if not same_figures(said[:COMPARED], wanted[:COMPARED]):
        return None
    return edit_distance(wanted[:COMPARED], said[:COMPARED], allowed)


def _within(case: Case, place: int | None) -> Found | None:
    if place is None:
        return None
    before = case.said[:place].strip()
    if before:
        shown = before if len(before) <= _SHOWN else f"…{before[-_SHOWN:]}"
        told = f"stands within the output, after {quoted(shown, _SHOWN + 1)}"
    else:
        told = f"stands at the start, then comes {quoted(case.said[len(case.wanted) :])}"
    return Found(Cause.FORMAT, f"the reference {told}")


def _other_value(case: Case) -> Found | None:
    why = number_elsewhere(case.output, case.reference)
    if why is None:
        return None
    went_on = case.example.truncated and case.measured.metric == "numeric"
    return Found(Cause.NO_END_TOKEN if went_on else Cause.FORMAT, why)


def _other_number(case: Case) -> str:
    number, right = last_number(case.output), _number(case.reference)
    wanted = quoted(case.reference if right is None else str(right))[1:-1]
    if number is None:
        return f"no number in the output, wanted {wanted}"
    return f"its last number is {one_line(str(number), _SHOWN)}, wanted {wanted}"


@lru_cache(maxsize=1024)
def _number(reference: str) -> Decimal | None:
    return last_number(reference)


@lru_cache(maxsize=16)
def _names(labels: tuple[str, ...]) -> Callable[[str], list[str]]:
    return names_reader(labels)


@lru_cache(maxsize=16)
def _forms(labels: tuple[str, ...]) -> dict[str, str]:
    return {normalised(label): label for label in labels}
