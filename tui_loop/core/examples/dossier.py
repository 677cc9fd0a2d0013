"""All that the record has on one held-out example, for whoever reads it."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.causes import Found, causes_of
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.examples.history import Moment, Outcome, Shift
from tui_loop.core.examples.judgements import Standing
from tui_loop.core.examples.learning import LossPath, loss_path
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.reader import LoopReader
from tui_loop.core.records import Example, TokenLosses

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


class Dossier(msgspec.Struct, frozen=True):
    """One example of an iteration, `against` the iteration that it is held against.

    `then`: what became of it in every iteration that has it, oldest first. `tokens`: whose token
    losses there are, the iteration's own first. `path`: its loss over the run's evaluations.
    """

    iteration: int
    against: int | None
    example: Example
    outcome: Outcome
    shift: Shift
    causes: tuple[Found, ...]
    standing: Standing
    then: tuple[Then, ...]
    tokens: tuple[TokenView, ...]
    path: LossPath
    max_new_tokens: int | None


def dossier_of(
    reader: LoopReader, evaluations: Evaluations, number: int, view: ExampleView, row: int
) -> Dossier:
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
    return Dossier(
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


def judged_dossier(dossier: Dossier, standing: Standing) -> Dossier:
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
