"""Outputs that did not end by themselves.

truncated_outputs  the limit of new tokens is below what references need; or outputs run into it
                   before anything right was said.
no_end_token       the right answer is there, and the output goes on to the limit; or most outputs
                   do although their references would fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Finding, Severity
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.learned import hardest, has_learned, knows_task
from tui_loop.core.diagnosis.rules.telling import ids_of
from tui_loop.core.examples.cause_kinds import Cause
from tui_loop.core.examples.table import FAILED, PASSED, UNSCORED
from tui_loop.core.text.figures import counted, of_all

WORTH = 0.05
"""Below this share of the rows it costs the score less than chance moves it."""

MUCH = 0.2
MOST = 0.5
FEWEST = 5
"""Rows: fewer are an anecdote."""

_RIGHT = {Cause.NO_END_TOKEN.value, Cause.FORMAT.value, Cause.NEAR_MISS.value}


class _Endings(NamedTuple):
    """Rows whose output ran into the limit: `long` ones failed and their reference does not fit,
    `right` ones said the right thing first, `lost` ones did not."""

    scored: int
    failed: int
    answered: int
    long: list[int]
    right: list[int]
    lost: list[int]
    longest: int


def ending(case: Case) -> Iterator[Finding]:
    """How outputs end: both findings, from one look at the rows."""
    endings = _endings(case)
    if endings is not None:
        yield from _truncated_outputs(case, endings)
        if has_learned(case) or knows_task(case):
            yield from _no_end_token(case, endings)


def _truncated_outputs(case: Case, endings: _Endings) -> Iterator[Finding]:
    limit = case.measured.max_new_tokens
    if endings.long and limit is not None:
        share = len(endings.long) / endings.scored
        yield Finding(
            FindingKind.TRUNCATED_OUTPUTS,
            "alarm" if share > MOST else "warning" if share >= WORTH else "note",
            f"{of_all(len(endings.long), endings.scored, 'outputs')} were cut and failed because "
            f"their reference alone needs more than evaluation.max_new_tokens {limit}; the longest "
            f"needs {endings.longest}",
            {
                "outputs": len(endings.long),
                "total": endings.scored,
                "max_new_tokens": limit,
                "longest_reference": endings.longest,
            },
            examples=ids_of(case, hardest(case, endings.long)),
        )
    if len(endings.lost) < max(FEWEST, WORTH * endings.scored) or _never_ends(endings):
        return
    if not (has_learned(case) or knows_task(case)):
        return
    yield Finding(
        FindingKind.TRUNCATED_OUTPUTS,
        "warning" if len(endings.lost) >= MUCH * endings.failed else "note",
        f"{len(endings.lost)} of {counted(endings.failed, 'failed output')} ran into the limit of "
        f"{limit} new tokens before they said anything right, though every one of their references "
        "would fit",
        {
            "outputs": len(endings.lost),
            "failed": endings.failed,
            "total": endings.scored,
            "max_new_tokens": limit or 0,
        },
        examples=ids_of(case, hardest(case, endings.lost)),
        otherwise="a model that has not learned the answers yet rambles as well",
    )


def _no_end_token(case: Case, endings: _Endings) -> Iterator[Finding]:
    never, right = _never_ends(endings), endings.right
    if not never and len(right) < max(FEWEST, WORTH * endings.scored):
        return
    view = case.view
    failed = [row for row in right if view is not None and view.passed[row] == FAILED]
    ran = len(right) + len(endings.lost)
    limit = case.measured.max_new_tokens
    message = f"the model does not end: {of_all(ran, endings.scored, 'outputs')} run into the limit"
    message += "" if limit is None else f" of {limit} new tokens"
    message += " though their reference would fit"
    if right:
        message += f"; {len(right)} of them said the right thing first"
        message += f", and {len(failed)} of these fail for what came after" if failed else ""
    cut, rows = case.metric("train_rows_cut") or 0, case.metric("train_rows") or 0
    if cut > MOST * rows > 0:
        message += f"; {of_all(int(cut), int(rows), 'training rows')} were cut before their end"
    yield Finding(
        FindingKind.NO_END_TOKEN,
        _severity(endings, len(failed)),
        message,
        {
            "outputs": ran,
            "total": endings.scored,
            "right_first": len(right),
            "failed_for_it": len(failed),
            "max_new_tokens": limit or 0,
        },
        examples=ids_of(case, hardest(case, failed or right or endings.lost)),
        otherwise="more training would teach the end as well, if the training rows have it: "
        "`tui-loop check` shows whether their last token is trained on",
    )


def _severity(endings: _Endings, failed: int) -> Severity:
    if _never_ends(endings) or (failed > MOST * endings.failed and failed > MUCH * endings.scored):
        return "alarm"
    return "warning" if len(endings.right) >= MUCH * endings.answered else "note"


def _never_ends(endings: _Endings) -> bool:
    """Whether most outputs run on, whatever they say."""
    return len(endings.right) + len(endings.lost) > MOST * endings.scored


def _endings(case: Case) -> _Endings | None:
    view = case.view if case.number else None
    limit = case.measured.max_new_tokens
    if view is None:
        return None
    long, right, lost = list[int](), list[int](), list[int]()
    scored = answered = longest = 0
    for row, example in enumerate(view.table):
        outcome = view.passed[row]
        if outcome == UNSCORED or example.output is None:
            continue
        scored += 1
        is_right = outcome == PASSED or not _RIGHT.isdisjoint(view.causes[row])
        answered += is_right
        needed = example.supervised_tokens - 1  # the last one ends it
        if not example.truncated:
            continue
        if limit is not None and needed > limit:
            longest = max(longest, needed)
            if outcome == FAILED:
                long.append(row)
        else:
            (right if is_right else lost).append(row)
    if not scored:
        return None
    return _Endings(scored, view.passed.count(FAILED), answered, long, right, lost, longest)


RULES = (ending,)
