"""The queue of a loop: the drafts in the order in which they will run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tui_loop.core.diagnosis.apply_suggestions import suggested_by
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.text.figures import brief, counted
from tui_loop.core.workflow.queue import QueuedDraft
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.keys import bindings
from tui_loop.tui.screens.rows import RowsScreen, fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

WHY_CELLS = 40

Change = Callable[[list[QueuedDraft]], None]
Lines = list[list[Span]]


class QueueSnapshot(msgspec.Struct, frozen=True):
    """The queue at one moment. `problems`: the problem of each draft, "" for none.

    `is_running`: whether a process runs the queue; `is_auto`: whether auto runs instead.
    """

    drafts: tuple[QueuedDraft, ...] = ()
    problems: tuple[str, ...] = ()
    is_running: bool = False
    is_auto: bool = False
    fault: TuiLoopError | None = None


class QueueCommands(Protocol):
    """What the screen asks of its controller."""

    def edit(self, change: Change) -> None:
        """Applies a change of the screen to the queue on disk."""

    def load(self, draft: QueuedDraft) -> None:
        """Takes a draft out of the queue to edit it."""

    def run_all(self, count: int) -> None:
        """Asks whether to run the `count` drafts in the background, and runs them."""


class QueueList(RowList):
    """The drafts, each with its parent, what it sets, and why."""

    def __init__(self) -> None:
        super().__init__(id="queued")
        self.drafts: list[QueuedDraft] = []
        self.problems: Sequence[str] = ()
        self.why_empty = ["reading the queue ..."]

    @property
    def count(self) -> int:
        return len(self.drafts)

    @property
    def draft(self) -> QueuedDraft | None:
        """The draft under the cursor."""
        return self.drafts[self.cursor] if self.cursor < len(self.drafts) else None

    def empty(self) -> list[str]:
        return self.why_empty

    def head(self, width: int) -> list[Span] | None:
        sets, why = self._widths(width)
        return [(f"   #  from      {fit('sets', sets)}  {fit('why', why)}", "head")]

    def row(self, index: int, width: int) -> list[Span]:
        draft = self.drafts[index]
        sets, why = self._widths(width)
        problem = self.problems[index] if index < len(self.problems) else ""
        text = problem or draft.why
        return [
            self.pointer(index),
            (f"{index + 1:>2}  ", "muted"),
            (fit(parent_of(draft), 8), ""),
            ("  ", ""),
            (fit(flat(sets_of(draft), 400), sets), "changed" if draft.set else "muted"),
            ("  ", ""),
            (
                fit(f"✗ {flat(text, 400)}" if problem else flat(text, 400), why),
                "bad" if problem else "muted",
            ),
        ]

    def _widths(self, width: int) -> tuple[int, int]:
        room = max(8, width - 18)
        why = min(WHY_CELLS, room // 2)
        return room - why, why


class QueueScreen(RowsScreen):
    """Shows the queue on disk; an edit is shown at once and then written."""

    BINDINGS = bindings("queue")
    scopes = ("queue", "list", "search", "sheet", "app")
    FOOTER = (
        *("list.open", "queue.sooner", "queue.later", "queue.remove", "queue.undo", "queue.run"),
        *("app.back", "app.help"),
    )

    def __init__(self, controller: QueueCommands, loop: str) -> None:
        self.rows = QueueList()
        super().__init__(f"Queue of {loop}", self.rows)
        self._controller = controller
        self._snapshot = QueueSnapshot()
        self._removed: list[tuple[int, QueuedDraft]] = []

    def show(self, snapshot: QueueSnapshot) -> None:
        """Shows the queue; draws nothing where it is unchanged."""
        if snapshot == self._snapshot and not self.rows.why_empty[0].startswith("reading"):
            return
        self._snapshot = snapshot
        self.rows.why_empty = [
            "No draft is queued.",
            "In the workbench, {loop.enqueue} adds the draft. Here, {queue.run} runs all drafts in "
            "order.",
        ]
        current = self.rows.draft
        self.rows.drafts, self.rows.problems = list(snapshot.drafts), snapshot.problems
        self._changed(current)

    def action_shift(self, step: int) -> None:
        draft = self.rows.draft
        if draft is None:
            return

        def change(queue: list[QueuedDraft]) -> None:
            if draft in queue:
                at = queue.index(draft)
                to = min(max(at + step, 0), len(queue) - 1)
                queue.insert(to, queue.pop(at))

        self._edit(change, draft)

    def action_remove(self) -> None:
        draft = self.rows.draft
        if draft is None:
            return
        self._removed.append((self.rows.cursor, draft))

        def change(queue: list[QueuedDraft]) -> None:
            if draft in queue:
                queue.remove(draft)

        self._edit(change, None)

    def action_undo(self) -> None:
        if not self._removed:
            self.notify("Nothing was removed here.", markup=False)
            return
        at, draft = self._removed.pop()
        self._edit(lambda queue: queue.insert(at, draft), draft)

    def action_run(self) -> None:
        if self._snapshot.is_running:
            self.notify("The queue is running. {run.stop} in the workbench stops it.", markup=False)
        elif self._snapshot.is_auto:
            self.notify("Auto is running. {run.stop} in the workbench stops it.", markup=False)
        elif not self.rows.drafts:
            self.notify("No draft is queued.", markup=False)
        else:
            self._controller.run_all(self.rows.count)

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        draft = self.rows.draft
        if draft is not None:
            self.dismiss()
            self._controller.load(draft)

    def draw(self) -> None:
        waiting = counted(self.rows.count, "draft")
        state = f"running, {waiting} left" if self._snapshot.is_running else f"{waiting} queued"
        state = f"auto is running, {waiting} queued" if self._snapshot.is_auto else state
        entitle(self.query_one("#found"), self._heading, state)
        fault, keys = self._snapshot.fault, services_of(self).keys
        self.head.show(fault_lines(fault, keys) if fault is not None else [])
        self.rows.refresh()
        self.show_row(keep_place=True)

    def row_lines(self) -> tuple[str, Lines]:
        at = self.rows.cursor
        problem = self.rows.problems[at] if at < len(self.rows.problems) else ""
        return f"{at + 1} in the queue", queued_lines(self.rows.drafts[at], problem)

    def _edit(self, change: Change, cursor_on: QueuedDraft | None) -> None:
        """Changes the list on the screen, then the queue on disk."""
        known = dict(zip(map(id, self.rows.drafts), self.rows.problems, strict=False))
        change(self.rows.drafts)
        self.rows.problems = [known.get(id(each), "") for each in self.rows.drafts]
        self._changed(cursor_on)
        self._controller.edit(change)

    def _changed(self, cursor_on: QueuedDraft | None) -> None:
        self.rows.rows_changed()
        if cursor_on is not None and cursor_on in self.rows.drafts:
            self.rows.set_cursor(self.rows.drafts.index(cursor_on), notify=False)
        if self.is_mounted:
            self.draw()


def parent_of(draft: QueuedDraft) -> str:
    """Returns the parent of a draft, `defaults` where it has none."""
    return str(draft.parent or "defaults")


def sets_of(draft: QueuedDraft) -> str:
    """Returns what a draft sets: `learning_rate 5e-5, r 8`."""
    changes = (f"{name.partition('.')[2]} {brief(value)}" for name, value in draft.set.items())
    return ", ".join(changes) or "no change"


def queued_lines(draft: QueuedDraft, problem: str) -> Lines:
    """Returns a queued draft in full."""
    lines: Lines = []
    if problem:
        lines += [[("✗ ", "bad"), (flat(problem, 2000), "bad")], []]
    lines += [
        [(fit(name, 36), ""), ("  ", ""), (flat(brief(value), 400), "changed")]
        for name, value in draft.set.items()
    ] or [[("no change", "muted")]]
    lines += [[], [("from  ", "muted"), (parent_of(draft), "")]]
    if draft.why:
        lines.append([("why   ", "muted"), (draft.why, "")])
    if draft.suggestion:
        lines.append([("by    ", "muted"), (flat(suggested_by(draft.suggestion), 400), "")])
    return lines
