"""What of the failures is listed: filters to choose from, remembered loop by loop."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.breakdown import Breakdown, breakdown_of, failed_causes
from tui_loop.core.examples.query import Query, has_terms, parse, toggle_terms
from tui_loop.core.examples.view import Order
from tui_loop.core.snapshot import Examples
from tui_loop.tui.iteration_columns import choice_of
from tui_loop.tui.screens.breakdown import BreakdownScreen, Line, breakdown_lines
from tui_loop.tui.widgets.failures import Choice, FailuresPane
from tui_loop.tui.widgets.iterations import IterationsPane
from tui_loop.tui.workbench.observing import LoopScreen

WHOLE = ("is:", "cause:")
"""Terms that say by themselves what is listed; by others, those that failed are."""


class Filtering(LoopScreen):
    """The failures' filters; they are remembered in the user's state folder, not in the record."""

    def on_failures_pane_breakdown_wanted(self) -> None:
        self.run_worker(self._show_breakdown(), group="breakdown", exclusive=True)

    def on_failures_pane_chosen(self, event: FailuresPane.Chosen) -> None:
        choice = event.choice
        self._remember(
            last={
                "query": choice.query.text,
                "order": choice.order.name,
                "is_reversed": choice.is_reversed,
            }
        )

    def on_iterations_pane_chosen(self, event: IterationsPane.Chosen) -> None:
        self._remember(iterations=event.choice.plain)

    def restore_filter(self) -> None:
        """Lists what was listed when this loop was looked at last."""
        self.query_one(IterationsPane).choose(choice_of(self._remembered().get("iterations")))
        last = self._remembered().get("last")
        if not isinstance(last, dict):
            return
        try:
            query = parse(str(last.get("query", "")))
            order = Order[str(last.get("order"))]
        except (TuiLoopError, KeyError):  # of another version
            return
        choice = Choice(query, order, last.get("is_reversed") is True)
        self.query_one(FailuresPane).choose(choice)

    async def _show_breakdown(self) -> None:
        pane = self.query_one(FailuresPane)
        examples = pane.list.examples
        if examples is not None and examples.problem:
            self.say(f"✗ {examples.problem}")
            return
        if examples is None or not len(examples.view):
            self.say(": ".join(pane.list.why_empty))
            return
        try:
            found = await self.elsewhere(self._breakdown, examples)
        except TuiLoopError as error:
            self.tell(error)
            return

        def lines() -> list[Line]:
            return breakdown_lines(found, self._named())

        def save(name: str) -> list[Line]:
            self._remember(named={**self._named(), name: pane.choice.query.text})
            return lines()

        def forget(name: str) -> list[Line]:
            self._remember(named={each: t for each, t in self._named().items() if each != name})
            return lines()

        title = f"What fails in {self.loop.name}/{examples.number}"
        self.app.push_screen(
            BreakdownScreen(
                title,
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
            earlier = failed_causes(self.observer.examples_of(examples.against))
        return breakdown_of(examples.view, examples.measured.labels, earlier)

    def _toggle(self, term: str, alone: bool) -> str:
        """Filters by a term, alone or besides what is filtered by; gives the filter's text."""
        pane = self.query_one(FailuresPane)
        query: Query
        if alone:
            is_whole = term.startswith(WHOLE) or term.strip() in self._named().values()
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
        known = self.services.memory.get(self._memory_key)
        return known if isinstance(known, dict) else {}

    def _remember(self, **values: Any) -> None:
        self.services.memory.put(self._memory_key, {**self._remembered(), **values})

    @property
    def _memory_key(self) -> str:
        return f"failures {self.loop.path.resolve()}"
