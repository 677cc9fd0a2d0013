"""Suggestions from the diagnosis: the first one of the best iteration that was not tried yet."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tui_loop.core.automation.history import History
from tui_loop.core.automation.proposals import Proposal, plan_of_proposal
from tui_loop.core.diagnosis.apply_suggestions import settings_of
from tui_loop.core.diagnosis.findings import Diagnosis, Suggestion
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.structs import Iteration


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
