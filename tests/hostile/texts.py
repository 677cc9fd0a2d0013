"""Hostile texts, each with a mark of its own by which it is found again."""

from __future__ import annotations

import itertools

ESCAPES = (
    "\x1b[31mred\x1b[0m",
    "\x1b]52;c;aGVsbG8=\x07",
    "\x1b]0;title\x07",
    "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1bPq#0\x1b\\\x1bP+q544e\x1b\\",
    "\x9b2J\x9d52;c;eA==\x9c\x90q\x9c",
    "\x1b[2J\x1b[H\x1bc",
    "\x1b[?1049l\x1b[?1000l\x1b[6n\x1b[c",
    "\x1b_Gf=24;AAAA\x1b\\\x1b^p\x1b\\\x1bXs\x1b\\",
    "a\u202eb\u2066c\u2069\u200f\u061c",
    "nul\x00bel\x07back\x08\x08\x7f\x0c\x0b\rline\u2028\ufeff",
    "[/foo] [INST] [bold red]x[/] [@click=app.quit]q[/] $var \\[x]",
    "z" + "\u0301" * 40,
)
"""What a terminal or a markup parser would obey, one kind an entry."""

UNTERMINATED = ("\x1b]52;c;YWJj", "\x1b[38;2;1", "\x1bP1$r", "\x1b", "\x9d0;t", "\x1b]8;;x")
"""Beginnings of sequences, which whatever is printed next would end."""

SPLIT = ("\x1b", "]52;c;ZXZpbA==", "\x07", "\x1b[", "2J", "\x9b", "31m")
"""Sequences in pieces, for texts that are printed one beside the other."""

_LONE = "\ud83d lone \udc00"


class Hostile:
    """Makes hostile texts: `told("why")` begins with the mark of `why`.

    What follows the mark differs from text to text, so that a text that is cut short still has
    something in it that would be obeyed.
    """

    def __init__(self, *, surrogates: bool = True) -> None:
        self.marks: dict[str, str] = {}
        self._surrogates = surrogates
        self._turn = itertools.count()

    def told(self, what: str, *, more: str = "") -> str:
        """The hostile text for one place; `more` follows the mark."""
        turn = next(self._turn)
        place = turn % len(ESCAPES)
        parts = [*ESCAPES[place:], *ESCAPES[:place], UNTERMINATED[turn % len(UNTERMINATED)]]
        lone = f" {_LONE}" if self._surrogates else ""
        return f"{self.mark(what)}{parts[0]}{more} {' '.join(parts[1:])}{lone}"

    def plain(self, what: str) -> str:
        """A hostile text of scalar values only, for files that cannot hold half a surrogate."""
        return self.told(what).replace(_LONE, "").rstrip()

    def mark(self, what: str) -> str:
        """The sign of `what`, five letters that nothing else has."""
        number = len(self.marks)
        return self.marks.setdefault(what, f"Q{chr(65 + number // 26)}{chr(65 + number % 26)}ZX")
