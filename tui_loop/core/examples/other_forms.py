"""The right content in another form: a number, a date or JSON that a metric did not accept."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import lru_cache

from tui_loop.core.scoring import last_number, pure_scorer
from tui_loop.core.text.negation import is_denied
from tui_loop.core.text.written_values import NUMBER, date_of, dates_in, value_of

_NUMBER = re.compile(NUMBER)
_UNIT = r"us\$|[$€£¥%]|(?:usd|eur|gbp|jpy|euros?|dollars?|percent|per cent|prozent)\b"
_WHOLE = re.compile(
    rf"\s*(?P<before>{_UNIT})?\s*(?P<number>{NUMBER})\s*(?P<after>{_UNIT})?\s*\.?\s*\Z",
    re.IGNORECASE,
)
_UNIT_BEFORE = re.compile(rf"(?:{_UNIT})\s?\Z", re.IGNORECASE)
_UNIT_AFTER = re.compile(rf"\s?(?:{_UNIT})", re.IGNORECASE)
_UNIT_OF = {
    "us$": "$",
    "usd": "$",
    "dollar": "$",
    "dollars": "$",
    "eur": "€",
    "euro": "€",
    "euros": "€",
    "gbp": "£",
    "jpy": "¥",
    "percent": "%",
    "per cent": "%",
    "prozent": "%",
}
_MARKED = re.compile(
    r"(?:####|\bantwort|\bréponse|\brespuesta|\banswer(?:\s+is)?|答案(?:是|为)?|\\boxed\{)"
    rf"[\s:=*]*(?:ist\s+|es\s+|est\s+)?[$€£¥]?\s*({NUMBER})",
    re.IGNORECASE,
)
_START = re.compile(rf"\W{{0,3}}?({NUMBER})(?!\w)")
_SCIENTIFIC = re.compile(r"\d\.?[eE]")
_LONGEST = 100_000
_MOST_DATES = 20


def number_elsewhere(output: str, reference: str) -> str | None:
    """Returns how `output` gives the reference's number where the metric did not find it.

    The number is the only one in the output, is at its start, or follows words such as "the answer
    is". None where it does none of these, is denied, or has another currency or unit.
    """
    expected, unit = _expected_number(reference)
    if expected is None or not _may_contain(expected, output):
        return None
    body = output[:_LONGEST]
    first = _NUMBER.search(body)
    if first is None:
        return None
    if _NUMBER.search(body, first.end()) is None:
        written = first.group()[:40]
        is_right = _is_value(body, first.span(), expected, unit)
        return (
            f"the only number is correct, but in another format: {written!r}" if is_right else None
        )
    for place, pattern in (("is marked as the answer", _MARKED), ("is at the start", _START)):
        found = pattern.search(body) if pattern is _MARKED else pattern.match(body)
        if found and _is_value(body, found.span(1), expected, unit):
            last = _NUMBER.findall(body)[-1]
            return f"the right number {place}, but the last number is {last[:40]}"
    return None


def is_value(reference: str) -> bool:
    """Returns whether a normalised reference is a number or a date, or marks its number."""
    return _expected_number(reference)[0] is not None or date_of(reference) is not None


def date_elsewhere(output: str, reference: str) -> str | None:
    """Returns how a normalised output writes the date that a normalised reference is, or None."""
    expected = date_of(reference)
    if expected is None:
        return None
    written = None
    for number, (match, date) in enumerate(dates_in(output[:_LONGEST])):
        if date != expected or number == _MOST_DATES or is_denied(output, *match.span()):
            return None
        written = written or match.group()
    return None if written is None else f"the right date, but in another format: {written[:40]!r}"


def json_in_text(output: str, reference: str | None) -> str | None:
    """Returns how `output` contains JSON equal to the reference's (any if None), but not plainly.

    It accepts text around it, single quotes, and commas before a closing bracket.
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
        return f"the same JSON with {around} more characters around it"
    fixed = _fix_json(inner)
    if fixed != inner and _equals(fixed, reference):
        return "the same values, but single quotes or extra commas make it invalid JSON"
    first = _first_value(body, start)
    if first is not None and len(first) < len(inner) and _equals(first, reference):
        return f"the same JSON, followed by {len(body) - start - len(first)} more characters"
    return None


@lru_cache(maxsize=1024)
def _expected_number(reference: str) -> tuple[Decimal | None, str]:
    """Returns the number that the reference is or marks as its answer, and its unit."""
    whole = _WHOLE.match(reference)
    if whole:
        return value_of(whole["number"]), _unit(whole["before"] or whole["after"] or "")
    return (last_number(reference) if "####" in reference else None), ""


def _is_value(text: str, span: tuple[int, int], expected: Decimal, unit: str) -> bool:
    """Returns whether a number in a text has this value and no other unit, and is not denied."""
    start, end = span
    if value_of(text[start:end]) != expected or is_denied(text, start, end):
        return False
    beside = _UNIT_BEFORE.search(text[max(0, start - 10) : start]) or _UNIT_AFTER.match(text, end)
    return not unit or beside is None or _unit(beside.group()) == unit


def _unit(written: str) -> str:
    bare = written.strip().casefold()
    return _UNIT_OF.get(bare, bare)


def _may_contain(number: Decimal, output: str) -> bool:
    """Returns False only where the output cannot contain the number in any form."""
    if not abs(number) >= 1 or number.adjusted() > 30 or _SCIENTIFIC.search(output):
        return True
    whole = str(int(abs(number)))
    if whole in output:
        return True
    return whole in output.replace(",", "").replace(".", "").replace("'", "").replace("’", "")


def _equals(text: str, reference: str | None) -> bool:
    scorer = pure_scorer("json_valid" if reference is None else "json_match", (), None)
    return scorer is not None and scorer.score(text, reference or "") == 1.0


def _fix_json(text: str) -> str:
    fixed = re.sub(r",(\s*[}\]])", r"\1", text)
    if '"' not in fixed:
        fixed = fixed.replace("'", '"')
        for python, plain in (("True", "true"), ("False", "false"), ("None", "null")):
            fixed = re.sub(rf"\b{python}\b", plain, fixed)
    return fixed


def _first_value(text: str, start: int) -> str | None:
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return text[start:end]
