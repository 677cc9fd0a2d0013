"""Pane 1: the iterations as a table, the draft below them, and lines on the selected one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from textual import events
from textual.app import ComposeResult
from textual.message import Message

from tui_loop.core.compare.best import best_mark
from tui_loop.core.compare.claims import brief_delta
from tui_loop.core.compare.iteration_order import (
    HIGHEST_FIRST,
    NO_GLANCE,
    IterationOrder,
    eval_loss,
    in_order,
)
from tui_loop.core.compare.iteration_query import (
    IterationQuery,
    parse_query,
    searched_text,
    vocabulary_of_iterations,
    without_unfinished_condition,
)
from tui_loop.core.diagnosis.findings import verdict_words
from tui_loop.core.examples.completion import Completion
from tui_loop.core.record.iteration import title_of
from tui_loop.core.record.structs import LIVE, Iteration
from tui_loop.core.snapshot import LoopSnapshot
from tui_loop.core.text.figures import loss, percent
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.iteration_lines import VERDICT_STYLES, claim_style, note_on, state_part
from tui_loop.tui.keys import bindings, with_keys
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.iteration_columns import (
    CLAIM,
    COLUMNS,
    SIGN,
    Column,
    ColumnsScreen,
    IterationChoice,
    Room,
    cell_text,
    in_column,
    room_of,
    whole_number,
)
from tui_loop.tui.widgets.pane import FilteredPane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

DRAFT = "draft"
"""The key of the draft's row; all others are numbers."""

OTHER_FILTERS = "{iterations.filter} changes the filter, {app.back} removes it."

ARROWS = {False: "↓", True: "↑"}
"""The arrow of the sorted column, by whether its lowest value is at the top."""


class IterationTable(RowList):
    """The rows of the pane: the iterations that `choice` lists, in its order, then the draft."""

    def __init__(self) -> None:
        super().__init__(id="iteration-table")
        self.snapshot: LoopSnapshot | None = None
        self.marked: tuple[int, ...] = ()
        self.choice = IterationChoice()
        self.listed: list[Iteration] = []
        self.pinned: int | None = None
        """An iteration that is listed despite the filter, since it was selected elsewhere."""
        self._has_verdicts = False
        self._depths: dict[int, int] = {}

    @property
    def count(self) -> int:
        if self.snapshot is None:
            return 0
        return len(self.listed) + self._has_draft_row

    @property
    def _has_draft_row(self) -> bool:
        """Whether there is a draft, even an unreadable one."""
        snapshot = self.snapshot
        assert snapshot is not None
        return snapshot.draft is not None or bool(snapshot.draft_problem and not snapshot.problem)

    @property
    def _digits(self) -> int:
        """Cells of the numbers, at least three."""
        numbers = self.snapshot.iterations if self.snapshot else ()
        return max(3, len(str(numbers[-1].number + 1)) if numbers else 0)

    def key_of(self, index: int) -> Hashable:
        if self.snapshot is None or index >= len(self.listed):
            return DRAFT
        return self.listed[index].number

    def empty(self) -> list[str]:
        if self.snapshot is None:
            return ["reading the loop ..."]
        if self.snapshot.iterations:
            return [f"No iteration matches. {OTHER_FILTERS}"]
        return ["No iterations yet.", self.snapshot.problem or self.snapshot.draft_problem]

    def take(self, snapshot: LoopSnapshot) -> None:
        """Takes a snapshot to show.

        From the first prediction on there is a column for its verdict, so that nothing moves later.
        """
        self.snapshot = snapshot
        predicted = snapshot.draft is not None and snapshot.draft.predicted is not None
        self._has_verdicts |= predicted or any(each.verdict for each in snapshot.iterations)
        self._depths = {
            each.number: depth
            for each, depth in zip(snapshot.iterations, snapshot.depths, strict=True)
        }
        self.list_again()

    def list_again(self) -> None:
        """Filters and sorts the iterations; the caller moves the cursor."""
        snapshot, choice = self.snapshot, self.choice
        if snapshot is None:
            return
        passed = [
            each
            for each in snapshot.iterations
            if each.number == self.pinned
            or choice.query.matches(
                each, snapshot.glances.get(each.number, NO_GLANCE), snapshot.best
            )
        ]
        if not choice.is_lineage:
            passed = in_order(
                passed, choice.order, snapshot.glances, is_reversed=choice.is_reversed
            )
        self.listed = passed

    def head(self, width: int) -> list[Span]:
        room = self._room(width)
        order, arrow = self.choice.order, ARROWS[self._lowest_first]
        by_number = "" if self.choice.is_lineage or order is not IterationOrder.NUMBER else arrow
        by_loss = arrow if order is IterationOrder.EVAL_LOSS else ""
        by_score = arrow if order is IterationOrder.SCORE else ""
        cells = [fit("", 2), fit(f"#{by_number}", self._digits, right=True), "   "]
        cells.append(fit("change", room.title))
        name = f"eval{by_loss}"
        eval_loss = f"{name} " if room.verdict else name  # apart from the score's head
        cells += [fit(eval_loss, room.loss, right=True), fit("score", room.score, right=True)]
        cells.append(fit(by_score, room.gap))
        if room.has_claim:
            cells.append(fit("vs parent", CLAIM if room.verdict or room.added else 9))
        if room.verdict:
            prediction = " prediction" if room.verdict > SIGN else " pred"
            cells.append(fit(prediction, room.verdict) if room.added else prediction)
        for column, size in self._added(room):
            mark = arrow if column.order is order else ""
            cells.append(in_column(column, f"{column.head}{mark}", size))
        return [("".join(cells), "head")]

    @property
    def _head_lines(self) -> int:
        return 1

    def row(self, index: int, width: int) -> list[Span]:
        assert self.snapshot is not None
        if index >= len(self.listed):
            return [self.pointer(index), *self._draft_row()]
        iteration = self.listed[index]
        room = self._room(width)
        has_indent = self.choice.is_lineage and self._depths.get(iteration.number)
        indent = "└ " if has_indent else ""
        metrics, style = iteration.metrics, ""
        if iteration.state in ("queued", "unreadable"):
            style = "muted"
        measured = eval_loss(iteration)
        is_whole = metrics.get("eval_loss") is not None
        text, text_style = self._outcome(iteration)
        is_state = not room.has_claim and iteration.state != "finished"
        title, title_style = (text, text_style) if is_state else (iteration.title, "")
        parts: list[Span] = [
            self.pointer(index),
            (fit(str(iteration.number), self._digits, right=True), "strong"),
            *self._marks(iteration),
            (indent, "muted"),
            (fit(flat(title), room.title - len(indent)), title_style or style),
            (
                fit(whole_number(loss(measured), measured, room.loss), room.loss, right=True),
                "" if is_whole else "muted",
            ),
            (fit(percent(metrics.get("score")), room.score, right=True), ""),
            (" " * room.gap, ""),
        ]
        is_last = not (room.verdict or room.added)
        if room.has_claim:
            parts.append((text if is_last else fit(text, CLAIM), text_style))
        if room.verdict:
            parts.append(self._verdict(iteration, room))
        glance = self.snapshot.glances.get(iteration.number, NO_GLANCE)
        for column, size in self._added(room):
            parts.append((in_column(column, cell_text(column, iteration, glance), size), "muted"))
        return parts

    @property
    def _lowest_first(self) -> bool:
        from_lowest = self.choice.order not in HIGHEST_FIRST
        return from_lowest is not self.choice.is_reversed

    def _room(self, width: int) -> Room:
        return room_of(width - self._digits, self._has_verdicts, self.choice)

    def _added(self, room: Room) -> list[tuple[Column, int]]:
        """The added columns with their cells; a last column of text has the rest."""
        sizes = [(column, column.width) for column in room.added]
        if sizes and sizes[-1][0].is_text:
            column, size = sizes[-1]
            sizes[-1] = column, size + room.rest
        return sizes

    def _marks(self, iteration: Iteration) -> list[Span]:
        """Whether it is marked, and whether it is the best, in three cells."""
        assert self.snapshot is not None
        best = self.snapshot.best
        is_marked = iteration.number in self.marked
        sign = best_mark(iteration.number, best.number if best is not None else None)
        if not sign:
            return [(" m " if is_marked else "   ", "overlay")]
        return [("m" if is_marked else " ", "overlay"), (f"{sign} ", "good")]

    def _outcome(self, iteration: Iteration) -> Span:
        """The change against the parent, or the state of an unfinished iteration."""
        assert self.snapshot is not None
        if iteration.state != "finished":
            return state_part(iteration, self.snapshot)
        if iteration.number not in self.snapshot.comparisons:
            return ("", "")
        compared = self.snapshot.comparisons[iteration.number]
        return brief_delta(compared), claim_style(compared)

    def _verdict(self, iteration: Iteration, room: Room) -> Span:
        if not iteration.verdict:
            return (fit("", room.verdict) if room.added else "", "")
        sign, word, _ = verdict_words(iteration.verdict)
        text = f" {sign} {word}" if room.verdict > SIGN else f" {sign}"
        return (fit(text, room.verdict) if room.added else text, VERDICT_STYLES.get(sign, ""))

    def _draft_row(self) -> list[Span]:
        assert self.snapshot is not None
        draft = self.snapshot.draft
        number = max((each.number for each in self.snapshot.iterations), default=0) + 1
        if draft is None:
            edit = with_keys("{loop.edit}", services_of(self).keys)
            return [
                (fit(str(number), self._digits, right=True), "muted"),
                ("   ", ""),
                (f"✗ The draft cannot be read. {edit} edits it.", "bad"),
            ]
        changed = {name: list(pair) for name, pair in draft.changed.items()}
        origin = "the loop's defaults" if not draft.parent else str(draft.parent)
        summary = title_of(number, draft.parent, changed) if changed else "nothing changed yet"
        problems = len(draft.problems)
        parts = [
            (fit(str(number), self._digits, right=True), "muted"),
            ("   ", ""),
            ("draft, ", "changed" if changed else "muted"),
        ]
        if problems:
            parts.append((f"! {problems} problem{'s' if problems > 1 else ''}, ", "bad"))
        parts.append((f"from {origin}: {flat(summary)}", "changed" if changed else "muted"))
        return parts


NOTE, MORE, ROOMY = 4, 2, 14
"""Rows of the lines below the table with the rule over them; more in a pane of so many rows."""


class IterationsPane(FilteredPane):
    """The table, some lines on the selected row, and a line to filter or to search with."""

    BINDINGS = bindings("iterations")
    scope = "iterations"
    orders, default_query = IterationOrder, parse_query("")
    filter_example = "is:finished is:best state:failed score>70 lr>=1e-4 words"
    DEFAULT_CSS = """
    IterationsPane > #iteration-note { height: 4; padding: 0; border-top: solid $frame; }
    """

    class Chosen(Message):
        """Other columns, another order or another filter are chosen."""

        def __init__(self, choice: IterationChoice) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self) -> None:
        super().__init__("iterations")
        self.table = IterationTable()
        self.note = Sheet(id="iteration-note", is_note=True)
        self._filtered_from: Hashable = None

    def compose(self) -> ComposeResult:
        yield self.table
        yield self.note
        yield self.field

    def on_mount(self) -> None:
        self.entitle("1 Iterations")

    def on_resize(self, event: events.Resize) -> None:
        """Makes the note higher in a high pane, so that two long lines leave room for a verdict."""
        self.note.styles.height = NOTE + MORE * (event.size.height >= ROOMY)
        self.call_after_refresh(self.show_note)

    @property
    def main(self) -> RowList:
        return self.table

    @property
    def choice(self) -> IterationChoice:
        """The columns, the order and the filter."""
        return self.table.choice

    def show(self, snapshot: LoopSnapshot, marked: tuple[int, ...], selected: Hashable) -> None:
        """Shows the snapshot, the cursor on the row with key `selected`."""
        table, before = self.table, self.table.snapshot
        same = before is not None and (
            before.iterations is snapshot.iterations
            and before.comparisons is snapshot.comparisons
            and before.draft is snapshot.draft
            and before.draft_problem == snapshot.draft_problem
            and before.live is snapshot.live
            and before.best == snapshot.best
            and before.glances is snapshot.glances
            and table.marked == marked
        )
        table.take(snapshot)
        table.marked = marked
        if isinstance(selected, int) and table.index_of(selected) is None:
            table.pinned = selected
            table.list_again()
            same = False
        if not same or table.key_of(table.cursor) != selected:
            self.refresh_matches()
            table.rows_changed(selected)
            self.show_titles()
        self.show_note()

    def choose(self, choice: IterationChoice) -> None:
        """Lists by another filter or in another order; the cursor stays on its iteration.

        If the filter hides it, the nearest row is selected.
        """
        table = self.table
        if choice == table.choice:
            return
        before = table.key_of(table.cursor)
        key = self._filtered_from if self.field.is_open else before
        if choice.query != table.choice.query:
            table.pinned = None
        table.choice = choice
        table.list_again()
        self.refresh_matches()
        if table.index_of(key) is None and table.listed:
            key = table.key_of(min(table.cursor, len(table.listed) - 1))
        table.rows_changed(key)
        if table.count and table.key_of(table.cursor) != before:
            table.post_message(RowList.Moved(table, table.cursor))
        self.show_titles()
        if not self.field.is_open:  # what is being typed is not chosen yet
            self.post_message(self.Chosen(choice))

    def show_note(self) -> None:
        """The lines on the row under the cursor."""
        snapshot = self.table.snapshot
        key = self.table.key_of(self.table.cursor)
        if snapshot is None:
            return
        iteration = snapshot.iteration(key) if isinstance(key, int) else None
        self.note.show(note_on(snapshot, iteration, self.note.size.width, services_of(self).keys))

    def show_titles(self) -> None:
        table, choice = self.table, self.choice
        if self.problem:
            self.entitle("1 Iterations", f"✗ {self.problem}")
            return
        parts = [self.search.words(table.cursor)]
        if choice.query.text and table.snapshot is not None:
            count = f"{len(table.listed):,} of {len(table.snapshot.iterations):,}"
            parts.append(f"{count} · {choice.query.text}")
        if not choice.is_lineage:
            parts.append(f"by {choice.order}{', reversed' if choice.is_reversed else ''}")
        self.entitle("1 Iterations", " · ".join(filter(None, parts)))

    def find_matches(self) -> None:
        self.search.find_in(map(searched_text, self.table.listed))

    def action_columns(self) -> None:
        """Opens the choice of columns."""
        columns = [(each.name, each.words) for each in COLUMNS]
        self.app.push_screen(ColumnsScreen(columns, self.choice.columns, self._show_column))

    def action_filter(self) -> None:
        self._filtered_from = self.table.key_of(self.table.cursor)
        super().action_filter()

    def parse(self, text: str) -> IterationQuery:
        return parse_query(text)

    def without_unfinished(self, text: str) -> str:
        return without_unfinished_condition(text)

    def completions(self, text: str) -> Sequence[Completion]:
        snapshot = self.table.snapshot
        iterations = snapshot.iterations if snapshot is not None else ()
        return vocabulary_of_iterations(iterations).completions(text)

    def _show_column(self, name: str, is_shown: bool) -> None:
        self.choose(self.choice.with_column(name, is_shown))


def is_live(iteration: Iteration | None) -> bool:
    """Returns whether the iteration is running."""
    return iteration is not None and iteration.state in LIVE
