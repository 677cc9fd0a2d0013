"""Iterations against their parents: the claim, and a few examples that changed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui_loop.core.compare.claims import claim_words
from tui_loop.core.compare.comparison import Comparer, Comparison, brief_delta
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.history import rows_in
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Example, Iteration
from tui_loop.core.report.facts import CHANGED, COMPARED, ROWS_COMPARED, TEXT, Against, Changed
from tui_loop.core.report.words import whole


def comparable(iterations: Sequence[Iteration]) -> set[int]:
    """The iterations that are held against their parents: as many as there is time for."""
    taken: set[int] = set()
    rows = 0
    for iteration in reversed(iterations):
        if iteration.parent is None or iteration.metrics.get("score") is None:
            continue
        rows += whole(iteration, "total") or 0
        if len(taken) == COMPARED or rows > ROWS_COMPARED:
            break
        taken.add(iteration.number)
    return taken


def against_of(
    reader: LoopReader, comparer: Comparer, iteration: Iteration, *, with_examples: bool
) -> Against | None:
    """The iteration against its parent; None where there is nothing to compare."""
    found = comparer.against_parent(iteration)
    if found is None:
        return None
    fixed, broken = _most_changed(reader, found) if with_examples else ((), ())
    return Against(
        parent=found.a,
        brief=brief_delta(found),
        claim=found.claim,
        lines=tuple(claim_words(found)),
        notices=tuple(found.notices),
        score=found.interval,
        loss=found.loss,
        compared=found.compared,
        fixed=len(found.fixed),
        broken=len(found.broken),
        fixed_examples=fixed,
        broken_examples=broken,
    )


def _most_changed(
    reader: LoopReader, found: Comparison
) -> tuple[tuple[Changed, ...], tuple[Changed, ...]]:
    """Of the fixed and of the broken those whose loss moved most."""
    try:
        return _changed(reader, found, found.fixed, -1), _changed(reader, found, found.broken, 1)
    except (TuiLoopError, OSError):  # it could be read a moment ago
        return (), ()


def _changed(
    reader: LoopReader, found: Comparison, names: Sequence[str], sign: int
) -> tuple[Changed, ...]:
    old, new = reader.outcomes(found.a), reader.outcomes(found.b)
    places = {
        name: (was, now)
        for name, was, now in zip(names, rows_in(old, names), rows_in(new, names), strict=True)
        if was is not None and now is not None
    }

    def moved(name: str) -> float:
        was, now = places[name]
        change = new.losses[now] - old.losses[was]
        return sign * change if math.isfinite(change) else -math.inf

    shown = []
    for name in sorted(places, key=moved, reverse=True)[:CHANGED]:
        was, now = places[name]
        before = reader.loop.iteration(found.a).read_example(was, name)
        after = reader.loop.iteration(found.b).read_example(now, name)
        if before is not None and after is not None:
            shown.append(_change(before, after))
    return tuple(shown)


def _change(before: Example, after: Example) -> Changed:
    return Changed(
        id=after.id,
        prompt=shortened(after.prompt),
        reference=shortened(after.reference),
        before=shortened(before.output or ""),
        after=shortened(after.output or ""),
    )


def shortened(text: str, limit: int = TEXT) -> str:
    """A text of data, cut where it is very long, with what was cut said."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"
