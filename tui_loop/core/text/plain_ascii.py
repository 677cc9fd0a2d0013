"""Replaces the program's symbols by ASCII, for terminals and pipes with such an encoding.

`SIGNS` keep the width, for text with a fixed layout; `words` may change it, for text that has
not: an arrow as `>` would read as a comparison.
"""

from __future__ import annotations

import codecs
import re

SIGNS = {
    **dict.fromkeys("│┃║▏▎▍▌▐▕┆┊╎", "|"),
    **dict.fromkeys("─━═╌┄┈╴╶▁▔", "-"),
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼╔╗╚╝┏┓┗┛", "+"),
    **dict.fromkeys("·•", "."),
    **dict.fromkeys("▸▶→", ">"),
    **dict.fromkeys("◂←", "<"),
    **dict.fromkeys("✗×✘", "x"),
    **dict.fromkeys("✓✔", "+"),
    **dict.fromkeys("○◆◇⚑■□☆", "o"),
    **dict.fromkeys("▲△", "^"),
    **dict.fromkeys("▼▽", "v"),
    **dict.fromkeys("★●", "*"),
    "◐": "%",
    **dict.fromkeys("█▓▒▉▊▋▇▆▅", "#"),
    **dict.fromkeys("░▄▃▂", ":"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("±≈", "~"),
    "∅": "0",
    "°": "o",
    "…": "~",
    "↑": "^",
    "↓": "v",
    "↵": "/",
    "–": "-",
    "—": "-",
    "\xa0": " ",
}

_WORDS = str.maketrans({"→": "->", "±": "+-", "…": "..."})
_BEFORE_CUT = str.maketrans({"→": "->", "±": "+-"})

HANDLER = "tui_loop_ascii"
"""Of streams that people read: our signs as plain ones, what is not ours with its number."""


def words(text: str, *, is_cut: bool = False) -> str:
    """Returns `text` with words for symbols that an ASCII character would misrepresent.

    With `is_cut`, the `…` at which a text was cut is left to its sign, which has its width.
    """
    return text if text.isascii() else text.translate(_BEFORE_CUT if is_cut else _WORDS)


def can_encode(encoding: str | None) -> bool:
    """Returns whether an encoding has the symbols of this program."""
    try:
        "→✓●".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def json_in_ascii(text: str) -> str:
    """Returns JSON text with every character beyond ASCII escaped; the value is the same."""
    return re.sub(r"[^\x00-\x7f]", _json_escape, text)


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    return "".join(f"\\u{pair}" for pair in pairs)


def _plain_or_escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    parts = (
        words(sign) if words(sign).isascii() else SIGNS.get(sign) or _backslashed(sign)
        for sign in signs
    )
    return "".join(parts), error.end


def _backslashed(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode()


codecs.register_error(HANDLER, _plain_or_escaped)
