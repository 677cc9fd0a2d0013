"""Filters of iterations: a line of terms, all of which must match.

    state:failed,stopped score>70 lr>=1e-4 is:best rank

A minus negates a term, and commas within one mean "or". Any other word is searched in the changes
and in the reason, ignoring case.
"""

from __future__ import annotations

import difflib
import operator
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import get_args

import msgspec
import regex

from tui_loop.core.compare.best import Best
from tui_loop.core.compare.iteration_order import (
    Figure,
    duration,
    eval_loss,
    learning_rate,
    metric,
    steps,
    token_rate,
    tokens,
)
from tui_loop.core.config.schema import SEED
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.completion import Vocabulary
from tui_loop.core.record.run_glance import RunGlance
from tui_loop.core.record.structs import LIVE, Iteration, State

STATES: tuple[str, ...] = tuple(each for each in get_args(State) if each != "draft")
KINDS = ("best", "base", "live", "replicate", "identical", "scored")
"""What `is:` names beside the states."""

KEYS = ("is", "state")
NUMBERS: dict[str, Figure] = {
    "score": metric("score"),
    "loss": eval_loss,
    "train": metric("train_loss"),
    "lr": learning_rate,
    "time": duration,
    "tokens": tokens,
    "rate": token_rate,
    "steps": steps,
    "number": lambda iteration, _: float(iteration.number),
}
"""Figures that are compared: the score in percent, the time in seconds, the rate in tokens/s."""

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TERM = regex.compile(
    r"""
    (?P<minus>-?)
    (?:
        (?P<figure>[a-z]+)(?P<sign><=|>=|<|>)(?P<value>[-+.%\w]*)(?=\s|$)
      | (?P<key>[a-z]+):(?P<values>[a-z,]*)(?=\s|$)
      | "(?P<quoted>[^"]*)"?
      | (?P<word>\S+)
    )
    """,
    regex.VERBOSE,
)


class Condition(msgspec.Struct, frozen=True):
    """One term; `key` is one of KEYS or NUMBERS, or `word`."""

    key: str
    values: tuple[str, ...]
    sign: str = ""
    is_negated: bool = False


class IterationQuery(msgspec.Struct, frozen=True):
    """A parsed line of terms."""

    text: str = ""
    conditions: tuple[Condition, ...] = ()

    def matches(self, iteration: Iteration, glance: RunGlance, best: Best | None) -> bool:
        """Returns whether all terms match an iteration."""
        return all(
            _matches(each, iteration, glance, best) is not each.is_negated
            for each in self.conditions
        )


def parse_query(text: str) -> IterationQuery:
    """Parses `text`; raises BadInput for an invalid term."""
    conditions, text = [], text.strip()
    for found in _TERM.finditer(text):
        negated = bool(found["minus"])
        if found["figure"] is not None:
            name = _known(found["figure"], NUMBERS, found[0])
            value = _number(found["value"], found[0])
            conditions.append(Condition(name, (value,), found["sign"], negated))
        elif found["key"] is not None:
            key = _known(found["key"], KEYS, found[0])
            values = tuple(each for each in found["values"].split(",") if each)
            conditions.append(Condition(key, _checked(key, values, found[0]), is_negated=negated))
        else:
            word = found["quoted"] if found["quoted"] is not None else found[0][negated:]
            if word:
                conditions.append(Condition("word", (word.casefold(),), is_negated=negated))
    return IterationQuery(text, tuple(conditions))


def without_unfinished_condition(text: str) -> str:
    """Returns the typed text without its last term where that is only begun."""
    last = text.rpartition(" ")[2]
    word = last.removeprefix("-")
    names = [*(f"{key}:" for key in KEYS), *NUMBERS]
    is_begun = bool(word) and (
        any(name.startswith(word) for name in names) or word.endswith(("<", ">", "="))
    )
    key, colon, value = word.partition(":")
    if colon and key in KEYS:
        is_begun = value.rpartition(",")[2] not in _values(key)
    return text[: len(text) - len(last)] if is_begun else text


def vocabulary_of_iterations(iterations: Collection[Iteration]) -> Vocabulary:
    """Returns what filters of these iterations can say."""
    states = Counter(each.state for each in iterations)
    occurring = tuple(name for name, _ in states.most_common())
    return Vocabulary(KEYS, tuple(NUMBERS), {"state": occurring, "is": (*KINDS, *occurring)})


def searched_text(iteration: Iteration) -> str:
    """Returns the text of an iteration that words are searched in: its change and its reason."""
    return f"{iteration.title}\n{' '.join(iteration.changes)}\n{iteration.decision}"


def _matches(
    condition: Condition, iteration: Iteration, glance: RunGlance, best: Best | None
) -> bool:
    if condition.key == "word":
        return condition.values[0] in searched_text(iteration).casefold()
    if condition.key in KEYS:
        return any(_is(value, iteration, best) for value in condition.values)
    value = NUMBERS[condition.key](iteration, glance)
    if value is None:
        return False
    factor = 100.0 if condition.key == "score" else 1.0
    return _SIGNS[condition.sign](factor * value, float(condition.values[0]))


def _is(value: str, iteration: Iteration, best: Best | None) -> bool:
    if value == "best":
        return best is not None and iteration.number in best.runs
    if value == "base":
        return iteration.number == 0
    if value == "live":
        return iteration.state in LIVE
    if value in ("replicate", "identical"):
        is_rerun = iteration.parent not in (None, 0) and iteration.number > 0
        changes = [SEED] if value == "replicate" else []
        return is_rerun and iteration.state != "unreadable" and list(iteration.changes) == changes
    if value == "scored":
        return iteration.metrics.get("score") is not None
    return iteration.state == value


def _values(key: str) -> tuple[str, ...]:
    return STATES if key == "state" else (*KINDS, *STATES)


def _known(name: str, names: Mapping[str, object] | Collection[str], term: str) -> str:
    if name in names:
        return name
    close = difflib.get_close_matches(name, list(names), n=1)
    guess = f", did you mean {close[0]}?" if close else ""
    raise BadInput(f"filter: {term}: no such term{guess}", _help())


def _checked(key: str, values: tuple[str, ...], term: str) -> tuple[str, ...]:
    if not values:
        raise BadInput(f"filter: {term} has no value", _help())
    for value in values:
        if value not in _values(key):
            close = difflib.get_close_matches(value, _values(key), n=1)
            guess = f", did you mean {close[0]}?" if close else ""
            hint = f"one of {', '.join(_values(key))}"
            raise BadInput(f"filter: {key}:{value}: no such state{guess}", hint)
    return values


def _number(value: str, term: str) -> str:
    plain = value.removesuffix("%")
    try:
        if not plain.isascii():  # digits of other scripts are no filter's
            raise ValueError(plain)
        float(plain)
    except ValueError as error:
        problem = f"{value} is not a number" if value else "a number is missing"
        raise BadInput(f"filter: {term}: {problem}", "for example score>70") from error
    return plain


def _help() -> str:
    return f"terms: {', '.join(f'{key}:' for key in KEYS)} {', '.join(f'{f}>' for f in NUMBERS)}"
