"""Compares an output with its reference: right in another form, nearly right, or wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import msgspec

from tui_loop.core.examples.cause_kinds import Cause, CauseEvidence, Measured
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import labels_reader, last_number, normalised, pure_scorer
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


class OutputComparison(msgspec.Struct, frozen=True):
    """A failed example with an output; `said` and `wanted` are output and reference normalised."""

    example: Example
    measured: Measured
    output: str
    said: str
    wanted: str

    @property
    def reference(self) -> str:
        return self.example.reference


def compare_output(example: Example, measured: Measured) -> OutputComparison:
    """The example with its texts as they are compared."""
    output = example.output or ""
    return OutputComparison(
        example, measured, output, normalised(output), normal(example.reference)
    )


def content_cause(case: OutputComparison) -> CauseEvidence | None:
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


def otherwise(case: OutputComparison) -> str:
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


def _labels_said(case: OutputComparison) -> list[str]:
    measured = case.measured
    if not measured.labels:
        return []
    if measured.metric == "label":
        return _names(measured.labels)(case.output)
    label = _forms(measured.labels).get(case.said)  # of exact_match: the whole output is a label
    return [] if label is None else [label]


def _wrong_label(case: OutputComparison, others: list[str]) -> CauseEvidence:
    text = " and ".join(one_line(each, _SHOWN) for each in others[:_FEW])
    more = f" and {len(others) - _FEW} more" if len(others) > _FEW else ""
    wanted = one_line(case.reference, _SHOWN)
    return CauseEvidence(Cause.WRONG_LABEL, f"said {text}{more}, wanted {wanted}")


def _is_pattern(case: OutputComparison) -> bool:
    """Whether the reference is a pattern and no text to hold the output against."""
    measured = case.measured
    own = measured.metric == "regex" and measured.pattern is None
    return own and _SIGNS.search(case.reference) is not None


def _place(case: OutputComparison) -> int | None:
    """Where the reference stands in the output; metric numeric looks for its number instead."""
    if case.measured.metric == "numeric" and _number(case.wanted) is not None:
        return None
    return found_within(case.wanted, case.said)


def _other_json(case: OutputComparison) -> CauseEvidence | None:
    metric = case.measured.metric
    if metric not in _JSON and case.reference.lstrip()[:1] not in ("{", "["):
        return None
    why = json_in_text(case.output, None if metric == "json_valid" else case.reference)
    return None if why is None else CauseEvidence(Cause.FORMAT, why)


def _other_signs(case: OutputComparison) -> CauseEvidence | None:
    if not normal_same_but_for_signs(case.said, case.wanted):
        return None
    how = "case or white space" if case.said == case.wanted else "punctuation or spacing"
    return CauseEvidence(Cause.NEAR_MISS, f"differs only in {how}: {quoted(case.output)}")


def _went_on(case: OutputComparison, place: int | None) -> CauseEvidence | None:
    if place != 0 or not case.example.truncated:
        return None
    return CauseEvidence(
        Cause.NO_END_TOKEN, f"the reference is there, then on to {limit_of(case.measured)}"
    )


def _with_others(case: OutputComparison, others: list[str]) -> CauseEvidence | None:
    """Several labels, the right one among them."""
    if not others:
        return None
    if len(others) >= _FEW:
        wanted = one_line(case.reference, _SHOWN)
        return CauseEvidence(
            Cause.WRONG_LABEL, f"named {len(others) + 1} labels, wanted {wanted} alone"
        )
    text = ", ".join(one_line(each, _SHOWN) for each in others)
    return CauseEvidence(Cause.FORMAT, f"names the right label, and {text} too")


def _nearly(case: OutputComparison) -> CauseEvidence | None:
    distance = _distance(case.said, case.wanted)
    if distance is not None:
        of = min(len(case.wanted), COMPARED)
        text = f"edit distance {distance} of {of} characters: {quoted(case.output)}"
        return CauseEvidence(Cause.NEAR_MISS, text)
    first, _, rest = case.output.strip().partition("\n")
    if not rest:
        return None
    if same_but_for_signs(first, case.reference):
        text = f"line 1 differs only in punctuation or spacing: {quoted(first)}"
        return CauseEvidence(Cause.NEAR_MISS, text)
    distance = _distance(normalised(first), case.wanted)
    if distance is None:
        return None
    text = f"edit distance {distance} of {len(case.wanted)} in line 1: {quoted(first)}"
    return CauseEvidence(Cause.NEAR_MISS, text)


def _distance(said: str, wanted: str) -> int | None:
    """The edit distance where it is small and the numbers are equal."""
    allowed = edits_allowed(wanted)
    if not allowed or abs(len(said) - len(wanted)) > allowed:
        return None
    if not same_figures(said[:COMPARED], wanted[:COMPARED]):
        return None
    return edit_distance(wanted[:COMPARED], said[:COMPARED], allowed)


def _within(case: OutputComparison, place: int | None) -> CauseEvidence | None:
    if place is None:
        return None
    before = case.said[:place].strip()
    if before:
        shown = before if len(before) <= _SHOWN else f"…{before[-_SHOWN:]}"
        text = f"stands within the output, after {quoted(shown, _SHOWN + 1)}"
    else:
        text = f"stands at the start, then comes {quoted(case.said[len(case.wanted) :])}"
    return CauseEvidence(Cause.FORMAT, f"the reference {text}")


def _other_value(case: OutputComparison) -> CauseEvidence | None:
    why = number_elsewhere(case.output, case.reference)
    if why is None:
        return None
    went_on = case.example.truncated and case.measured.metric == "numeric"
    return CauseEvidence(Cause.NO_END_TOKEN if went_on else Cause.FORMAT, why)


def _other_number(case: OutputComparison) -> str:
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
    return labels_reader(labels)


@lru_cache(maxsize=16)
def _forms(labels: tuple[str, ...]) -> dict[str, str]:
    return {normalised(label): label for label in labels}


_FIGURE = r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBER = re.compile(_FIGURE)
_WHOLE = re.compile(rf"\s*[$€£¥]?\s*({_FIGURE})\s*[%€$]?\s*\.?\s*\Z")
_MARKED = re.compile(
    r"(?:####|\bantwort|\bréponse|\brespuesta|\banswer(?:\s+is)?|答案(?:是|为)?|\\boxed\{)"
    rf"[\s:=*]*(?:ist\s+|es\s+|est\s+)?[$€£¥]?\s*({_FIGURE})",
    re.IGNORECASE,
)
_START = re.compile(rf"\W{{0,3}}?({_FIGURE})(?!\w)")
_SCIENTIFIC = re.compile(r"\d\.?[eE]")
_LONGEST = 100_000


def number_elsewhere(output: str, reference: str) -> str | None:
    """How `output` gives the number that the reference is, where the metric did not see it.

    It is the whole output or its only number, stands at its start, or follows words such as
    "the answer is"; None where it does none of these.
    """
    wanted = _wanted(reference)
    if wanted is None or not _may_stand(wanted, output):
        return None
    numbers = _NUMBER.findall(output[:_LONGEST])
    if len(numbers) == 1 and _value(numbers[0]) == wanted:
        return f"its only number is the right one, written {numbers[0][:40]!r}"
    for told, pattern in (("is marked as the answer", _MARKED), ("stands at the start", _START)):
        found = pattern.search(output) if pattern is _MARKED else pattern.match(output)
        if found and _value(found.group(1)) == wanted:
            return f"the right number {told}, {numbers[-1][:40]} comes last"
    return None


def json_in_text(output: str, reference: str | None) -> str | None:
    """How `output` holds JSON equal to the reference's (any JSON if None) that is not plain JSON.

    Text around it, single quotes and commas before a closing bracket are seen through.
    """
    body = output[:_LONGEST]
    starts = [place for sign in "{[" if (place := body.find(sign)) >= 0]
    end = max(body.rfind("}"), body.rfind("]")) + 1
    if not starts or end <= min(starts):
        return None
    start = min(starts)
    inner = body[start:end]
    around = len(output.strip()) - len(inner)
    if around and _equals(inner, reference):
        return f"the same JSON, with {around} characters around it"
    mended = _mended(inner)
    if mended != inner and _equals(mended, reference):
        return "the same values, but single quotes or stray commas make it no JSON"
    first = _first_value(body, start)
    if first is not None and len(first) < len(inner) and _equals(first, reference):
        return f"the same JSON at first, then {len(body) - start - len(first)} characters more"
    return None


def _wanted(reference: str) -> Decimal | None:
    """The number that the reference is, or that it marks as its answer."""
    whole = _WHOLE.match(reference)
    if whole:
        return _value(whole.group(1))
    return last_number(reference) if "####" in reference else None


def _may_stand(wanted: Decimal, output: str) -> bool:
    """False only where the number stands in the output in no form."""
    if not abs(wanted) >= 1 or wanted.adjusted() > 30 or _SCIENTIFIC.search(output):
        return True
    return str(int(abs(wanted))) in output.replace(",", "")


def _value(figure: str) -> Decimal | None:
    try:
        return Decimal(figure.replace(",", ""))
    except InvalidOperation:
        return None


def _equals(text: str, reference: str | None) -> bool:
    scorer = pure_scorer("json_valid" if reference is None else "json_match", (), None)
    return scorer is not None and scorer.score(text, reference or "") == 1.0


def _mended(text: str) -> str:
    mended = re.sub(r",(\s*[}\]])", r"\1", text)
    if '"' not in mended:
        mended = mended.replace("'", '"')
        for python, plain in (("True", "true"), ("False", "false"), ("None", "null")):
            mended = re.sub(rf"\b{python}\b", plain, mended)
    return mended


def _first_value(text: str, start: int) -> str | None:
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return text[start:end]
