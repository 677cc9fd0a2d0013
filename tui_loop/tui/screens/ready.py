"""Whether an iteration is ready: each criterion with its figure, and the looks at the holdout."""

from __future__ import annotations

import time
from typing import Protocol

from textual.timer import Timer

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.text.figures import changes, loss, percent
from tui_loop.core.workflow.holdout import (
    HoldoutDone,
    HoldoutEvaluation,
    HoldoutFault,
    HoldoutProgress,
    HoldoutUse,
    counting_words,
    ordinal,
)
from tui_loop.core.workflow.readiness import HOLDOUT, Checklist, Item
from tui_loop.tui.actions import bindings
from tui_loop.tui.backend import HoldoutRun
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.hints import in_keys
from tui_loop.tui.screens.rows import RowsScreen, fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.toned import Part
from tui_loop.tui.widgets.wrapped_list import Cell, WrappedList

POLL_SECONDS = 0.1
SIGNS = {
    "met": ("✓ met    ", "good"),
    "not met": ("✗ not met", "bad"),
    "open": ("? open   ", "warn"),
}
TITLE_CELLS = 28
NEXT = "esc, then X closes the loop with it, W writes a report of it"
"""What to do with an iteration that is ready."""

Lines = list[list[Part]]


class ReadyDesk(Protocol):
    """Who asks for a look, and finds out how it stands."""

    def ask_look(self, screen: ReadyScreen) -> None:
        """Asks whether to look at the holdout; where that is wanted, the screen begins it."""

    def check_ready(self, screen: ReadyScreen) -> None:
        """Has the checklist made and shown."""


class ItemList(WrappedList):
    """The criteria in the order of the checklist; long titles and figures wrap."""

    def __init__(self) -> None:
        super().__init__("criteria")
        self.items: tuple[Item, ...] = ()
        self.is_read = False

    @property
    def count(self) -> int:
        return len(self.items)

    def empty(self) -> list[str]:
        return [] if self.is_read else ["reading the record ..."]

    def cells(self, index: int, width: int) -> list[Cell]:
        item = self.items[index]
        sign, tone = SIGNS[item.status]
        before = 2 + len(sign) + 2
        title = min(TITLE_CELLS, max(1, (width - before) // 2))
        return [
            ([self.pointer(index)], 2),
            ([(f"{sign}  ", tone)], len(sign) + 2),
            ([(flat(item.title), "")], title),
            ([("  ", "")], 2),
            (
                [(flat(item.figure), "muted" if item.status == "met" else "")],
                width - before - title - 2,
            ),
        ]


class ReadyScreen(RowsScreen):
    """Shows a checklist; a look that is under way ends with the screen.

    It then does not count, unless its result was recorded before.
    """

    BINDINGS = bindings("ready")
    scopes = ("ready", "list", "search", "sheet", "app")
    DEFAULT_CSS = """
    ReadyScreen > #found { height: 14fr; }
    ReadyScreen > #shown { height: 9fr; }
    """
    FOOTER = ("ready.look", "ready.read", "app.back", "app.help")

    def __init__(self, desk: ReadyDesk, loop: str, number: int) -> None:
        self.rows = ItemList()
        super().__init__(f"Is {loop}/{number} ready?", self.rows)
        self.number = number
        self.found: Checklist | None = None
        self._desk = desk
        self._doing = "reading the record ..."
        self._fault: TuiLoopError | None = None
        self._work: HoldoutRun | None = None
        self._timer: Timer | None = None
        self._is_gone = False

    @property
    def is_looking(self) -> bool:
        """Whether a look is under way."""
        return self._work is not None

    def show(self, found: Checklist) -> None:
        """Takes the checklist."""
        if self.found is not None and self.found.is_in_progress != found.is_in_progress:
            self._fault = None  # what there was to say of it has changed
        self.found, self.rows.items, self._doing = found, found.items, ""
        self.rows.rows_changed()
        self._draw_now()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Says why there is nothing, or no look."""
        self._fault, self._doing = fault, ""
        self.rows.is_read = True
        self._draw_now()

    def begin(self, work: HoldoutRun) -> None:
        """Takes a look that has begun."""
        if self._is_gone or self.is_looking:
            work.close()
            return
        self._work, self._fault = work, None
        self._doing = "beginning to look ..."
        self._timer = self.set_interval(POLL_SECONDS, self._hear)
        self._draw_now()

    def on_unmount(self) -> None:
        self._is_gone = True
        if self._work is not None:
            self._work.close()
            self.app.notify(f"ended: {self._counting()}")

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        if self.rows.items[event.index].kind == HOLDOUT:
            self.action_look()
        else:
            self.action_read()

    def action_look(self) -> None:
        if self.is_looking:
            self.notify("a look is under way: esc ends it, and then it does not count")
        elif self.found is not None and self.found.is_in_progress:
            self.notify(f"{self.number} is still running: evaluate the holdout when it has ended")
        elif self.found is not None:
            self._desk.ask_look(self)

    def draw(self) -> None:
        state = self._doing
        if not state and self.found is not None:
            met = sum(each.status == "met" for each in self.found.items)
            state = f"{met} of {len(self.found.items)} met"
        entitle(self.query_one("#found"), self._heading, state)
        self.head.show(self._head_lines())
        self.rows.refresh()
        self.show_row(keep_place=True)

    def row_lines(self) -> tuple[str, Lines]:
        item = self.rows.items[self.rows.cursor]
        lines: Lines = [[(item.figure, "")]]
        todo = item.todo
        if item.kind == HOLDOUT and self.found is not None and self.found.evaluation is None:
            todo = "L evaluates the holdout after a confirmation"
        if todo:
            lines.append([("→ ", "accent"), (in_keys(todo, services_of(self).keys), "")])
        if item.kind == HOLDOUT and self.found is not None:
            lines += look_lines(self.found.evaluation) if self.found.evaluation is not None else []
            lines += looks_lines(self.found.uses)
        return item.title, lines

    def _head_lines(self) -> Lines:
        if self._fault is not None:
            return fault_lines(self._fault, services_of(self).keys)
        if self.found is None:
            return []
        tone = "good" if self.found.is_ready else "strong"
        notices: Lines = [
            [("! ", "warn"), (in_keys(each, services_of(self).keys), "warn")]
            for each in self.found.notices
        ]
        looks: Lines = [[(self.found.holdout_use_summary, "muted")]] if self.found.uses else []
        then: Lines = [[("→ ", "accent"), (NEXT, "")]] if self.found.is_ready else []
        return [[(self.found.verdict, tone)], *then, *looks, *notices]

    def _draw_now(self) -> None:
        if self.is_mounted:  # else it is drawn once it is
            self.draw()

    def _hear(self) -> None:
        told = self._work.take() if self._work is not None else []
        for each in told:
            match each:
                case HoldoutProgress():
                    self._doing = each.words
                case HoldoutDone():
                    self._end("reading what came of it ...")
                    self._desk.check_ready(self)
                case HoldoutFault():
                    counting = self._counting()
                    self._end("")
                    self.show_fault(TuiLoopError(f"{each.message}; {counting}", each.hint))
                    self._desk.check_ready(self)
        if told:
            self._draw_now()

    def _counting(self) -> str:
        is_recorded = self._work is not None and self._work.is_recorded
        return counting_words(is_recorded=is_recorded)

    def _end(self, doing: str) -> None:
        self._doing = doing
        if self._timer is not None:
            self._timer.stop()
        if self._work is not None:
            self._work.close()
        self._work = self._timer = None


def look_lines(look: HoldoutEvaluation) -> Lines:
    """A look in full."""
    lines: Lines = [[], [("its look", "strong"), (f"  over {look.rows} rows", "muted")]]
    sides = (("holdout", look.figures), ("eval", look.eval), ("base, there", look.base))
    for name, side in sides:
        score = "no score" if side.score is None else percent(side.score)
        passed = "" if side.passed is None else f"  {side.passed} of {side.total} pass"
        told = f"{score}{passed}  loss {loss(side.loss) or 'unknown'}"
        lines.append([(fit(f"  {name}", 16), "muted"), (told, "")])
    if look.paired is not None:
        table = look.paired
        told = (
            f"{table.both} pass in both, "
            f"{changes(table.fixed, table.broken, table.changed_groups, table.unit)}, "
            f"{table.neither} in neither"
        )
        lines.append([(fit("  with the base", 16), "muted"), (told, "")])
    return lines


def looks_lines(looks: tuple[HoldoutUse, ...]) -> Lines:
    """Every look at this holdout, oldest first."""
    if not looks:
        return [[], [("nobody has looked at this holdout yet", "muted")]]
    lines: Lines = [[], [("looks at this holdout", "strong")]]
    for number, each in enumerate(looks, 1):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.evaluation.t))
        score = each.evaluation.score
        figure = f"loss {loss(each.evaluation.loss)}" if score is None else percent(score)
        parts = f"  {ordinal(number):<5} {when}  {flat(each.name, 40)}  {figure}"
        lines.append([(parts, "muted")])
    return lines
