"""Training rows that are similar to an example, or that may be wrong, with file and line."""

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
from tui_loop.tui.backend import NearestRows, SuspectRows
from tui_loop.tui.cells import fit, flat, width_of
from tui_loop.tui.keys import bindings
from tui_loop.tui.screens.rows import RowsScreen, fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

Lines = list[list[Span]]

FIGURE, NAME = 8, 20
REFERENCE_HEAD = "reference"
LABEL = 26
"""The most cells of a reference."""

OTHERS = 10
"""The most rows with the same prompt that are listed."""

HARD = "high loss after training"


class TrainingLine(msgspec.Struct, frozen=True):
    """A training row in a list; a heading or a remark where it has no `line`.

    `figure`: its loss or similarity. `sign`: `!` where another row contradicts it, `=` where one
    repeats it. `problems`: a sentence for each. `facts`: names and values of further facts.
    """

    prompt: str
    reference: str
    line: int | None = None
    figure: str = ""
    sign: str = ""
    problems: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    is_head: bool = False
    source: str = ""


class TrainingRowsFound(msgspec.Struct, frozen=True):
    """What a screen of training rows shows: lines over the list, the rows, and their files."""

    head: Lines
    rows: list[TrainingLine]
    files: RowFiles
    figure: str
    """The heading of the figures."""

    nothing: str = "No row was found."


class TrainingList(RowList):
    """The rows, under headings where there are any."""

    def __init__(self, doing: str) -> None:
        super().__init__(id="training-rows")
        self.rows: list[TrainingLine] = []
        self.files, self.figure = RowFiles({}, {}), ""
        self.empty_lines = [doing]
        self._label = self._place = 0

    def take(self, found: TrainingRowsFound) -> None:
        """Lists the rows that were found."""
        self.rows, self.files, self.figure = found.rows, found.files, found.figure
        self.empty_lines = [found.nothing]
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
        return self.empty_lines

    def head(self, width: int) -> list[Span] | None:
        if not self.rows:
            return None
        label, text, place = self._widths(width)
        figure = fit(self.figure, FIGURE, right=True)
        texts = (
            f"  {figure}    {fit(REFERENCE_HEAD, label)}  {fit('training row', text)}  "
            f"{fit('place', place)}"
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
        label = max(4, min(max(self._label, len(REFERENCE_HEAD)), LABEL, width // 4))
        return label, max(0, width - 2 - FIGURE - 4 - label - 2 - 2 - place), place


def placed(name: str, line: int, width: int) -> str:
    """Returns `name:line` in at most `width` cells; the name is cut, the line is not."""
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
        """Shows the rows that were found."""
        self._found = found
        if self.is_mounted:  # otherwise on_mount draws it
            self.draw()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why there are no rows."""
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
            problem = f"{path.name} is not a text file; an editor cannot show its rows"
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
    """Returns a training row in full, with its problems."""
    lines: Lines = [[("problem    ", "muted"), (each, "warn")] for each in row.problems]
    lines += [[(f"{name:<11}", "muted"), (value, "")] for name, value in row.facts]
    if row.prompt:
        lines.append([("prompt     ", "muted"), (row.prompt, "")])
    lines.append([("reference  ", "muted"), (row.reference or "(empty)", "strong")])
    place = found.files.place(row.source, row.line or 0)
    lines.append([("place      ", "muted"), (place, "muted")])
    return lines


def nearest_rows(found: NearestRows, example: Example) -> TrainingRowsFound:
    """Returns the training rows most similar to an example, as a screen shows them."""
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
            TrainingLine(
                "",
                f"the nearest row with the reference {flat(same.row.reference, 60)}",
                is_head=True,
            ),
            _near_line(same),
        ]
    nothing = "No training row shares a word with this example."
    return TrainingRowsFound(head, rows, found.files, "similar", nothing)


def _near_line(near: Neighbour) -> TrainingLine:
    row, figure = near.row, f"{near.similarity:.2f}"
    return TrainingLine(row.prompt, row.reference, row.line, figure, source=row.source)


def suspected_rows(found: SuspectRows, base: str = "") -> TrainingRowsFound:
    """Returns the training rows that may be wrong, as a screen shows them.

    `base`: the hint where no loss was measured.
    """
    head: Lines = []
    if found.measured:
        few = len(found.suspects) < found.measured
        order = f"the {len(found.suspects):,} highest are listed" if few else "highest first"
        rows_of = f"{found.measured:,} of {found.sampled_of:,} training rows"
        text = f"Loss of {rows_of} after training ({order}); {_median_words(found)}"
        head.append([(text, "")])
    else:
        head.append([(f"No loss of training rows was measured: {base}", "warn")])
    counts = [f"{_words(each)} {each.count or 0:,}" for each in found.findings]
    if counts and found.suspects:
        head.append([(f"below: {', '.join(counts)}", "muted")])
    head += [[("! ", "warn"), (text, "warn")] for text in found.notices]
    rows: list[TrainingLine] = []
    if found.suspects and found.findings:
        rows.append(TrainingLine("", HARD, is_head=True))
    rows += [_suspect_line(each, found) for each in found.suspects]
    for finding in found.findings:
        rows.append(TrainingLine(finding.message, _words(finding), is_head=True))
        rows += _finding_lines(finding, found)
    nothing = "No two training rows contradict or repeat each other."
    return TrainingRowsFound(head, rows, found.files, "loss", nothing)


def _median_words(found: SuspectRows) -> str:
    if found.median_loss is None:
        return "no loss is finite"
    return f"the median is {loss(found.median_loss)}"


def _words(finding: CheckResult) -> str:
    return finding.kind.replace("_", " ")


def _suspect_line(suspect: Suspect, found: SuspectRows) -> TrainingLine:
    row = suspect.row
    text = f"{loss(row.loss)} per token over {counted(row.supervised_tokens, 'token')}"
    fact = f"{text}; {_median_words(found)}"
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
    """Returns the training rows of a check result; held-out rows are problems of the row before."""
    lines: list[TrainingLine] = []
    for each in finding.rows:
        place = each.source, each.line
        row = found.rows.get(place) if each.split == "train" else None
        if row is not None:
            same_prompt = [other for other in found.rows.values() if other.prompt == row.prompt]
            same_prompt = [other for other in same_prompt if other.prompt]
            conflicts, repeats = others_with_prompt(same_prompt, place, row.reference)
            problems = (f"{finding.message}: {finding.hint}", *_others(conflicts, repeats))
            sign = _sign(conflicts, repeats)
            lines.append(
                TrainingLine(
                    row.prompt,
                    row.reference,
                    row.line,
                    sign=sign,
                    problems=problems,
                    source=row.source,
                )
            )
        elif lines and lines[-1].line is not None:
            of_source = f" of {each.source}" if each.source else ""
            held_out = f"{each.split} line {each.line}{of_source}: {each.text}"
            lines[-1] = msgspec.structs.replace(lines[-1], problems=(*lines[-1].problems, held_out))
        else:
            lines.append(TrainingLine(each.text, each.place))
    if finding.count is not None and finding.count > len(lines):
        lines.append(TrainingLine("Only the first rows are listed.", ""))
    return lines


def _sign(conflicts: Sequence[object], repeats: Sequence[object]) -> str:
    return "!" if conflicts else "=" if repeats else ""


def _others(conflicts: Sequence[Row], repeats: Sequence[Row]) -> tuple[str, ...]:
    """Returns a sentence for each other row with the same prompt, up to OTHERS."""
    texts = [
        f"{each.place} has the same prompt and the reference {flat(each.reference, 200)}"
        for each in conflicts
    ]
    texts += [f"{each.place} is a duplicate" for each in repeats]
    more = len(texts) - OTHERS
    return (*texts[:OTHERS], f"and {counted(more, 'other line')}") if more > 0 else tuple(texts)
