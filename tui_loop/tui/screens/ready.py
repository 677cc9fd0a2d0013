"""Whether an iteration is ready: each criterion with its figure, and the uses of the holdout."""

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
from tui_loop.tui.backend import HoldoutRun
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.keys import bindings, in_keys, with_keys
from tui_loop.tui.screens.rows import RowsScreen, fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import Cell, RowList, WrappedList
from tui_loop.tui.widgets.styled_lines import Span

POLL_SECONDS = 0.1
SIGNS = {
    "met": ("✓ met    ", "good"),
    "not met": ("✗ not met", "bad"),
    "open": ("? open   ", "warn"),
}
TITLE_CELLS = 28
NEXT = "In the workbench, {loop.close} closes the loop and {loop.report} writes a report."
"""What to do with an iteration that is ready."""

Lines = list[list[Span]]


class ReadyCommands(Protocol):
    """What the screen asks of its controller."""

    def evaluate_holdout(self) -> None:
        """Asks whether to evaluate the holdout, and passes the run to the screen."""

    def check(self) -> None:
        """Reads the checklist again."""


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
        sign, style = SIGNS[item.status]
        before = 2 + len(sign) + 2
        title = min(TITLE_CELLS, max(1, (width - before) // 2))
        return [
            ([self.pointer(index)], 2),
            ([(f"{sign}  ", style)], len(sign) + 2),
            ([(flat(item.title), "")], title),
            ([("  ", "")], 2),
            (
                [(flat(item.figure), "muted" if item.status == "met" else "")],
                width - before - title - 2,
            ),
        ]


class ReadyScreen(RowsScreen):
    """Shows a checklist; closing the screen ends a running holdout evaluation.

    That evaluation counts only if its result was already recorded.
    """

    BINDINGS = bindings("ready")
    scopes = ("ready", "list", "search", "sheet", "app")
    DEFAULT_CSS = """
    ReadyScreen > #found { height: 14fr; }
    ReadyScreen > #shown { height: 9fr; }
    """
    FOOTER = ("ready.look", "ready.read", "app.back", "app.help")

    def __init__(self, controller: ReadyCommands, loop: str, number: int) -> None:
        self.rows = ItemList()
        super().__init__(f"Is {loop}/{number} ready?", self.rows)
        self.number = number
        self.found: Checklist | None = None
        self._controller = controller
        self._doing = "reading the record ..."
        self._fault: TuiLoopError | None = None
        self._work: HoldoutRun | None = None
        self._timer: Timer | None = None
        self._is_unmounted = False

    @property
    def is_evaluating(self) -> bool:
        """Whether a holdout evaluation is running."""
        return self._work is not None

    def show(self, found: Checklist) -> None:
        """Shows a checklist."""
        if self.found is not None and self.found.is_in_progress != found.is_in_progress:
            self._fault = None  # the fault was about the earlier state
        self.found, self.rows.items, self._doing = found, found.items, ""
        self.rows.rows_changed()
        self._draw_now()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why there is no checklist, or no evaluation."""
        self._fault, self._doing = fault, ""
        self.rows.is_read = True
        self._draw_now()

    def begin(self, work: HoldoutRun) -> None:
        """Takes a holdout evaluation that has started."""
        if self._is_unmounted or self.is_evaluating:
            work.close()
            return
        self._work, self._fault = work, None
        self._doing = "starting the evaluation ..."
        self._timer = self.set_interval(POLL_SECONDS, self._poll)
        self._draw_now()

    def on_unmount(self) -> None:
        self._is_unmounted = True
        if self._work is not None:
            self._work.close()
            self.app.notify(f"ended: {self._counting()}")

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        if self.rows.items[event.index].kind == HOLDOUT:
            self.action_evaluate_holdout()
        else:
            self.action_read()

    def action_evaluate_holdout(self) -> None:
        if self.is_evaluating:
            self.notify("The evaluation is running. {app.back} ends it; no holdout use is counted.")
        elif self.found is not None and self.found.is_in_progress:
            self.notify(f"Run {self.number} is still live. Evaluate the holdout when it has ended.")
        elif self.found is not None:
            self._controller.evaluate_holdout()

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
        todo, keys = item.todo, services_of(self).keys
        if item.kind == HOLDOUT and self.found is not None and self.found.evaluation is None:
            todo = with_keys("{ready.look} evaluates the holdout after a confirmation.", keys)
        if todo:
            lines.append([("→ ", "accent"), (in_keys(todo, keys), "")])
        if item.kind == HOLDOUT and self.found is not None:
            lines += (
                evaluation_lines(self.found.evaluation) if self.found.evaluation is not None else []
            )
            lines += uses_lines(self.found.uses)
        return item.title, lines

    def _head_lines(self) -> Lines:
        keys = services_of(self).keys
        if self._fault is not None:
            return fault_lines(self._fault, keys)
        if self.found is None:
            return []
        style = "good" if self.found.is_ready else "strong"
        notices: Lines = [
            [("! ", "warn"), (in_keys(each, keys), "warn")] for each in self.found.notices
        ]
        uses: Lines = [[(self.found.holdout_use_summary, "muted")]] if self.found.uses else []
        then: Lines = (
            [[("→ ", "accent"), (with_keys(NEXT, keys), "")]] if self.found.is_ready else []
        )
        return [[(self.found.verdict, style)], *then, *uses, *notices]

    def _draw_now(self) -> None:
        if self.is_mounted:  # otherwise on_mount draws it
            self.draw()

    def _poll(self) -> None:
        messages = self._work.take() if self._work is not None else []
        for each in messages:
            match each:
                case HoldoutProgress():
                    self._doing = each.words
                case HoldoutDone():
                    self._end("reading the result ...")
                    self._controller.check()
                case HoldoutFault():
                    counting = self._counting()
                    self._end("")
                    self.show_fault(TuiLoopError(f"{each.message}; {counting}", each.hint))
                    self._controller.check()
        if messages:
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


def evaluation_lines(result: HoldoutEvaluation) -> Lines:
    """Returns a holdout evaluation in full."""
    lines: Lines = [[], [("holdout evaluation", "strong"), (f"  of {result.rows} rows", "muted")]]
    sides = (("holdout", result.figures), ("eval", result.eval), ("base, holdout", result.base))
    for name, side in sides:
        score = "no score" if side.score is None else percent(side.score)
        passed = "" if side.passed is None else f"  {side.passed} of {side.total} pass"
        text = f"{score}{passed}  loss {loss(side.loss) or 'unknown'}"
        lines.append([(fit(f"  {name}", 16), "muted"), (text, "")])
    if result.paired is not None:
        table = result.paired
        text = (
            f"{table.both} pass in both, "
            f"{changes(table.fixed, table.broken, table.changed_groups, table.unit)}, "
            f"{table.neither} fail in both"
        )
        lines.append([(fit("  with the base", 16), "muted"), (text, "")])
    return lines


def uses_lines(uses: tuple[HoldoutUse, ...]) -> Lines:
    """Returns every use of this holdout, oldest first."""
    if not uses:
        return [[], [("This holdout has not been used yet.", "muted")]]
    lines: Lines = [[], [("uses of this holdout", "strong")]]
    for number, each in enumerate(uses, 1):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.evaluation.t))
        score = each.evaluation.score
        figure = f"loss {loss(each.evaluation.loss)}" if score is None else percent(score)
        parts = f"  {ordinal(number):<5} {when}  {flat(each.name, 40)}  {figure}"
        lines.append([(parts, "muted")])
    return lines
