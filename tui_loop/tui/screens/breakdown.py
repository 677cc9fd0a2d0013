"""The breakdown of the failures: counts, each of which can filter the examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.core.examples.breakdown import (
    CONFUSIONS,
    Breakdown,
    Count,
    kind_words,
    slice_words,
    term_of,
)
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.keys import bindings
from tui_loop.tui.widgets.bar import Bar, key_pieces
from tui_loop.tui.widgets.field import Field
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

FOOTER = ("list.open", "breakdown.also", "breakdown.name", "breakdown.forget", "app.back")
BAR = 12
NAME = 30


class Line(msgspec.Struct, frozen=True):
    """A row of the list: a heading where it has no term and no figures.

    `share` in [0, 1] draws a bar; `saved` is the name of a filter that the user named.
    """

    name: str
    figures: str = ""
    term: str = ""
    share: float | None = None
    style: str = ""
    is_head: bool = False
    saved: str = ""


class BreakdownList(RowList):
    """Lines with their counts; a line whose term is in the filter is marked."""

    def __init__(self, lines: Sequence[Line], chosen: Callable[[str], bool]) -> None:
        super().__init__(id="breakdown")
        self.lines = list(lines)
        self._chosen = chosen

    @property
    def count(self) -> int:
        return len(self.lines)

    def is_selectable(self, index: int) -> bool:
        return bool(self.lines[index].term)

    def row(self, index: int, width: int) -> list[Span]:
        line = self.lines[index]
        if line.is_head:
            return [(" ", ""), (line.name, "strong"), (f"  {line.figures}", "muted")]
        if not line.name:
            return []
        mark = "■ " if line.term and self._chosen(line.term) else "  "
        name = fit(flat(line.name, 200), min(NAME, max(14, 3 * width // 10)))
        bar = "" if line.share is None else _bar(line.share)
        return [
            self.pointer(index),
            (mark, "changed"),
            (name, ""),
            (f" {bar:<{BAR}} " if width >= 100 else " ", "bad" if line.style == "bad" else "muted"),
            (line.figures, line.style if line.style != "bad" else ""),
        ]


class BreakdownScreen(Screen[None]):
    """Filters the list of examples: enter by one line, space by several."""

    BINDINGS = bindings("breakdown")
    scopes = ("breakdown", "list", "app")
    DEFAULT_CSS = """
    BreakdownScreen { background: $background; }
    BreakdownScreen > Vertical {
        border: round $style-accent; border-subtitle-color: $style-muted; height: 1fr;
    }
    """

    def __init__(
        self,
        title: str,
        lines: Sequence[Line],
        *,
        toggle: Callable[[str, bool], str],
        has: Callable[[str], bool],
        save: Callable[[str], list[Line]],
        forget: Callable[[str], list[Line]],
    ) -> None:
        """`toggle(term, alone)` filters by a term and returns the filter's text. `has` returns
        whether a term is in the filter. `save` and `forget` add and remove a named filter and
        return all lines."""
        super().__init__()
        self._title, self._toggle, self._save, self._forget = title, toggle, save, forget
        self.list = BreakdownList(lines, has)
        self.field = Field(id="filter-name")
        self._filter = ""

    def compose(self) -> ComposeResult:
        with Vertical():
            yield self.list
            yield self.field
        yield Bar(id="keys")

    def on_mount(self) -> None:
        entitle(self.query_one(Vertical), self._title)
        self.list.rows_changed()
        self.list.focus()
        self.call_after_refresh(self.list.set_cursor, 0, notify=False)
        self.query_one("#keys", Bar).show(key_pieces(FOOTER, getattr(self.app, "keys", {})))

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self._toggle(self.list.lines[event.index].term, True)
        self.dismiss()

    def action_also(self) -> None:
        if self.list.count:
            text = self._toggle(self.list.lines[self.list.cursor].term, False)
            entitle(self.query_one(Vertical), self._title, text)
            self.list.refresh()

    def action_name(self) -> None:
        self.field.open("", "a name for the current filter", accept=self._named)

    def action_forget(self) -> None:
        saved = self.list.lines[self.list.cursor].saved if self.list.count else ""
        if saved:
            self._replace(self._forget(saved))
        else:
            self.notify("Only a named filter can be removed.", markup=False)

    def action_back(self) -> None:
        if self.field.is_open:
            self.field.close()
        else:
            self.dismiss()

    def _named(self, name: str) -> bool:
        if name.strip():
            self._replace(self._save(name.strip()), name.strip())
        return True

    def _replace(self, lines: list[Line], name: str = "") -> None:
        """Replaces the lines and moves the cursor to the filter of that name."""
        self.list.lines = lines
        self.list.rows_changed()
        at = next((at for at, line in enumerate(lines) if name and line.saved == name), None)
        if at is not None:
            self.list.set_cursor(at, notify=False)


def breakdown_lines(found: Breakdown, named: dict[str, str]) -> list[Line]:
    """Returns the breakdown as lines, section by section; `named`: the user's filters."""
    lines: list[Line] = []
    if named:
        lines += [Line("your filters", is_head=True)]
        lines += [
            Line(name, text or "all", text or " ", saved=name)
            for name, text in sorted(named.items())
        ]
        lines.append(Line(""))
    lines += [Line("outcome", is_head=True), *_counts(found.outcomes, found.total)]
    if found.changes:
        against = "" if found.against is None else f"against {found.against}"
        against += ", as recorded" if against and found.marks else ""
        lines += [Line(""), Line("what changed", against, is_head=True), *_counts(found.changes)]
    if found.causes:
        before = "" if found.against is None else f"against {found.against}"
        lines += [Line(""), Line("why they fail", before, is_head=True)]
        lines += _counts(found.causes)
    weak = (
        f"{found.tested} tested, share that fails (95% interval)" if found.weak else _no_weak(found)
    )
    lines += [Line(""), Line("slices failing beyond chance", weak, is_head=True)]
    lines += [
        Line(f"{each.name}  ({kind_words(each.kind)})", slice_words(each), term_of(each) or " ")
        for each in found.weak
    ]
    if found.labels:
        lines += [Line(""), Line("labels", "share that fails (95% interval)", is_head=True)]
        lines += [
            Line(
                each.name or "(empty)",
                slice_words(each, beside_others=each.is_weak),
                term_of(each),
                each.share,
                "bad" if each.is_weak else "",
            )
            for each in found.labels
        ]
    if found.confusions:
        most = ", the most frequent" if len(found.confusions) == CONFUSIONS else ""
        lines += [Line(""), Line("confusions", f"wanted → said{most}", is_head=True)]
        lines += _counts(found.confusions)
    if found.marks:
        lines += [Line(""), Line("annotations", is_head=True), *_counts(found.marks)]
    return lines


def _no_weak(found: Breakdown) -> str:
    if not found.tested:
        is_scored = any(each.term != "is:unscored" for each in found.outcomes)
        return "too few examples to test slices" if is_scored else "no example is scored"
    return f"none of the {found.tested} slices tested"


def _counts(counts: Sequence[Count], total: int | None = None) -> list[Line]:
    return [
        Line(
            each.name,
            f"{each.count:>6,}{_change(each)}{'   ' if each.note else ''}{each.note}",
            each.term,
            each.count / total if total else None,
        )
        for each in counts
    ]


def _change(count: Count) -> str:
    if count.before is None:
        return ""
    by = count.count - count.before
    return f"   was {count.before:,} ({by:+,})" if by else f"   was {count.before:,}"


def _bar(share: float) -> str:
    return "█" * round(share * BAR)
