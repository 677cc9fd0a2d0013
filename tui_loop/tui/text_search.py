"""A text that is searched in the rows of a list: its matches, and how one moves between them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from tui_loop.core.text.figures import counted
from tui_loop.tui.widgets.toned import Part


class TextSearch:
    """The searched text, ignoring case, and the numbers of the rows that contain it."""

    def __init__(self) -> None:
        self.text = ""
        self.rows: list[int] = []
        self._pattern: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        return bool(self.text)

    def look_for(self, text: str) -> None:
        """Searches another text; the rows are to be found anew."""
        self.text, self.rows = text, []
        self._pattern = re.compile(re.escape(text), re.IGNORECASE) if text else None

    def matches(self, text: str) -> bool:
        """Returns whether a row with this text is a match."""
        return self._pattern is not None and self._pattern.search(text) is not None

    def find_in(self, texts: Iterable[str]) -> None:
        """Finds the matching rows among the texts of all rows."""
        self.rows = [row for row, text in enumerate(texts) if self.matches(text)]

    def after(self, row: int) -> int | None:
        """Returns the next match below a row, from the top after the last one."""
        at = bisect_right(self.rows, row)
        return self.rows[at % len(self.rows)] if self.rows else None

    def before(self, row: int) -> int | None:
        """Returns the next match above a row, from the bottom before the first one."""
        return self.rows[bisect_left(self.rows, row) - 1] if self.rows else None

    def near(self, row: int, *, upwards: bool = False) -> int | None:
        """Returns the row itself where it is a match, else the next one."""
        at = bisect_left(self.rows, row)
        if at < len(self.rows) and self.rows[at] == row:
            return row
        return self.before(row) if upwards else self.after(row)

    def words(self, row: int) -> str:
        """Returns `match 3 of 12` on a match, else `12 matches`, "" where nothing is searched."""
        if not self.text:
            return ""
        if not self.rows:
            return f"no match for {self.text}"
        at = bisect_left(self.rows, row)
        if at < len(self.rows) and self.rows[at] == row:
            return f"match {at + 1:,} of {len(self.rows):,}"
        return counted(len(self.rows), "match", "matches")

    def marked(self, text: str, tone: str) -> list[Part]:
        """Returns a text in parts, each place that matches with the tone of a mark."""
        if self._pattern is None:
            return [(text, tone)]
        parts: list[Part] = []
        at = 0
        for found in self._pattern.finditer(text):
            parts += [(text[at : found.start()], tone), (found[0], "mark")]
            at = found.end()
        return [part for part in [*parts, (text[at:], tone)] if part[0]]


def joined(parts: Sequence[Part]) -> str:
    """Returns the text of a row."""
    return "".join(text for text, _ in parts)
