"""Suspect references: of held-out examples whose iterations agree on another answer, and of
training rows that stay hard or contradict each other.

Iterations share a base and training data, so what they agree on may be their common error; that is
why a suspect reference is a matter for a person, and why little is called one:

- at least 3 iterations (the base may be one) answered, at least 80% of them the same, which is
  not the reference, and none of them passed;
- those that say so give the reference little probability: less than 5% in the median;
- an iteration that says one thing to more than half of its rows, and to far more than should get
  it, does not count;
- an output that names no label is no answer; without labels, what is long, cut, empty, a refusal,
  or the reference in another form is none either: that open-ended texts agree says nothing.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from statistics import median

import msgspec

from tui_loop.core.data.rows import Row
from tui_loop.core.examples.cause_kinds import Cause, CauseEvidence, Measured
from tui_loop.core.examples.causes import causes_of
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import Example, TrainingRow
from tui_loop.core.scoring import label_reader, last_number, normalised
from tui_loop.core.text.untrusted import one_line

FEWEST_ANSWERS = 3
AGREEING = 0.8
SMALL_PROBABILITY = 0.05
ONE_THING = 0.5
_FEWEST_ROWS = 10
"""Rows from which on it can be told that an iteration says one thing to most."""

_ANSWER_LENGTH = 80
_SHOWN = 32
_NO_ANSWER = {
    Cause.EMPTY,
    Cause.NO_END_TOKEN,
    Cause.REPETITION,
    Cause.REFUSAL,
    Cause.FORMAT,
    Cause.NEAR_MISS,
}

Read = Callable[[Example], str | None]
Said = dict[str, tuple[Example, str]]
"""The rows of an iteration that got an answer, and that answer, by id."""


def suspect_references(
    by_iteration: Sequence[Sequence[Example]],
    labels: Sequence[str] = (),
    metric: str | None = None,
) -> dict[str, CauseEvidence]:
    """The examples whose reference is suspect, by id, with the evidence.

    `by_iteration`: the examples of iterations that were measured alike, the base included, the
    newest last; only rows with the newest reference of their id count. `metric`: as it was
    measured; unset: label where there are labels, else exact_match.
    """
    measured = Measured(metric or ("label" if labels else "exact_match"), tuple(labels))
    references = {row.id: row.reference for rows in by_iteration for row in rows}
    wanted = Counter(normalised(each) for each in references.values())
    read = _reader(measured)
    witnesses = []
    for rows in by_iteration:
        current = [row for row in rows if row.reference == references[row.id]]
        said = _answers(current, read)
        if not _says_one_thing(said, len(current), wanted):
            witnesses.append(said)
    found = {}
    for example in references:
        heard = [said[example] for said in witnesses if example in said]
        if (why := _disagreement(heard, measured)) is not None:
            found[example] = CauseEvidence(Cause.SUSPECT_REFERENCE, why)
    return found


def _reader(measured: Measured) -> Read:
    """What gives a row's answer in a form that can be compared, None where it has none."""
    if measured.labels:
        label_in, known = label_reader(measured.labels), dict[str, str | None]()

        def label(row: Example) -> str | None:
            output = row.output or ""
            if output not in known:  # the same few outputs come again and again
                named = label_in(output)
                known[output] = None if named is None else normalised(named)
            return known[output]

        return label
    if measured.metric == "numeric":
        return _last_number
    return _short_text


def _last_number(row: Example) -> str | None:
    value = last_number(row.output or "")
    return None if value is None or row.truncated else str(value.normalize())


def _short_text(row: Example) -> str | None:
    output = row.output or ""
    if row.truncated or len(output) > 2 * _ANSWER_LENGTH:
        return None
    form = normalised(output)
    return form if 0 < len(form) <= _ANSWER_LENGTH else None


def _answers(rows: Sequence[Example], read: Read) -> Said:
    return {
        row.id: (row, answer)
        for row in rows
        if row.passed is not None and row.output is not None and (answer := read(row)) is not None
    }


def _says_one_thing(said: Said, rows: int, wanted: Counter[str]) -> bool:
    """Whether most rows get one answer, and more than half of those that should not, too."""
    if not said or rows < _FEWEST_ROWS:
        return False
    answer, times = Counter(answer for _, answer in said.values()).most_common(1)[0]
    due = wanted[answer] / wanted.total()
    return times > rows * max(ONE_THING, (1 + due) / 2)


def _disagreement(heard: list[tuple[Example, str]], measured: Measured) -> str | None:
    if len(heard) < FEWEST_ANSWERS or any(row.passed for row, _ in heard):
        return None
    (answer, times), *_ = Counter(answer for _, answer in heard).most_common(1)
    if times < AGREEING * len(heard):
        return None
    agreeing = [row for row, said in heard if said == answer]
    chances = [chance for row in agreeing if (chance := _chance(row)) is not None]
    if chances and median(chances) >= SMALL_PROBABILITY:
        return None
    if not measured.labels and any(
        each.kind in _NO_ANSWER for each in causes_of(agreeing[-1], measured)
    ):
        return None
    text = f"{times} of {len(heard)} iterations that answered say '{one_line(answer, _SHOWN)}'"
    reference = one_line(agreeing[-1].reference, _SHOWN)
    if not chances:
        return f"{text}, none says '{reference}'"
    return f"{text}; they give '{reference}' {_percent(median(chances))}"


def _chance(row: Example) -> float | None:
    """The probability that the model gave the whole reference."""
    loss, tokens = number(row.loss), number(row.supervised_tokens)
    if loss is None or tokens is None or math.isnan(loss):
        return None
    return math.exp(-min(max(0.0, loss * tokens), 700.0))


def _percent(share: float) -> str:
    return "less than 0.1%" if share < 0.001 else f"{share:.1%}"


class Suspect(msgspec.Struct, frozen=True):
    """A measured training row, and the other rows of its file that have the same input.

    `conflicts`: (line, reference) of those with another reference; `repeats`: lines of those
    with the same one.
    """

    row: TrainingRow
    conflicts: tuple[tuple[int, str], ...] = ()
    repeats: tuple[int, ...] = ()


def suspect_training_rows(
    measured: Sequence[TrainingRow], trained: Sequence[Row] = (), limit: int | None = None
) -> list[Suspect]:
    """The rows of highest loss first, those that are not finite before all; at most `limit`.

    `trained`: all training rows, as far as they are known.
    """
    alike: dict[str, list[Row]] = defaultdict(list)
    for row in trained:
        if row.prompt:
            alike[row.prompt].append(row)
    ranked = sorted(measured, key=lambda each: (-_hardness(each), each.source_line))
    return [_suspect(row, alike.get(row.prompt, [])) for row in ranked[:limit]]


def median_loss(measured: Sequence[TrainingRow]) -> float | None:
    """The loss that half of the rows are below; None where none is finite."""
    losses = [_hardness(each) for each in measured]
    finite = [each for each in losses if math.isfinite(each)]
    return median(finite) if finite else None


def _suspect(row: TrainingRow, alike: Sequence[Row]) -> Suspect:
    others = [each for each in alike if each.line != row.source_line]
    said = row.reference.strip()
    return Suspect(
        row,
        tuple((each.line, each.reference) for each in others if each.reference.strip() != said),
        tuple(each.line for each in others if each.reference.strip() == said),
    )


def _hardness(row: TrainingRow) -> float:
    """The loss; no loss is the least, one that is not a number the most."""
    loss = number(row.loss)
    if loss is None:
        return -math.inf
    return math.inf if math.isnan(loss) else loss
