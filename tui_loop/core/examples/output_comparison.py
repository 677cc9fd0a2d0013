"""Compares an output with its reference: right in another form, nearly right, or wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

import msgspec

from tui_loop.core.examples.cause_kinds import Cause, CauseEvidence, Measured
from tui_loop.core.examples.other_forms import (
    date_elsewhere,
    is_value,
    json_in_text,
    number_elsewhere,
)
from tui_loop.core.examples.refusals import refusal_in, refuses
from tui_loop.core.reasoning import answer_of, split_reasoning
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import labels_reader, last_number, normalised
from tui_loop.core.text.negation import is_denied
from tui_loop.core.text.similarity import (
    COMPARED,
    changed_parts,
    edit_distance,
    edits_allowed,
    found_within,
    normal,
    normal_same_but_for_signs,
    same_but_for_signs,
    same_sense,
)
from tui_loop.core.text.spelling_slips import differ_by_slips, is_slip
from tui_loop.core.text.untrusted import one_line
from tui_loop.core.text.written_values import date_of, in_one_form

_SHOWN = 32
_FEW = 3
_JSON = ("json_match", "json_valid")
_WORDS = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_SIGNS = re.compile(r"[^\w\s]")


class OutputComparison(msgspec.Struct, frozen=True):
    """A failed example with the answers of its output and reference, as they are and normalised.

    `reasoning`: that of the output, "" where it has none.
    """

    example: Example
    measured: Measured
    reasoning: str
    output: str
    reference: str
    normal_output: str
    normal_reference: str


def compare_output(example: Example, measured: Measured) -> OutputComparison:
    """Returns the example with both answers normalised for comparison."""
    reasoning, output = split_reasoning(example.output or "")
    reference = _answer(example.reference)
    return OutputComparison(
        example, measured, reasoning, output, reference, normalised(output), normal(reference)
    )


def content_cause(comparison: OutputComparison) -> CauseEvidence | None:
    """Returns the cause in the content: no_end_token, format, near_miss or wrong_label."""
    labels = _labels_in_output(comparison)
    others = [each for each in labels if normal(each) != comparison.normal_reference]
    if labels and len(others) == len(labels):
        return _wrong_label(comparison, others)
    if _is_pattern(comparison):
        return None
    place = _place(comparison)
    is_denied_there = place is not None and _denied_at(comparison, place)
    if is_denied_there and others:
        return _wrong_label(comparison, others)
    return (
        _json_in_other_form(comparison)
        or _differs_in_punctuation(comparison)
        or _differs_in_written_values(comparison)
        or (None if is_denied_there else _no_end(comparison, place))
        or _several_labels(comparison, others)
        or _near_miss(comparison)
        or (None if is_denied_there else _reference_within(comparison, place))
        or _value_elsewhere(comparison)
    )


def describe_wrong_content(comparison: OutputComparison) -> str:
    """Describes a wrong output without a named cause, in terms of the metric."""
    if refusal_in(comparison.normal_output) and refuses(comparison.normal_reference):
        return f"refuses like the reference, in different words: {quoted(comparison.output)}"
    return _describe_difference(comparison)


def _describe_difference(comparison: OutputComparison) -> str:
    metric, score = comparison.measured.metric, comparison.example.score
    if metric == "numeric":
        return _wrong_number(comparison)
    if metric in _JSON and not score:
        return "the output has no valid JSON, or all values differ"
    if metric == "regex":
        pattern = comparison.measured.pattern or comparison.reference
        return f"the pattern {quoted(pattern)} does not match"
    if comparison.normal_reference.startswith(comparison.normal_output):
        ends = f"{len(comparison.normal_output)} of {len(comparison.normal_reference)} characters"
        return f"the output ends after the first {ends} of the reference"
    scored = f"score {score:.2f}, " if score else ""
    words = set(_WORDS.findall(comparison.normal_reference))
    if len(words) <= _FEW:
        return (
            f"{scored}output {quoted(comparison.output)}, reference {quoted(comparison.reference)}"
        )
    shared = len(words & set(_WORDS.findall(comparison.normal_output)))
    return f"{scored}{shared} of the reference's {len(words)} words are in the output"


def limit_of(measured: Measured) -> str:
    """Returns the limit of new tokens in words."""
    if measured.max_new_tokens is None:
        return "the limit of new tokens"
    return f"the limit of {count(measured.max_new_tokens, 'new token')}"


def count(number: int, thing: str) -> str:
    """Returns `1 token`, `2 tokens`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def quoted(text: str, limit: int = _SHOWN) -> str:
    """Returns the start of a text in quotes, safe to show."""
    return f"'{one_line(text, limit)}'"


def _labels_in_output(comparison: OutputComparison) -> list[str]:
    measured = comparison.measured
    if not measured.labels:
        return []
    if measured.metric == "label":
        return _names(measured.labels)(comparison.output)
    label = _forms(measured.labels).get(
        comparison.normal_output
    )  # exact_match: the whole output must be a label
    return [] if label is None else [label]


def _wrong_label(comparison: OutputComparison, others: list[str]) -> CauseEvidence:
    text = " and ".join(one_line(each, _SHOWN) for each in others[:_FEW])
    more = f" and {len(others) - _FEW} more" if len(others) > _FEW else ""
    wanted = one_line(comparison.reference, _SHOWN)
    return CauseEvidence(Cause.WRONG_LABEL, f"output {text}{more}, reference {wanted}")


def _is_pattern(comparison: OutputComparison) -> bool:
    """Returns whether the reference is a pattern, which cannot be compared as text."""
    measured = comparison.measured
    own = measured.metric == "regex" and measured.pattern is None
    return own and _SIGNS.search(comparison.reference) is not None


def _place(comparison: OutputComparison) -> int | None:
    """Returns where the reference is in the output, None for numbers under metric numeric."""
    if comparison.measured.metric == "numeric" and _number(comparison.normal_reference) is not None:
        return None
    return found_within(comparison.normal_reference, comparison.normal_output)


def _denied_at(comparison: OutputComparison, place: int) -> bool:
    end = place + len(comparison.normal_reference)
    return is_denied(comparison.normal_output, place, end)


def _json_in_other_form(comparison: OutputComparison) -> CauseEvidence | None:
    metric = comparison.measured.metric
    if metric not in _JSON and comparison.reference.lstrip()[:1] not in ("{", "["):
        return None
    why = json_in_text(comparison.output, None if metric == "json_valid" else comparison.reference)
    return None if why is None else CauseEvidence(Cause.FORMAT, why)


def _differs_in_punctuation(comparison: OutputComparison) -> CauseEvidence | None:
    if not normal_same_but_for_signs(comparison.normal_output, comparison.normal_reference):
        return None
    how = (
        "letter case, spacing or a final period"
        if comparison.normal_output == comparison.normal_reference
        else "punctuation or spacing"
    )
    return CauseEvidence(Cause.NEAR_MISS, f"differs only in {how}: {quoted(comparison.output)}")


def _differs_in_written_values(comparison: OutputComparison) -> CauseEvidence | None:
    """Handles numbers and dates within a text; a reference that is one itself is a value."""
    output, reference = comparison.normal_output, comparison.normal_reference
    expected = _in_one_form(reference)
    if expected is None or len(output) > 2 * len(reference) + _SHOWN or not _DIGIT.search(output):
        return None
    form = in_one_form(output)
    if (form, expected) == (output, reference) or not normal_same_but_for_signs(form, expected):
        return None
    text = f"differs only in how numbers or dates are written: {quoted(comparison.output)}"
    return CauseEvidence(Cause.NEAR_MISS, text)


def _no_end(comparison: OutputComparison, place: int | None) -> CauseEvidence | None:
    if place != 0 or not comparison.example.truncated:
        return None
    return CauseEvidence(
        Cause.NO_END_TOKEN,
        f"starts with the reference, then continues to {limit_of(comparison.measured)}",
    )


def _several_labels(comparison: OutputComparison, others: list[str]) -> CauseEvidence | None:
    """Handles an output with several labels, among them the right one."""
    if not others:
        return None
    if len(others) >= _FEW:
        wanted = one_line(comparison.reference, _SHOWN)
        return CauseEvidence(
            Cause.WRONG_LABEL, f"names {len(others) + 1} labels; the reference is {wanted} alone"
        )
    text = ", ".join(one_line(each, _SHOWN) for each in others)
    return CauseEvidence(Cause.FORMAT, f"names the right label, but also {text}")


def _near_miss(comparison: OutputComparison) -> CauseEvidence | None:
    distance = _distance(comparison, comparison.normal_output)
    if distance is not None:
        of = min(len(comparison.normal_reference), COMPARED)
        text = f"edit distance {distance} in {of} characters: {quoted(comparison.output)}"
        return CauseEvidence(Cause.NEAR_MISS, text)
    first, _, rest = comparison.output.strip().partition("\n")
    if not rest:
        return None
    if same_but_for_signs(first, comparison.reference):
        text = f"line 1 differs only in punctuation or spacing: {quoted(first)}"
        return CauseEvidence(Cause.NEAR_MISS, text)
    distance = _distance(comparison, normalised(first))
    if distance is None:
        return None
    text = (
        f"line 1 has edit distance {distance} in {len(comparison.normal_reference)} characters: "
        f"{quoted(first)}"
    )
    return CauseEvidence(Cause.NEAR_MISS, text)


def _distance(comparison: OutputComparison, output: str) -> int | None:
    """Returns the edit distance where it is small and all edits are slips of spelling."""
    reference = comparison.normal_reference
    allowed = edits_allowed(reference)
    if not allowed or abs(len(output) - len(reference)) > allowed:
        return None
    if is_value(reference) and date_of(reference) is None:
        return None
    distance = edit_distance(reference[:COMPARED], output[:COMPARED], allowed)
    if distance is None:
        return None
    parts = changed_parts(reference, output)
    if not same_sense(*parts) or not differ_by_slips(*parts):
        return None
    return None if _is_as_near_to_another(comparison, output) else distance


def _is_as_near_to_another(comparison: OutputComparison, output: str) -> bool:
    """Returns whether the output may as well be a misspelling of another label."""
    labels = (normal(each) for each in comparison.measured.labels)
    return any(each != comparison.normal_reference and is_slip(each, output) for each in labels)


def _reference_within(comparison: OutputComparison, place: int | None) -> CauseEvidence | None:
    if place is None:
        return None
    last = comparison.normal_output.rfind(comparison.normal_reference)
    if last != place and _denied_at(comparison, last):
        return None
    before = comparison.normal_output[:place].strip()
    if before:
        shown = before if len(before) <= _SHOWN else f"…{before[-_SHOWN:]}"
        text = f"is within the output, after {quoted(shown, _SHOWN + 1)}"
    else:
        rest = comparison.normal_output[len(comparison.normal_reference) :]
        text = f"is at the start, followed by {quoted(rest)}"
    return CauseEvidence(Cause.FORMAT, f"the reference {text}")


def _value_elsewhere(comparison: OutputComparison) -> CauseEvidence | None:
    why = number_elsewhere(comparison.output, comparison.reference) or date_elsewhere(
        comparison.normal_output, comparison.normal_reference
    )
    if why is None:
        return None
    is_truncated = comparison.example.truncated and comparison.measured.metric == "numeric"
    return CauseEvidence(Cause.NO_END_TOKEN if is_truncated else Cause.FORMAT, why)


def _wrong_number(comparison: OutputComparison) -> str:
    number, right = last_number(comparison.output), _number(comparison.reference)
    wanted = quoted(comparison.reference if right is None else str(right))[1:-1]
    if number is None:
        return f"no number in the output; the reference is {wanted}"
    return f"the last number is {one_line(str(number), _SHOWN)} instead of {wanted}"


@lru_cache(maxsize=1024)
def _number(reference: str) -> Decimal | None:
    return last_number(reference)


@lru_cache(maxsize=1024)
def _in_one_form(reference: str) -> str | None:
    """Returns a text with numbers or dates in one form; None for one without, or a value alone."""
    return None if not _DIGIT.search(reference) or is_value(reference) else in_one_form(reference)


@lru_cache(maxsize=1024)
def _answer(reference: str) -> str:
    return answer_of(reference)


@lru_cache(maxsize=16)
def _names(labels: tuple[str, ...]) -> Callable[[str], list[str]]:
    return labels_reader(labels)


@lru_cache(maxsize=16)
def _forms(labels: tuple[str, ...]) -> dict[str, str]:
    return {normalised(label): label for label in labels}
