"""The traits of one text that the sides are compared by: case, script, language, ends, format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache

from tui_loop.core.text.words import words_of

READ_CHARACTERS = 500
"""The first characters of a text that decide on its script and language."""

_NONE = "none"

_SCRIPTS = {
    "Latin": "A-Za-zªºÀ-ÖØ-öø-ʸ\u1e00-\u1eff",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Cyrillic": "\u0400-\u052f",
    "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f",
    "Devanagari": "\u0900-\u097f",
    "Thai": "\u0e00-\u0e7f",
    "Japanese kana": "\u3040-\u30ff",
    "Chinese characters": "\u3400-\u4dbf\u4e00-\u9fff",
    "Hangul": "\uac00-\ud7af\u1100-\u11ff",
}
_OF_SCRIPT = {name: re.compile(f"[{signs}]") for name, signs in _SCRIPTS.items()}
_ASCII_LETTER = re.compile("[A-Za-z]")

_STOP_WORDS = {
    "English": (
        "the of and to in is you that it he was for on are with his they at be this have from "
        "or had by not but what all were we when your can said there use an each which she do "
        "how their if will"
    ),
    "German": (
        "der die das und ist nicht ich sie wir mit auf für ein eine einen dem den des zu von "
        "im sich auch wie oder bei nach aus wenn noch nur über sind werden kann haben wird "
        "mein ihr"
    ),
    "French": (
        "le la les des est et une un du dans que qui pour pas sur avec il elle nous vous je "
        "ne ce cette sont au aux par plus mais ou où être votre mon ma mes"
    ),
    "Spanish": (
        "el los las una un es y que en del por para con no se lo su más como pero está mi sus "
        "este esta son cuando muy sin sobre también hay quiero puedo"
    ),
    "Italian": (
        "il lo gli una un è e che di del della per non con sono mi si ma come anche più "
        "questo questa nel alla dei le ho ha vorrei quando dove"
    ),
    "Portuguese": (
        "o os as uma um é e que em do da dos das para com não se por mais como mas eu você "
        "meu minha seu sua está são quando isso ao pelo pela"
    ),
    "Dutch": (
        "de het een en van ik te dat is niet op aan met voor er zijn maar om hem dan zou of "
        "wat mijn men dit zo door over ze bij ook kan naar mij"
    ),
    "Polish": (
        "nie się na jest że to jak do co tak ale mi ja czy już za od po tylko jego przez dla "
        "jestem moje mam może są który"
    ),
}
_LANGUAGES_OF: dict[str, tuple[str, ...]] = {}
for _language, _list in _STOP_WORDS.items():
    for _stop_word in _list.split():
        _LANGUAGES_OF[_stop_word] = (*_LANGUAGES_OF.get(_stop_word, ()), _language)

_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "«": "»", "`": "`"}

_NUMBERS = (
    ("fraction", r"[-+]?\d+/\d+"),
    ("date", r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}"),
    ("percentage", r"[-+]?[\d.,]*\d ?%"),
    ("amount of money", r"[-+]?[$€£¥] ?[\d.,]*\d|[-+]?[\d.,]*\d ?[$€£¥]"),
    ("grouped by comma", r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"),
    ("grouped by point", r"[-+]?\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|[-+]?\d{1,3}(?:\.\d{3})+,\d+"),
    ("decimal point", r"[-+]?\d*\.\d+"),
    ("decimal comma", r"[-+]?\d+,\d+"),
    ("scientific", r"[-+]?\d+(?:\.\d+)?[eE][-+]?\d+"),
    ("leading zero", r"[-+]?0\d+"),
    ("integer", r"[-+]?\d+"),
    ("number with a unit", r"[-+]?[\d.,]*\d ?[^\W\d_]{1,12}"),
)
_NUMBER_FORMS = tuple((name, re.compile(pattern)) for name, pattern in _NUMBERS)
_DIGIT = re.compile(r"\d")
_HTML = re.compile(r"<([A-Za-z][\w-]*)[^<>]*>.*</\1>|<[A-Za-z][\w-]*[^<>]*/>", re.DOTALL)
_LIST_ITEM = re.compile(r"^ *(?:[-*•]|\d+[.)]) +\S", re.MULTILINE)


def case(text: str) -> str:
    """Returns how a text uses capital letters."""
    if text.islower():
        return "lower"
    if text.isupper():
        return "upper"
    if text.istitle():
        return "title" if " " in text.strip() else "capitalized"
    first = next((sign for sign in text if sign.isalpha()), "")
    if first.isupper():
        return "capitalized"
    return "mixed" if first else _NONE


def script(text: str) -> str:
    """Returns the script of most letters, among the first 500 characters."""
    part = text[:READ_CHARACTERS]
    if part.isascii():
        return "Latin" if _ASCII_LETTER.search(part) else _NONE
    counts = {name: len(pattern.findall(part)) for name, pattern in _OF_SCRIPT.items()}
    if counts["Japanese kana"]:  # Japanese text has Chinese characters, too
        return "Japanese kana"
    largest = max(counts, key=lambda name: counts[name])
    if counts[largest]:
        return largest
    return "other" if any(sign.isalpha() for sign in part) else _NONE


def language(text: str) -> str:
    """Guesses the language by stop words: at least two, and more than those of any other."""
    hits: dict[str, int] = {}
    words = words_of(text[:READ_CHARACTERS])
    for word in words:
        for name in _LANGUAGES_OF.get(word, ()):
            hits[name] = hits.get(name, 0) + 1
    ranked = sorted(hits.values(), reverse=True)
    if not ranked or ranked[0] < max(2, len(words) / 12) or ranked[:1] == ranked[1:2]:
        return "unknown"
    return max(hits, key=lambda name: hits[name])


def leading(text: str) -> str:
    """Returns the white space before a text: none, a space, a newline."""
    return _blank(text[:1])


def trailing(text: str) -> str:
    """Returns the white space after a text."""
    return _blank(text[-1:])


def ending(text: str) -> str:
    """Returns the kind of the last character that is no white space."""
    last = text.rstrip()[-1:]
    if last.isalpha():
        return "letter"
    if last.isdigit():
        return "digit"
    return last if last in ".,:;!?)]}\"'。！？" else "other sign" if last else _NONE


def quotes(text: str) -> str:
    """Returns the quotation mark around the whole text."""
    clean = text.strip()
    mark = clean[:1]
    return mark if len(clean) > 1 and _QUOTES.get(mark) == clean[-1] else _NONE


def text_format(text: str) -> str:
    """Returns the format of the whole text: JSON, code, markup, a list, or plain."""
    clean = text.strip()
    if clean[:1] in ("{", "["):
        return _json_kind(clean)
    if clean.startswith("```"):
        return "code block"
    if clean[:1] == "<" and _HTML.match(clean):
        return "markup"
    if clean[:1] in "-*•1" and len(_LIST_ITEM.findall(clean)) > 1:
        return "list"
    return "plain" if clean else _NONE


def number_format(text: str) -> str:
    """Returns the format of a text that is one number, whether others contain digits."""
    if not _DIGIT.search(text):
        return "no digits"
    clean = text.strip().rstrip(".")
    for name, pattern in _NUMBER_FORMS:
        if pattern.fullmatch(clean):
            return name
    return "digits in text"


def lines(text: str) -> str:
    """Returns whether a text has several lines."""
    return "several" if "\n" in text.strip() else "one"


Trait = Callable[[str], str]

PROMPT_TRAITS: dict[str, Trait] = {
    "case": case,
    "script": script,
    "language": language,
    "leading white space": leading,
    "trailing white space": trailing,
    "last character": ending,
    "format": text_format,
    "lines": lines,
}
REFERENCE_TRAITS: dict[str, Trait] = {
    **PROMPT_TRAITS,
    "quotes": quotes,
    "number": number_format,
}


@lru_cache(maxsize=4096)
def reference_values(text: str) -> tuple[str, ...]:
    """Returns the values of all traits of a reference; labels repeat, so it is cached."""
    return tuple(trait(text) for trait in REFERENCE_TRAITS.values())


def prompt_values(text: str) -> tuple[str, ...]:
    """Returns the values of all traits of a prompt."""
    return tuple(trait(text) for trait in PROMPT_TRAITS.values())


def _blank(sign: str) -> str:
    if not sign.isspace():
        return _NONE
    return "newline" if sign in "\r\n" else "space"


def _json_kind(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "broken JSON" if text[0] == "{" and '"' in text else "plain"
    return "JSON object" if isinstance(value, dict) else "JSON array"
