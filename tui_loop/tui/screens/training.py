"""Training rows: those near to an example, or those that may be wrong, down to file and line."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_loop.core.data.files.reading import is_text_file
from tui_loop.core.data.row_files import RowFiles
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.suspects import Suspect, others_with_prompt
from tui_loop.core.examples.tfidf_index import Neighbour
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.record.structs import Example
from tui_loop.core.text.figures import counted, loss
from tui_loop.tui.actions import bindings
from tui_loop.tui.backend import NearestRows, SuspectRows
from tui_loop.tui.cells import fit, flat, width_of
from tui_loop.tui.screens.rows import RowsScreen, fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

Lines = list[list[Span]]

FIGURE, NAME = 8, 20
LABEL = 26
"""Cells of a reference at most."""

OTHERS = 10
"""Other rows of one prompt that are told."""

HARD = "still hard after training"


class TrainingLine(msgspec.Struct, frozen=True):
    """A training row in a list; a heading or a remark where it has no `line`.

    `figure`: its loss or similarity. `sign`: `!` where another row contradicts it, `=` where one
    repeats it. `odd`: what is odd with it, a sentence each. `facts`: what else is known of it.
    """

    prompt: str
    reference: str
    line: int | None = None
    figure: str = ""
    sign: str = ""
    odd: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    is_head: bool = False
    source: str = ""


class TrainingRowsFound(msgspec.Struct, frozen=True):
    """What a screen of training rows shows: words over the list, the rows, and their file."""

    head: Lines
    rows: list[TrainingLine]
    files: RowFiles
    figure: str
    """What the figures are."""

    nothing: str = "there is none"


class TrainingList(RowList):
    """The rows, under headings where there are any."""

    def __init__(self, doing: str) -> None:
        super().__init__(id="training-rows")
        self.rows: list[TrainingLine] = []
        self.files, self.figure = RowFiles({}, {}), ""
        self.told = [doing]
        self._label = self._place = 0

    def take(self, found: TrainingRowsFound) -> None:
        """Takes what was found."""
        self.rows, self.files, self.figure = found.rows, found.files, found.figure
        self.told = [found.nothing]
        rows = [each for each in self.rows if each.line is not None]
        labels = (width_of(flat(each.reference, 200)) for each in rows)
        places = (width_of(self._placed(each, 2 * NAME)) for each in rows)
        self._label, self._place = max(labels, default=0), max(places, default=0)

    @property
    def count(self) -> int:
        return len(self.rows)

    def is_selectable(self, index: int) -> bool:
        return self.rows[index].line is not None

    def empty(self) -> list[str]:
        return self.told

    def head(self, width: int) -> list[Span] | None:
        if not self.rows:
            return None
        label, text, place = self._widths(width)
        figure = fit(self.figure, FIGURE, right=True)
        texts = (
            f"  {figure}    {fit('says', label)}  {fit('training row', text)}  {fit('at', place)}"
        )
        return [(texts, "head")]

    def row(self, index: int, width: int) -> list[Span]:
        row = self.rows[index]
        if row.is_head:
            return [(" ", ""), (row.reference, "strong"), (f"  {flat(row.prompt, 300)}", "muted")]
        label, text, place = self._widths(width)
        if row.line is None:
            gap = " " * (FIGURE + 6)
            return [(f"{gap}{flat(row.reference, 40)}  {flat(row.prompt, 300)}", "muted")]
        return [
            self.pointer(index),
            (fit(row.figure, FIGURE, right=True), ""),
            (f"  {row.sign or ' '} ", "warn"),
            (fit(flat(row.reference, 200), label), "strong"),
            ("  ", ""),
            (fit(flat(row.prompt or row.reference, 400), text), ""),
            ("  ", ""),
            (fit(self._placed(row, place), place), "muted"),
        ]

    def _placed(self, row: TrainingLine, width: int) -> str:
        return placed(self.files.name_of(row.source), row.line or 0, width)

    def _widths(self, width: int) -> tuple[int, int, int]:
        place = min(self._place, NAME if width < 100 else 2 * NAME)
        label = max(4, min(self._label, LABEL, width // 4))
        return label, max(0, width - 2 - FIGURE - 4 - label - 2 - 2 - place), place


def placed(name: str, line: int, width: int) -> str:
    """`name:line` in at most `width` cells; it is the name that is cut."""
    tail = f":{line}"
    shown = flat(name, 200)
    if width_of(shown) + len(tail) > width:
        shown = fit(shown, max(1, width - len(tail)))
    return shown + tail


class TrainingScreen(RowsScreen):
    """Shows training rows; `e` and enter open the data file at the row's line."""

    BINDINGS = bindings("training")
    scopes = ("training", "list", "search", "sheet", "app")
    FOOTER = ("training.edit", "training.copy", "training.read", "app.back", "app.help")

    def __init__(self, title: str, doing: str) -> None:
        self.rows = TrainingList(doing)
        super().__init__(title, self.rows)
        self._found: TrainingRowsFound | None = None

    def show(self, found: TrainingRowsFound) -> None:
        """Shows what was found."""
        self._found = found
        if self.is_mounted:  # else it is drawn once it is
            self.draw()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Says why there is nothing to show."""
        lines = fault_lines(fault, services_of(self).keys)
        self.show(TrainingRowsFound(lines, [], RowFiles({}, {}), "", ""))

    def draw(self) -> None:
        found = self._found
        if found is None:
            return
        self.head.show(found.head)
        self.rows.take(found)
        self.rows.rows_changed()
        self.show_row()

    def row_lines(self) -> tuple[str, Lines]:
        row = self.row
        if row is None or self._found is None:
            return "", []
        return f"Line {row.line}", training_row_lines(row, self._found)

    @property
    def row(self) -> TrainingLine | None:
        """The row under the cursor."""
        rows, at = self.rows.rows, self.rows.cursor
        return rows[at] if at < len(rows) and rows[at].line is not None else None

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.action_edit_file()

    def action_edit_file(self) -> None:
        row, found = self.row, self._found
        if row is None or found is None:
            return
        path = found.files.paths.get(row.source)
        if path is not None and path.exists() and is_text_file(path):
            problem = services_of(self).edit(path, row.line)
        elif path is not None and path.exists():
            problem = f"{path.name} is no text file: an editor cannot show its rows"
        else:
            name = found.files.name_of(row.source)
            problem = f"{name} is not on this machine: copy it here to edit it"
        if problem:
            self.notify(flat(problem, 300), severity="error", markup=False)

    def action_copy(self) -> None:
        if self.row is not None:
            self.app.copy_to_clipboard("\n".join((self.row.prompt, self.row.reference)))
            self.notify("copied: prompt, reference", markup=False)


def training_row_lines(row: TrainingLine, found: TrainingRowsFound) -> Lines:
    """A training row in full, with what is odd with it."""
    lines: Lines = [[("odd      ", "muted"), (each, "warn")] for each in row.odd]
    lines += [[(f"{name:<9}", "muted"), (value, "")] for name, value in row.facts]
    if row.prompt:
        lines.append([("prompt   ", "muted"), (row.prompt, "")])
    lines.append([("says     ", "muted"), (row.reference or "(empty)", "strong")])
    place = found.files.place(row.source, row.line or 0)
    lines.append([("at       ", "muted"), (place, "muted")])
    return lines


def nearest_rows(found: NearestRows, example: Example) -> TrainingRowsFound:
    """What training had for an example, as a screen shows it."""
    answer = found.answer
    head: Lines = [
        [("wanted   ", "muted"), (flat(example.reference, 400), "good")],
        [("trained  ", "muted"), (answer.text, "warn" if answer.is_new else "")],
    ]
    if found.notice:
        head.append([("! ", "warn"), (found.notice, "warn")])
    near = list(answer.neighbours)
    rows = [_near_line(each) for each in near]
    same = answer.same
    if same is not None and all(each.row is not same.row for each in near):
        rows += [
            TrainingLine("", f"the nearest that says {flat(same.row.reference, 60)}", is_head=True),
            _near_line(same),
        ]
    nothing = "no training row shares a word with it"
    return TrainingRowsFound(head, rows, found.files, "similar", nothing)


def _near_line(near: Neighbour) -> TrainingLine:
    row, figure = near.row, f"{near.similarity:.2f}"
    return TrainingLine(row.prompt, row.reference, row.line, figure, source=row.source)


def suspected_rows(found: SuspectRows, base: str = "") -> TrainingRowsFound:
    """The training rows that may be wrong, as a screen shows them.

    `base`: what to do where nothing was measured.
    """
    head: Lines = []
    if found.measured:
        few = len(found.suspects) < found.measured
        order = f"the {len(found.suspects):,} highest" if few else "highest first"
        told = f"loss of {found.measured:,} of {found.sampled_of:,} training rows after training"
        head.append([(f"{told}, {order}; {_below(found)}", "")])
    else:
        head.append([(f"the loss of training rows was not measured: {base}", "warn")])
    counts = [f"{_words(each)} {each.count or 0:,}" for each in found.findings]
    if counts and found.suspects:
        head.append([(f"further down: {', '.join(counts)}", "muted")])
    head += [[("! ", "warn"), (text, "warn")] for text in found.notices]
    rows: list[TrainingLine] = []
    if found.suspects and found.findings:
        rows.append(TrainingLine("", HARD, is_head=True))
    rows += [_suspect_line(each, found) for each in found.suspects]
    for finding in found.findings:
        rows.append(TrainingLine(finding.message, _words(finding), is_head=True))
        rows += _finding_lines(finding, found)
    nothing = "no two training rows contradict or repeat each other"
    return TrainingRowsFound(head, rows, found.files, "loss", nothing)


def _below(found: SuspectRows) -> str:
    if found.median_loss is None:
        return "none is finite"
    return f"half of the measured are below {loss(found.median_loss)}"


def _words(finding: CheckResult) -> str:
    return finding.kind.replace("_", " ")


def _suspect_line(suspect: Suspect, found: SuspectRows) -> TrainingLine:
    row = suspect.row
    told = f"{loss(row.loss)} a token over {counted(row.supervised_tokens, 'token')}"
    fact = f"{told}; {_below(found)}"
    return TrainingLine(
        row.prompt,
        row.reference,
        row.source_line,
        loss(row.loss),
        _sign(suspect.conflicts, suspect.repeats),
        _others(suspect.conflicts, suspect.repeats),
        (("loss", fact),),
        source=row.source,
    )


def _finding_lines(finding: CheckResult, found: SuspectRows) -> list[TrainingLine]:
    """The training rows of a finding; held-out ones are told with the row that they go with."""
    lines: list[TrainingLine] = []
    for each in finding.rows:
        place = each.source, each.line
        row = found.rows.get(place) if each.split == "train" else None
        if row is not None:
            alike = [other for other in found.rows.values() if other.prompt == row.prompt]
            alike = [other for other in alike if other.prompt]
            conflicts, repeats = others_with_prompt(alike, place, row.reference)
            odd = (f"{finding.message}: {finding.hint}", *_others(conflicts, repeats))
            sign = _sign(conflicts, repeats)
            lines.append(
                TrainingLine(
                    row.prompt, row.reference, row.line, sign=sign, odd=odd, source=row.source
                )
            )
        elif lines and lines[-1].line is not None:
            of_source = f" of {each.source}" if each.source else ""
            held_out = f"{each.split} line {each.line}{of_source}: {each.text}"
            lines[-1] = msgspec.structs.replace(lines[-1], odd=(*lines[-1].odd, held_out))
        else:
            lines.append(TrainingLine(each.text, each.place))
    if finding.count is not None and finding.count > len(lines):
        lines.append(TrainingLine("these are the first of them", ""))
    return lines


def _sign(conflicts: Sequence[object], repeats: Sequence[object]) -> str:
    return "!" if conflicts else "=" if repeats else ""


def _others(conflicts: Sequence[Row], repeats: Sequence[Row]) -> tuple[str, ...]:
    """What other rows of one prompt say, a sentence each; the first of many."""
    texts = [
        f"{each.place} has the same prompt and says {flat(each.reference, 200)}"
        for each in conflicts
    ]
    texts += [f"{each.place} is the same" for each in repeats]
    more = len(texts) - OTHERS
    return (*texts[:OTHERS], f"and {counted(more, 'other line')}") if more > 0 else tuple(texts)
