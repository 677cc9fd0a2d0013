"""What became of one example over the evaluations within a run.

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

from tui_loop.core import codec
from tui_loop.core.errors import BadInput
from tui_loop.core.opening import CHUNK_BYTES, LINE_BYTES, ROWS_BYTES, open_regular
from tui_loop.core.records import StepLoss
from tui_loop.core.store import IterationFolder

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
