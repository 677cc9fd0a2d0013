"""Search: its text and matches, and a list with a line to search in it by `/`, `n` and `N`."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from tui_loop.core.text.figures import counted
from tui_loop.tui.cells import flat
from tui_loop.tui.widgets.field import Field
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

SHOWN = 60
"""Characters of the searched text in a message."""


class TextSearch:
    """The searched text, ignoring case, and the numbers of the rows that contain it."""

    def __init__(self) -> None:
        self.text = ""
        self.rows: list[int] = []
        self._pattern: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        return bool(self.text)

    def set_text(self, text: str) -> None:
        """Sets the searched text; the caller then finds its rows."""
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
            return f"no match for {flat(self.text, SHOWN)}"
        at = bisect_left(self.rows, row)
        if at < len(self.rows) and self.rows[at] == row:
            return f"match {at + 1:,} of {len(self.rows):,}"
        return counted(len(self.rows), "match", "matches")

    def marked(self, text: str, style: str) -> list[Span]:
        """Returns a text in parts, each place that matches with the style of a mark."""
        if self._pattern is None:
            return [(text, style)]
        parts: list[Span] = []
        at = 0
        for found in self._pattern.finditer(text):
            parts += [(text[at : found.start()], style), (found[0], "mark")]
            at = found.end()
        return [part for part in [*parts, (text[at:], style)] if part[0]]


class Searchable:
    """A widget or screen with a list that is searched.

    It yields `field`, finds the matches in its list, and shows their number in a title.
    """

    search_scope = "search"
    """The scope of the actions that search here."""

    searches_upwards = False
    """Whether the first match is the one above the cursor, as in a log."""

    search: TextSearch
    field: Field
    _searched_from: int

    def prepare_search(self, id: str) -> None:
        """Creates the state of the search; called once, in the constructor."""
        self.search = TextSearch()
        self.field = Field(id=id)
        self._searched_from = 0

    @property
    def searched_list(self) -> RowList:
        """The list that is searched."""
        raise NotImplementedError

    def find_matches(self) -> None:
        """Finds the rows of the list that `search` matches: by default in their shown text."""
        self.search.find_in(self.searched_list.texts())

    def show_titles(self) -> None:
        """Sets title and subtitle, with `search.words`."""
        raise NotImplementedError

    def action_search(self) -> None:
        self._searched_from, scope = self.searched_list.cursor, self.search_scope
        self.field.open(
            self.search.text,
            f"text to search for; enter keeps it, {{{scope}.next_match}} and "
            f"{{{scope}.previous_match}} go to its matches",
            accept=self._accept_search,
            changed=self._search,
        )

    def action_next_match(self) -> None:
        self._go_to_match(self.search.after(self.searched_list.cursor))

    def action_previous_match(self) -> None:
        self._go_to_match(self.search.before(self.searched_list.cursor))

    def end_search(self) -> bool:
        """Drops the searched text; returns whether there was one."""
        if not self.search:
            return False
        self.search.set_text("")
        self.searched_list.refresh()
        self.show_titles()
        return True

    def refresh_matches(self) -> None:
        """Finds the matches again in a list that has changed."""
        if self.search:
            self.find_matches()

    def _accept_search(self, text: str) -> bool:
        self._search(text)
        return True

    def _search(self, text: str) -> None:
        """Searches from the row that the cursor was on when the search was opened."""
        if text != self.search.text:
            self.search.set_text(text)
            self.refresh_matches()
            found = self.search.near(self._searched_from, upwards=self.searches_upwards)
            self.searched_list.show_match(self._searched_from if found is None else found)
        self.searched_list.refresh()
        self.show_titles()

    def _go_to_match(self, row: int | None) -> None:
        rows = self.searched_list
        if not self.search:
            key = f"{{{self.search_scope}.search}}"
            rows.notify(f"Nothing has been searched for yet. {key} searches.", markup=False)
        elif row is None:
            rows.notify(self.search.words(0), markup=False)
        else:
            rows.show_match(row)
            self.show_titles()
