"""The reference's number or JSON in an output that gives it in another form."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation

from tui_loop.core.scoring import last_number, pure_scorer

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
