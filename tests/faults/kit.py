"""Rows of the table of faults: a marked test is one row, and has to check what its row claims.

    @pytest.mark.fault("the process is killed", group="process", state="interrupted",
                       readable="every event that was written")
    def test_...(outcome: Outcome, ...) -> None:
        ...
        outcome(folder)  # the iteration's state and error kind are the row's

`docs/reliability.md` is generated from these marks by `python -m scripts.reliability`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

import msgspec
import pytest

from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import iteration_of

Group = Literal[
    "process",
    "journal",
    "disk",
    "training",
    "evaluation",
    "memory",
    "checkpoints",
    "text",
    "app",
]


class Fault(msgspec.Struct, frozen=True):
    """What a mark says. `state` "-": no run's state is concerned; `error`: the kind or ""."""

    name: str
    group: Group
    state: str
    readable: str
    error: str = ""


class Outcome:
    """Holds what happened against the test's mark, and remembers that it did."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.was_checked = False

    def __call__(self, folder: IterationFolder) -> None:
        """Asserts that the iteration has the state and the kind of error that the mark says."""
        assert self.fault.state != "-", "the mark claims no state: say outcome.checked()"
        iteration = iteration_of(folder)
        kind = (iteration.error or {}).get("kind", "")
        assert (iteration.state, kind) == (self.fault.state, self.fault.error), iteration.error
        self.was_checked = True

    def checked(self) -> None:
        """Says that the test asserted its own; only where no run's state is concerned."""
        assert self.fault.state == "-", "the mark claims a state: say outcome(folder)"
        self.was_checked = True


def fault_of(item: pytest.Item) -> Fault | None:
    """The mark of a test; raises where it does not say everything that a row needs."""
    mark = item.get_closest_marker("fault")
    if mark is None:
        return None
    [name] = mark.args
    return msgspec.convert({"name": name, **mark.kwargs}, Fault)


@pytest.fixture
def outcome(request: pytest.FixtureRequest) -> Outcome:
    """`outcome(folder)` or `outcome.checked()`: the check that every marked test has to make."""
    fault = fault_of(request.node)
    assert fault is not None, "outcome is for tests that are marked with pytest.mark.fault"
    return Outcome(fault)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fails a marked test that passed without checking what its row claims."""
    result = yield
    if item.get_closest_marker("fault") is not None:
        held = getattr(item, "funcargs", {}).get("outcome")
        if held is None or not held.was_checked:
            pytest.fail("marked as a fault, but its outcome was never checked", pytrace=False)
    return result
