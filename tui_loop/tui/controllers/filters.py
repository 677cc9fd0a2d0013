"""Filters of the failures: a breakdown to choose from, and what is remembered for each loop."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.breakdown import Breakdown, breakdown_of, failed_causes
from tui_loop.core.examples.query import Query, has_terms, parse, toggle_terms
from tui_loop.core.examples.view import Order
from tui_loop.core.snapshot import Examples
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.screens.breakdown import BreakdownScreen, Line, breakdown_lines
from tui_loop.tui.widgets.failures import Choice, FailuresPane
from tui_loop.tui.widgets.iteration_columns import IterationChoice, choice_of
from tui_loop.tui.widgets.iterations import IterationsPane

COMPLETE_TERMS = ("is:", "cause:")
"""Terms that are a whole filter; others are applied to the failed examples."""


class FiltersController:
    """Filters the failures. Filters are in the user's state folder, not in the record."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def open(self) -> None:
        """Shows what fails, counted, to filter by."""
        self._context.run(self._open(), "breakdown")

    def remember(self, choice: Choice) -> None:
        """Remembers what is listed, for the next time this loop is opened."""
        self._remember(
            last={
                "query": choice.query.text,
                "order": choice.order.name,
                "is_reversed": choice.is_reversed,
            }
        )

    def remember_iterations(self, choice: IterationChoice) -> None:
        """Remembers what the iterations pane lists, and how."""
        self._remember(iterations=choice.plain)

    def restore(self) -> None:
        """Lists what was listed when this loop was open last."""
        known = choice_of(self._remembered().get("iterations"))
        self._context.pane(IterationsPane).choose(known)
        last = self._remembered().get("last")
        if not isinstance(last, dict):
            return
        try:
            query = parse(str(last.get("query", "")))
            order = Order[str(last.get("order"))]
        except (TuiLoopError, KeyError):  # of another version
            return
        choice = Choice(query, order, last.get("is_reversed") is True)
        self._context.pane(FailuresPane).choose(choice)

    async def _open(self) -> None:
        context, pane = self._context, self._context.pane(FailuresPane)
        examples = pane.list.examples
        if examples is not None and examples.problem:
            raise TuiLoopError(examples.problem, examples.hint)
        if examples is None or not len(examples.view):
            context.notify(" ".join(pane.list.why_empty))
            return
        found = await context.in_thread(self._breakdown, examples)

        def lines() -> list[Line]:
            return breakdown_lines(found, self._named())

        def save(name: str) -> list[Line]:
            self._remember(named={**self._named(), name: pane.choice.query.text})
            return lines()

        def forget(name: str) -> list[Line]:
            self._remember(named={each: t for each, t in self._named().items() if each != name})
            return lines()

        context.push_screen(
            BreakdownScreen(
                f"What fails in {context.loop.name}/{examples.number}",
                lines(),
                toggle=self._toggle,
                has=lambda term: has_terms(pane.choice.query, term),
                save=save,
                forget=forget,
            )
        )

    def _breakdown(self, examples: Examples) -> Breakdown:
        earlier = None
        if examples.against is not None:
            earlier = failed_causes(self._context.poller.examples_of(examples.against))
        return breakdown_of(examples.view, examples.measured.labels, earlier)

    def _toggle(self, term: str, alone: bool) -> str:
        """Filters by a term, alone or in addition; returns the filter's text."""
        pane = self._context.pane(FailuresPane)
        query: Query
        if alone:
            is_whole = term.startswith(COMPLETE_TERMS) or term.strip() in self._named().values()
            query = parse(term if is_whole else f"is:failed {term}")
        else:
            query = toggle_terms(pane.choice.query, term)
        pane.choose(msgspec.structs.replace(pane.choice, query=query))
        return query.text

    def _named(self) -> dict[str, str]:
        named = self._remembered().get("named")
        return (
            {str(name): str(text) for name, text in named.items()}
            if isinstance(named, dict)
            else {}
        )

    def _remembered(self) -> dict[str, Any]:
        known = self._context.services.memory.get(self._memory_key)
        return known if isinstance(known, dict) else {}

    def _remember(self, **values: Any) -> None:
        self._context.services.memory.put(self._memory_key, {**self._remembered(), **values})

    @property
    def _memory_key(self) -> str:
        return f"failures {self._context.loop.path.resolve()}"
