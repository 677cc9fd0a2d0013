"""Finds suspect references, and training rows with a high loss or contradictory references.

A reference is suspect where the iterations agree on another answer. Iterations share a base and
training data, so they may agree on a common error. A person must decide, and the criteria are
strict:

- At least 3 iterations (the base counts) answered. At least 80% of them gave the same answer, which
  is not the reference. None of them passed.
- They give the reference little probability: the median is below 5%.
- An iteration that gives one answer to more than half of its rows, far more rows than should get
  that answer, does not count.
- An output without a label is not an answer. Without labels, an output that is long, truncated,
  empty, a refusal, or the reference in another form does not count either, since agreement on
  open-ended texts has no meaning.

Training rows are read from their file on request only, since a stranger's loop may name any file.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from statistics import median

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.data.files.reading import is_data_file
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.row_files import RowFiles, row_files
from tui_loop.core.data.rows import Row
from tui_loop.core.data.source_rows import ReadSource, Source, read_text_source, resolved
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.cause_kinds import Cause, CauseEvidence, Measured
from tui_loop.core.examples.causes import causes_of
from tui_loop.core.hub_id import is_hub_id
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record.codec import number
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example, Split, TrainingRow
from tui_loop.core.scoring import TOOL_CALL, label_reader, last_number, normalised
from tui_loop.core.text.untrusted import one_line
from tui_loop.core.tool_calls import parse_tool_calls

FEWEST_ANSWERS = 3
AGREEING = 0.8
SMALL_PROBABILITY = 0.05
ONE_THING = 0.5
_FEWEST_ROWS = 10
"""Iterations with fewer rows are not tested for giving one answer to most rows."""

_ANSWER_LENGTH = 80
"""Characters of the longest normalised output that is an answer where there are no labels."""

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
Answers = dict[str, tuple[Example, str]]
"""The answered rows of an iteration with their answers, by id."""


def suspect_references(
    by_iteration: Sequence[Sequence[Example]],
    labels: Sequence[str] = (),
    metric: str | None = None,
) -> dict[str, CauseEvidence]:
    """Returns the examples with suspect references, by id, with the evidence.

    `by_iteration`: the examples of iterations that were evaluated in the same way, with the base,
    the newest last; only rows with the newest reference of their id count. `metric`: by default
    label where there are labels, else exact_match.
    """
    measured = Measured(metric or ("label" if labels else "exact_match"), tuple(labels))
    references = {row.id: row.reference for rows in by_iteration for row in rows}
    expected = Counter(normalised(each) for each in references.values())
    read = _reader(measured)
    witnesses = []
    for rows in by_iteration:
        current = [row for row in rows if row.reference == references[row.id]]
        answers = _answers(current, read)
        if not _is_constant(answers, len(current), expected):
            witnesses.append(answers)
    found = {}
    for example in references:
        given = [answers[example] for answers in witnesses if example in answers]
        if (why := _disagreement(given, measured)) is not None:
            found[example] = CauseEvidence(Cause.SUSPECT_REFERENCE, why)
    return found


def _reader(measured: Measured) -> Read:
    """Returns the function that reads a row's answer in comparable form, None without an answer."""
    if measured.labels:
        label_in, known = label_reader(measured.labels), dict[str, str | None]()

        def label(row: Example) -> str | None:
            output = row.output or ""
            if output not in known:  # many rows share a few outputs
                named = label_in(output)
                known[output] = None if named is None else normalised(named)
            return known[output]

        return label
    if measured.metric == "numeric":
        return _last_number
    return _calls if measured.metric == TOOL_CALL else _short_text


def _last_number(row: Example) -> str | None:
    value = last_number(answer_of(row.output))
    return None if value is None or row.truncated else str(value.normalize())


def _calls(row: Example) -> str | None:
    parsed = parse_tool_calls(answer_of(row.output))
    if parsed.is_broken or row.truncated:
        return None
    return " ".join(sorted(parsed.forms.elements())) or None


def _short_text(row: Example) -> str | None:
    output = answer_of(row.output)
    if row.truncated or len(output) > 2 * _ANSWER_LENGTH:
        return None
    form = normalised(output)
    return form if 0 < len(form) <= _ANSWER_LENGTH else None


def _answers(rows: Sequence[Example], read: Read) -> Answers:
    return {
        row.id: (row, answer)
        for row in rows
        if row.passed is not None and row.output is not None and (answer := read(row)) is not None
    }


def _is_constant(answers: Answers, rows: int, expected: Counter[str]) -> bool:
    """Returns whether one answer is given to most rows, and to most rows with another label."""
    if not answers or rows < _FEWEST_ROWS:
        return False
    answer, times = Counter(answer for _, answer in answers.values()).most_common(1)[0]
    right = expected[answer] / expected.total()
    return times > rows * max(ONE_THING, (1 + right) / 2)


def _disagreement(given: list[tuple[Example, str]], measured: Measured) -> str | None:
    if len(given) < FEWEST_ANSWERS or any(row.passed for row, _ in given):
        return None
    (answer, times), *_ = Counter(answer for _, answer in given).most_common(1)
    if times < AGREEING * len(given):
        return None
    agreeing = [row for row, other in given if other == answer]
    chances = [chance for row in agreeing if (chance := _chance(row)) is not None]
    if chances and median(chances) >= SMALL_PROBABILITY:
        return None
    if not measured.labels and any(
        each.kind in _NO_ANSWER for each in causes_of(agreeing[-1], measured)
    ):
        return None
    text = f"of {len(given)} iterations that answered, {times} predict '{one_line(answer, _SHOWN)}'"
    reference = one_line(agreeing[-1].reference, _SHOWN)
    if not chances:
        return f"{text} and none predicts '{reference}'"
    return f"{text}; these give '{reference}' a probability of {_percent(median(chances))} (median)"


def _chance(row: Example) -> float | None:
    """Returns the model's probability of the whole reference."""
    loss, tokens = number(row.loss), number(row.supervised_tokens)
    if loss is None or tokens is None or math.isnan(loss):
        return None
    return math.exp(-min(max(0.0, loss * tokens), 700.0))


def _percent(share: float) -> str:
    return "less than 0.1%" if share < 0.001 else f"{share:.1%}"


class Suspect(msgspec.Struct, frozen=True):
    """A measured training row, and other training rows with the same input.

    `conflicts`: the rows with another reference. `repeats`: the rows with the same one.
    """

    row: TrainingRow
    conflicts: tuple[Row, ...] = ()
    repeats: tuple[Row, ...] = ()


def suspect_training_rows(
    measured: Sequence[TrainingRow], trained: Sequence[Row] = (), limit: int | None = None
) -> list[Suspect]:
    """Returns at most `limit` rows by descending loss, with losses that are not finite first.

    `trained`: the known training rows.
    """
    alike: dict[str, list[Row]] = defaultdict(list)
    for row in trained:
        if row.prompt:
            alike[row.prompt].append(row)
    ranked = sorted(measured, key=lambda each: (-_hardness(each), each.source, each.source_line))
    return [_suspect(row, alike.get(row.prompt, [])) for row in ranked[:limit]]


def median_loss(measured: Sequence[TrainingRow]) -> float | None:
    """Returns the median of the finite losses, None without any."""
    losses = [_hardness(each) for each in measured]
    finite = [each for each in losses if math.isfinite(each)]
    return median(finite) if finite else None


def _suspect(row: TrainingRow, alike: Sequence[Row]) -> Suspect:
    own = row.source, row.source_line
    return Suspect(row, *others_with_prompt(alike, own, row.reference))


def others_with_prompt(
    alike: Sequence[Row], own: tuple[str, int], reference: str
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Returns (contradicting, repeating) rows of those with the same prompt.

    `own`: the source and line of the row that they are compared with.
    """
    others = [each for each in alike if (each.source, each.line) != own]
    is_same = [each.reference.strip() == reference.strip() for each in others]
    return (
        tuple(each for each, same in zip(others, is_same, strict=True) if not same),
        tuple(each for each, same in zip(others, is_same, strict=True) if same),
    )


def _hardness(row: TrainingRow) -> float:
    """Returns the loss as a sort key: a missing loss is the lowest, NaN is the highest."""
    loss = number(row.loss)
    if loss is None:
        return -math.inf
    return math.inf if math.isnan(loss) else loss


class TrainingRows(msgspec.Struct, frozen=True):
    """Training rows with their files.

    `notice`: why these may not be the rows that were used in training, "" where they are.
    """

    rows: Sequence[Row]
    files: RowFiles
    notice: str


def training_rows(folder: IterationFolder, read: ReadSource = read_text_source) -> TrainingRows:
    """Reads the training rows of an iteration from its data as it is now.

    Raises BadInput where the data is not on this machine or cannot be used, NeedsExtra where
    `read` cannot read its format.
    """
    config, recorded = folder.read_config(), folder.read_splits().get("train")
    entry, root = config.data.train, folder.loop.root
    if not entry:
        raise BadInput(f"{folder}: the config names no training data", "choose another iteration")
    files = row_files(entry, root)
    for source, name in files.entries.items():
        path = resolved(name, root)
        if source not in files.paths and (is_data_file(path) or not is_hub_id(name)):
            raise BadInput(
                f"{path}: the training data of {folder} is not on this machine",
                "copy the file there",
            )
    data = _load(config, root, read)
    notice = _notice(folder, recorded, data.splits["train"])
    return TrainingRows(data.train, files, notice)


def _load(config: Config, root: Path, read: ReadSource) -> LoadedData:
    """Loads the training rows only, since other files may be missing."""

    @cache
    def once(entry: str) -> Source:
        return read(entry, root, config)

    data = msgspec.structs.replace(config.data, holdout=None)
    if data.eval is not None:  # not None, which would hold out part of the training rows
        data = msgspec.structs.replace(data, eval=data.train, eval_split=data.train_split)
    training_only = msgspec.structs.replace(config, data=data)
    return load_data(training_only, root, lambda entry, _root, _config: once(entry), refused={})


def _notice(folder: IterationFolder, recorded: Split | None, found: Split) -> str:
    if folder.number == 0:
        return f"{folder} is the untouched base; the rows shown are the training rows of the loop"
    if recorded is None or (recorded.sha256 is None and recorded.digest is None):
        return f"the record does not say which version of {found.path} was used in training"
    is_same_file = recorded.sha256 is not None and recorded.sha256 == found.sha256
    is_same_rows = recorded.digest is not None and recorded.digest == found.digest
    if is_same_file or is_same_rows:
        return ""
    return (
        f"{found.path} has changed since {folder} was trained; the rows shown are the current ones"
    )
