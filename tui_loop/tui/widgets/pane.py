"""The framed panes of the workbench: any, one with a list to search, one with a list to filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tui_loop.core.errors import TuiLoopError
from tui_loop.tui.cells import flat
from tui_loop.tui.widgets.field import Field
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.search import Searchable

if TYPE_CHECKING:  # not imported before the first frame
    from tui_loop.core.examples.completion import Completion


class Pane(Vertical):
    """The frame of one of the five panes; `scope` names its actions."""

    DEFAULT_CSS = """
    Pane {
        border: round $frame;
        border-title-color: $foreground;
        border-title-style: bold;
        border-subtitle-color: $style-muted;
        background: $background;
        padding: 0;
        &:focus-within { border: round $style-accent; border-title-color: $style-accent; }
        &:nocolor:focus-within { border-title-style: bold reverse; }
    }
    """

    scope = ""

    @property
    def main(self) -> Widget:
        """The widget within that takes the keys."""
        raise NotImplementedError

    def entitle(self, title: str, subtitle: str = "") -> None:
        """Sets the frame's texts; draws nothing if they are the same."""
        entitle(self, title, subtitle)


class SearchablePane(Searchable, Pane):
    """A pane with a list that is searched."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.search_scope = self.scope
        self.prepare_search(f"{id}-field")

    @property
    def main(self) -> RowList:
        raise NotImplementedError

    @property
    def searched_list(self) -> RowList:
        return self.main

    def leave_search(self) -> bool:
        """Closes the input, the search or the filter; returns whether there was any of them."""
        raise NotImplementedError


class FilteredPane(SearchablePane):
    """A pane whose list is filtered and sorted by its `choice`: `query`, `order`, `is_reversed`.

    The list is filtered while a text is typed. A text that is no filter changes nothing, and the
    frame shows its problem.
    """

    Chosen: Callable[[Any], Message]
    """Another filter or another order is chosen; what is still being typed is not."""

    choice: Any
    orders: type[Enum]
    default_query: Any
    filter_example: str

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.problem = ""

    def choose(self, choice: Any) -> None:
        """Lists by another filter or in another order."""
        raise NotImplementedError

    def parse(self, text: str) -> Any:
        """Returns a text as a query; raises BadInput where it is invalid."""
        raise NotImplementedError

    def without_unfinished(self, text: str) -> str:
        """Returns the text typed so far without an unfinished term."""
        raise NotImplementedError

    def completions(self, text: str) -> Sequence[Completion]:
        """Returns the ways to complete the term that is being typed."""
        raise NotImplementedError

    def filter_by(self, text: str) -> None:
        """Lists by a text; raises BadInput where it is invalid."""
        self._choose(query=self.parse(text))

    def action_filter(self) -> None:
        self.field.open(
            self.choice.query.text,
            self.filter_example,
            accept=self._filter,
            changed=self._typed,
            complete=self.completions,
        )

    def action_next_order(self) -> None:
        orders = list(self.orders)
        self._choose(order=orders[(orders.index(self.choice.order) + 1) % len(orders)])

    def action_reverse(self) -> None:
        self._choose(is_reversed=not self.choice.is_reversed)

    def on_field_closed(self, event: Field.Closed) -> None:
        event.stop()
        self.post_message(self.Chosen(self.choice))

    def leave_search(self) -> bool:
        was_open = self.field.is_open
        self.field.close()
        self.problem = ""
        is_left = self.end_search() or was_open
        if not is_left and self.choice.query != self.default_query:
            self._choose(query=self.default_query)
            return True
        self.show_titles()
        return is_left

    def _choose(self, **changed: Any) -> None:
        self.choose(msgspec.structs.replace(self.choice, **changed))

    def _typed(self, text: str) -> None:
        self._filter(self.without_unfinished(text))

    def _filter(self, text: str) -> bool:
        """Filters by a text; returns whether it is a valid query."""
        before, self.problem = self.choice, ""
        try:
            self.filter_by(text)
        except TuiLoopError as error:
            self.problem = error.message
        if self.problem or self.choice == before:  # else the title changes with the list
            self.show_titles()
        return not self.problem


def entitle(widget: Widget, title: str, subtitle: str = "") -> None:
    """Sets a frame's texts as plain text, never as markup."""
    for name, text in (("border_title", title), ("border_subtitle", subtitle)):
        fresh = Content(flat(text)) if text else None
        if str(getattr(widget, name) or "") != str(fresh or ""):
            setattr(widget, name, fresh)
