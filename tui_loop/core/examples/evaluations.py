"""The evaluations of a loop, read as far as there is time for, as views to list and to show."""

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
from tui_loop.core.examples.causes import causes_of, measured_of, with_labels_seen
from tui_loop.core.examples.history import Histories, Outcomes, outcomes_of
from tui_loop.core.examples.suspects import FEWEST_ANSWERS, suspect_references
from tui_loop.core.examples.table import FAILED, ExampleTable
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.reader import LoopReader, Stamp, stamp_of
from tui_loop.core.record.structs import Example

HISTORY = 40
"""An example's history goes back over so many evaluated iterations."""

CAUSES_AT_ONCE = 500

MOST_ANSWERS = 50_000
"""Outputs of all iterations together that are looked through for references that are suspect."""

_Suspects = tuple[list[object], dict[str, CauseEvidence], Sequence[tuple[str, ...]]]

LOOKED_AT = 2
"""Iterations of which what was found out is kept: what is looked at, and its parent."""

T = TypeVar("T")


class Evaluations:
    """Reads each file once while it stays as it is; what did not change is the same view."""

    def __init__(self, reader: LoopReader) -> None:
        self._reader = reader
        self._judgements: tuple[Stamp, Annotations] | None = None
        self._views: OrderedDict[int, tuple[object, Annotations, ExampleView]] = OrderedDict()
        self._finders: OrderedDict[int, _CauseFinder] = OrderedDict()
        self._measured: OrderedDict[int, tuple[ExampleTable, Measured]] = OrderedDict()
        self._suspects: OrderedDict[int, _Suspects] = OrderedDict()

    def table(self, number: int) -> ExampleTable:
        """The examples of an iteration, none where there was no evaluation; raises BadInput."""
        return self._reader.table(number)

    def judgements(self) -> Annotations:
        """What people said of the loop's examples."""
        stamp = stamp_of(self._reader.loop.labels)
        if self._judgements is None or self._judgements[0] != stamp:
            self._judgements = stamp, read_annotations(self._reader.loop)
        return self._judgements[1]

    def view(
        self, number: int, against: int | None, seconds: float | None = None
    ) -> tuple[ExampleView, bool]:
        """The examples of an iteration against those of another; whether all is in it.

        With `seconds`, reading other iterations stops when they have gone by, and a later call
        goes on. Raises BadInput where the iteration's own examples cannot be read.
        """
        until = None if seconds is None else time.monotonic() + seconds
        table = self.table(number)
        others = self._evaluated(number)
        wanted = [*((against,) if against in others else ()), *(n for n in others if n != against)]
        found: dict[int, Outcomes] = {number: outcomes_of(number, table)}
        is_complete = True
        for each in wanted:
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
        judgements = self.judgements()
        key = (
            id(table),
            against if against in found else None,
            is_complete and tuple((n, id(found[n].passed)) for n in sorted(found)),
            id(causes),
        )
        known = self._views.get(number)
        if known is None or known[0] != key or known[1] is not judgements:
            view = ExampleView(
                table,
                against=found.get(against) if against is not None else None,
                histories=Histories(table, [found[n] for n in sorted(found)])
                if is_complete
                else None,
                causes=causes,
                marks=_marks(table, judgements),
            )
            known = key, judgements, view
        _keep(self._views, number, known)
        return known[2], is_complete

    def measured(self, number: int) -> Measured:
        """How an iteration was measured; as far as that cannot be read, as by default."""
        table = self.table(number)
        known = self._measured.get(number)
        if known is None or known[0] is not table:
            try:
                measured = measured_of(self._reader.loop.iteration(number))
            except (TuiLoopError, OSError):
                measured = Measured()
            known = table, with_labels_seen(measured, table.references)
        _keep(self._measured, number, known)
        return known[1]

    def suspects(self, number: int) -> dict[str, CauseEvidence]:
        """References of an iteration that are suspect, by id, as its last view knew them."""
        known = self._suspects.get(number)
        return known[1] if known is not None else {}

    def _with_suspects(
        self,
        number: int,
        table: ExampleTable,
        causes: Sequence[tuple[str, ...]],
        outcomes: Sequence[Outcomes],
    ) -> Sequence[tuple[str, ...]]:
        """The causes, and last that the iterations agree on something else."""
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
        except (TuiLoopError, OSError):  # it was there a moment ago
            return []

    def _causes(
        self, number: int, table: ExampleTable, until: float | None
    ) -> Sequence[tuple[str, ...]] | None:
        """The causes by row, also where the record has none yet; None while they are found out."""
        finder = self._finders.get(number)
        if finder is None or finder.table is not table:
            finder = _CauseFinder(table, self.measured(number))
        _keep(self._finders, number, finder)
        return finder.causes if finder.go_on(until) else None

    def _evaluated(self, number: int) -> list[int]:
        """The other iterations that have examples; of more than HISTORY, the newest."""
        loop = self._reader.loop
        numbers = [n for n in self._reader.numbers() if n != number]
        return [n for n in numbers if stamp_of(loop.iteration(n).examples)][-HISTORY:]

    def _read_outcomes(self, number: int, shown: int) -> Outcomes | None:
        """What another iteration made of its examples; None where they cannot be read."""
        try:
            outcomes = self._reader.outcomes(number)
        except (TuiLoopError, OSError):  # told where that iteration is looked at
            return None
        is_alike = scored_alike(self._reader.iteration(number), self._reader.iteration(shown))
        if outcomes.is_alike is not is_alike:
            outcomes = msgspec.structs.replace(outcomes, is_alike=is_alike)
        return outcomes


class _CauseFinder:
    """Finds the causes of failed rows that the record has none of, a while at a time."""

    def __init__(self, table: ExampleTable, measured: Measured) -> None:
        self.table = table
        self.causes = list(table.causes)
        self._measured = measured
        self._left = [
            row
            for row, causes in enumerate(table.causes)
            if not causes and table.passed[row] == FAILED
        ][::-1]

    def go_on(self, until: float | None) -> bool:
        """Goes on until then; whether all are found."""
        while self._left:
            for row in self._left[-CAUSES_AT_ONCE:]:
                found = causes_of(self.table[row], self._measured)
                self.causes[row] = tuple(each.kind.value for each in found)
            del self._left[-CAUSES_AT_ONCE:]
            if until is not None and time.monotonic() > until:
                break
        return not self._left


def _keep(known: OrderedDict[int, T], number: int, value: T) -> None:
    """Keeps a value of an iteration, and lets go of the one that was not asked for the longest."""
    known[number] = value
    known.move_to_end(number)
    while len(known) > LOOKED_AT:
        known.popitem(last=False)


def _are_same(known: list[object], now: list[object]) -> bool:
    """Whether both hold the very same objects; held, so that none has another's place."""
    return len(known) == len(now) and all(a is b for a, b in zip(known, now, strict=True))


def _marks(table: ExampleTable, judgements: Annotations) -> dict[str, str]:
    """What people said of the table's examples and still holds, by id."""
    if not judgements:
        return {}
    said = {one.id for one in judgements.said}
    rows: Sequence[int] = [row for row, name in enumerate(table.ids) if name in said]
    verdicts = {table.ids[row]: judgements.of(table[row]).verdict for row in rows}
    return {name: verdict for name, verdict in verdicts.items() if verdict}
