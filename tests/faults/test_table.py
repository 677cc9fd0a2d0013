"""The table of faults is what the tests are marked with, and claims nothing untested."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from scripts.reliability import PAGE, collected, page
from tests.faults.kit import Fault, Outcome, pytest_runtest_call

FAULT = Fault("a name", "process", "-", "everything")


@pytest.mark.train
def test_the_page_is_what_the_script_makes_of_the_marks() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(collected()), "python -m scripts.reliability"


@pytest.mark.parametrize("held", [{}, {"outcome": Outcome(FAULT)}])
def test_a_marked_test_that_never_checked_its_outcome_fails(held: dict[str, Any]) -> None:
    item: Any = SimpleNamespace(get_closest_marker=lambda name: name, funcargs=held)
    call = pytest_runtest_call(item)
    next(call)
    with pytest.raises(pytest.fail.Exception, match="never checked"):
        call.send(None)


def test_a_marked_test_that_checked_its_outcome_passes() -> None:
    outcome = Outcome(FAULT)
    outcome.checked()
    item: Any = SimpleNamespace(get_closest_marker=lambda name: name, funcargs={"outcome": outcome})
    call = pytest_runtest_call(item)
    next(call)
    with pytest.raises(StopIteration):
        call.send(None)


def test_an_outcome_without_a_run_cannot_stand_for_one_with_a_state() -> None:
    with pytest.raises(AssertionError, match="claims a state"):
        Outcome(Fault("a name", "process", "failed", "everything")).checked()
