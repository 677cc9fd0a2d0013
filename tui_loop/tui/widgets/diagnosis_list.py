"""A diagnosis as a list of entries, and the texts of the entries."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from itertools import groupby
from typing import Literal

import msgspec
from textual import events
from textual.strip import Strip

from tui_loop.core.diagnosis.apply_suggestions import suggested_by
from tui_loop.core.diagnosis.findings import (
    EXAMPLES_KEPT,
    GLYPHS,
    Diagnosis,
    Finding,
    Suggestion,
    cause_words,
    expected,
    kind_words,
    tried_already,
    verdict_words,
)
from tui_loop.core.record.structs import LIVE, Iteration
from tui_loop.core.text.figures import counted
from tui_loop.core.workflow.readiness import Checklist
from tui_loop.tui.cells import fit, width_of
from tui_loop.tui.iteration_lines import VERDICT_STYLES
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import wrapped
from tui_loop.tui.widgets.styled_lines import Span

STYLES = {"alarm": "bad", "warning": "warn", "note": "muted"}
STATUS_SIGNS = {"met": ("✓", "good"), "not met": ("✗", "bad"), "open": ("?", "warn")}
KIND, WIDE = 25, 110
"""Cells of the column of kinds, and the least width of a list that has this column."""

NO_FIELD = "changes no config field; if selected, the draft's reason names the suggestion"

KEPT = "\xa0"
"""A no-break space."""

Key = tuple[str, str]
"""Identifies an entry, also in a later version of the diagnosis."""


class Evidence(msgspec.Struct, frozen=True):
    """Where to see a finding; `at`: the step, or the other iteration."""

    kind: Literal["examples", "step", "iteration"]
    words: str
    at: int = 0


class Paragraph(msgspec.Struct, frozen=True):
    """A wrapped text; `lead` precedes its first line, and the others are indented as far."""

    lead: tuple[Span, ...]
    body: tuple[Span, ...] = ()


class Entry(msgspec.Struct, frozen=True):
    """Paragraphs that belong together; the cursor skips an entry without `about`."""

    paragraphs: tuple[Paragraph, ...]
    about: Finding | Suggestion | None = None

    @property
    def key(self) -> Key | None:
        """None for an entry that the cursor skips."""
        return None if self.about is None else key_of(self.about)


class Row(msgspec.Struct, frozen=True):
    """One line of the list, and the number of its entry."""

    parts: list[Span]
    entry: int
    is_first: bool


def key_of(about: Finding | Suggestion) -> Key:
    """Two findings of a kind differ in their message, two suggestions in their action."""
    if isinstance(about, Suggestion):
        return f"{about.name}/", about.action
    return about.kind, about.message


def entries_of(diagnosis: Diagnosis, selected: Collection[Key], *, is_wide: bool) -> list[Entry]:
    """The verdict first, then findings with their suggestions, then the other suggestions."""
    entries: list[Entry] = []
    verdict = diagnosis.verdict
    if verdict is not None:
        sign, _, words = verdict_words(verdict.word)
        by = suggested_by(verdict.suggestion)
        lead: list[Span] = [
            (f"  {sign} ", VERDICT_STYLES.get(sign, "")),
            (f"{verdict.word}  ", "strong"),
        ]
        entries.append(
            Entry(
                (
                    Paragraph(tuple(lead), ((verdict.sentence or words, ""),)),
                    *([Paragraph((("    ", ""),), ((f"taken from {by}", "muted"),))] * bool(by)),
                )
            )
        )
    left = list(diagnosis.suggestions)
    for kind, group in groupby(diagnosis.findings, key=lambda each: each.kind):
        answers = [each for each in left if each.finding == kind]
        left = [each for each in left if each.finding != kind]
        for finding in group:
            seen = evidence_of(finding, diagnosis.number)
            entries += [*_gap(entries), _finding(finding, seen, is_wide=is_wide)]
        entries += [_suggestion(each, selected) for each in answers]
    if left:
        heading = "other suggestions" if diagnosis.findings else "suggestions"
        entries += [*_gap(entries), Entry((Paragraph(((f"  {heading}", "muted"),)),))]
        entries += [_suggestion(each, selected) for each in left]
    return entries


def evidence_of(finding: Finding, number: int) -> Evidence | None:
    """Where to see a finding of iteration `number`; None where its sentence is all."""
    others = [each for each in finding.iterations if each != number]
    if finding.examples:
        count = counted(len(finding.examples), "example")
        is_cut = len(finding.examples) == EXAMPLES_KEPT
        return Evidence("examples", f"the first {count}" if is_cut else count)
    if finding.steps:
        return Evidence("step", f"step {finding.steps[0]}", finding.steps[0])
    if others:
        return Evidence("iteration", f"against {others[0]}", others[0])
    return None


def ready_entries(checks: Checklist | None) -> list[Entry]:
    """The readiness checklist in one entry; nothing where there is none."""
    if checks is None:
        return []
    met = sum(each.status == "met" for each in checks.items)
    body: list[Span] = [(f"{met} of {len(checks.items)} met", "strong" if not checks.unmet else "")]
    for each in checks.items:
        sign, style = STATUS_SIGNS[each.status]
        body += [(" · ", "muted"), (f"{sign} ", style), (each.title, "muted")]
        if each.status == "not met":
            body.append((f" ({each.figure})", ""))
    lead: tuple[Span, ...] = (("  ready?  ", "strong"),)
    return [Entry((Paragraph(()),)), Entry((Paragraph(lead, tuple(body)),))]


def plain_entries(*texts: str) -> list[Entry]:
    """Texts in place of a diagnosis."""
    lines = [
        Paragraph((("  ", ""),), ((text, "muted" if at else ""),)) for at, text in enumerate(texts)
    ]
    return [Entry(tuple(lines))]


def why_nothing(iteration: Iteration | None) -> tuple[str, ...]:
    """Why an iteration has no diagnosis, and the id of the next key; None is the draft."""
    if iteration is None:
        return (
            "No diagnosis yet: the draft has not run.",
            "{diagnosis.previous} shows the previous iteration. {app.back} goes back, then "
            "{run.start} runs the draft.",
        )
    number = iteration.number
    if iteration.state == "queued":
        return (
            f"No diagnosis yet: iteration {number} has not started.",
            "{app.back} goes back, then {run.resume} starts it.",
        )
    if iteration.state in LIVE:
        return (
            f"No diagnosis yet: iteration {number} is running.",
            "The diagnosis appears when the run has ended.",
        )
    if iteration.state == "unreadable":
        return (
            f"No diagnosis: iteration {number} cannot be read.",
            "{app.back} goes back, then {list.open} shows why.",
        )
    if number == 0:
        return (
            "No diagnosis: iteration 0 is the untrained base model.",
            "Iterations are compared with this model. {diagnosis.following} shows the next "
            "iteration.",
        )
    return (
        f"No findings in iteration {number}.",
        "There are no suggestions either. Read the failures next: press {app.back}, then "
        "{pane.failures}.",
    )


def rows_of(entries: Sequence[Entry], width: int) -> list[Row]:
    """The entries as lines of at most `width` cells."""
    rows: list[Row] = []
    for number, entry in enumerate(entries):
        lines = [line for each in entry.paragraphs for line in _lines(each, width)]
        rows += [Row(line, number, not at) for at, line in enumerate(lines)]
    return rows


def text_of(entries: Sequence[Entry]) -> str:
    """The text to copy."""
    lines = [
        "".join(text for text, _ in (*each.lead, *each.body)).rstrip()
        for entry in entries
        for each in entry.paragraphs
    ]
    return "\n".join(line.removeprefix("  ") for line in lines).replace(KEPT, " ")


def _finding(finding: Finding, seen: Evidence | None, *, is_wide: bool) -> Entry:
    style, kind = STYLES[finding.severity], kind_words(finding.kind)
    sign: Span = (f"  {GLYPHS[finding.severity]} ", style)
    message: list[Span] = [(finding.message, "")]
    if seen is not None:
        message.append((f"  →{KEPT}{seen.words.replace(' ', KEPT)}", "muted"))
    if is_wide:
        lead: tuple[Span, ...] = (sign, (fit(kind, KIND - 2) + "  ", "strong"))
    else:
        lead, message = (sign,), [(f"{kind}  ", "strong"), *message]
    paragraphs = [Paragraph(lead, tuple(message))]
    remark = cause_words(finding) or (f"but: {finding.otherwise}" if finding.otherwise else "")
    if remark:
        blank = " " * sum(width_of(text) for text, _ in lead)
        paragraphs.append(Paragraph(((blank, ""),), ((remark, "muted"),)))
    return Entry(tuple(paragraphs), finding)


def _suggestion(suggestion: Suggestion, selected: Collection[Key]) -> Entry:
    is_selected = key_of(suggestion) in selected
    box: Span = ("    [x] ", "accent") if is_selected else ("    [ ] ", "muted")
    details: list[Span] = []
    if suggestion.expects is not None:
        details.append((expected(suggestion.expects), ""))
    if suggestion.record:
        details.append((suggestion.record, ""))
    if tried := tried_already(suggestion):
        details.append((tried, "warn"))
    confidence = f"{suggestion.confidence} confidence"
    ground = f"{confidence}: {suggestion.ground}" if suggestion.ground else confidence
    details.append((ground, "muted"))
    if not suggestion.changes:
        details.append((NO_FIELD, "muted"))
    body = [part for each in details for part in (each, (" · ", "muted"))][:-1]
    return Entry(
        (
            Paragraph((box,), ((suggestion.action, "strong" if is_selected else ""),)),
            Paragraph(((" " * 8, ""),), tuple(body)),
        ),
        suggestion,
    )


def _gap(entries: Sequence[Entry]) -> list[Entry]:
    """A blank line after the entries so far, if there are any."""
    return [Entry((Paragraph(()),))] if entries else []


def _lines(paragraph: Paragraph, width: int) -> list[list[Span]]:
    indent = sum(width_of(text) for text, _ in paragraph.lead)
    if not paragraph.body:
        return [list(paragraph.lead)]
    found = wrapped([("", ""), *paragraph.body], max(8, width - indent))
    blank: Span = (" " * indent, "")
    lines = [[(text.replace(KEPT, " "), style) for text, style in line] for line in found]
    return [[*(paragraph.lead if not at else (blank,)), *line] for at, line in enumerate(lines)]


class DiagnosisList(RowList):
    """Findings and suggestions, wrapped to the width."""

    def __init__(self) -> None:
        super().__init__(id="diagnosis-list")
        self.entries: list[Entry] = []
        self._rows: list[Row] = []

    def show(self, entries: Sequence[Entry], at: Key | None = None) -> None:
        """Replaces the entries; the cursor goes to the one with that key, else to the first.

        Draws nothing if they are the same.
        """
        if list(entries) == self.entries:
            return
        self.entries = list(entries)
        self._lay_out(at)

    @property
    def key(self) -> Key | None:
        """The key of the entry under the cursor."""
        entry = self.entry
        return entry.key if entry is not None else None

    @property
    def entry(self) -> Entry | None:
        """The entry under the cursor; None where there is none to select."""
        if not self._rows:
            return None
        found = self.entries[self._rows[self.cursor].entry]
        return found if found.about is not None else None

    @property
    def count(self) -> int:
        return len(self._rows)

    def key_of(self, index: int) -> Hashable:
        row = self._rows[index]
        return self.entries[row.entry].key if row.is_first else None

    def is_selectable(self, index: int) -> bool:
        row = self._rows[index]
        return row.is_first and self.entries[row.entry].about is not None

    def row(self, index: int, width: int) -> list[Span]:
        parts = self._rows[index].parts
        if index != self.cursor or not self.is_selectable(index):
            return parts
        (text, style), *rest = parts
        return [self.pointer(index), (text[2:], style), *rest]

    def render_line(self, y: int) -> Strip:
        width, index = self.inner_width, y + round(self.scroll_y)
        if not 0 <= index < self.count:
            return self.styled([], width)
        style = None
        if self._rows[index].entry == self._rows[self.cursor].entry and self.entry is not None:
            style = self.style_of("cursor" if self.has_focus else "idle")
        return self.styled(self.row(index, width), width, style)

    def on_resize(self) -> None:
        self._lay_out(self.key)

    def on_click(self, event: events.Click) -> None:
        """Selects the entry that has the clicked line."""
        event.prevent_default()
        index = event.y + round(self.scroll_y)
        if not 0 <= index < self.count:
            return
        first = self._extent(index)[0]
        if first == self.cursor and event.chain > 1:
            self.action_open()
        elif self.is_selectable(first):
            self.set_cursor(first)

    def _lay_out(self, at: Key | None) -> None:
        width = max(
            1, self.size.width - self.styles.scrollbar_size_vertical
        )  # a scrollbar may appear
        self._rows = rows_of(self.entries, width)
        found = self.index_of(at) if at is not None else None
        self.rows_changed(at)
        if found is None:
            self.set_cursor(0, notify=False)

    def _extent(self, index: int) -> tuple[int, int]:
        """The first and the last line of the entry of a line."""
        entry = self._rows[index].entry
        first = last = index
        while first > 0 and self._rows[first - 1].entry == entry:
            first -= 1
        while last + 1 < len(self._rows) and self._rows[last + 1].entry == entry:
            last += 1
        return first, last

    def _keep_visible(self) -> None:
        """Scrolls the whole entry into view where it fits.

        With the first entry come the lines before it, with the last one those after it.
        """
        room = self.size.height
        if not room or not self._rows:
            return
        first, last = self._extent(self.cursor)
        start = 0 if self._selectable(0, 1) == self.cursor else first
        end = self.count - 1 if self._selectable(self.count - 1, -1) == self.cursor else last
        top = min(round(self.scroll_y), start)
        if end >= top + room:
            top = min(first, end - room + 1)
        if last >= top + room or first < top:
            top = max(0, min(first, last - room + 1))
        self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def _refresh_row(self, index: int) -> None:
        self.refresh()
