"""Makes untrusted strings safe for a terminal, for one line, and for a spreadsheet.

Text from models, data, file names and exceptions may carry escape sequences, clipboard
writes, bidirectional overrides or lone surrogates. Whatever shows such text passes it
through `visible` first; records keep the text as it was.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

_KEPT = "\n\t"
_BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]


def _signs() -> dict[int, str]:
    signs = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in _KEPT}
    signs[0x7F] = "\u2421"
    signs.update({code: f"<{code:02X}>" for code in range(0x80, 0xA0)})
    signs.update({code: f"<U+{code:04X}>" for code in [*_BIDI, 0x2028, 0x2029, 0xFEFF]})
    return signs


_SIGNS = _signs()
_UNSAFE = re.compile(
    "[" + "".join(re.escape(chr(code)) for code in _SIGNS) + "\ud800-\udfff]", re.UNICODE
)
_COMBINING_RUN = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{4})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]+"
)


def visible(text: str, limit: int | None = None) -> str:
    """`text` with every control sign replaced by a visible one; newline and tab stay.

    At most `limit` characters come back; of a text that is cut, the last is `…`.
    """
    shown = text if limit is None else text[:limit]
    if _UNSAFE.search(shown):
        shown = _UNSAFE.sub(_sign, shown)
    shown = _COMBINING_RUN.sub(r"\1", shown)
    if limit is None or (len(text) <= limit and len(shown) <= limit):
        return shown
    return (shown[: max(limit - 1, 0)] + "…")[:limit]


def escaped(json_text: str) -> str:
    """Escapes in JSON, as \\uXXXX, the characters that `visible` would replace.

    The value is the same.
    """
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", json_text)


def one_line(text: str, limit: int | None = None) -> str:
    """Returns `visible` text in one line, with runs of white space as one space."""
    words = text.split(None, -1 if limit is None else limit)  # more words cannot fit
    return visible(" ".join(words).rstrip(), limit)


def _sign(match: re.Match[str]) -> str:
    code = ord(match.group())
    return _SIGNS.get(code) or f"<U+{code:04X}>"


_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns the rows as CSV with LF; None becomes an empty cell."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        text = " ".join(value.split())
        return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
    return "" if value is None else value
