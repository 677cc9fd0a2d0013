"""Score and eval loss over the iterations, with intervals on one scale each, and the
comparisons of the best iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tui_loop.core.compare.progress import Pair, Point, Progress
from tui_loop.core.compare.progress_text import (
    best_words,
    config_words,
    differs_words,
    loss_words,
    mark_of,
    otherwise_words,
    pair_words,
    reach_words,
    replicate_words,
    score_words,
)
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.plot.scale import Scale
from tui_loop.core.plot.strip import ends, scale_of, strip
from tui_loop.core.stats import Interval
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.keys import bindings, in_keys
from tui_loop.tui.screens.rows import RowsScreen, fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

FIGURE = 7
"""Cells of a score or a loss before its strip."""

LEAST_STRIP, MOST_STRIP = 9, 48
LEAST_TITLE = 16

EMPTY = [
    "Nothing has been measured yet.",
    "{run.start} runs the draft. Each iteration is a line here.",
]

Lines = list[list[Span]]


class ProgressCommands(Protocol):
    """What the screen asks of its controller."""

    def select(self, number: int) -> None:
        """Selects an iteration in the workbench."""

    def compare(self, a: int, b: int) -> None:
        """Shows iteration `b` compared with `a`."""

    def enqueue_replicates(self, pair: Pair) -> None:
        """Queues the runs that would decide between two configs."""


class ProgressList(RowList):
    """One row per iteration; below them, the comparisons of the best one."""

    def __init__(self) -> None:
        super().__init__(id="progress-list")
        self.rows: list[Point | str | Pair] = []
        self.why_empty = ["reading the iterations ..."]
        self.progress = Progress("")
        self._scores: Scale | None = None
        self._losses: Scale | None = None

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def chosen(self) -> Point | Pair | None:
        """The iteration or comparison under the cursor."""
        row = self.rows[self.cursor] if self.cursor < len(self.rows) else None
        return row if not isinstance(row, str) else None

    def key_of(self, index: int) -> object:
        row = self.rows[index] if index < len(self.rows) else ""
        return row.number if isinstance(row, Point) else row if isinstance(row, str) else row.about

    def is_selectable(self, index: int) -> bool:
        return not isinstance(self.rows[index], str)

    def empty(self) -> list[str]:
        return self.why_empty

    def show(self, progress: Progress, at: object) -> None:
        """Lists iterations and comparisons, with the cursor on the row with the key `at`."""
        self.why_empty, self.progress = EMPTY, progress
        self._scores = scale_of(each.score for each in progress.points)
        self._losses = scale_of((each.loss for each in progress.points), may_be_log=True)
        self.rows = [*progress.points]
        if progress.pairs:
            self.rows += ["the best iteration so far, compared with", *progress.pairs]
        self.rows_changed(at)

    def head(self, width: int) -> list[Span] | None:
        title, room = self._widths(width)
        text = f"     #   {fit('', title)}"
        for name, scale, show in (
            ("score", self._scores, figures.percent),
            ("loss", self._losses, figures.loss),
        ):
            if scale is not None:
                scaled = ends(scale, room, show(scale.low), show(scale.high)) if room else ""
                text += f"{fit(name, FIGURE, right=True)} {fit(scaled, room)} "
        return [(text, "head")]

    def row(self, index: int, width: int) -> list[Span]:
        row = self.rows[index]
        if isinstance(row, str):
            return [("  ", ""), (row, "strong")]
        if isinstance(row, Pair):
            return [self.pointer(index), *_pair_parts(row)]
        title, room = self._widths(width)
        mark = mark_of(row, self.progress)
        style = "muted" if row.differs else "accent" if mark else ""
        again = config_words(row)
        parts: list[Span] = [
            self.pointer(index),
            (f"{row.number:>4}", style),
            (f" {mark or ' '} ", style),
            (fit(flat(f"{again}  {row.title}" if again else row.title), title), ""),
        ]
        if row.score is None and row.loss is None:
            return [*parts, ("  ", ""), (row.state if row.state != "finished" else "", "muted")]
        if self._scores is not None:
            shown = figures.percent(row.score.delta) if row.score else ""
            parts += _drawn(shown, row.score, self._scores, room, style)
        if self._losses is not None:
            shown = figures.loss(row.loss.delta) if row.loss else ""
            parts += _drawn(shown, row.loss, self._losses, room, "muted" if row.differs else "eval")
        return parts

    def _widths(self, width: int) -> tuple[int, int]:
        """Returns the cells of the title and of each strip, 0 where strips do not fit."""
        count = (self._scores is not None) + (self._losses is not None)
        room = width - 9 - count * (FIGURE + 2)
        if not count:
            return max(0, room), 0
        size = min(MOST_STRIP, (room - LEAST_TITLE) // count)
        size = size if size >= LEAST_STRIP else 0
        return max(0, room - count * size), size


class ProgressScreen(RowsScreen):
    """Shows the progress as it is read; the row under the cursor is in full below."""

    BINDINGS = bindings("progress")
    scopes = ("progress", "list", "search", "sheet", "app")
    FOOTER = (
        "list.open",
        "progress.enqueue",
        "progress.copy",
        "progress.read",
        "app.back",
        "app.help",
    )

    def __init__(self, controller: ProgressCommands, loop: str, number: int | None) -> None:
        """`number`: the iteration on which the cursor starts."""
        self.rows = ProgressList()
        super().__init__(f"Progress of {loop}", self.rows)
        self._controller, self._number = controller, number
        self.found = Progress(loop)
        self._fault: TuiLoopError | None = None
        self._doing = "reading ..."

    def show(self, found: Progress) -> None:
        """Shows the progress; draws nothing where it is unchanged."""
        if self._doing or self._fault is not None or found != self.found:
            at = self.rows.key_of(self.rows.cursor) if self.rows.count else self._number
            self.found, self._fault, self._doing = found, None, ""
            self.rows.show(found, at)
            self.draw()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why the progress cannot be updated."""
        self._fault, self._doing = fault, ""
        self.draw()

    def draw(self) -> None:
        if not self.head.is_attached:  # show() may come before compose()
            return
        state = self._doing or counted(len(self.found.points), "iteration")
        entitle(self.query_one("#found"), self._heading, state)
        self.head.show(self._head_lines())
        self.rows.refresh()
        self.show_row(keep_place=True)

    def row_lines(self) -> tuple[str, Lines]:
        chosen = self.rows.chosen
        if isinstance(chosen, Pair):
            return f"{chosen.b} against {chosen.a}", pair_lines(chosen)
        if chosen is None:
            return "", []
        return f"{chosen.number} · {flat(chosen.title, 200)}", point_lines(chosen, self.found)

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        chosen = self.rows.chosen
        if isinstance(chosen, Pair):
            self._controller.compare(chosen.a, chosen.b)
        elif chosen is not None:
            self.dismiss()
            self._controller.select(chosen.number)

    def action_enqueue(self) -> None:
        """Queues the runs that would decide a pair; on an iteration, the first pair with any."""
        chosen = self.rows.chosen
        pairs = [chosen] if isinstance(chosen, Pair) else self.found.pairs
        pair = next((each for each in pairs if each.commands), None)
        if pair is None:
            self.notify("No further run would decide between these configs.", markup=False)
        else:
            self._controller.enqueue_replicates(pair)

    def action_copy(self) -> None:
        _, lines = self.row_lines()
        if lines:
            text = "\n".join("".join(part for part, _ in line) for line in lines)
            self.app.copy_to_clipboard(text)
            self.notify("copied: the row in full", markup=False)

    def _head_lines(self) -> Lines:
        if self._fault is not None:
            return fault_lines(self._fault, services_of(self).keys)
        if not self.found.points:
            return []
        lines: Lines = [[(best_words(self.found), "")]]
        if text := otherwise_words(self.found):
            lines.append([("! ", "warn"), (text, "muted")])
        return lines


def point_lines(point: Point, progress: Progress) -> Lines:
    """Returns an iteration in full."""
    over = f" over {counted(point.examples, 'example')}" if point.examples else ""
    lines: Lines = []
    if point.score is not None:
        lines.append([("score  ", "muted"), (f"{score_words(point.score)}{over}", "")])
    if point.loss is not None:
        lines.append([("loss   ", "muted"), (f"{loss_words(point.loss)} nats per token", "")])
    if not lines:
        lines.append([("state  ", "muted"), (point.state, "")])
    else:
        seeds = "another seed may move a result further than this"
        basis = f"95% interval over the {progress.unit}; {seeds}"
        lines.append([("       ", ""), (basis, "muted")])
    config = progress.config(point.number)
    if config is not None and len(config.runs) > 1:
        words = next(
            each
            for each, tried in zip(
                replicate_words(progress),
                (each for each in progress.tried if len(each.runs) > 1),
                strict=True,
            )
            if tried is config
        )
        lines.append([("config ", "muted"), (words, "")])
    if differs := differs_words(point):
        lines.append([("! ", "warn"), (differs, "warn")])
    number = config.number if config is not None else point.number
    for pair in progress.pairs:
        if number in (pair.a, pair.b):
            lines += [[], *pair_lines(pair)]
    return lines


def pair_lines(pair: Pair) -> Lines:
    """Returns the claim about a pair, and the runs that would make it more certain."""
    lines: Lines = [[(pair_words(pair), "")]]
    if text := reach_words(pair):
        lines.append([("→ ", "accent"), (text, "")])
    lines += [[("  ", ""), (in_keys(each, {}), "changed")] for each in pair.commands]
    return lines


def _pair_parts(pair: Pair) -> Sequence[Span]:
    name = pair.about if pair.a == 0 else f"{pair.a}, {pair.about}"
    reach = f": {flat(reach_words(pair))}" if pair.reach is not None else ""
    style = "good" if pair.claim == "better" else ""
    return [(f"{flat(name)}  ", ""), (pair.claim, style), (reach, "muted")]


def _drawn(
    figure: str, interval: Interval | None, scale: Scale, room: int, style: str
) -> list[Span]:
    """Returns a figure and its strip."""
    drawn = strip(interval, scale, room) if interval is not None and room else " " * room
    return [(f"{fit(figure, FIGURE, right=True)} ", "strong"), (f"{drawn} ", style)]
