"""Columns of the iterations: their values, the user's choice, and the screen to choose them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui_loop.core.compare import iteration_order as figures_of
from tui_loop.core.compare.iteration_order import IterationOrder
from tui_loop.core.compare.iteration_query import IterationQuery, parse_query
from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import number
from tui_loop.core.record.run_glance import RunGlance
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief_number
from tui_loop.tui.cells import fit, flat, width_of
from tui_loop.tui.keys import bindings, bindings_of, with_keys
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

Show = Callable[[Iteration, RunGlance], str]

REASON = 24
"""Least cells of a column of reasons; it also gets the remaining ones."""


class Column(msgspec.Struct, frozen=True):
    """A column that can be added: its name in the choice, its head, cells, and what it shows.

    `width`: with a blank before it; a text column is left-aligned after two blanks. `order`: the
    sort order that it belongs to.
    """

    name: str
    head: str
    width: int
    show: Show
    words: str
    is_text: bool = False
    order: IterationOrder | None = None


def _epochs(iteration: Iteration, _: RunGlance) -> str:
    value = number(iteration.metrics.get("epochs"))
    return "" if value is None else f"{value:.3g}"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value < 1e7 else brief_number(value)


def _began(_: Iteration, glance: RunGlance) -> str:
    if glance.began is None:
        return ""
    with suppress(ValueError, OverflowError, OSError):  # a journal may hold any number
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(glance.began))
    return ""


COLUMNS = (
    Column(
        "train loss",
        "train",
        9,
        lambda each, _: figures.loss(each.metrics.get("train_loss")),
        "mean loss over the training steps",
    ),
    Column(
        "lr",
        "lr",
        9,
        lambda each, _: figures.rate(figures_of.learning_rate(each)),
        "learning rate",
        order=IterationOrder.LEARNING_RATE,
    ),
    Column(
        "time",
        "time",
        8,
        lambda each, _: figures.duration(each.duration_s),
        "duration of all attempts",
        order=IterationOrder.TIME,
    ),
    Column(
        "tok/s",
        "tok/s",
        8,
        lambda each, glance: _whole(figures_of.token_rate(each, glance)),
        "tokens per second in training",
        order=IterationOrder.TOKEN_RATE,
    ),
    Column(
        "tokens",
        "tokens",
        10,
        lambda each, glance: _whole(figures_of.tokens(each, glance)),
        "tokens that training read",
        order=IterationOrder.TOKENS,
    ),
    Column("epochs", "epochs", 7, _epochs, "passes over the training data"),
    Column(
        "steps",
        "steps",
        8,
        lambda each, _: _whole(figures_of.steps(each)),
        "optimizer steps",
    ),
    Column("date", "began", 18, _began, "when the run began", is_text=True),
    Column(
        "device", "device", 12, lambda _, glance: glance.device, "where it trained", is_text=True
    ),
    Column("why", "why", REASON, lambda each, _: each.decision, "the reason", is_text=True),
)
BY_NAME = {column.name: column for column in COLUMNS}
BY_ORDER = {column.order: column for column in COLUMNS if column.order is not None}


class IterationChoice(msgspec.Struct, frozen=True):
    """The user's choices for the list: added columns by name, order and filter."""

    columns: tuple[str, ...] = ()
    order: IterationOrder = IterationOrder.NUMBER
    is_reversed: bool = False
    query: IterationQuery = IterationQuery()

    @property
    def is_lineage(self) -> bool:
        """Returns whether the list is in the order of numbers, which shows the lineage."""
        return self.order is IterationOrder.NUMBER and not self.is_reversed

    def with_column(self, name: str, is_shown: bool) -> IterationChoice:
        """Returns the choice with or without a column, in the fixed order of columns."""
        names = {*self.columns, name} if is_shown else {*self.columns} - {name}
        fixed = tuple(each.name for each in COLUMNS if each.name in names)
        return msgspec.structs.replace(self, columns=fixed)

    @property
    def shown(self) -> tuple[Column, ...]:
        """Returns the added columns, always with the one that the list is sorted by."""
        names = {*self.columns}
        if (sorted_by := BY_ORDER.get(self.order)) is not None:
            names.add(sorted_by.name)
        return tuple(each for each in COLUMNS if each.name in names)

    @property
    def plain(self) -> dict[str, Any]:
        """Returns the choice as JSON types."""
        return {
            "columns": list(self.columns),
            "order": self.order.value,
            "is_reversed": self.is_reversed,
            "filter": self.query.text,
        }


def choice_of(plain: object) -> IterationChoice:
    """Returns a remembered choice without invalid parts, such as those of another version."""
    if not isinstance(plain, Mapping):
        return IterationChoice()
    names, order, query = plain.get("columns"), IterationOrder.NUMBER, IterationQuery()
    listed = [each for each in names if isinstance(each, str)] if isinstance(names, list) else []
    with suppress(ValueError):
        order = IterationOrder(plain.get("order", ""))
    with suppress(BadInput):
        query = parse_query(str(plain.get("filter") or ""))
    return IterationChoice(
        tuple(each.name for each in COLUMNS if each.name in listed),
        order,
        plain.get("is_reversed") is True,
        query,
    )


def fitting(
    columns: tuple[Column, ...], room: int, sorted_by: IterationOrder
) -> tuple[Column, ...]:
    """Returns the columns that fit into the room, each whole.

    The rightmost are left out first, the one that the list is sorted by last of all.
    """
    found = list(columns)
    while found and sum(each.width for each in found) > room:
        others = [each for each in found if each.order is not sorted_by]
        found.remove(others[-1] if others else found[-1])
    return tuple(found)


def whole_number(text: str, value: float | None, width: int) -> str:
    """Returns a number as `text`, or in fewer digits where that is too wide for its column."""
    if width_of(text) < width or value is None:
        return text
    return brief_number(value)


def cell_text(column: Column, iteration: Iteration, glance: RunGlance) -> str:
    """Returns what a column shows of an iteration, on one line."""
    return flat(column.show(iteration, glance), 400)


TITLE, LEAST_TITLE = 24, 22
"""Least cells of a title beside a verdict with its word, and beside added columns."""


class Room(msgspec.Struct, frozen=True):
    """Cells of the columns; `gap`: those between the score and the comparison.

    `has_claim`: whether the comparison with the parent has room; without, the state of an
    unfinished run is in place of its title.

    `added`: the added columns that fit; `rest`: cells that a last column of text may have, too.
    """

    title: int
    loss: int
    score: int = 6
    gap: int = 2
    has_claim: bool = True
    verdict: int = 0
    added: tuple[Column, ...] = ()
    rest: int = 0


CLAIM, SIGN, WORD = 18, 5, 12
"""Cells of the comparison, of a verdict's sign, and of a sign with its word."""

TITLE_BESIDE_CLAIM = 15
"""Below it the claim goes as a whole: half a title and half a claim say nothing."""

MOST_TITLE = 60
"""Most cells of a title beside a column of text that can use more."""


def room_of(width: int, has_verdict: bool, choice: IterationChoice) -> Room:
    """Returns the cells of the columns; with verdicts, gaps are smaller so the title has room."""
    eval_loss = 8 if width >= 55 else 0
    left = width - 2 - 3 - CLAIM - eval_loss
    room = Room(0, eval_loss)
    if has_verdict:
        left += bool(eval_loss) - 5 - 1
        verdict = WORD if left - WORD >= TITLE else SIGN
        left -= verdict
        room = Room(0, max(0, eval_loss - 1), 5, 1, verdict=verdict)
    else:
        left -= 6 + 2
        if left < TITLE_BESIDE_CLAIM:
            return Room(max(8, left + CLAIM), eval_loss, has_claim=False)
    added = fitting(choice.shown, left - LEAST_TITLE, choice.order)
    left -= sum(each.width for each in added)
    rest = 0
    if added and added[-1].is_text:
        rest = max(0, left - MOST_TITLE, (left - TITLE) // 2)
    return msgspec.structs.replace(room, title=max(8, left - rest), added=added, rest=rest)


def in_column(column: Column, text: str, size: int) -> str:
    """A cell of an added column: numbers aligned to the right, text to the left after a gap."""
    return f"  {fit(text, size - 2)}" if column.is_text else fit(text, size, right=True)


Choosable = tuple[str, str]
"""(name, words)"""

NAME = 14
"""Cells of a column's name."""


class _Boxes(RowList):
    def __init__(self, columns: Sequence[Choosable], ticked: Sequence[str]) -> None:
        super().__init__(id="column-boxes")
        self.columns, self.ticked = list(columns), set(ticked)

    @property
    def count(self) -> int:
        return len(self.columns)

    def row(self, index: int, width: int) -> list[Span]:
        name, words = self.columns[index]
        box = ("■ ", "accent") if name in self.ticked else ("□ ", "muted")
        return [self.pointer(index), box, (fit(name, NAME), ""), (words, "muted")]


class ColumnsScreen(ModalScreen[None]):
    """A list of columns to tick; calls `changed` with a name and whether it is shown."""

    BINDINGS = [*bindings("columns"), *bindings_of("app.back")]
    scopes = ("columns", "list", "app")
    DEFAULT_CSS = """
    ColumnsScreen { align: center middle; background: $background 40%; }
    ColumnsScreen:ansi { background: ansi_default; }
    ColumnsScreen > Vertical {
        width: 60; max-width: 100%; height: auto; max-height: 100%;
        border: round $style-accent; background: $background; padding: 0 1;
    }
    """

    def __init__(
        self,
        columns: Sequence[Choosable],
        ticked: Sequence[str],
        changed: Callable[[str, bool], None],
    ) -> None:
        super().__init__()
        self.list = _Boxes(columns, ticked)
        self._changed = changed

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            self.list.styles.height = self.list.count
            self.list.styles.max_height = "100%"
            yield self.list
        keys = "{columns.toggle} shows or hides a column · {list.open} or {app.back} closes"
        entitle(box, "Columns", with_keys(keys, services_of(self).keys))

    def on_mount(self) -> None:
        self.list.focus()

    def home_of(self, scope: str) -> RowList | ColumnsScreen:
        """Returns the widget that has the actions of a scope."""
        return self.list if scope == "list" else self

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.dismiss()

    def action_tick(self) -> None:
        """Shows or hides the column under the cursor."""
        name = self.list.columns[self.list.cursor][0]
        is_shown = name not in self.list.ticked
        self.list.ticked ^= {name}
        self.list.refresh()
        self._changed(name, is_shown)

    def action_back(self) -> None:
        self.dismiss()
