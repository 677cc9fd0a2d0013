"""Findings on truncation: rows that were cut, and outputs that did not end.

truncated_inputs  training rows lost tokens, or were left out because no trained token remained; or
                  the start of evaluation prompts was cut, for their loss or for their output.

Records from before a run counted its cut rows show them by a warning in the journal, and by rows
that on average are about as long as the limit.

truncated_outputs  the limit of new tokens is below what references need; or outputs reach the limit
                   before any right content.
no_end_token       the right answer is there, but the output continues to the limit; or most outputs
                   do although their references would fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tui_loop.core.commands import command
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Figure, Finding, Severity
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import (
    OutcomeTest,
    chance,
    hardest,
    has_learned,
    ids_of,
    knows_task,
)
from tui_loop.core.diagnosis.rules.rendered_rows import lacks_stops, trained_stops
from tui_loop.core.examples.cause_kinds import Cause
from tui_loop.core.examples.table import FAILED, PASSED, UNSCORED
from tui_loop.core.text.figures import counted, of_all
from tui_loop.core.text.untrusted import one_line

WORTH_CUT = 0.05
"""From this share of the rows on, cutting is worth acting on. Below it, cutting is usual and only
noted."""

MOST_CUT = 0.5
"""With more than this share of the rows cut or left out, the run trained on different data."""

FULL = 0.9
"""Rows whose mean length is at least this share of the limit count as cut: lengths of whole texts
vary by more."""

# The texts of engine.trainer and engine.training, which core must not import.
_NONE_LEFT = "no row keeps a trained token"
_LEFT_OUT = re.compile(r"(\d{1,12}) training rows have no trained token within \d+ tokens")


def truncated_inputs(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training rows and evaluation prompts that were cut."""
    if facts.number:
        yield from _training(facts)
        yield from _held_out(facts)


def _training(facts: IterationFacts) -> Iterator[Finding]:
    limit = facts.config.training.max_length if facts.config is not None else None
    rows, cut = facts.metric("train_rows"), facts.metric("train_rows_cut")
    if limit is not None and _NONE_LEFT in str((facts.iteration.error or {}).get("message")):
        yield Finding(
            FindingKind.TRUNCATED_INPUTS,
            "alarm",
            f"training.max_length {limit} cuts off all trained tokens of every training row, so "
            "there was nothing to train on",
            {"max_length": limit},
            otherwise="a template that puts long text before every answer has the same effect",
        )
        return
    if limit is None or not rows:
        return
    if cut is None:
        yield from _told_by_the_journal(facts, limit, int(rows))
        return
    if cut <= 0:
        return
    dropped, longest = (
        facts.metric("train_rows_dropped") or 0,
        facts.metric("train_row_longest") or 0,
    )
    message = f"training.max_length {limit} cuts {of_all(int(cut), int(rows), 'training rows')}"
    if dropped:
        message += f"; {dropped:,.0f} of them have no trained token left and were not trained on"
    elif (facts.config and facts.config.other.get("truncation_mode")) != "keep_end":
        message += ", which lose the end of their answer"
    if longest:
        message += f". The longest row has {longest:,.0f} tokens"
    yield Finding(
        FindingKind.TRUNCATED_INPUTS,
        _cut_severity(cut / rows, dropped / rows),
        message,
        {
            "max_length": limit,
            "rows_cut": int(cut),
            "rows_left_out": int(dropped),
            "train_rows": int(rows),
            "longest_row": int(longest),
        },
    )


def _cut_severity(cut: float, left_out: float) -> Severity:
    if left_out > MOST_CUT or cut > MOST_CUT:
        return "alarm"
    return "warning" if cut >= WORTH_CUT else "note"


def _told_by_the_journal(facts: IterationFacts, limit: int, rows: int) -> Iterator[Finding]:
    """Reports cut training rows in records that do not count them."""
    if facts.config is None or facts.config.training.packing:
        return
    parts = [
        match
        for line in facts.run.lines
        if line.source == "training" and (match := _LEFT_OUT.match(line.text))
    ]
    dropped = int(parts[-1][1]) if parts else 0
    tokens, epochs = facts.run.latest("num_tokens"), facts.metric("epochs")
    kept = max(0, rows - dropped)
    mean = tokens / (epochs * kept) if tokens and epochs and kept else 0.0
    is_full = FULL * limit <= mean <= limit
    if not dropped and not is_full:
        return
    message = f"training.max_length {limit} "
    figures: dict[str, Figure] = {"max_length": limit, "train_rows": rows}
    if dropped:
        message += f"leaves {of_all(dropped, rows, 'training rows')} without a trained token, so "
        message += "they were not trained on"
        figures["rows_left_out"] = dropped
    if is_full:
        message += "; the others have " if dropped else "cuts most training rows: the rows have "
        message += f"{mean:.1f} tokens on average, close to the limit"
        figures["tokens_a_row"] = round(mean, 1)
    yield Finding(
        FindingKind.TRUNCATED_INPUTS,
        _cut_severity(1.0 if is_full else dropped / rows, dropped / rows),
        message,
        figures,
        otherwise="" if dropped else "all rows may have the same length, just below the limit",
    )


def _held_out(facts: IterationFacts) -> Iterator[Finding]:
    view = facts.view
    if view is None:
        return
    cut = [row for row, example in enumerate(view.table) if example.prompt_cut > 0]
    in_loss = int(facts.metric("eval_rows_cut") or 0)
    total = len(view)
    count = max(len(cut), in_loss)
    if not count:
        return
    message = f"the start of {of_all(count, total, 'held-out prompts')} is cut off"
    figures: dict[str, Figure] = {"rows_cut": count, "total": total, "cut_for_loss": in_loss}
    limit = facts.config.evaluation.max_length if facts.config is not None else None
    if limit is not None:
        figures["max_length"] = limit
        message += f" by evaluation.max_length {limit}"
    elif facts.config is not None and facts.config.evaluation.max_new_tokens is not None:
        new = facts.config.evaluation.max_new_tokens
        message += f" because evaluation.max_new_tokens {new} takes up most of the context"
    what = "the loss was measured on" if in_loss else "outputs were generated from"
    message += f", so {what} incomplete prompts"
    scored = [row for row in cut if view.passed[row] != UNSCORED]
    failed = sum(view.passed[row] == FAILED for row in scored)
    all_failed, all_scored = view.passed.count(FAILED), total - view.passed.count(UNSCORED)
    elsewhere = all_failed - failed, all_scored - len(scored)
    if scored and elsewhere[1]:
        p = OutcomeTest(view).p_value(scored)
        message += (
            f"; {failed} of {counted(len(scored), 'example')} with a cut prompt fail, against "
        )
        message += f"{elsewhere[0]} of {elsewhere[1]} others ({chance(p)})"
        figures |= {"failed": failed, "elsewhere_failed": elsewhere[0], "p": p}
    yield Finding(
        FindingKind.TRUNCATED_INPUTS,
        "alarm"
        if count > MOST_CUT * total
        else "warning"
        if count >= WORTH_CUT * total
        else "note",
        message,
        figures,
        examples=ids_of(facts, hardest(facts, cut)),
        otherwise="long prompts may be harder even when they are not cut",
    )


WORTH_UNENDED = 0.05
"""Below this share of the rows, outputs without an end change the score by less than chance
does."""

MUCH = 0.2
MOST_UNENDED = 0.5
FEWEST = 5
"""The least number of rows for a finding: fewer are an anecdote."""

_STOP_LENGTH, _STOPS_SHOWN = 30, 3

_RIGHT = {Cause.NO_END_TOKEN.value, Cause.FORMAT.value, Cause.NEAR_MISS.value}
"""Causes of failed outputs whose content is right."""


class _Endings(NamedTuple):
    """The rows whose output reached the limit of new tokens, in three lists, and counts.

    `long`: failed rows whose reference does not fit. `right`: rows whose output has the right
    content first. `lost`: rows whose output does not. `answered` counts all rows with the right
    content. `longest` is the longest reference that does not fit, in tokens.
    """

    scored: int
    failed: int
    answered: int
    long: list[int]
    right: list[int]
    lost: list[int]
    longest: int


def ending(facts: IterationFacts) -> Iterator[Finding]:
    """Reports both findings on how outputs end, from one pass over the rows."""
    endings = _endings(facts)
    if endings is not None:
        yield from _truncated_outputs(facts, endings)
        if has_learned(facts) or knows_task(facts):
            yield from _no_end_token(facts, endings)


def _truncated_outputs(facts: IterationFacts, endings: _Endings) -> Iterator[Finding]:
    limit = facts.measured.max_new_tokens
    if endings.long and limit is not None:
        share = len(endings.long) / endings.scored
        yield Finding(
            FindingKind.TRUNCATED_OUTPUTS,
            "alarm" if share > MOST_UNENDED else "warning" if share >= WORTH_UNENDED else "note",
            f"{of_all(len(endings.long), endings.scored, 'outputs')} were cut and failed: "
            f"evaluation.max_new_tokens is {limit}, but their references have up to "
            f"{endings.longest} tokens",
            {
                "outputs": len(endings.long),
                "total": endings.scored,
                "max_new_tokens": limit,
                "longest_reference": endings.longest,
            },
            examples=ids_of(facts, hardest(facts, endings.long)),
        )
    if len(endings.lost) < max(FEWEST, WORTH_UNENDED * endings.scored) or _never_ends(endings):
        return
    if not (has_learned(facts) or knows_task(facts)):
        return
    yield Finding(
        FindingKind.TRUNCATED_OUTPUTS,
        "warning" if len(endings.lost) >= MUCH * endings.failed else "note",
        f"{len(endings.lost)} of {counted(endings.failed, 'failed output')} reached the limit of "
        f"{limit} new tokens without the right answer, although their references would fit",
        {
            "outputs": len(endings.lost),
            "failed": endings.failed,
            "total": endings.scored,
            "max_new_tokens": limit or 0,
        },
        examples=ids_of(facts, hardest(facts, endings.lost)),
        otherwise="a model that has not learned the answers yet also generates up to the limit",
    )


def _no_end_token(facts: IterationFacts, endings: _Endings) -> Iterator[Finding]:
    never, right = _never_ends(endings), endings.right
    if not never and len(right) < max(FEWEST, WORTH_UNENDED * endings.scored):
        return
    view = facts.view
    failed = [row for row in right if view is not None and view.passed[row] == FAILED]
    ran = len(right) + len(endings.lost)
    limit = facts.measured.max_new_tokens
    message = "the model does not end its answers: "
    message += f"{of_all(ran, endings.scored, 'outputs')} reach the limit"
    message += "" if limit is None else f" of {limit} new tokens"
    message += " although their references would fit"
    if right:
        message += f". {len(right)} of them give the right answer first"
        if failed:
            message += f", and {len(failed)} of these fail because of the text after it"
    cut, rows = facts.metric("train_rows_cut") or 0, facts.metric("train_rows") or 0
    if cut > MOST_UNENDED * rows > 0:
        message += f". {of_all(int(cut), int(rows), 'training rows')} were cut before their end"
    yield Finding(
        FindingKind.NO_END_TOKEN,
        _ending_severity(endings, len(failed)),
        message,
        {
            "outputs": ran,
            "total": endings.scored,
            "right_first": len(right),
            "failed_for_it": len(failed),
            "max_new_tokens": limit or 0,
        },
        examples=ids_of(facts, hardest(facts, failed or right or endings.lost)),
        otherwise=_other_reason(facts),
    )


def _other_reason(facts: IterationFacts) -> str:
    """Returns what else explains outputs without an end; "" where their training rows lack it."""
    if lacks_stops(facts):
        return ""
    stops = [one_line(each, _STOP_LENGTH) for each in trained_stops(facts)[:_STOPS_SHOWN]]
    if stops:
        ends = " or ".join(stops)
        return f"the training rows end with {ends}, so more training may teach the model to stop"
    return (
        "more training may be enough if the end token is trained on; "
        f"{command('check')} shows whether it is"
    )


def _ending_severity(endings: _Endings, failed: int) -> Severity:
    if _never_ends(endings) or (
        failed > MOST_UNENDED * endings.failed and failed > MUCH * endings.scored
    ):
        return "alarm"
    return "warning" if len(endings.right) >= MUCH * endings.answered else "note"


def _never_ends(endings: _Endings) -> bool:
    """Returns whether most outputs reach the limit, whatever their content."""
    return len(endings.right) + len(endings.lost) > MOST_UNENDED * endings.scored


def _endings(facts: IterationFacts) -> _Endings | None:
    view = facts.view if facts.number else None
    limit = facts.measured.max_new_tokens
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
        needed = example.supervised_tokens - 1  # without the last token, which ends the answer
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
