"""Everything in the record on one example.

An example counts as known where the geometric mean of its reference tokens' probabilities is at
least one half: a mean loss of at most ln 2 nats per token.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.annotations import AnnotationStatus
from tui_loop.core.examples.cause_kinds import CauseEvidence
from tui_loop.core.examples.causes import causes_of
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.examples.history import HistoryPoint, Outcome, Shift
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record import codec
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.safe_open import CHUNK_BYTES, LINE_BYTES, ROWS_BYTES, open_regular
from tui_loop.core.record.structs import Example, StepLoss, TokenLosses

TUNED, BASE = "tuned", "base"


class PastOutcome(msgspec.Struct, frozen=True):
    """The example in one iteration; `output` is None where none was generated or it is missing."""

    point: HistoryPoint
    output: str | None
    score: float | None


class TokenView(msgspec.Struct, frozen=True):
    """The token losses of an iteration; `name` is `tuned`, `base`, or `iteration N`."""

    name: str
    number: int
    tokens: TokenLosses


class ExampleDetail(msgspec.Struct, frozen=True):
    """Everything about one example of an iteration; `against`: the iteration it is compared with.

    `history`: its outcome in every iteration, oldest first. `tokens`: token losses, the iteration's
    own first. `path`: its loss over the evaluations of the run.
    """

    iteration: int
    against: int | None
    example: Example
    outcome: Outcome
    shift: Shift
    causes: tuple[CauseEvidence, ...]
    annotation: AnnotationStatus
    history: tuple[PastOutcome, ...]
    tokens: tuple[TokenView, ...]
    path: LossPath
    max_new_tokens: int | None


def example_detail(
    reader: LoopReader, evaluations: Evaluations, number: int, view: ExampleView, row: int
) -> ExampleDetail:
    """Returns the details of the example in a row of a view; raises TuiLoopError if unreadable.

    Skips other iterations that cannot be read, since they are reported where they are shown.
    """
    example = view.table[row]
    against = view.against.number if view.against is not None else None
    measured = evaluations.measured(number)
    causes = causes_of(example, measured)
    suspect = evaluations.suspects(number).get(example.id)
    if suspect is not None and causes:
        causes = (*causes, suspect)
    history = _history(reader, view, row, example)
    before = next((each.point.loss for each in history if each.point.number == 0), None)
    folder = reader.loop.iteration(number)
    return ExampleDetail(
        iteration=number,
        against=against,
        example=example,
        outcome=view.outcome(row),
        shift=view.shift(row),
        causes=causes,
        annotation=evaluations.annotations().of(example),
        history=history,
        tokens=_tokens(reader, number, against, row, example),
        path=loss_path(folder, example.id, before) if number else LossPath(),
        max_new_tokens=measured.max_new_tokens,
    )


def annotated_detail(detail: ExampleDetail, annotation: AnnotationStatus) -> ExampleDetail:
    """The detail with what people say of the example by now."""
    passed = detail.example.passed
    outcome = Outcome.UNSCORED if passed is None else Outcome.FAILED
    if annotation.verdict == "accepted" or (passed and not annotation.verdict):
        outcome = Outcome.PASSED
    elif annotation.verdict:
        outcome = Outcome.UNSCORED
    return msgspec.structs.replace(detail, annotation=annotation, outcome=outcome)


def _history(
    reader: LoopReader, view: ExampleView, row: int, example: Example
) -> tuple[PastOutcome, ...]:
    found = []
    for point in view.histories.points(row) if view.histories is not None else []:
        was: Example | None = None
        with suppress(TuiLoopError, OSError):
            was = reader.loop.iteration(point.number).read_example(row, example.id)
        found.append(PastOutcome(point, was.output if was else None, was.score if was else None))
    return tuple(found)


def _tokens(
    reader: LoopReader, number: int, against: int | None, row: int, example: Example
) -> tuple[TokenView, ...]:
    named = {number: TUNED if number else BASE}
    if against is not None:
        named.setdefault(against, f"iteration {against}" if against else BASE)
    named.setdefault(0, BASE)
    views = []
    for each, name in named.items():
        with suppress(TuiLoopError, OSError):
            tokens = reader.loop.iteration(each).read_example_tokens(row, example.id)
            if tokens is not None and tokens.tokens:
                views.append(TokenView(name, each, tokens))
    return tuple(views)


KNOWN_LOSS = math.log(2)
"""Up to this loss, in nats per token, an example is known."""

WOBBLE = 0.1
"""An example counts as forgotten only where its loss has risen by more, in nats per token."""

Learned = Literal["known", "learned", "forgotten", "never learned", "unclear"]


class LossPath(msgspec.Struct, frozen=True):
    """An example's loss (nats per token) at each evaluated step; step 0 is before training."""

    steps: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()


def loss_path(folder: IterationFolder, example: str, before: float | None = None) -> LossPath:
    """Reads the losses of an example; skips files and rows that cannot be read.

    `before`: its loss before training, from iteration 0.
    """
    points = _start(folder, before)
    for step in folder.eval_steps():
        with suppress(BadInput, OSError):
            folder.check_place()
            value = _loss_in(folder.evals / f"{step}.jsonl", example)
            if value is not None:
                points[step] = value
    return _path(points)


def learned(path: LossPath) -> Learned:
    """Classifies the course of an example's loss.

    known           at most ln 2 before training and at the end
    learned         above ln 2 before or during training, and at most ln 2 at the end
    forgotten       at most ln 2 at some time, above it at the end, and risen by more than 0.1
    never learned   always above ln 2
    unclear         not evaluated after the start; or above ln 2 at the end, but within 0.1 of its
                    best value below; or never above ln 2 without a value before training
    """
    if not path.steps or path.steps[-1] == 0:
        return "unclear"
    is_known = [value <= KNOWN_LOSS for value in path.losses]  # false for NaN
    if is_known[-1]:
        if path.steps[0] == 0 and is_known[0]:
            return "known"
        return "unclear" if all(is_known) else "learned"
    if not any(is_known):
        return "never learned"
    best = min(value for value in path.losses if value <= KNOWN_LOSS)
    return "unclear" if path.losses[-1] - best <= WOBBLE else "forgotten"


def _start(folder: IterationFolder, before: float | None) -> dict[int, float]:
    return {} if before is None or folder.number == 0 else {0: before}


def _path(points: Mapping[int, float]) -> LossPath:
    steps = tuple(sorted(points))
    return LossPath(steps, tuple(points[step] for step in steps))


def _loss_in(path: Path, example: str) -> float | None:
    """Returns the loss of one row; finds it by its id, to decode no other row."""
    decoder = msgspec.json.Decoder(StepLoss)
    needle = codec.to_json(example)
    for part in _parts(path):
        if needle not in part:
            continue
        for line in part.splitlines():
            if needle in line:
                with suppress(BadInput):
                    row = codec.decoded(decoder, line, str(path))
                    if row.id == example:
                        return codec.number(row.loss)
    return None


def _parts(path: Path) -> Iterator[bytes]:
    """Yields chunks of whole lines."""
    with open_regular(path, ROWS_BYTES) as file:
        while part := file.read(16 * CHUNK_BYTES):
            yield part + file.readline(LINE_BYTES)
