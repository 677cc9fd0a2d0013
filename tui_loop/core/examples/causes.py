"""Why an example failed: named reasons, each with the figures that decided it.

They are decided from the record alone and always the same. Of a failed example (passed is
false; an unscored one has none) all that apply are given, the most telling first:

suspect_reference  the iterations agree on another answer: see `agreement`.
empty              nothing but white space or punctuation came; the only cause of the output then.
no_end_token       the right content stands at the start, and the limit of new tokens ended it.
repetition         the end is one passage three times or more and half of the output, or a phrase
                   of three words comes four times and makes up half (`repeats`); not where the
                   reference does so too.
refusal            it begins as refusals do (`refusals`); not where the reference does so too.
format             the right content in another form: the reference as whole words within the
                   output, the same number spelled otherwise or followed by others, or equal JSON
                   with text around it. Of labels: the right one and at most two others are named.
near_miss          equal but for case, punctuation and blanks, with the same numbers; or at most
                   max(1, length / 10) edits away (the output or its first line, 500 characters,
                   from four on, numbers equal).
prompt_truncated   the model was not shown the start of the prompt.
wrong_label        another label is named, or several and not the right one.
out_of_vocabulary  metric label, and the output names no label at all (one that the limit cut
                   short is the start of the right one, and counts as truncated).
truncated_output   the limit of new tokens ended it, and neither the right content, another label,
                   a refusal nor a repetition was there by then.
wrong_content      nothing of the above says what is wrong with the output.

No pattern from a record is run: a regular expression may take for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tui_loop.core.examples.contents import (
    Case,
    case_of,
    content_cause,
    count,
    limit_of,
    otherwise,
    quoted,
)
from tui_loop.core.examples.found import Cause, Found, Measured
from tui_loop.core.examples.refusals import refusal_in
from tui_loop.core.examples.repeats import repeated
from tui_loop.core.records import Example
from tui_loop.core.scoring import NO_METRIC
from tui_loop.core.store import IterationFolder

__all__ = ["Cause", "Found", "Measured", "causes_of", "measured_of", "with_labels_seen"]

_MOST_LABELS = 100
_LABEL_LENGTH = 60
_RANK = {cause: rank for rank, cause in enumerate(Cause)}
_LABELLED = {Cause.NO_END_TOKEN, Cause.FORMAT, Cause.WRONG_LABEL}
_NOT_CUT = {*_LABELLED, Cause.NEAR_MISS, Cause.REPETITION, Cause.REFUSAL}


def measured_of(folder: IterationFolder, examples: Iterable[Example] = ()) -> Measured:
    """How an iteration was measured; raises BadInput where its config cannot be read.

    With `examples`, exact_match gets the labels that their references look like.
    """
    settings = folder.read_config().evaluation
    derived: Any = folder.read_effective().get("evaluation")
    told = derived if isinstance(derived, dict) else {}
    labels, limit = told.get("labels"), told.get("max_new_tokens", settings.max_new_tokens)
    measured = Measured(
        metric=settings.metric,
        labels=tuple(str(each) for each in labels if isinstance(each, str))
        if isinstance(labels, list)
        else tuple(settings.labels or ()),
        max_new_tokens=limit if isinstance(limit, int) else None,
        pattern=settings.pattern,
    )
    return with_labels_seen(measured, (each.reference for each in examples))


def with_labels_seen(measured: Measured, references: Iterable[str]) -> Measured:
    """With `references` as the labels if they look like it, else `measured` as it is.

    That is of exact_match, and of metric label where no labels are recorded. They do if there are
    2 to 100 short ones with letters, each twice on average.
    """
    if measured.metric not in ("exact_match", "label") or measured.labels:
        return measured
    count, seen = 0, set[str]()
    for reference in references:
        count += 1
        seen.add(reference.strip())
        if len(seen) > _MOST_LABELS:
            return measured
    short = all(len(each) <= _LABEL_LENGTH and len(each.splitlines()) == 1 for each in seen)
    spoken = all(any(sign.isalpha() for sign in each) for each in seen)
    if not (short and spoken and 2 <= len(seen) <= count // 2):
        return measured
    return msgspec.structs.replace(measured, labels=tuple(sorted(seen)))


def causes_of(example: Example, measured: Measured) -> tuple[Found, ...]:
    """Why `example` failed, the most telling reason first; () where it did not fail."""
    if example.passed is not False or measured.metric == NO_METRIC:
        return ()
    found = _of_output(example, measured)
    if example.prompt_cut > 0:
        told = f"the first {example.prompt_cut:,} tokens of the prompt were not shown to the model"
        found.append(Found(Cause.PROMPT_TRUNCATED, told))
    if len(found) > 1:
        found.sort(key=lambda each: _RANK[each.kind])
    return tuple(found)


def _of_output(example: Example, measured: Measured) -> list[Found]:
    case = case_of(example, measured)
    if (why := _nothing(case)) is not None:
        return [Found(Cause.EMPTY, why)]
    found = [each for each in (content_cause(case), _repetition(case), _refusal(case)) if each]
    kinds = {each.kind for each in found}
    is_cut = example.truncated and not kinds & _NOT_CUT
    is_start = is_cut and case.wanted.startswith(case.said)
    is_labelled = measured.metric == "label" and bool(measured.labels)
    if is_labelled and not is_start and not kinds & _LABELLED:
        told = f"names none of the {len(measured.labels)} labels: {quoted(case.output)}"
        found.append(Found(Cause.OUT_OF_VOCABULARY, told))
    if is_cut:
        found.append(Found(Cause.TRUNCATED_OUTPUT, _cut(case, is_start)))
    return found or [Found(Cause.WRONG_CONTENT, otherwise(case))]


def _nothing(case: Case) -> str | None:
    """What came instead of an output, None if one came."""
    output, tokens = case.example.output, case.example.output_tokens
    if output is None:
        return "no output was recorded"
    if any(sign.isalnum() for sign in case.said):
        return None
    bare = "".join(sign for sign in output if sign.isprintable() and not sign.isspace())
    if not bare:
        told = f"nothing but white space in {count(tokens, 'token')}" if tokens else None
        return told or "the model ended at once"
    if bare.strip(".,:;!?'\"`*_-…()") or not any(sign.isalnum() for sign in case.wanted):
        return None
    return f"nothing but punctuation: {quoted(bare)}"


def _repetition(case: Case) -> Found | None:
    repeat = repeated(case.output)
    if repeat is None or repeated(case.reference) is not None:
        return None
    where = " at the end" if repeat.is_tail else ""
    return Found(Cause.REPETITION, f"{quoted(repeat.unit)} {repeat.times} times{where}")


def _refusal(case: Case) -> Found | None:
    begin = refusal_in(case.said)
    if begin is None or refusal_in(case.wanted) is not None:
        return None
    return Found(Cause.REFUSAL, f"begins as a refusal: {quoted(begin)}")


def _cut(case: Case, is_start: bool) -> str:
    told = f"ran into {limit_of(case.measured)}"
    if is_start:
        return f"{told}, right up to there"
    limit, long = case.measured.max_new_tokens, case.example.supervised_tokens
    if limit is not None and long > limit + 1:
        return f"{told}; the reference alone has {long}"
    return told
