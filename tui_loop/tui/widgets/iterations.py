"""Pane 1: the loop's iterations as a table, the draft below them, and why the selected one is."""

from __future__ import annotations

from collections.abc import Hashable

import msgspec
from textual import events
from textual.app import ComposeResult

from tui_loop.core.compare.claims import brief_delta, changes_of, examples_of
from tui_loop.core.compare.comparison import SEED_NOISE, Comparison
from tui_loop.core.diagnosis.findings import verdict_words
from tui_loop.core.record.iteration import title_of
from tui_loop.core.record.structs import LIVE, RESUMABLE, Iteration
from tui_loop.core.snapshot import LoopSnapshot
from tui_loop.core.text.figures import loss, percent, silence
from tui_loop.tui.actions import bindings
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.widgets.pane import Pane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.toned import Part

DRAFT = "draft"
"""The key of the draft's row; all others are numbers."""

TITLE = 24
"""Cells that a title keeps where a verdict has its word, too."""

VERDICT_TONES = {"✓": "good", "✗": "bad", "≈": "warn"}

ERROR_SIGNS = 100
"""Of an error in the note, so that its hint has room; enter reads all of it."""

SIGNS = {
    "queued": ("○ queued", "muted"),
    "running": ("▶ running", "accent"),
    "paused": ("▶ paused", "warn"),
    "stopping": ("▶ stopping", "warn"),
    "stopped": ("■ stopped", "warn"),
    "failed": ("✗ failed", "bad"),
    "interrupted": ("✗ interrupted", "bad"),
    "unreadable": ("✗ unreadable", "bad"),
}


class IterationTable(RowList):
    """The rows of the pane."""

    def __init__(self) -> None:
        super().__init__(id="iteration-table")
        self.snapshot: LoopSnapshot | None = None
        self.marked: tuple[int, ...] = ()
        self._has_verdicts = False

    @property
    def count(self) -> int:
        if self.snapshot is None:
            return 0
        return len(self.snapshot.iterations) + self._has_draft_row

    @property
    def _has_draft_row(self) -> bool:
        """Whether there is a draft, be it one that cannot be read."""
        snapshot = self.snapshot
        assert snapshot is not None
        return snapshot.draft is not None or bool(snapshot.draft_problem and not snapshot.problem)

    @property
    def _digits(self) -> int:
        """Cells of the numbers, three at least."""
        numbers = self.snapshot.iterations if self.snapshot else ()
        return max(3, len(str(numbers[-1].number + 1)) if numbers else 0)

    def key_of(self, index: int) -> Hashable:
        if self.snapshot is None or index >= len(self.snapshot.iterations):
            return DRAFT
        return self.snapshot.iterations[index].number

    def empty(self) -> list[str]:
        if self.snapshot is None:
            return ["reading the loop ..."]
        return ["no iterations yet", self.snapshot.problem or self.snapshot.draft_problem]

    def head(self, width: int) -> list[Part]:
        room = self._room(width)
        cells = [fit("", 2), fit("#", self._digits, right=True), "   ", fit("change", room.title)]
        eval_loss = "eval " if room.verdict else "eval"  # apart from the score's head
        cells += [fit(eval_loss, room.loss, right=True), fit("score", room.score, right=True)]
        cells += [" " * room.gap]
        cells += [fit("vs parent", CLAIM if room.verdict else 9)]
        cells += [" prediction" if room.verdict > SIGN else " pred"] if room.verdict else []
        return [("".join(cells), "head")]

    def _room(self, width: int) -> _Room:
        return _room(width - self._digits, self._has_verdicts)

    def take(self, snapshot: LoopSnapshot) -> None:
        """Takes what is to be shown. From the first prediction on there is a column for what
        became of it: when it is judged, nothing moves."""
        self.snapshot = snapshot
        predicted = snapshot.draft is not None and snapshot.draft.predicted is not None
        self._has_verdicts |= predicted or any(each.verdict for each in snapshot.iterations)

    def row(self, index: int, width: int) -> list[Part]:
        assert self.snapshot is not None
        if index >= len(self.snapshot.iterations):
            return [self.pointer(index), *self._draft_row()]
        iteration = self.snapshot.iterations[index]
        room = self._room(width)
        indent = "└ " if self.snapshot.depths[index] else ""
        mark = " m " if iteration.number in self.marked else "   "
        metrics = iteration.metrics
        tone = "muted" if iteration.state in ("queued", "unreadable") else ""
        parts: list[Part] = [
            self.pointer(index),
            (fit(str(iteration.number), self._digits, right=True), "strong"),
            (mark, "overlay"),
            (indent, "muted"),
            (fit(flat(iteration.title), room.title - len(indent)), tone),
            (fit(loss(metrics.get("eval_loss")), room.loss, right=True), ""),
            (fit(percent(metrics.get("score")), room.score, right=True), ""),
            (" " * room.gap, ""),
        ]
        text, tone = self._outcome(iteration)
        if not (room.verdict and iteration.verdict):
            return [*parts, (text, tone)]
        sign, word, _ = verdict_words(iteration.verdict)
        told = f" {sign} {word}" if room.verdict > SIGN else f" {sign}"
        return [*parts, (fit(text, CLAIM), tone), (told, VERDICT_TONES.get(sign, ""))]

    def _outcome(self, iteration: Iteration) -> Part:
        """What came of it: the change against the parent, or the state it is in."""
        assert self.snapshot is not None
        if iteration.state == "finished":
            if iteration.number not in self.snapshot.comparisons:
                return ("", "")
            compared = self.snapshot.comparisons[iteration.number]
            return brief_delta(compared), claim_tone(compared)
        text, tone = SIGNS.get(iteration.state, (iteration.state, ""))
        if iteration.state == "failed" and iteration.error:
            text = f"✗ {iteration.error.get('kind')}"
        if iteration.silence is not None:
            return f"▶ silent {silence(iteration.silence)}", "warn"
        live = self.snapshot.live
        if live is not None and live.number == iteration.number and live.run.total:
            done, total = live.run.done, live.run.total
            if iteration.state == "running":
                text = f"▶ {done}/{total}"
            else:
                text = f"▶ {iteration.state} {100 * done // total}%"
        return text, tone

    def _draft_row(self) -> list[Part]:
        assert self.snapshot is not None
        draft = self.snapshot.draft
        number = max((each.number for each in self.snapshot.iterations), default=0) + 1
        if draft is None:
            return [
                (fit(str(number), self._digits, right=True), "muted"),
                ("   ", ""),
                ("✗ draft, cannot be read: e edits it", "bad"),
            ]
        changed = {name: list(pair) for name, pair in draft.changed.items()}
        origin = "the loop's defaults" if not draft.parent else str(draft.parent)
        told = title_of(number, draft.parent, changed) if changed else "nothing changed yet"
        problems = len(draft.problems)
        parts = [
            (fit(str(number), self._digits, right=True), "muted"),
            ("   ", ""),
            ("draft, ", "changed" if changed else "muted"),
        ]
        if problems:
            parts.append((f"! {problems} problem{'s' if problems > 1 else ''}, ", "bad"))
        parts.append((f"from {origin}: {flat(told)}", "changed" if changed else "muted"))
        return parts


NOTE, MORE, ROOMY = 4, 2, 14
"""Rows of the lines below the table with the rule over them; more in a pane of so many rows."""

REASON_LINES, REASON_INDENT = 2, 10
"""A longer reason is cut, so that what follows it is seen; enter reads all of it."""


class IterationsPane(Pane):
    """The table and some lines on the selected row."""

    BINDINGS = bindings("iterations")
    scope = "iterations"
    DEFAULT_CSS = """
    IterationsPane > #iteration-note { height: 4; padding: 0; border-top: solid $frame; }
    """

    def __init__(self) -> None:
        super().__init__(id="iterations")
        self.table = IterationTable()
        self.note = Sheet(id="iteration-note", is_note=True)

    def compose(self) -> ComposeResult:
        yield self.table
        yield self.note

    def on_mount(self) -> None:
        self.entitle("1 Iterations")

    def on_resize(self, event: events.Resize) -> None:
        """Where there is room, reason and claim of two lines each leave one for the verdict."""
        self.note.styles.height = NOTE + MORE * (event.size.height >= ROOMY)
        self.call_after_refresh(self.show_note)

    @property
    def main(self) -> RowList:
        return self.table

    def show(self, snapshot: LoopSnapshot, marked: tuple[int, ...], selected: Hashable) -> None:
        """Shows the snapshot, the cursor on the row with key `selected`."""
        table, before = self.table, self.table.snapshot
        same = before is not None and (
            before.iterations is snapshot.iterations
            and before.comparisons is snapshot.comparisons
            and before.draft is snapshot.draft
            and before.draft_problem == snapshot.draft_problem
            and before.live is snapshot.live
            and table.marked == marked
        )
        table.take(snapshot)
        table.marked = marked
        if not same or table.key_of(table.cursor) != selected:
            table.rows_changed(selected)
        self.show_note()

    def show_note(self) -> None:
        """The lines on the row under the cursor."""
        snapshot = self.table.snapshot
        key = self.table.key_of(self.table.cursor)
        if snapshot is None:
            return
        iteration = snapshot.iteration(key) if isinstance(key, int) else None
        self.note.show(note_on(snapshot, iteration, self.note.size.width))


def note_on(snapshot: LoopSnapshot, iteration: Iteration | None, width: int) -> list[list[Part]]:
    """Why an iteration is, and what can be said of it; the draft if there is none.

    `width`: cells of a line; 0 where it is not known yet, and nothing is cut.
    """
    reason = REASON_LINES * (width - REASON_INDENT - 4)  # words do not fill a line
    longest = reason if width > REASON_INDENT + 4 else 2_000
    if iteration is None:
        if snapshot.draft is None:
            return [[(" ✗ ", "bad"), (snapshot.draft_problem or snapshot.problem, "bad")]]
        why = snapshot.draft.why or "no reason given yet: a writes one"
        because = [(" because: ", "muted"), (flat(why, longest), "")]
        return [because, [(" r runs it, 2 edits it", "muted")]]
    lines: list[list[Part]] = []
    because = [(" because: ", "muted"), (flat(iteration.decision, longest), "")]
    if iteration.error:  # what to do next comes before what cannot be changed any more
        message = str(iteration.error.get("message") or "")
        if iteration.state == "unreadable" and len(message) > ERROR_SIGNS:
            message = _by_its_name(message)
        message = flat(message, ERROR_SIGNS + 1)
        lines.append([(" ✗ ", "bad"), (message, "bad")])
        if hint := iteration.error.get("hint"):
            lines.append([("   hint: ", "muted"), (str(hint), "")])
    elif iteration.state in RESUMABLE:
        resumes = " resumes it from its newest whole checkpoint"
        lines.append([(" it did not finish: ", "muted"), ("R", "accent"), (resumes, "muted")])
    elif iteration.state == "queued" and snapshot.live is None:
        lines.append([(" it has not begun: ", "muted"), ("R", "accent"), (" runs it", "muted")])
    if iteration.decision:
        lines.append(because)
    if compared := snapshot.comparisons.get(iteration.number):
        lines.append([(" ", ""), (claim_in_words(compared), "muted")])
    if iteration.verdict:
        lines.append(verdict_line(iteration.verdict))
    return lines


def _by_its_name(message: str) -> str:
    """A fault of a file, `PATH: what`, with no more of its path than its folder and its name."""
    path, _, what = message.partition(": ")
    name = "/".join(path.rsplit("/", 2)[-2:])
    return f"…/{name}: {what}" if "/" in path else message


def verdict_line(verdict: str) -> list[Part]:
    """What became of the prediction that the iteration was made on."""
    sign, _, words = verdict_words(verdict)
    return [(f" {sign} ", VERDICT_TONES.get(sign, "")), (flat(words, 200), "muted")]


def claim_in_words(compared: Comparison) -> str:
    """Returns what can be said of a change, and what it rests on."""
    if compared.change is None:
        return f"against {compared.a}: nothing to compare"
    runs = compared.replicates
    counted = f"{runs[0]} and {runs[1]} runs of these configs"
    if compared.claim == SEED_NOISE:
        counted = f"{runs[0]} runs of this config"
    if compared.is_by_loss:
        over = examples_of(compared, by_loss=True)
    else:
        over = f"{examples_of(compared)}, {changes_of(compared)}"
    return (
        f"against {compared.a}: {compared.change_words} over {over}: {compared.claim} ({counted})"
    )


def claim_tone(compared: Comparison | None) -> str:
    """Good and bad are said only of what is more than consistent with it."""
    if compared is None:
        return ""
    return {"better": "good", "worse": "bad"}.get(compared.claim, "")


def is_live(iteration: Iteration | None) -> bool:
    """Whether the iteration is being run."""
    return iteration is not None and iteration.state in LIVE


class _Room(msgspec.Struct, frozen=True):
    """Cells of the columns; `gap`: those between the score and what can be claimed."""

    title: int
    loss: int
    score: int = 6
    gap: int = 2
    verdict: int = 0


CLAIM, SIGN, WORD = 18, 5, 12
"""Cells of what can be claimed, and of a verdict: its sign, or its word, too."""


def _room(width: int, has_verdict: bool) -> _Room:
    """Columns beside a number; with verdicts, the figures stand closer for the title's sake."""
    eval_loss = 8 if width >= 55 else 0
    left = width - 2 - 3 - CLAIM - eval_loss
    if not has_verdict:
        return _Room(max(8, left - 6 - 2), eval_loss)
    left += bool(eval_loss) - 5 - 1
    verdict = WORD if left - WORD >= TITLE else SIGN
    return _Room(max(8, left - verdict), max(0, eval_loss - 1), 5, 1, verdict)
