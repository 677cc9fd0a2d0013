"""Groups of examples that fail more than the rest (core.examples.slices has the tests).

weak_slice  a label, a length, a column's value or words of the prompt; not where the model says few
            labels at all, and not a label that was never trained on: these are told as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.gaps import trained_on
from tui_loop.core.diagnosis.rules.labels import says_few
from tui_loop.core.diagnosis.rules.learned import hardest, has_learned
from tui_loop.core.diagnosis.rules.telling import chance, ids_of, named
from tui_loop.core.examples.slices import ALIKE, Slice, find_slices
from tui_loop.core.examples.table import FAILED
from tui_loop.core.text.untrusted import one_line

TOLD = 3
"""The surest; more are in the list of what fails."""

WORTH = 0.1
"""Share of all failures that a slice has beyond what is usual elsewhere, to be worth acting on."""

_LENGTHS = ("prompt length", "reference length")
_NAME = 40


def weak_slice(case: Case) -> Iterator[Finding]:
    view = case.view
    if view is None or not has_learned(case) or says_few(case):
        return
    missing = {label for label, count in trained_on(case).items() if not count}
    found = find_slices(view.judged(), case.measured.labels)
    weak = [each for each in found.weak if each.kind != "label" or each.name not in missing]
    for each in _distinct(weak)[:TOLD]:
        usual = each.elsewhere_failed / max(1, each.elsewhere_total)
        beyond = each.failed - each.total * usual
        failures = each.failed + each.elsewhere_failed
        failed = [row for row in each.indices if view.passed[row] == FAILED]
        yield Finding(
            FindingKind.WEAK_SLICE,
            "warning" if beyond >= WORTH * failures else "note",
            _sentence(each),
            {
                "slice": f"{each.kind}: {each.name}",
                "failed": each.failed,
                "total": each.total,
                "elsewhere_failed": each.elsewhere_failed,
                "elsewhere_total": each.elsewhere_total,
                "p": each.p_adjusted,
                "tested": found.tested,
            },
            examples=ids_of(case, hardest(case, failed)),
            otherwise=""
            if each.kind == "label"
            else "rows of this kind may share a label or a length, and that be the reason",
        )


def _distinct(weak: Sequence[Slice]) -> list[Slice]:
    """Of slices of nearly the same rows the surest, and of equally sure ones no mere length."""
    kept: list[Slice] = []
    for each in sorted(weak, key=lambda each: (each.p, each.kind in _LENGTHS)):
        rows = set(each.indices)
        if all(len(rows & {*k.indices}) < ALIKE * len(rows | {*k.indices}) for k in kept):
            kept.append(each)
    return kept


def _sentence(each: Slice) -> str:
    told = f"{_subject(each)} fails {each.failed} of {each.total}, elsewhere "
    told += f"{each.elsewhere_failed} of {each.elsewhere_total} ({chance(each.p_adjusted)})"
    if each.said:
        name, count = each.said[0]
        what = "named no label" if name is None else f"said {named([name])}"
        told += f"; {count} of the {each.failed} {what}"
    return told


def _subject(each: Slice) -> str:
    name = one_line(each.name, _NAME)
    match each.kind:
        case "label":
            return f'"{name}"'
        case "words":
            return f'what has "{name}" in its prompt'
        case "column":
            return f"what has {name}"
        case _:
            return f"a {name}"


RULES = (weak_slice,)
