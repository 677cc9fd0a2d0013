"""Sources of the autopilot's next iteration: what a source is, and the diagnosis as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from tui_loop.core.compare.best import best_runs
from tui_loop.core.compare.comparison import Comparer, config_key
from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import merge, to_tables
from tui_loop.core.config.validation import read_config
from tui_loop.core.diagnosis.apply_suggestions import settings_of
from tui_loop.core.diagnosis.findings import Diagnosis, Suggestion
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Iteration
from tui_loop.core.workflow.plan import Plan, config_before, plan_with


class Proposal(msgspec.Struct, frozen=True):
    """The next iteration: `settings` ({"group.field": value, None = unset}) on top of `parent`.

    `parent`: None for the loop's defaults. `suggestion` and `predicted`: as a `Decision` has them.
    """

    parent: int | None
    why: str
    settings: dict[str, Any] = {}
    suggestion: str | None = None
    predicted: dict[str, Any] | None = None


class Source(Protocol):
    """Where suggestions come from."""

    def propose(self, history: History) -> Proposal | None:
        """What to try next; None where nothing is worth it. Raises TuiLoopError."""


def plan_of_proposal(loop: LoopFolder, proposal: Proposal) -> Plan:
    """The plan of a proposal; raises TuiLoopError with every problem of its settings."""
    tables = to_tables(config_before(loop, proposal.parent))
    for name, value in proposal.settings.items():
        group, _, field = name.partition(".")
        tables = merge(tables, {group: {field: value}})
    plan = plan_with(loop, proposal.parent, read_config(tables), proposal.why)
    return msgspec.structs.replace(
        plan, suggestion=proposal.suggestion, predicted=proposal.predicted
    )


class History:
    """The iterations of a loop that count: those from `start` on that were made here, or all.

    `start`: an iteration to go on from, whatever else the loop has. `made`: numbers of what was
    made here, in order. `refuse` adds settings that cannot be run.
    """

    def __init__(self, loop: LoopFolder, start: int | None = None) -> None:
        self.loop, self.start = loop, start
        self.made: list[int] = []
        self.reader = LoopReader(loop)
        self._comparer = Comparer(self.reader)
        self._refused: set[bytes] = set()

    def refuse(self, config: Config) -> None:
        """Notes a config that cannot be run, so that it counts as tried."""
        self._refused.add(config_key(config))

    @property
    def trained(self) -> list[Iteration]:
        """The iterations that count and came to an end of their own: finished or failed."""
        return [each for each in self._all() if self._counts(each.number)]

    @property
    def newest(self) -> Iteration | None:
        """The last of these."""
        return next(reversed(self.trained), None)

    @property
    def best(self) -> Iteration | None:
        """The first run of the best config (`progress.best`); None where none has figures."""
        return next(iter(self.best_runs), None)

    @property
    def best_runs(self) -> tuple[Iteration, ...]:
        """All runs of the best config that count, the first one first."""
        return best_runs(self._comparer, self.trained)

    def tried(self, config: Config) -> tuple[int, ...]:
        """Iterations of the loop that had this config, whatever their seed; (0,) where it was
        refused."""
        key = config_key(config)
        found = tuple(each.number for each in self._all() if key_of(each) == key)
        return found or ((0,) if key in self._refused else ())

    def _counts(self, each: int) -> bool:
        return self.start is None or each == self.start or each in self.made

    def _all(self) -> list[Iteration]:
        numbers = [each for each in self.reader.numbers() if each > 0]
        iterations = [self.reader.iteration(each) for each in numbers]
        return [each for each in iterations if each.state in ("finished", "failed")]


def key_of(iteration: Iteration) -> bytes | None:
    """What iterations of one config share; None where the config cannot be read."""
    try:
        return config_key(read_config(iteration.config)) if iteration.config is not None else None
    except BadInput:
        return None


class DiagnosisSource:
    """Builds on the best iteration; a branch that got worse is left.

    What the diagnosis of a worse or failed one says of the very fields that were changed there is
    heard first: a rate that was too high says where to look for a better one.
    """

    def __init__(self, diagnose: Callable[[int], Diagnosis]) -> None:
        self._diagnose = diagnose

    def propose(self, history: History) -> Proposal | None:
        newest, best = history.newest, history.best
        if newest is None:
            return None
        ground = best or newest
        if newest.number != ground.number:
            for each in self._suggestions(newest.number):
                if each.changes.keys() & newest.changes.keys():
                    proposal = _transferred(each, newest, ground)
                    if _is_new(history, proposal):
                        return proposal
        for each in self._suggestions(ground.number):
            proposal = _proposal(each, ground)
            if not each.tried and _is_new(history, proposal):
                return proposal
        return None

    def _suggestions(self, number: int) -> list[Suggestion]:
        """Those that a config can take, the best first."""
        return [each for each in self._diagnose(number).suggestions if each.changes]


def _proposal(suggestion: Suggestion, ground: Iteration) -> Proposal:
    expects = suggestion.expects
    return Proposal(
        ground.number,
        suggestion.why or suggestion.action,
        settings_of(suggestion),
        suggestion.name,
        msgspec.to_builtins(expects) if expects is not None else None,
    )


def _transferred(suggestion: Suggestion, seen: Iteration, ground: Iteration) -> Proposal:
    """The suggestion for one iteration, applied to another; its prediction was about the first."""
    why = (suggestion.why or suggestion.action).rstrip(".")
    return Proposal(
        ground.number,
        f"{why} (seen in {seen.number}; {ground.number} is the best so far)",
        settings_of(suggestion),
        suggestion.name,
    )


def _is_new(history: History, proposal: Proposal) -> bool:
    """Whether it can be planned, changes something, and no iteration had these settings."""
    try:
        plan = plan_of_proposal(history.loop, proposal)
    except TuiLoopError:
        return False
    return bool(plan.changes) and not history.tried(plan.config)
