"""Two iterations side by side: figures, both loss curves, and the examples that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.screen import Screen
from textual.widget import Widget

from tui_loop.core.compare.claims import claim_words
from tui_loop.core.compare.comparison import Comparison
from tui_loop.core.compare.contrast import Contrast
from tui_loop.core.compare.pairing import Paired
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record.results import compared_metrics
from tui_loop.core.record.structs import Example
from tui_loop.core.text.figures import brief, loss, percent
from tui_loop.core.text.similarity import word_diff
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.chart.curves import ChartRun
from tui_loop.tui.chart.pane import KeyedChart
from tui_loop.tui.example_lines import Lines
from tui_loop.tui.iteration_lines import PERCENT, claim_style
from tui_loop.tui.keys import bindings, in_keys
from tui_loop.tui.widgets.bar import Bar, Piece, key_pieces
from tui_loop.tui.widgets.example_list import Causes, ChangedList, Sides, answer_text, why_words
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

METRICS = ("train_loss", "eval_loss", "score", "macro_f1", "passed", "total", "steps")
NAME, VALUE = 28, 24
"""The most cells of a name and of the value of the older iteration."""

Row = tuple[str, str, str]


def contrast_lines(contrast: Contrast) -> Lines:
    """Returns everything of a comparison but its examples."""
    result = contrast.comparison
    lines: Lines = [[("note: ", "warn"), (each, "")] for each in result.notices]
    lines += [*_claim(result), []]
    same = (
        "no difference"
        if result.a
        else "no config to compare: iteration 0 is the untrained base model"
    )
    lines += _table("config", result, _config(result), same)
    lines += [[], *_table("metric", result, _metrics(result), "no metric was recorded"), []]
    return lines + _causes(contrast)


def changed_lines(result: Comparison, sides: Sides, causes: Causes) -> Lines:
    """Returns an example with both outputs; text that is not in the reference is in brackets."""
    old, new = sides
    why = why_words(*causes, is_fixed=bool(new.passed))
    before, after = (loss(each.loss) or "none" for each in sides)
    width = max(9, len(f"{max(result.a, result.b)} said") + 3)
    return [
        [(fit("why", width), "muted"), (why, ""), (f"   loss {before} → {after}", "muted")],
        [(fit("wanted", width), "muted"), (flat(new.reference, 400), "strong")],
        [(fit(f"{result.a} said", width), "muted"), *_output_spans(old)],
        [(fit(f"{result.b} said", width), "muted"), *_output_spans(new)],
        [(fit("prompt", width), "muted"), (flat(new.prompt, 1_000), "")],
    ]


def text_of_both(old: Example, new: Example) -> str:
    """Returns the text that is copied of an example of two iterations."""
    return "\n".join((new.prompt, new.reference, old.output or "", new.output or ""))


def _claim(result: Comparison) -> Lines:
    lines: Lines = []
    for label, claim_text in claim_words(result):
        text = in_keys(claim_text, {})
        head = fit(label.removesuffix(":"), 11) + " " if label or lines else ""
        if label.endswith("change:"):
            before, claim, after = text.partition(result.claim)
            style = claim_style(result) or "strong"
            lines.append([(head, "muted"), (before, ""), (claim, style), (after, "muted")])
        else:
            lines.append([(head, "muted"), (text, "" if label else "muted")])
    return lines


def _config(result: Comparison) -> list[Row]:
    return [
        (flat(name, 200), flat(brief(old), 200), flat(brief(new), 200))
        for name, (old, new) in result.config.items()
    ]


def _metrics(result: Comparison) -> list[Row]:
    return [
        (name, _figure(name, result.metrics[name][0]), _figure(name, result.metrics[name][1]))
        for name in compared_metrics(result.metrics, METRICS)
        if result.metrics[name] != (None, None)
    ]


def _figure(name: str, value: Any) -> str:
    if name.partition(".")[0] in PERCENT:
        return percent(value)
    return loss(value) if isinstance(value, (float, str)) else "" if value is None else str(value)


def _causes(contrast: Contrast) -> Lines:
    result = contrast.comparison
    rows = [
        (each.words, str(each.before), f"{each.after:<6}{each.change}".rstrip())
        for each in contrast.causes
    ]
    nothing = "no examples were compared" if result.interval is None else "no failure in either"
    return _table("why they fail", result, rows, nothing)


def _table(head: str, result: Comparison, rows: Sequence[Row], nothing: str) -> Lines:
    if not rows:
        return [[(fit(head, len(head) + 2), "strong"), (nothing, "muted")]]
    heads = (head, str(result.a), str(result.b))
    name = min(NAME, max(len(row[0]) for row in [heads, *rows])) + 2
    middle = min(VALUE, max(len(row[1]) for row in [heads, *rows])) + 2
    lines: Lines = [
        [(fit(head, name), "strong"), (fit(heads[1], middle), "strong"), (heads[2], "strong")]
    ]
    for field, before, after in rows:
        cells: list[Span] = [(fit(field, name - 1) + " ", ""), (fit(before, middle - 1), "muted")]
        lines.append([(cells[0][0] + cells[1][0] + " ", ""), (after, "")])
    return lines


def _output_spans(example: Example) -> list[Span]:
    style = "good" if example.passed else "bad" if example.passed is False else ""
    answer = answer_of(example.output)
    if not answer.strip():
        return [(answer_text(example), style)]
    pieces = word_diff(answer_of(example.reference), answer)
    if example.passed or not any(each.kind == "same" and each.text.strip() for each in pieces):
        return [(flat(answer, 1_000), style)]
    return [
        (f"[{each.text}]" if each.kind == "extra" and each.text.strip() else each.text, style)
        for each in pieces
        if each.kind != "missing"
    ]


PARTS = ("figures", "chart", "fixed", "broken", "failing")
LISTS = PARTS[2:]
WIDE, HIGH = 120, 40
"""The size from which figures, chart and one of the lists are shown at once."""

FOOTERS = {
    "figures": ("sheet.page_down", "compare.next", "compare.copy", "app.back", "app.help"),
    "chart": (
        "compare.next",
        "chart.overlay",
        "chart.log",
        "chart.smoother",
        "chart.metric",
        "chart.zoom_in",
        "app.back",
        "app.help",
    ),
    "empty": ("compare.next", "app.back", "app.help"),
    "list": ("list.open", "compare.next", "compare.copy", "app.back", "app.help"),
}


class CompareCommands(Protocol):
    """What the screen asks of its controller."""

    def open(self) -> None:
        """Opens the example under the cursor in full."""


class BothChart(KeyedChart):
    """The newer run's curves with the older one's over them."""

    number = "2 "
    DEFAULT_CSS = "BothChart { height: 1fr; }"


class CompareScreen(Screen[None]):
    """Shows the part with the focus; a large terminal shows the others beside it."""

    BINDINGS = bindings("compare")
    DEFAULT_CSS = """
    CompareScreen {
        background: $background;
        & > #boxes { height: 1fr; layout: grid; grid-size: 2 2; grid-rows: 11fr 12fr; }
        & Vertical {
            border: round $frame;
            border-title-color: $foreground;
            border-title-style: bold;
            border-subtitle-color: $style-muted;
            &:focus-within { border: round $style-accent; border-title-color: $style-accent; }
            &:nocolor:focus-within { border-title-style: bold reverse; }
        }
        & #listed { column-span: 2; }
        & #both { height: 7; border-top: solid $frame; display: none; }
        & .-filled #both { display: block; }
        &.-single {
            & > #boxes { layout: vertical; }
            & > #boxes > * { display: none; height: 1fr; }
            & > #boxes > .-current { display: block; }
        }
    }
    """

    def __init__(
        self, loop: str, contrast: Contrast, runs: tuple[ChartRun, ChartRun], *, ascii_only: bool
    ) -> None:
        """`runs`: the older run and the newer one."""
        super().__init__()
        self.contrast, self._loop, self._runs = contrast, loop, runs
        self.part, self.listed = "figures", ""
        self.controller: CompareCommands | None = None
        self.figures = Sheet()
        self.chart = BothChart(ascii_only=ascii_only, id="chart")
        self.list = ChangedList(contrast)
        self.both = Sheet(id="both", is_note=True)

    def compose(self) -> ComposeResult:
        yield Bar(id="parts")
        with Container(id="boxes"):
            with Vertical(id="figures"):
                yield self.figures
            yield self.chart
            with Vertical(id="listed"):
                yield self.list
                yield self.both
        yield Bar(id="keys")

    def on_mount(self) -> None:
        self.figures.show(contrast_lines(self.contrast))
        old, new = self._runs
        has_curves = bool(new.metrics or new.evaluations) and not new.is_base
        run, over = (new, old) if has_curves else (old, new)
        self.chart.show(run, (over,))
        self._list("fixed")
        self.action_part("figures")

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Makes the part that was clicked the current one."""
        if event.widget is self.list and self.part not in LISTS:
            self.part = self.listed
        elif event.widget is self.figures:
            self.part = "figures"
        elif event.widget is self.chart:
            self.part = "chart"
        self._lay_out()

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self._show_both()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.read()

    @property
    def scopes(self) -> tuple[str, ...]:
        """The active scopes, the nearest first."""
        nearest = {"figures": "sheet", "chart": "chart"}.get(self.part, "list")
        return ("compare", nearest, "app")

    def home_of(self, scope: str) -> Widget:
        """The widget whose methods the actions of a scope are."""
        return self._main if scope in ("sheet", "chart", "list") else self

    def step(self, by: int) -> None:
        """Opens another example of the list."""
        self.list.set_cursor(self.list.cursor + by, direction=by)
        self._show_both()
        self.read()

    def read(self) -> None:
        """Opens the example under the cursor in full."""
        if self.controller is not None and self.list.count:
            self.controller.open()

    def action_step(self, by: int) -> None:
        self.action_part(PARTS[(PARTS.index(self.part) + by) % len(PARTS)])

    def action_part(self, name: str) -> None:
        self.part = name
        if name in LISTS:
            self._list(name)
        self._lay_out()
        self._main.focus()

    def action_copy(self) -> None:
        if self.part == "figures":
            text, name = self.figures.text, "the comparison"
        elif self.part == "chart":
            text = name = str(self.chart.border_subtitle or "")
        else:
            sides = self.list.at(self.list.cursor)
            text = text_of_both(*sides) if sides is not None else ""
            name = "prompt, reference, both outputs"
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(f"copied: {name}", markup=False)
        else:
            self.notify("There is nothing to copy here.", markup=False)

    def action_back(self) -> None:
        self.dismiss()

    @property
    def _main(self) -> Widget:
        return {"figures": self.figures, "chart": self.chart}.get(self.part, self.list)

    def _rows(self, name: str) -> Paired:
        found = {"fixed": self.contrast.fixed, "broken": self.contrast.broken}
        return found.get(name, self.contrast.failing)

    def _list(self, name: str) -> None:
        if self.listed != name:
            self.listed = name
            self.list.show(self._rows(name), self._why_empty(name))
            self.query_one("#listed").set_class(self.list.count > 0, "-filled")
            self._show_both()

    def _show_both(self) -> None:
        rows = self.list
        sides = rows.at(rows.cursor)
        if sides is None:
            self.both.show([])
            return
        self.both.show(changed_lines(self.contrast.comparison, sides, rows.causes_at(rows.cursor)))

    def _why_empty(self, name: str) -> list[str]:
        result = self.contrast.comparison
        if result.interval is None:
            reasons = result.notices or ["without a metric no example passes or fails"]
            return [f"nothing to list: {reasons[0]}"]
        what = {
            "fixed": f"failed in iteration {result.a} and passed in {result.b}",
            "broken": f"passed in iteration {result.a} and failed in {result.b}",
            "failing": "failed in both",
        }[name]
        return [f"None of the {result.compared:,} compared examples {what}."]

    def _lay_out(self) -> None:
        if not self.is_mounted:
            return
        all_at_once = self.size.width >= WIDE and self.size.height >= HIGH
        self.set_class(not all_at_once, "-single")
        box = "listed" if self.part in LISTS else self.part
        for each in self.query("#boxes > *"):
            each.set_class(each.id == box, "-current")
        result = self.contrast.comparison
        entitle(self.query_one("#figures"), f"1 Compare {self._loop}/{result.b} against {result.a}")
        self._show_tabs()
        footer = FOOTERS["list" if self.part in LISTS else self.part]
        if self.part in LISTS and not self.list.count:
            footer = FOOTERS["empty"]
        self.query_one("#keys", Bar).show(key_pieces(footer, getattr(self.app, "keys", {})))

    def _show_tabs(self) -> None:
        names = {
            "figures": "Figures",
            "chart": "Loss",
            "fixed": "Fixed",
            "broken": "Broken",
            "failing": "Still failing",
        }
        if self.contrast.comparison.interval is not None:
            names |= {each: f"{names[each]} {len(self._rows(each)):,}" for each in LISTS}
        pieces = [
            Piece(
                f" {number} {names[part]} ",
                "mark" if part == self.part else "muted",
                f"screen.part('{part}')",
            )
            for number, part in enumerate(PARTS, 1)
        ]
        self.query_one("#parts", Bar).show(pieces)
        place = PARTS.index(self.listed) + 1
        entitle(self.query_one("#listed"), f"{place} {names[self.listed]}")
