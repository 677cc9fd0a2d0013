"""Why an example failed: named causes, each with the evidence that decided it.

They depend on the record alone. A failed example (`passed` is false) has all causes that apply, the
most important first; an unscored example has none:

suspect_reference  the iterations agree on another answer: see `suspects`.
empty              the output is only white space or punctuation; it then has no other cause.
no_end_token       the right content is at the start, but the model continued to the token limit.
repetition         a passage at the end comes three times or more and makes up half of the output,
                   or a phrase of three words comes four times and makes up half (`repeated`); not
                   where the reference repeats as well.
refusal            it begins like a refusal (`refusal_in`); not where the reference refuses as well
                   (`refuses`), and not where the right content follows.
format             the right content in another form: the reference as whole words within the
                   output, the same number or date written differently or followed by others, or
                   equal JSON with text around it. For labels: the right one and at most two others.
near_miss          equal except for case, punctuation, blanks and the form of numbers and dates; or
                   at most max(1, length / 10) edits away (the output or its first line, 500
                   characters, at least four), all of them slips of spelling (`differ_by_slips`).
prompt_truncated   the start of the prompt was cut off.
wrong_label        another label, or several without the right one.
out_of_vocabulary  metric label, and the output contains no label (an output that the limit cut off
                   within the right label counts as truncated).
truncated_output   the token limit ended it before the right content, another label, a refusal or a
                   repetition.
wrong_content      no other cause applies.

Metric tool_call has these causes instead of format, near_miss and those of labels:

invalid_call       something looks like a call and cannot be parsed.
no_call            the output calls no tool, the reference does.
wrong_tool         another tool, a call that is missing, or one that is not in the reference.
wrong_argument     the right tool, with an argument that is wrong, missing or not in the reference.

Neither format, near_miss nor no_end_token is given where the output denies the reference ("no
refund", "Paris is wrong"), has a word that is another word (`increase` and `decrease`), or another
number, unit or symbol. A date such as 03/04/2026 is equal to neither of the dates that it may be.

Reasoning is not compared: the causes are those of the answer. Where the token limit ended the
output within the reasoning, that is a truncated_output.

Patterns from a record are never run, since a regular expression may take unlimited time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from tui_loop.core.examples.call_causes import call_causes
from tui_loop.core.examples.cause_kinds import Cause, CauseEvidence, Measured
from tui_loop.core.examples.output_comparison import (
    OutputComparison,
    compare_output,
    content_cause,
    count,
    describe_wrong_content,
    limit_of,
    quoted,
)
from tui_loop.core.examples.refusals import refusal_in, refuses
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import NO_METRIC, TOOL_CALL
from tui_loop.core.text.figures import counted
from tui_loop.core.tool_calls import parse_tool_calls

_MOST_LABELS = 100
_LABEL_LENGTH = 60
_RANK = {cause: rank for rank, cause in enumerate(Cause)}
_LABELLED = {Cause.NO_END_TOKEN, Cause.FORMAT, Cause.WRONG_LABEL}
_RIGHT_CONTENT = {Cause.NO_END_TOKEN, Cause.FORMAT, Cause.NEAR_MISS}
_NOT_CUT = {*_LABELLED, Cause.NEAR_MISS, Cause.REPETITION, Cause.REFUSAL}


def measured_of(folder: IterationFolder, examples: Iterable[Example] = ()) -> Measured:
    """Returns how an iteration was evaluated; raises BadInput where its config cannot be read.

    With `examples`, exact_match gets labels if their references look like labels.
    """
    settings = folder.read_config().evaluation
    derived: Any = folder.read_effective().get("evaluation")
    values = derived if isinstance(derived, dict) else {}
    labels, limit = values.get("labels"), values.get("max_new_tokens", settings.max_new_tokens)
    measured = Measured(
        metric=settings.metric,
        labels=tuple(str(each) for each in labels if isinstance(each, str))
        if isinstance(labels, list)
        else tuple(settings.labels or ()),
        max_new_tokens=limit if isinstance(limit, int) else None,
        pattern=settings.pattern,
    )
    return with_inferred_labels(measured, (each.reference for each in examples))


def with_inferred_labels(measured: Measured, references: Iterable[str]) -> Measured:
    """Returns `measured` with `references` as its labels if they look like labels.

    This applies to exact_match, and to metric label without recorded labels. References look like
    labels if there are 2 to 100 distinct are_short ones with letters, each twice on average.
    """
    if measured.metric not in ("exact_match", "label") or measured.labels:
        return measured
    count, seen = 0, set[str]()
    for reference in references:
        count += 1
        seen.add(reference.strip())
        if len(seen) > _MOST_LABELS:
            return measured
    are_short = all(len(each) <= _LABEL_LENGTH and len(each.splitlines()) == 1 for each in seen)
    have_letters = all(any(sign.isalpha() for sign in each) for each in seen)
    if not (are_short and have_letters and 2 <= len(seen) <= count // 2):
        return measured
    return msgspec.structs.replace(measured, labels=tuple(sorted(seen)))


def causes_of(example: Example, measured: Measured) -> tuple[CauseEvidence, ...]:
    """Returns why `example` failed, the most important cause first; () where it did not fail."""
    if example.passed is not False or measured.metric == NO_METRIC:
        return ()
    found = _of_output(example, measured)
    if example.prompt_cut > 0:
        text = f"the first {example.prompt_cut:,} tokens of the prompt were cut off"
        found.append(CauseEvidence(Cause.PROMPT_TRUNCATED, text))
    if len(found) > 1:
        found.sort(key=lambda each: _RANK[each.kind])
    return tuple(found)


def _of_output(example: Example, measured: Measured) -> list[CauseEvidence]:
    comparison = compare_output(example, measured)
    if (unanswered := _unanswered(comparison)) is not None:
        return unanswered
    if (why := _emptiness(comparison)) is not None:
        return [CauseEvidence(Cause.EMPTY, why)]
    if measured.metric == TOOL_CALL:
        return _of_calls(comparison)
    content = content_cause(comparison)
    is_right = content is not None and content.kind in _RIGHT_CONTENT
    refusal = None if is_right else _refusal(comparison)
    found = [each for each in (content, _repetition(comparison), refusal) if each]
    kinds = {each.kind for each in found}
    is_cut = example.truncated and not kinds & _NOT_CUT
    is_start = is_cut and comparison.normal_reference.startswith(comparison.normal_output)
    is_labelled = measured.metric == "label" and bool(measured.labels)
    if is_labelled and not is_start and not kinds & _LABELLED:
        text = f"names none of the {len(measured.labels)} labels: {quoted(comparison.output)}"
        found.append(CauseEvidence(Cause.OUT_OF_VOCABULARY, text))
    if is_cut:
        found.append(CauseEvidence(Cause.TRUNCATED_OUTPUT, _cut(comparison, is_start)))
    return found or [CauseEvidence(Cause.WRONG_CONTENT, describe_wrong_content(comparison))]


def _unanswered(comparison: OutputComparison) -> list[CauseEvidence] | None:
    """Returns why there is only reasoning; None where there is an answer, or no reasoning."""
    has_reasoning = comparison.output != (comparison.example.output or "")
    if not has_reasoning or comparison.output.strip():
        return None
    words = counted(len(comparison.reasoning.split()), "word")
    if not comparison.example.truncated:
        return [CauseEvidence(Cause.EMPTY, f"no answer after {words} of reasoning")]
    text = f"stopped at {limit_of(comparison.measured)}, after {words} of reasoning"
    cut = CauseEvidence(Cause.TRUNCATED_OUTPUT, text)
    repeat = repeated(comparison.reasoning)
    return [cut] if repeat is None else [_repeats(repeat), cut]


def _of_calls(comparison: OutputComparison) -> list[CauseEvidence]:
    """Returns the causes of metric tool_call; a complete call is no repetition and no refusal."""
    output = parse_tool_calls(comparison.output)
    found: list[CauseEvidence | None] = [*call_causes(comparison, output)]
    if not output.calls or comparison.example.truncated:
        found.append(_repetition(comparison))
    if not output.calls and not output.is_broken:
        found.append(_refusal(comparison))
        if comparison.example.truncated:
            found.append(CauseEvidence(Cause.TRUNCATED_OUTPUT, _cut(comparison, is_start=False)))
    causes = [each for each in found if each is not None]
    return causes or [
        CauseEvidence(Cause.WRONG_CONTENT, "the recorded score does not match the calls")
    ]


def _emptiness(comparison: OutputComparison) -> str | None:
    """Returns why an output counts as empty, None if it does not."""
    output, tokens = comparison.example.output, comparison.example.output_tokens
    if output is None:
        return "no output was recorded"
    start = comparison.normal_output[:1]
    if start.isalnum() or any(sign.isalnum() for sign in comparison.normal_output):
        return None
    bare = "".join(sign for sign in output if sign.isprintable() and not sign.isspace())
    if not bare:
        text = f"only white space ({count(tokens, 'token')})" if tokens else None
        return text or "the model stopped immediately"
    if bare.strip(".,:;!?'\"`*_-…()") or not any(
        sign.isalnum() for sign in comparison.normal_reference
    ):
        return None
    return f"only punctuation: {quoted(bare)}"


def _repetition(comparison: OutputComparison) -> CauseEvidence | None:
    repeat = repeated(comparison.output)
    if repeat is None or repeated(comparison.reference) is not None:
        return None
    return _repeats(repeat)


def _repeats(repeat: Repeat) -> CauseEvidence:
    where = " at the end" if repeat.is_tail else ""
    return CauseEvidence(Cause.REPETITION, f"{quoted(repeat.unit)} {repeat.times} times{where}")


def _refusal(comparison: OutputComparison) -> CauseEvidence | None:
    begin = refusal_in(comparison.normal_output)
    if begin is None or refuses(comparison.normal_reference):
        return None
    return CauseEvidence(Cause.REFUSAL, f"begins with a refusal: {quoted(begin)}")


def _cut(comparison: OutputComparison, is_start: bool) -> str:
    text = f"stopped at {limit_of(comparison.measured)}"
    if is_start:
        return f"{text}, correct up to there"
    limit, long = comparison.measured.max_new_tokens, comparison.example.supervised_tokens
    if limit is not None and long > limit + 1:
        return f"{text}; the reference has {count(long, 'token')}"
    return text


LONGEST = 300
"""Characters of the longest passage for which repeats at the end are found."""

TIMES = 3
_WITHIN_A_WORD = 12
"""Characters that a repeat without a blank must cover, since 1000000 and "hahaha" are valid."""

_FEWEST_WORDS = 12


class Repeat(msgspec.Struct, frozen=True):
    """The repeated text of an output, and how often it comes."""

    unit: str
    times: int
    is_tail: bool


def repeated(text: str) -> Repeat | None:
    """Returns what `text` repeats, or None.

    Either a passage comes at least three times at the end and makes up half of the text, or three
    consecutive words come at least four times and make up half of it.
    """
    return _tail(text) or _phrase(text)


def _tail(text: str) -> Repeat | None:
    line = " " + " ".join(
        text.split()
    )  # so that the first word has a blank before it like the others
    size = len(line)
    if size < 2 * TIMES:
        return None
    end = line[-2:]
    place = line.rfind(end, 0, size - 1)
    while place >= 0:
        period = size - 2 - place
        if period > min(LONGEST, size // TIMES):
            return None
        unit = line[-period:]
        if line.endswith(unit * TIMES):
            span = _span(line, period)
            if 2 * span >= size and (" " in unit or span >= _WITHIN_A_WORD):
                return Repeat(unit.strip() or unit, span // period, True)
            return None
        place = line.rfind(end, 0, place + 1)
    return None


def _span(line: str, period: int) -> int:
    """Returns how many characters at the end have the period, by binary search."""
    low, high, size = period, len(line) - period, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        if line[size - middle :] == line[size - middle - period : size - period]:
            low = middle
        else:
            high = middle - 1
    return low + period


def _phrase(text: str) -> Repeat | None:
    words = text.casefold().split()
    if len(words) < _FEWEST_WORDS or 2 * len(set(words)) > len(words) + 6:
        return None
    phrase, times = Counter(zip(words, words[1:], words[2:], strict=False)).most_common(1)[0]
    if times >= TIMES + 1 and 6 * times >= len(words):
        return Repeat(" ".join(phrase), times, False)
    return None
