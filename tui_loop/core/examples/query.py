"""Parses filters of examples: a line of terms, the same on the screen and the command line.

    is:failed cause:wrong_label label:refund loss>2 "charged twice" -is:flaky

All terms must match. A minus negates a term; commas within one mean "or". Any other word is
searched in prompt, reference, output and id, ignoring case; `/.../` is a regular expression over
the same texts.
"""

from __future__ import annotations

import difflib

import msgspec
import regex

from tui_loop.core.errors import BadInput
from tui_loop.core.examples.cause_kinds import Cause
from tui_loop.core.examples.history import Outcome, Shift, Story
from tui_loop.core.text.limited_regex import compiled

MARKS = ("accepted", "bad_reference", "ambiguous")
STATES = (
    *(each.value for each in Outcome),
    *(each.value for each in Shift if each),
    *(each.value for each in Story if each),
    *MARKS,
)
KEYS = ("is", "cause", "label", "said", "id", "column")
FIGURES = ("loss", "score", "change", "flips", "length")

_TERM = regex.compile(
    r"""
    (?P<minus>-?)
    (?:
        /(?P<pattern>(?:\\.|[^/\\])+)/(?=\s|$)
      | (?P<figure>[a-z]+)(?P<sign><=|>=|<|>)(?P<value>[-+.\w]+)(?=\s|$)
      | (?P<key>[a-z]+):(?P<values>(?:"[^"]*"|[^\s"])*)
      | "(?P<quoted>[^"]*)"?
      | (?P<word>\S+)
    )
    """,
    regex.VERBOSE,
)
_VALUE = regex.compile(r'(?:"[^"]*"|[^,"])+')


class Term(msgspec.Struct, frozen=True):
    """One condition; `key` is one of KEYS or FIGURES, `word` or `pattern`."""

    key: str
    values: tuple[str, ...]
    sign: str = ""
    is_negated: bool = False


class Query(msgspec.Struct, frozen=True):
    """A parsed line of terms."""

    text: str = ""
    terms: tuple[Term, ...] = ()


def parse(text: str) -> Query:
    """Parses `text`; raises BadInput for an invalid term."""
    terms, text = [], text.strip()
    for found in _TERM.finditer(text):
        negated = bool(found["minus"])
        if found["pattern"] is not None:
            term_pattern(found["pattern"])
            terms.append(Term("pattern", (found["pattern"],), is_negated=negated))
        elif found["figure"] in FIGURES:
            value = _figure(found["value"], found[0])
            terms.append(Term(found["figure"], (value,), found["sign"], negated))
        elif found["key"] is not None and (key := _known(found["key"], found[0])):
            values = tuple(_unquoted(each) for each in _VALUE.findall(found["values"]))
            terms.append(Term(key, _checked(key, values, found[0]), is_negated=negated))
        else:
            word = found["quoted"] if found["quoted"] is not None else found[0][negated:]
            if word:
                terms.append(Term("word", (word.casefold(),), is_negated=negated))
    return Query(text, tuple(terms))


def without_unfinished_term(text: str) -> str:
    """Returns the typed text without its last word where that may be the start of a term."""
    last = next(reversed(_texts(text)), "")
    word = last.removeprefix("-")
    is_key = any(f"{key}:".startswith(word) for key in KEYS) or word in FIGURES
    return text[: len(text) - len(last)] if word and text.endswith(last) and is_key else text


def has_terms(query: Query, text: str) -> bool:
    """Returns whether the query has every term of `text`."""
    own, searched = _texts(query.text), _texts(text)
    return bool(searched) and all(each in own for each in searched)


def toggle_terms(query: Query, text: str) -> Query:
    """Adds the terms of `text` to the query, or removes them where it has all of them.

    An added term replaces others with the same key: `label:b` replaces `label:a`. But an outcome
    can be combined with a pattern of outcomes: `is:broken is:flaky`.
    """
    added = _texts(text)
    if has_terms(query, text):
        return parse(" ".join(each for each in _texts(query.text) if each not in added))
    kinds = {kind for each in added if (kind := _kind(each))}
    rest = [each for each in _texts(query.text) if _kind(each) not in kinds]
    return parse(" ".join([*rest, *added]))


def format_term(key: str, value: str) -> str:
    """Formats a term: `label:refund`, `label:"two words"`."""
    plain = value.replace('"', "")
    needs = not plain or any(sign.isspace() or sign == "," for sign in plain)
    return f'{key}:"{plain}"' if needs else f"{key}:{plain}"


def _kind(term: str) -> str:
    """Returns the key of a term, "" without one; a pattern of outcomes is a kind of its own."""
    key, _, value = term.partition(":")
    if key not in KEYS:
        return ""
    is_story = value.replace("_", "-") in (Story.FLAKY, Story.NEVER_SOLVED)
    return "story" if key == "is" and is_story else key


def _texts(text: str) -> list[str]:
    """Returns the terms as typed, with an open quote closed."""
    return [
        f'{found[0]}"' if found["quoted"] is not None and found[0].count('"') == 1 else found[0]
        for found in _TERM.finditer(text)
    ]


def _known(key: str, term: str) -> str:
    """Returns the key, "" for a word with a colon; raises BadInput for a misspelled key."""
    if key in KEYS:
        return key
    close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.75)
    if close:
        raise BadInput(f"filter: {term}: no such term, did you mean '{close[0]}:'?", _help())
    return ""


def _checked(key: str, values: tuple[str, ...], term: str) -> tuple[str, ...]:
    if not values:
        raise BadInput(f"filter: {term} has no value", _help())
    if key == "is":
        values = tuple(value.replace("_", "-") if value not in MARKS else value for value in values)
        for value in values:
            if value not in STATES:
                close = difflib.get_close_matches(value, STATES, n=1)
                guess = f", did you mean {close[0]}?" if close else ""
                raise BadInput(
                    f"filter: is:{value}: no such state{guess}",
                    f"choose one of {', '.join(STATES)}",
                )
    if key == "column" and not all("=" in value for value in values):
        raise BadInput(f"filter: {term}: the value is missing", "for example column:source=web")
    if key == "cause":
        return tuple(_cause(value.casefold(), term) for value in values)
    return tuple(value.casefold() for value in values)


def _cause(value: str, term: str) -> str:
    """Returns the recorded name of a cause, from that name or its words."""
    names = {name: each.value for each in Cause for name in (each.value, _joined(each.words))}
    if _joined(value) in names:
        return names[_joined(value)]
    close = difflib.get_close_matches(_joined(value), names, n=1)
    guess = f", did you mean {close[0]}?" if close else ""
    raise BadInput(f"filter: {term}: no such cause{guess}", f"choose one of {', '.join(names)}")


def _joined(words: str) -> str:
    return words.replace(" ", "_")


def _figure(value: str, term: str) -> str:
    try:
        if not value.isascii():  # digits of other scripts are no filter's
            raise ValueError(value)
        float(value)
    except ValueError as error:
        raise BadInput(f"filter: {term}: {value} is not a number", "for example loss>2") from error
    return value


def _unquoted(value: str) -> str:
    return value.replace('"', "")


def _help() -> str:
    return f"terms: {', '.join(f'{key}:' for key in KEYS)} {', '.join(f'{f}>' for f in FIGURES)}"


def term_pattern(pattern: str) -> regex.Pattern[str]:
    """Compiles the regular expression of a term; raises BadInput where it is invalid."""
    flags = regex.IGNORECASE | regex.MULTILINE
    return compiled(pattern, term_name(pattern), "correct the pattern", flags)


def term_name(pattern: str) -> str:
    """Returns the name of a pattern in messages."""
    return f"filter: /{pattern}/"
