"""Pane 4: the held-out examples of the selected iteration, and the one under the cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence

import msgspec
from textual.app import ComposeResult
from textual.message import Message

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.cause_kinds import CauseEvidence
from tui_loop.core.examples.causes import causes_of
from tui_loop.core.examples.completion import Completion, Vocabulary, vocabulary_of
from tui_loop.core.examples.matching import listed, unknown_names
from tui_loop.core.examples.query import Query, parse, without_unfinished_term
from tui_loop.core.examples.view import Order
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record.structs import Example
from tui_loop.core.snapshot import Examples, LoopSnapshot
from tui_loop.tui.cells import flat
from tui_loop.tui.keys import bindings, in_keys
from tui_loop.tui.latest_only_worker import LatestOnlyWorker
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.example_list import ExampleList
from tui_loop.tui.widgets.pane import FilteredPane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

FAILED = parse("is:failed")
"""The default filter."""

AT_ONCE = 5_000
"""Above this number of examples, queries run in a worker thread."""

LONG_OUTPUT = 100_000
"""Characters. The causes of a longer output take too long for the note; its page shows them."""


class Choice(msgspec.Struct, frozen=True):
    """What of an iteration's examples is listed, and how."""

    query: Query = FAILED
    order: Order = Order.LOSS
    is_reversed: bool = False


class ListRequest(msgspec.Struct, frozen=True):
    """A choice from examples; `stay_on`: the one under the cursor, None to go to the top."""

    examples: Examples
    choice: Choice
    stay_on: Hashable | None = None


class ListResponse(msgspec.Struct, frozen=True):
    """The rows, or the problem with the query."""

    rows: list[int]
    problem: str = ""


def list_rows(request: ListRequest) -> ListResponse:
    """Returns the rows that match a request."""
    choice = request.choice
    try:
        rows = listed(
            request.examples.view, choice.query, choice.order, is_reversed=choice.is_reversed
        )
    except TuiLoopError as error:
        return ListResponse([], error.message)
    return ListResponse(rows)


class FailuresPane(FilteredPane):
    """The list, the example under the cursor in short, and a line to filter or to search with."""

    BINDINGS = bindings("failures")
    scope = "failures"
    orders, default_query = Order, FAILED
    filter_example = "is:failed cause: label: said: loss>2 words /pattern/"
    DEFAULT_CSS = """
    FailuresPane {
        & > #example-note { height: 4; padding: 0; border-top: solid $frame; }
    }
    """

    class Opened(Message):
        """A request to show the example under the cursor in full."""

    class Chosen(Message):
        """Other examples are listed, or in another order."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

    class BreakdownWanted(Message):
        """A request to show the values to filter by, with counts."""

    def __init__(self) -> None:
        super().__init__("failures")
        self.list = ExampleList()
        self.note = Sheet(id="example-note", is_note=True)
        self._vocabulary: tuple[object, Vocabulary] | None = None
        self.choice = Choice()
        self._answered = self.choice  # the choice that is listed
        self._snapshot: LoopSnapshot | None = None
        self._examples: Examples | None = None
        self._latest: LatestOnlyWorker[ListRequest, ListResponse] = LatestOnlyWorker(
            list_rows, self._take
        )

    def compose(self) -> ComposeResult:
        yield self.list
        yield self.note
        yield self.field

    def on_mount(self) -> None:
        self.entitle("4 Failures")
        self.run_worker(self._latest.run(), group="list", exclusive=True)

    @property
    def main(self) -> RowList:
        return self.list

    def show(self, snapshot: LoopSnapshot) -> None:
        """Shows the selected iteration's examples."""
        self._snapshot = snapshot
        if snapshot.examples is not self._examples:
            self._examples = snapshot.examples
            self._list_again()
        self._show_why_empty()

    def choose(self, choice: Choice) -> None:
        """Lists by another filter or in another order.

        The cursor stays on its example with another filter, and goes to the top with another order.
        """
        if choice == self.choice:
            return
        before, self.choice = self.choice, choice
        is_same = (before.order, before.is_reversed) == (choice.order, choice.is_reversed)
        self._list_again(to_top=not is_same)
        if not self.field.is_open:  # what is being typed is not chosen yet
            self.post_message(self.Chosen(choice))

    def show_note(self) -> None:
        """The example under the cursor, in three lines."""
        example, examples = self.list.at(self.list.cursor), self.list.examples
        if example is None or examples is None:
            self.note.show([])
            return
        causes: Sequence[CauseEvidence] = ()
        if len(example.output or "") <= LONG_OUTPUT:
            causes = causes_of(example, examples.measured)
        self.note.show(_short_lines(example, causes, examples.suspects.get(example.id)))

    def action_breakdown(self) -> None:
        self.post_message(self.BreakdownWanted())

    def on_descendant_focus(self) -> None:
        """Loads the searched texts in advance."""
        if self._examples is not None and len(self._examples.view) > AT_ONCE:
            texts = self._examples.view.table.texts
            self.run_worker(asyncio.to_thread(texts), group="texts", exit_on_error=False)

    def parse(self, text: str) -> Query:
        return parse(text)

    def without_unfinished(self, text: str) -> str:
        return without_unfinished_term(self._known_names().without_unfinished_value(text))

    def completions(self, text: str) -> Sequence[Completion]:
        return self._known_names().completions(text)

    def find_matches(self) -> None:
        view = self.list.view
        texts = view.table.texts() if view is not None else ()
        self.search.find_in(texts[row] for row in self.list.listed)

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self.show_note()
        self.show_titles()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.post_message(self.Opened())

    def _known_names(self) -> Vocabulary:
        """The names that filters can use; collected once for each evaluation."""
        view = self.list.view
        if self._vocabulary is None or self._vocabulary[0] is not view:
            self._vocabulary = view, vocabulary_of(view)
        return self._vocabulary[1]

    def _list_again(self, *, to_top: bool = False) -> None:
        """Lists the choice from the newest examples; until it is ready, the old list stays."""
        examples, shown = self._examples, self.list.examples
        if examples is None:
            self.list.take(None)
            self._put([], None)
            return
        is_same_run = shown is not None and shown.number == examples.number
        stay_on = self.list.key_of(self.list.cursor) if is_same_run and not to_top else None
        request = ListRequest(examples, self.choice, stay_on)
        if len(examples.view) <= AT_ONCE:
            self._take(request, list_rows(request))
        else:
            self._latest.request(request, again=True)

    def _take(self, request: ListRequest, response: ListResponse) -> None:
        if request.examples is not self._examples:
            return
        if request.examples is not self.list.examples:
            self.list.take(request.examples)
        self.problem, self._answered = response.problem, request.choice
        self._put(response.rows, request.stay_on)

    def _put(self, rows: list[int], stay_on: Hashable | None) -> None:
        table = self.list
        table.listed = rows
        if stay_on is None:
            table.set_cursor(0, notify=False)
        self.refresh_matches()
        table.rows_changed(stay_on)
        self.show_note()
        self.show_titles()
        self._show_why_empty()

    def show_titles(self) -> None:
        examples, choice = self.list.examples, self._answered
        if examples is None or not len(examples.view):
            self.entitle("4 Failures")
            return
        parts = [f"4 Failures of iteration {examples.number}"]
        if examples.shown_for is not None:  # the short form, which fits 80 columns
            parts = [f"4 Failures of {examples.number}, until {examples.shown_for} is evaluated"]
        count = f"{self.list.count:,} of {len(examples.view):,}"
        if choice.query == FAILED:
            parts.append(f"{count} failed" if examples.view.is_scored else f"{count}, unscored")
        else:
            parts += [count, choice.query.text or "all"]
        parts.append(f"by {choice.order}{', reversed' if choice.is_reversed else ''}")
        against = f"against {examples.against}" if examples.against is not None else ""
        missing = f"! {examples.missing}" if examples.missing else ""
        found = self.search.words(self.list.cursor)
        below = " · ".join(filter(None, (found, missing, against, examples.annotated_score)))
        self.entitle(" · ".join(parts), f"✗ {self.problem}" if self.problem else below)

    def _show_why_empty(self) -> None:
        snapshot, table = self._snapshot, self.list
        if snapshot is None:
            return
        examples, state = table.examples, snapshot.selected.state if snapshot.selected else ""
        if examples is None:
            lines = ["Nothing has been evaluated yet. {run.start} runs the draft."]
        elif examples.problem:
            lines = [f"✗ {examples.problem}", in_keys(examples.hint, services_of(self).keys)]
        elif not len(examples.view):
            lines = {
                "running": ["Examples appear here after evaluation."],
                "stopping": ["The run is stopping."],
                "queued": ["The run has not started yet."],
            }.get(state, _why_none(snapshot))
        elif self.problem:
            lines = [f"✗ {self.problem}"]
        elif self._answered.query == FAILED:
            lines = ["No example has failed. {failures.filter} changes the filter."]
        else:
            query = self._answered.query
            unknown = "" if table.count else unknown_names(examples.view, query)
            lines = [
                f"No example matches {query.text}",
                *([unknown] if unknown else []),
                "{app.back} lists the failed examples, {failures.filter} changes the filter.",
            ]
        if lines != table.why_empty:
            table.why_empty = lines
            if not table.count:
                table.refresh()


def _why_none(snapshot: LoopSnapshot) -> list[str]:
    """Why an iteration that has ended shows no examples, and what to do."""
    examples = snapshot.examples
    iteration = snapshot.iteration(examples.number) if examples is not None else None
    if iteration is None or iteration.metrics.get("eval_loss") is None:
        return [
            "The run ended before evaluation.",
            "{loop.previous} and {loop.following} show other iterations.",
        ]
    return [
        "This iteration was evaluated, but its examples.jsonl is not on this machine.",
        "Restore the file, for example with git.",
    ]


def _short_lines(
    example: Example, causes: Sequence[CauseEvidence], suspect: CauseEvidence | None
) -> list[list[Span]]:
    answer = answer_of(example.output) or "(empty)"
    said = "(nothing was generated)" if example.output is None else answer
    lines: list[list[Span]] = [
        [(" wanted  ", "muted"), (flat(example.reference, 300), "good")],
        [(" said    ", "muted"), (flat(said, 300), "bad" if example.passed is False else "")],
    ]
    if causes:
        cause = causes[0] if suspect is None else suspect
        lines.append(
            [(" why     ", "muted"), (f"{cause.kind.words}: ", ""), (flat(cause.evidence, 300), "")]
        )
    return lines
