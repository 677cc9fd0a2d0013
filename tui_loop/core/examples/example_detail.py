"""Everything that the record has on one held-out example.

It counts as known where the model gives its reference's tokens a probability of one half or more
(their geometric mean): a mean loss of at most ln 2 nats a token.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.annotations import Standing
from tui_loop.core.examples.cause_kinds import CauseEvidence
from tui_loop.core.examples.causes import causes_of
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.examples.history import Moment, Outcome, Shift
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record import codec
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.safe_open import CHUNK_BYTES, LINE_BYTES, ROWS_BYTES, open_regular
from tui_loop.core.record.structs import Example, StepLoss, TokenLosses

TUNED, BASE = "tuned", "base"


class Then(msgspec.Struct, frozen=True):
    """The example at one iteration; `output` None where nothing was generated, or it is lost."""

    moment: Moment
    output: str | None
    score: float | None


class TokenView(msgspec.Struct, frozen=True):
    """The token losses that an iteration has; `name` is `tuned`, `base`, or `iteration N`."""

    name: str
    number: int
    tokens: TokenLosses


class ExampleDetail(msgspec.Struct, frozen=True):
    """One example of an iteration, `against` the iteration that it is held against.

    `then`: what became of it in every iteration that has it, oldest first. `tokens`: whose token
    losses there are, the iteration's own first. `path`: its loss over the run's evaluations.
    """

    iteration: int
    against: int | None
    example: Example
    outcome: Outcome
    shift: Shift
    causes: tuple[CauseEvidence, ...]
    standing: Standing
    then: tuple[Then, ...]
    tokens: tuple[TokenView, ...]
    path: LossPath
    max_new_tokens: int | None


def example_detail(
    reader: LoopReader, evaluations: Evaluations, number: int, view: ExampleView, row: int
) -> ExampleDetail:
    """The dossier of the example in a row of a view; raises TuiLoopError where it cannot be read.

    What other iterations have of it is left out where it cannot be read: that is told where they
    are looked at.
    """
    example = view.table[row]
    against = view.against.number if view.against is not None else None
    measured = evaluations.measured(number)
    causes = causes_of(example, measured)
    suspect = evaluations.suspects(number).get(example.id)
    if suspect is not None and causes:
        causes = (*causes, suspect)
    then = _then(reader, view, row, example)
    before = next((each.moment.loss for each in then if each.moment.number == 0), None)
    folder = reader.loop.iteration(number)
    return ExampleDetail(
        iteration=number,
        against=against,
        example=example,
        outcome=view.outcome(row),
        shift=view.shift(row),
        causes=causes,
        standing=evaluations.judgements().of(example),
        then=then,
        tokens=_tokens(reader, number, against, row, example),
        path=loss_path(folder, example.id, before) if number else LossPath(),
        max_new_tokens=measured.max_new_tokens,
    )


def annotated_detail(dossier: ExampleDetail, standing: Standing) -> ExampleDetail:
    """The dossier with what people say of the example by now."""
    passed = dossier.example.passed
    outcome = Outcome.UNSCORED if passed is None else Outcome.FAILED
    if standing.verdict == "accepted" or (passed and not standing.verdict):
        outcome = Outcome.PASSED
    elif standing.verdict:
        outcome = Outcome.UNSCORED
    return msgspec.structs.replace(dossier, standing=standing, outcome=outcome)


def _then(reader: LoopReader, view: ExampleView, row: int, example: Example) -> tuple[Then, ...]:
    found = []
    for moment in view.histories.moments(row) if view.histories is not None else []:
        was: Example | None = None
        with suppress(TuiLoopError, OSError):
            was = reader.loop.iteration(moment.number).read_example(row, example.id)
        found.append(Then(moment, was.output if was else None, was.score if was else None))
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
"""At or below it, in nats a token, an example is known."""

WOBBLE = 0.1
"""Nats a token by which a loss must have risen before an example counts as forgotten."""

Learned = Literal["known", "learned", "forgotten", "never learned", "unclear"]


class LossPath(msgspec.Struct, frozen=True):
    """An example's loss (nats a token) at each evaluated step, 0 being before the training."""

    steps: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()


def loss_path(folder: IterationFolder, example: str, before: float | None = None) -> LossPath:
    """The losses of the example of that id; files and rows that cannot be read are left out.

    `before`: its loss before the training, as iteration 0 measured it.
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
    """What became of the example.

    known           at most ln 2 before the training and at the end
    learned         above ln 2 before the training, or at an evaluation within it, and at most
                    ln 2 at the end
    forgotten       at most ln 2 at some time, above it at the end, and risen by more than 0.1
    never learned   above ln 2 each time
    unclear         not evaluated after the start, or it ends within 0.1 of the best it had on the
                    other side of ln 2, or was never above ln 2 and the start was not measured
    """
    if not path.steps or path.steps[-1] == 0:
        return "unclear"
    is_known = [value <= KNOWN_LOSS for value in path.losses]  # false for one that is no number
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
    """The loss of one row, which is found by its id before any other is decoded."""
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
    """The file in parts that end with a line."""
    with open_regular(path, ROWS_BYTES) as file:
        while part := file.read(16 * CHUNK_BYTES):
            yield part + file.readline(LINE_BYTES)
