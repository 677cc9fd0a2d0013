"""Numbers and dates in the forms in which people write them.

A comma with groups of three digits after it separates thousands, as the metrics read it. Any other
single comma is a decimal one, so `3,5` is 3.5. Where a figure has both signs, the last is decimal.
A date such as 03/04/2026 may be in March or in April, so it has no value; with full stops the day
comes first.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache

FIGURE = r"\d+(?:[.,]\d+|['’]\d{3}(?!\d))*"
"""A number without its sign; digits in groups may be a list, such as 1,2,3."""

NUMBER = rf"[-+−]?(?:{FIGURE}|\.\d+)(?:[eE][-+]?\d+)?"

_FIGURES = re.compile(FIGURE)
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}")
_MONEY = "$€£¥%"
_LONGEST_FORM, _LONGEST_DATE = 5000, 60

_MONTHS = (
    "january jan januar janvier enero",
    "february feb februar février févr fevrier febrero",
    "march mar märz mrz mars marzo",
    "april apr avril avr abril abr",
    "may mai mayo",
    "june jun juni juin junio",
    "july jul juli juillet juil julio",
    "august aug août aout agosto ago",
    "september sep sept septembre septiembre",
    "october oct oktober okt octobre octubre",
    "november nov novembre noviembre",
    "december dec dezember dez décembre déc decembre diciembre dic",
)
_MONTH_OF = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_MONTH = "|".join(sorted(_MONTH_OF, key=len, reverse=True))
_DAY = r"\d{1,2}"
_DATE = re.compile(
    r"(?<![\d./-])(?:"
    rf"(?P<iso_year>\d{{4}})(?P<iso_sign>[-/.])(?P<iso_month>\d\d?)(?P=iso_sign)(?P<iso_day>{_DAY})"
    rf"|(?P<first>{_DAY})(?P<sign>[-/.])(?P<second>{_DAY})(?P=sign)(?P<year>\d{{4}})"
    rf"|(?P<day>{_DAY})(?:st|nd|rd|th|er|º)?\.?[\s-]*(?:of\s|de\s)?(?P<month>{_MONTH})\b\.?"
    r"[\s,-]*(?:of\s|del?\s)?(?P<named_year>\d{4})"
    rf"|\b(?P<us_month>{_MONTH})\b\.?\s*(?P<us_day>{_DAY})(?:st|nd|rd|th)?\b[\s,]*(?P<us_year>\d{{4}})"
    r")(?!\d|[./-]\d)"
)
_YEAR = re.compile(r"\d{4}")
_WEEKDAY = re.compile(
    r"(?:the|on|le|el|am|den|der|(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch),?\s+"
)


def plain_figure(figure: str) -> str:
    """Returns a figure with a decimal point alone; unchanged where it is not one number."""
    bare = figure.replace("'", "").replace("’", "")
    commas, points = bare.count(","), bare.count(".")
    if commas and points:
        mark, other = (",", ".") if bare.rfind(",") > bare.rfind(".") else (".", ",")
        whole, _, fraction = bare.rpartition(mark)
        if _THOUSANDS.fullmatch(whole.replace(other, ",")) and mark not in whole:
            return f"{whole.replace(other, '')}.{fraction}"
        return bare
    if commas:
        if _THOUSANDS.fullmatch(bare):
            return bare.replace(",", "")
        return bare.replace(",", ".") if commas == 1 else bare
    if points > 1 and _THOUSANDS.fullmatch(bare.replace(".", ",")):
        return bare.replace(".", "")
    return bare


def value_of(number: str) -> Decimal | None:
    """Returns the value of a text that matches NUMBER, or None where it has none."""
    sign = "-" if number[:1] in "-−" else ""
    try:
        return Decimal(sign + plain_figure(number.lstrip("-+−")))
    except InvalidOperation:
        return None


def figures_of(text: str) -> list[str]:
    """Returns the numbers of a text in order, with their signs, decimal points and zeros."""
    found: list[str] = []
    for match in _FIGURES.finditer(text):
        plain = plain_figure(match.group())
        parts = plain.split(",")
        parts[0] = _minus(text, match.start()) + parts[0]
        found += parts
    return found


@lru_cache(maxsize=1024)
def date_of(text: str) -> str | None:
    """Returns the date that a normalised text is, as YYYY-MM-DD; None for any other text."""
    bare = text.strip()
    if len(bare) > _LONGEST_DATE or not _YEAR.search(bare):
        return None
    while found := _WEEKDAY.match(bare):
        bare = bare[found.end() :]
    match = _DATE.fullmatch(bare)
    return _iso(match) if match else None


def dates_in(text: str) -> Iterator[tuple[re.Match[str], str | None]]:
    """Finds the dates in a normalised text; None for one that is ambiguous or does not exist."""
    if _YEAR.search(text):
        for match in _DATE.finditer(text):
            yield match, _iso(match)


def in_one_form(text: str) -> str:
    """Returns a normalised text with its dates as YYYY-MM-DD and its numbers in plain figures.

    Zeros at the end of a fraction are left out beside a currency or percent sign alone, since
    version 3.10 is not version 3.1.
    """
    text = text[:_LONGEST_FORM]
    parts, place = [], 0
    for match, date in dates_in(text):
        if date is not None:
            parts += [_with_plain_figures(text[place : match.start()]), date]
            place = match.end()
    return "".join([*parts, _with_plain_figures(text[place:])])


def _with_plain_figures(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        figure = plain_figure(match.group())
        before, after = text[: match.start()].rstrip()[-1:], text[match.end() :].lstrip()[:1]
        has_sign = (before and before in _MONEY) or (after and after in _MONEY)
        if has_sign and "." in figure:
            return figure.rstrip("0").rstrip(".")
        return figure

    return _FIGURES.sub(plain, text)


def _minus(text: str, place: int) -> str:
    """Returns the minus before a number that joins it to nothing else."""
    return "-" if re.fullmatch(r"\W?[-−]|[-−]", text[max(0, place - 2) : place]) else ""


def _iso(match: re.Match[str]) -> str | None:
    part = match.groupdict()
    if part["iso_year"]:
        return _valid(part["iso_year"], part["iso_month"], part["iso_day"])
    if part["named_year"]:
        return _valid(part["named_year"], _MONTH_OF[part["month"]], part["day"])
    if part["us_year"]:
        return _valid(part["us_year"], _MONTH_OF[part["us_month"]], part["us_day"])
    first, second = int(part["first"]), int(part["second"])
    if first > 12 or first == second or (part["sign"] == "." and second <= 12):
        return _valid(part["year"], second, first)
    return _valid(part["year"], first, second) if second > 12 else None


def _valid(year: str, month: str | int, day: str | int) -> str | None:
    try:
        return datetime.date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None
