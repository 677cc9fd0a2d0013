"""Counts outcomes, changes, causes, labels, weak slices, confusions and annotations.

Each count has the filter term (`core.examples.query`) that lists its examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec

from tui_loop.core.examples.cause_kinds import Cause, cause_words
from tui_loop.core.examples.history import Outcome, Shift, Story
from tui_loop.core.examples.query import MARKS, format_term
from tui_loop.core.examples.slices import Kind, Slice, find_slices
from tui_loop.core.examples.view import ExampleView

CONFUSIONS = 12

STORIES = {
    Story.FLAKY: "passed in some iterations and failed in others",
    Story.NEVER_SOLVED: "failed in every iteration",
}


class Count(msgspec.Struct, frozen=True):
    """A count of examples; `before`: the count in the other iteration."""

    name: str
    count: int
    term: str
    before: int | None = None
    note: str = ""


class Breakdown(msgspec.Struct, frozen=True):
    """The counts of an evaluation, compared with those of the iteration `against`.

    `labels`: every label, the one that fails most first. `weak`: the groups that fail more than
    chance explains, of `tested` groups. `confusions`: label → label in the output.
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
    """Counts the examples of a view; `earlier_causes`: those of the other iteration."""
    slices = find_slices(view.annotated_examples(), labels)
    outcomes = Counter(view.outcome(row) for row in range(len(view)))
    by_share = sorted(slices.labels, key=lambda each: (-each.share, -each.failed, each.name))
    return Breakdown(
        against=view.against.number if view.against is not None else None,
        total=len(view),
        outcomes=[
            Count(each.value, outcomes[each], format_term("is", each.value))
            for each in Outcome
            if outcomes[each]
        ],
        changes=_changes(view),
        causes=_causes(view, earlier_causes),
        labels=by_share,
        weak=slices.weak,
        confusions=_confusions(by_share),
        marks=[
            Count(name.replace("_", " "), count, format_term("is", name))
            for name in MARKS
            if (count := sum(each == name for each in view.marks.values()))
        ],
        tested=slices.tested,
    )


def failed_causes(view: ExampleView) -> list[tuple[str, ...]]:
    """Returns the causes of the failed examples."""
    return [causes for row, causes in enumerate(view.causes) if view.outcome(row) is Outcome.FAILED]


def term_of(each: Slice) -> str:
    """Returns the term that lists a slice's examples, "" where there is none."""
    match each.kind:
        case "label":
            return format_term("label", each.name)
        case "column":
            return format_term("column", each.name)
        case "words":
            return f'"{each.name}"'
        case _:
            return ""


def slice_words(each: Slice, *, beside_others: bool = True) -> str:
    """Describes a slice: counts, share, the most common wrong label, and the other examples.

    The numbers in brackets are the 95% interval of the share, in percent; a heading says so.
    """
    text = (
        f"{each.failed} of {each.total} fail, {100 * each.share:.0f}% "
        f"({100 * each.low:.0f} to {100 * each.high:.0f})"
    )
    if each.said:
        name, count = each.said[0]
        text += f"; {count} answered {name}" if name else f"; {count} without a label"
    if each.elsewhere_total and beside_others:
        text += f"; elsewhere {each.elsewhere_failed} of {each.elsewhere_total}"
    if each.is_weak:
        text += f", p = {each.p:.2g}"
    return text


def kind_words(kind: Kind) -> str:
    """Returns the label for a kind of slice."""
    return {"words": "words of the prompt"}.get(kind, kind)


def _changes(view: ExampleView) -> list[Count]:
    shifts = Counter(view.shifts)
    stories = Counter(view.histories.stories) if view.histories is not None else Counter[Story]()
    return [
        *(
            Count(each.value.replace("-", " "), shifts[each], format_term("is", each.value))
            for each in (Shift.FIXED, Shift.BROKEN, Shift.STILL_FAILED)
            if any(view.shifts)
        ),
        *(
            Count(
                each.value.replace("-", " "),
                stories[each],
                format_term("is", each.value),
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
            format_term("cause", name),
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
            f"{format_term('label', each.name)} {format_term('said', said)}",
        )
        for each in labels
        for said, count in each.said
        if said is not None
    ]
    return sorted(pairs, key=lambda each: -each.count)[:CONFUSIONS]
