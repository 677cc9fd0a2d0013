"""What TOML may cost: refuses, before it is parsed, what `tomllib` needs far too much for.

`tomllib` (measured with Python 3.11) takes time and memory that grow with the square of the dotted
parts of a key (10,000 parts: 20 KB of text, 400 MB), repeats the parts of a table's header for
every key below it, keeps 130 bytes for each character of a number, and 100 for each character of
short headers. What lies in strings and comments costs next to nothing and is never counted.
"""

from __future__ import annotations

import re

MOST_PARTS = 16
"""Dotted parts of a key or of a table's header; records have up to five."""

MOST_NESTED = 64
"""Arrays and inline tables within one another; beyond some 300 `tomllib` runs out of stack."""

MOST_KEYS = 20_000
"""Keys and tables of a file; rows, labels and the like are array elements, which do not count."""

LONGEST_BARE = 1_000
"""Characters of a number, a date or a part of a key that is not in quotes."""

_STRING_OR_COMMENT = re.compile(
    r'''
      """ (?: [^"\\]++ | \\. | "{1,2}(?!") )*+ (?: "{3,5} )?
    | \'\'\' (?: [^']++ | '{1,2}(?!') )*+ (?: '{3,5} )?
    | " (?: [^"\\\n]++ | \\. )*+ "?
    | ' [^'\n]*+ '?
    | \# [^\n]*+
    ''',
    re.VERBOSE | re.DOTALL,
)
"""One that never ends reaches to the end of the text: possessive, so that none is tried twice."""

_LONG_KEY = re.compile(rf"(?:^|[=,\n\[\]{{}}])(?:[^=,\n\[\]{{}}.]*+\.){{{MOST_PARTS}}}")
_LONG_BARE = re.compile(rf"(?<![\w+.:-])[\w+.:-]{{{LONGEST_BARE + 1}}}")
_KEY = re.compile(r"=|^[ \t]*\[", re.MULTILINE)
_BRACKET = re.compile(r"[\[\]{}]")


def check_toml(text: str) -> None:
    """Raises ValueError, naming the line, for TOML that costs more than any record does.

    Everything else that is wrong with the text is left to the parser.
    """
    if _is_small(text):
        return
    bare = _STRING_OR_COMMENT.sub(_newlines, text)
    if found := _LONG_KEY.search(bare):
        raise _refused(f"a key has more than {MOST_PARTS} dotted parts", bare, found.end())
    if found := _LONG_BARE.search(bare):
        raise _refused(
            f"more than {LONGEST_BARE} characters without quotes or blanks", bare, found.start()
        )
    if bare.count("[") + bare.count("{") > MOST_NESTED:
        _check_depth(bare)
    if bare.count("=") + bare.count("[") > MOST_KEYS:
        _check_keys(bare)


def _is_small(text: str) -> bool:
    """Whether no limit can be reached, strings or not: true of nearly every file, and quick."""
    brackets = text.count("[") + text.count("{")
    return (
        brackets <= MOST_NESTED
        and brackets + text.count("=") <= MOST_KEYS
        and not any(
            len(line) > LONGEST_BARE or line.count(".") >= MOST_PARTS for line in text.split("\n")
        )
    )


def _newlines(found: re.Match[str]) -> str:
    """The line breaks of a string or comment: without them, later lines would change number."""
    return "\n" * found[0].count("\n")


def _check_depth(bare: str) -> None:
    depth = 0
    for found in _BRACKET.finditer(bare):
        depth += 1 if found[0] in "[{" else -1
        if depth > MOST_NESTED:
            raise _refused(f"values are nested more than {MOST_NESTED} deep", bare, found.start())


def _check_keys(bare: str) -> None:
    for number, found in enumerate(_KEY.finditer(bare), 1):
        if number > MOST_KEYS:
            raise _refused(f"more than {MOST_KEYS:,} keys and tables", bare, found.end())


def _refused(what: str, bare: str, place: int) -> ValueError:
    return ValueError(f"{what} (at line {bare.count(chr(10), 0, place) + 1})")
