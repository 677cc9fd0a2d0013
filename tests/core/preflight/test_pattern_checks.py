"""What earlier trials have shown is a warning before a run."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.patterns.all_patterns import PatternsReader
from tui_loop.core.preflight.pattern_checks import check_patterns, has_known_harm
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.plan import plan_next

MakeFinished = Callable[..., IterationFolder]


@pytest.fixture
def trials(finished: MakeFinished) -> None:
    """Two rates that are fine, four that diverged."""
    finished([0.0] * 20, base=True)
    for rate in ("1e-4", "1e-3"):
        finished([1.0] * 10 + [0.0] * 10, f"learning_rate={rate}", parent=0)
    for rate in ("3e-2", "5e-2", "1e-1", "2e-1"):
        diverged(finished, rate)


def patterns_beside(loop: LoopFolder) -> PatternsReader:
    return PatternsReader(LoopsFolder(loop.path.parent))


def diverged(finished: MakeFinished, rate: str) -> None:
    folder = finished([0.0] * 20, f"learning_rate={rate}", parent=0)
    summary = folder.read_summary()
    assert summary is not None
    error = {"kind": "diverged", "message": "", "hint": "", "step": 3}
    folder.write_summary(msgspec.structs.replace(summary, state="failed", error=error))


def config(loop: LoopFolder, *settings: str) -> Config:
    return plan_next(loop, parent=1, settings=list(settings), why="").config


@pytest.mark.usefixtures("trials")
def test_a_value_that_made_earlier_runs_diverge_is_a_warning(loop: LoopFolder) -> None:
    (found,) = check_patterns(loop, config(loop, "learning_rate=5e-2"))
    assert (found.severity, found.kind) == ("warning", "bad_before")
    assert found.field == "training.learning_rate"
    assert found.message == (
        "learning_rate 0.05: at 0.03 or more: diverged 4 of 4 times on this base"
    )
    assert found.hint == "choose a different learning_rate"


@pytest.mark.usefixtures("trials")
@pytest.mark.parametrize(
    "settings", [["learning_rate=2e-3"], ["learning_rate=5e-2", "model.id=other"], []]
)
def test_other_values_and_other_bases_have_no_warning(
    loop: LoopFolder, settings: list[str]
) -> None:
    assert check_patterns(loop, config(loop, *settings)) == []


@pytest.mark.usefixtures("trials")
def test_harm_is_known_of_the_fields_that_a_law_names(loop: LoopFolder) -> None:
    bad = config(loop, "learning_rate=5e-2")
    assert has_known_harm(patterns_beside(loop), bad, ["training.learning_rate"])
    assert not has_known_harm(patterns_beside(loop), bad, ["lora.r"])


def test_one_diverged_run_is_no_law(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([0.0] * 20, base=True)
    diverged(finished, "5e-2")
    bad = config(loop, "learning_rate=5e-2")
    assert not has_known_harm(patterns_beside(loop), bad, ["training.learning_rate"])
