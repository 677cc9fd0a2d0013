"""Reads the evaluations of a loop within a time limit and returns them as views."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from tui_loop.core.compare.comparison import scored_alike
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.annotations import Annotations, read_annotations
from tui_loop.core.examples.cause_kinds import CauseEvidence, Measured
from tui_loop.core.examples.causes import causes_of, measured_of, with_inferred_labels
from tui_loop.core.examples.history import Histories, Outcomes, outcomes_of
from tui_loop.core.examples.suspects import FEWEST_ANSWERS, suspect_references
from tui_loop.core.examples.table import FAILED, ExampleTable
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.reader import LoopReader, Stamp, stamp_of
from tui_loop.core.record.structs import Example

HISTORY = 40
"""An example's history covers at most this many evaluated iterations."""

CAUSES_AT_ONCE = 500

MOST_ANSWERS = 50_000
"""The search for suspect references reads at most this many outputs of all iterations."""

_Suspects = tuple[list[object], dict[str, CauseEvidence], Sequence[tuple[str, ...]]]

CACHED_ITERATIONS = 2
"""Iterations with cached results: the one on screen, and its parent."""

T = TypeVar("T")


class Evaluations:
    """Reads each file once while it does not change; returns the same view until it does."""

    def __init__(self, reader: LoopReader) -> None:
        self._reader = reader
        self._judgements: tuple[Stamp, Annotations] | None = None
        self._views: OrderedDict[int, tuple[object, Annotations, ExampleView]] = OrderedDict()
        self._finders: OrderedDict[int, _CauseFinder] = OrderedDict()
        self._measured: OrderedDict[int, tuple[ExampleTable, Measured]] = OrderedDict()
        self._suspects: OrderedDict[int, _Suspects] = OrderedDict()

    def table(self, number: int) -> ExampleTable:
        """Returns the examples of an iteration, empty without an evaluation; raises BadInput."""
        return self._reader.table(number)

    def annotations(self) -> Annotations:
        """Returns the annotations of the loop's examples."""
        stamp = stamp_of(self._reader.loop.labels)
        if self._judgements is None or self._judgements[0] != stamp:
            self._judgements = stamp, read_annotations(self._reader.loop)
        return self._judgements[1]

    def view(
        self, number: int, against: int | None, seconds: float | None = None
    ) -> tuple[ExampleView, bool]:
        """Returns a view of an iteration compared with another, and whether it is complete.

        `seconds`: the time limit for reading other iterations; a later call continues. Raises
        BadInput where the iteration's own examples cannot be read.
        """
        until = None if seconds is None else time.monotonic() + seconds
        table = self.table(number)
        others = self._evaluated(number)
        numbers = [*((against,) if against in others else ()), *(n for n in others if n != against)]
        found: dict[int, Outcomes] = {number: outcomes_of(number, table)}
        is_complete = True
        for each in numbers:
            if (
                not self._reader.has_outcomes(each)
                and until is not None
                and time.monotonic() > until
            ):
                is_complete = False
                break
            outcomes = self._read_outcomes(each, number)
            if outcomes is not None:
                found[each] = outcomes
        causes = self._causes(number, table, until)
        is_complete = is_complete and causes is not None
        if is_complete and causes is not None:
            causes = self._with_suspects(number, table, causes, list(found.values()))
        annotations = self.annotations()
        key = (
            id(table),
            against if against in found else None,
            is_complete and tuple((n, id(found[n].passed)) for n in sorted(found)),
            id(causes),
        )
        known = self._views.get(number)
        if known is None or known[0] != key or known[1] is not annotations:
            view = ExampleView(
                table,
                against=found.get(against) if against is not None else None,
                histories=Histories(table, [found[n] for n in sorted(found)])
                if is_complete
                else None,
                causes=causes,
                marks=_marks(table, annotations),
            )
            known = key, annotations, view
        _keep(self._views, number, known)
        return known[2], is_complete

    def measured(self, number: int) -> Measured:
        """Returns how an iteration was evaluated, with defaults where that cannot be read."""
        table = self.table(number)
        known = self._measured.get(number)
        if known is None or known[0] is not table:
            try:
                measured = measured_of(self._reader.loop.iteration(number))
            except (TuiLoopError, OSError):
                measured = Measured()
            known = table, with_inferred_labels(measured, table.references)
        _keep(self._measured, number, known)
        return known[1]

    def suspects(self, number: int) -> dict[str, CauseEvidence]:
        """Returns the suspect references of an iteration, by id, as of its last view."""
        known = self._suspects.get(number)
        return known[1] if known is not None else {}

    def _with_suspects(
        self,
        number: int,
        table: ExampleTable,
        causes: Sequence[tuple[str, ...]],
        outcomes: Sequence[Outcomes],
    ) -> Sequence[tuple[str, ...]]:
        """Appends suspect_reference to the causes where the iterations agree on another answer."""
        alike = sorted((each for each in outcomes if each.is_alike), key=lambda each: each.number)
        if len(alike) < FEWEST_ANSWERS or len(table) * len(alike) > MOST_ANSWERS:
            return causes
        key: list[object] = [causes, *(each.passed for each in alike)]
        known = self._suspects.get(number)
        if known is None or not _are_same(known[0], key):
            rows = [self._rows_of(each.number) for each in alike]
            measured = self.measured(number)
            found = suspect_references(rows, measured.labels, measured.metric)
            added = list(causes)
            for row, name in enumerate(table.ids):
                if name in found and table.passed[row] == FAILED:
                    added[row] = (*causes[row], found[name].kind.value)
            known = key, found, added
        _keep(self._suspects, number, known)
        return known[2]

    def _rows_of(self, number: int) -> Sequence[Example]:
        try:
            return self._reader.loop.iteration(number).read_examples()
        except (TuiLoopError, OSError):  # it was readable before
            return []

    def _causes(
        self, number: int, table: ExampleTable, until: float | None
    ) -> Sequence[tuple[str, ...]] | None:
        """Returns the causes by row, also for rows without recorded ones; None while incomplete."""
        finder = self._finders.get(number)
        if finder is None or finder.table is not table:
            finder = _CauseFinder(table, self.measured(number))
        _keep(self._finders, number, finder)
        return finder.causes if finder.run_until(until) else None

    def _evaluated(self, number: int) -> list[int]:
        """Returns the other iterations with examples, the newest HISTORY of them."""
        loop = self._reader.loop
        numbers = [n for n in self._reader.numbers() if n != number]
        return [n for n in numbers if stamp_of(loop.iteration(n).examples)][-HISTORY:]

    def _read_outcomes(self, number: int, shown: int) -> Outcomes | None:
        """Returns the outcomes of another iteration, None where they cannot be read."""
        try:
            outcomes = self._reader.outcomes(number)
        except (TuiLoopError, OSError):  # reported where that iteration is shown
            return None
        is_alike = scored_alike(self._reader.iteration(number), self._reader.iteration(shown))
        if outcomes.is_alike is not is_alike:
            outcomes = msgspec.structs.replace(outcomes, is_alike=is_alike)
        return outcomes


class _CauseFinder:
    """Finds the causes of failed rows without recorded ones, in time slices."""

    def __init__(self, table: ExampleTable, measured: Measured) -> None:
        self.table = table
        self.causes = list(table.causes)
        self._measured = measured
        self._left = [
            row
            for row, causes in enumerate(table.causes)
            if not causes and table.passed[row] == FAILED
        ][::-1]

    def run_until(self, until: float | None) -> bool:
        """Continues until a time; returns whether all causes are found."""
        while self._left:
            for row in self._left[-CAUSES_AT_ONCE:]:
                found = causes_of(self.table[row], self._measured)
                self.causes[row] = tuple(each.kind.value for each in found)
            del self._left[-CAUSES_AT_ONCE:]
            if until is not None and time.monotonic() > until:
                break
        return not self._left


def _keep(known: OrderedDict[int, T], number: int, value: T) -> None:
    """Caches a value of an iteration and drops the least recently used one."""
    known[number] = value
    known.move_to_end(number)
    while len(known) > CACHED_ITERATIONS:
        known.popitem(last=False)


def _are_same(known: list[object], now: list[object]) -> bool:
    """Returns whether both lists hold the same objects.

    The lists keep them alive, so ids are unique.
    """
    return len(known) == len(now) and all(a is b for a, b in zip(known, now, strict=True))


def _marks(table: ExampleTable, annotations: Annotations) -> dict[str, str]:
    """Returns the current verdicts on the table's examples, by id."""
    if not annotations:
        return {}
    said = {one.id for one in annotations.entries}
    rows: Sequence[int] = [row for row, name in enumerate(table.ids) if name in said]
    verdicts = {table.ids[row]: annotations.of(table[row]).verdict for row in rows}
    return {name: verdict for name, verdict in verdicts.items() if verdict}
