"""What fails, counted: outcomes, what changed, causes, labels, weak slices, what people said.

Each line goes with a term of a query (`core.examples.query`) that lists just its examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec

from tui_loop.core.examples.cause_kinds import Cause, cause_words
from tui_loop.core.examples.history import Outcome, Shift, Story
from tui_loop.core.examples.query import MARKS, spelled
from tui_loop.core.examples.slices import Kind, Slice, find_slices
from tui_loop.core.examples.view import ExampleView

CONFUSIONS = 12

STORIES = {
    Story.FLAKY: "comes and goes over all iterations",
    Story.NEVER_SOLVED: "failed in every iteration",
}


class Count(msgspec.Struct, frozen=True):
    """Examples with something in common. `before`: how many the other iteration had of them."""

    name: str
    count: int
    term: str
    before: int | None = None
    note: str = ""


class Breakdown(msgspec.Struct, frozen=True):
    """The counts of an evaluation, `against` that of another iteration.

    `labels`: every label, the one that fails most first; `weak`: the groups that fail more than
    chance would have it, of `tested` ones. `confusions` are label taken for label.
    """

    against: int | None
    total: int
    outcomes: list[Count]
    changes: list[Count]
    causes: list[Count]
    labels: list[Slice]
    weak: list[Slice]
    confusions: list[Count]
    marks: list[Count]
    tested: int


def breakdown_of(
    view: ExampleView,
    labels: Sequence[str] = (),
    earlier_causes: Iterable[Sequence[str]] | None = None,
) -> Breakdown:
    """Counts the examples of a view; `earlier_causes` are those of the other iteration's."""
    slices = find_slices(view.judged(), labels)
    outcomes = Counter(view.outcome(row) for row in range(len(view)))
    by_share = sorted(slices.labels, key=lambda each: (-each.share, -each.failed, each.name))
    return Breakdown(
        against=view.against.number if view.against is not None else None,
        total=len(view),
        outcomes=[
            Count(each.value, outcomes[each], spelled("is", each.value))
            for each in Outcome
            if outcomes[each]
        ],
        changes=_changes(view),
        causes=_causes(view, earlier_causes),
        labels=by_share,
        weak=slices.weak,
        confusions=_confusions(by_share),
        marks=[
            Count(name.replace("_", " "), count, spelled("is", name))
            for name in MARKS
            if (count := sum(each == name for each in view.marks.values()))
        ],
        tested=slices.tested,
    )


def failed_causes(view: ExampleView) -> list[tuple[str, ...]]:
    """The causes of the examples that failed."""
    return [causes for row, causes in enumerate(view.causes) if view.outcome(row) is Outcome.FAILED]


def term_of(each: Slice) -> str:
    """The term that lists a slice's failures, "" where no term can say it."""
    match each.kind:
        case "label":
            return spelled("label", each.name)
        case "column":
            return spelled("column", each.name)
        case "words":
            return f'"{each.name}"'
        case _:
            return ""


def slice_words(each: Slice, *, beside_others: bool = True) -> str:
    """A slice in a sentence: counts, interval, what was said instead, and how the rest fails."""
    text = (
        f"{each.failed} of {each.total} fail, {100 * each.share:.0f}% "
        f"({100 * each.low:.0f} to {100 * each.high:.0f})"
    )
    if each.said:
        name, count = each.said[0]
        text += f"; {count} said {name or 'no label'}"
    if each.elsewhere_total and beside_others:
        text += f"; elsewhere {each.elsewhere_failed} of {each.elsewhere_total}"
    if each.is_weak:
        text += f", p = {each.p:.2g}"
    return text


def kind_words(kind: Kind) -> str:
    """What a slice is a slice by."""
    return {"words": "words of the prompt"}.get(kind, kind)


def _changes(view: ExampleView) -> list[Count]:
    shifts = Counter(view.shifts)
    stories = Counter(view.histories.stories) if view.histories is not None else Counter[Story]()
    return [
        *(
            Count(each.value.replace("-", " "), shifts[each], spelled("is", each.value))
            for each in (Shift.FIXED, Shift.BROKEN, Shift.STILL_FAILED)
            if any(view.shifts)
        ),
        *(
            Count(
                each.value.replace("-", " "),
                stories[each],
                spelled("is", each.value),
                note=STORIES[each],
            )
            for each in (Story.FLAKY, Story.NEVER_SOLVED)
            if stories[each]
        ),
    ]


def _causes(view: ExampleView, earlier_causes: Iterable[Sequence[str]] | None) -> list[Count]:
    now = Counter(chain.from_iterable(failed_causes(view)))
    then = None if earlier_causes is None else Counter(chain.from_iterable(earlier_causes))
    names = [each.value for each in Cause if now[each.value] or (then and then[each.value])]
    counts = [
        Count(
            cause_words(name),
            now[name],
            spelled("cause", name),
            None if then is None else then[name],
        )
        for name in names
    ]
    return sorted(counts, key=lambda each: -each.count)


def _confusions(labels: Sequence[Slice]) -> list[Count]:
    pairs = [
        Count(
            f"{each.name} → {said}",
            count,
            f"{spelled('label', each.name)} {spelled('said', said)}",
        )
        for each in labels
        for said, count in each.said
        if said is not None
    ]
    return sorted(pairs, key=lambda each: -each.count)[:CONFUSIONS]
