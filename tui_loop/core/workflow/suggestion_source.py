"""Sources of the autopilot's next iteration: the protocol, and the source that diagnoses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from tui_loop.core.compare.best import best_runs
from tui_loop.core.compare.comparison import Comparer, config_key
from tui_loop.core.config.schema import TRAIN_ON, Config
from tui_loop.core.config.tables import merge, to_tables
from tui_loop.core.config.validation import read_config
from tui_loop.core.diagnosis.apply_suggestions import settings_of
from tui_loop.core.diagnosis.findings import Diagnosis, Suggestion
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.patterns.all_patterns import PatternsReader
from tui_loop.core.preflight.pattern_checks import has_known_harm
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Iteration
from tui_loop.core.workflow.plan import Plan, plan_with, starting_config


class Proposal(msgspec.Struct, frozen=True):
    """The next iteration: `settings` ({"group.field": value}, None for unset) on top of `parent`.

    `parent`: None for the loop's defaults. `suggestion` and `predicted`: as in a `Decision`.
    """

    parent: int | None
    why: str
    settings: dict[str, Any] = {}
    suggestion: str | None = None
    predicted: dict[str, Any] | None = None


class Source(Protocol):
    """Protocol of an object that proposes iterations."""

    def propose(self, history: History) -> Proposal | None:
        """Returns what to try next, None where nothing is worth a run; raises TuiLoopError."""


def plan_of_proposal(loop: LoopFolder, proposal: Proposal) -> Plan:
    """Returns the plan of a proposal; raises TuiLoopError with every problem of its settings."""
    tables = to_tables(starting_config(loop, proposal.parent))
    for name, value in proposal.settings.items():
        group, _, field = name.partition(".")
        tables = merge(tables, {group: {field: value}})
    plan = plan_with(loop, proposal.parent, read_config(tables), proposal.why)
    return msgspec.structs.replace(
        plan, suggestion=proposal.suggestion, predicted=proposal.predicted
    )


def is_data(field: str) -> bool:
    """Returns whether a config field changes the rows or how they are read and rendered.

    `data.train_on` does not: it is a choice of training.
    """
    return field.startswith("data.") and field != TRAIN_ON


class History:
    """The iterations that the autopilot takes into account.

    These are all of the loop, or with `start` that iteration and those that this autopilot has
    `created` (their numbers, in order). `pending`: those that it runs now, whose configs count as
    tried. `refuse` adds configs that cannot be run.
    """

    def __init__(self, loop: LoopFolder, start: int | None = None) -> None:
        self.loop, self.start = loop, start
        self.created: list[int] = []
        self.pending: set[int] = set()
        self.reader = LoopReader(loop)
        self._comparer = Comparer(self.reader)
        self._patterns = PatternsReader(LoopsFolder(loop.path.parent))
        self._refused: set[bytes] = set()

    def refuse(self, config: Config) -> None:
        """Remembers a config that cannot be run, so that it counts as tried."""
        self._refused.add(config_key(config))

    @property
    def trained(self) -> list[Iteration]:
        """Returns the finished and failed iterations that are taken into account."""
        return [each for each in self._all() if self._counts(each.number)]

    @property
    def newest(self) -> Iteration | None:
        """Returns the newest trained iteration."""
        return next(reversed(self.trained), None)

    @property
    def best(self) -> Iteration | None:
        """Returns the first run of the best config, None where none has figures."""
        return next(iter(self.best_runs), None)

    @property
    def best_runs(self) -> tuple[Iteration, ...]:
        """Returns all runs of the best config, the first one first."""
        return best_runs(self._comparer, self.trained)

    def tried(self, config: Config) -> tuple[int, ...]:
        """Returns the iterations of the loop with this config, whatever their seed.

        (0,) for a config that was refused.
        """
        key = config_key(config)
        found = tuple(
            each.number
            for each in self.reader.iterations()
            if (_has_trained(each) or each.number in self.pending) and key_of(each) == key
        )
        return found or ((0,) if key in self._refused else ())

    def has_known_harm(self, config: Config, fields: Iterable[str]) -> bool:
        """Returns whether a law of all loops speaks against the value of one of `fields`."""
        return has_known_harm(self._patterns, config, fields)

    def _counts(self, each: int) -> bool:
        return self.start is None or each == self.start or each in self.created

    def _all(self) -> list[Iteration]:
        return [each for each in self.reader.iterations() if _has_trained(each)]


def _has_trained(iteration: Iteration) -> bool:
    return iteration.number > 0 and iteration.state in ("finished", "failed")


def key_of(iteration: Iteration) -> bytes | None:
    """Returns a key that all iterations of one config share, None where it cannot be read."""
    try:
        return config_key(read_config(iteration.config)) if iteration.config is not None else None
    except BadInput:
        return None


class DiagnosisSource:
    """Source that applies suggestions of the diagnosis to the best iteration.

    Where the newest iteration is not the best, its suggestions for the fields that it changed come
    first: a learning rate that was too high shows where a better one may be.
    """

    def __init__(self, diagnose: Callable[[int], Diagnosis]) -> None:
        self._diagnose = diagnose

    def propose(self, history: History) -> Proposal | None:
        newest, best = history.newest, history.best
        if newest is None:
            return None
        best_iteration = best or newest  # where no iteration has figures
        if newest.number != best_iteration.number:
            for each in self._suggestions(newest.number):
                if each.changes.keys() & newest.changes.keys():
                    proposal = _transferred(each, newest, best_iteration)
                    if _is_new(history, proposal):
                        return proposal
        for each in self._suggestions(best_iteration.number):
            proposal = _proposal(each, best_iteration)
            if not each.tried and _is_new(history, proposal):
                return proposal
        return None

    def _suggestions(self, number: int) -> list[Suggestion]:
        """Returns the suggestions that change config fields, the best first.

        Those that change the data are left to a person: other rows are another experiment.
        """
        suggestions = self._diagnose(number).suggestions
        return [
            each for each in suggestions if each.changes and not any(map(is_data, each.changes))
        ]


def _proposal(suggestion: Suggestion, best_iteration: Iteration) -> Proposal:
    expects = suggestion.expects
    return Proposal(
        best_iteration.number,
        suggestion.why or suggestion.action,
        settings_of(suggestion),
        suggestion.name,
        msgspec.to_builtins(expects) if expects is not None else None,
    )


def _transferred(suggestion: Suggestion, seen: Iteration, best_iteration: Iteration) -> Proposal:
    """Applies the suggestion for one iteration to another, without its prediction."""
    why = (suggestion.why or suggestion.action).rstrip(".")
    return Proposal(
        best_iteration.number,
        f"{why} (seen in iteration {seen.number}, applied to iteration {best_iteration.number}, "
        "the best so far)",
        settings_of(suggestion),
        suggestion.name,
    )


def _is_new(history: History, proposal: Proposal) -> bool:
    """Returns whether a proposal is valid, changes something, and is worth a run.

    It is not where it was tried, or where a law of earlier trials on this base speaks against it.
    """
    try:
        plan = plan_of_proposal(history.loop, proposal)
    except TuiLoopError:
        return False
    if not plan.changes or history.tried(plan.config):
        return False
    return not history.has_known_harm(plan.config, proposal.settings)
