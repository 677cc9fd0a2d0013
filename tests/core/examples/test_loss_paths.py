"""An example's loss over the evaluations within a run, and what it is called."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.examples.example_detail import LossPath, learned, loss_path
from tui_loop.core.record import codec
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import StepLoss

LOW, HIGH = 0.3, 1.5


@pytest.mark.parametrize(
    ("steps", "losses", "word"),
    [
        ((), (), "unclear"),
        ((0,), (HIGH,), "unclear"),
        ((0, 10), (HIGH, LOW), "learned"),
        ((0, 10), (LOW, LOW), "known"),
        ((0, 10, 20), (LOW, HIGH, LOW), "known"),
        ((0, 10), (HIGH, HIGH), "never learned"),
        ((0, 10), (LOW, HIGH), "forgotten"),
        ((0, 10, 20), (HIGH, LOW, HIGH), "forgotten"),
        ((0, 10, 20), (HIGH, 0.68, 0.71), "unclear"),
        ((0, 10), (HIGH, math.nan), "never learned"),
        ((0, 10), (LOW, math.inf), "forgotten"),
        ((0, 10), (LOW, math.nan), "forgotten"),
        ((0, 10), (HIGH, math.log(2)), "learned"),
        ((10, 20), (HIGH, LOW), "learned"),
        ((10, 20), (LOW, HIGH), "forgotten"),
        ((10, 20), (LOW, LOW), "unclear"),
        ((10,), (HIGH,), "never learned"),
    ],
)
def test_a_path_has_its_word(steps: tuple[int, ...], losses: tuple[float, ...], word: str) -> None:
    assert learned(LossPath(steps, losses)) == word


@given(st.lists(st.floats(0, 5), min_size=2, max_size=6))
def test_what_ends_known_is_never_called_forgotten_and_the_other_way_round(
    losses: list[float],
) -> None:
    word = learned(LossPath(tuple(range(len(losses))), tuple(losses)))
    assert (word in ("known", "learned")) == (losses[-1] <= math.log(2))


@pytest.fixture
def folder(finished: Callable[..., IterationFolder]) -> IterationFolder:
    """An iteration with evaluations at 5, 10 (damaged in part) and 20 (no file but a link)."""
    finished([0.0], base=True)
    folder = finished([0.0])
    folder.evals.mkdir()
    for step, first in ((5, 2.0), (10, 0.5)):
        rows = [StepLoss("id0", first, 3), StepLoss('a"é', 0.25, 1), StepLoss("none", None, 0)]
        (folder.evals / f"{step}.jsonl").write_bytes(codec.to_json_lines(rows))
    (folder.evals / "20.jsonl").symlink_to(folder.evals / "5.jsonl")
    (folder.evals / "best.jsonl").write_text("{}")
    return folder


def test_losses_are_read_for_one_example(folder: IterationFolder) -> None:
    assert folder.eval_steps() == [5, 10, 20]
    assert loss_path(folder, "id0", 3.0) == LossPath((0, 5, 10), (3.0, 2.0, 0.5))
    assert loss_path(folder, 'a"é') == LossPath((5, 10), (0.25, 0.25))
    assert loss_path(folder, "none") == loss_path(folder, "nobody") == LossPath()
    assert learned(loss_path(folder, "id0", 3.0)) == "learned"


def test_a_damaged_file_costs_its_own_points_alone(folder: IterationFolder) -> None:
    (folder.evals / "5.jsonl").write_bytes(b'{"id":"id0","loss":\n\xff\n')
    assert loss_path(folder, "id0") == LossPath((10,), (0.5,))


def test_a_loss_that_is_not_finite_is_kept(folder: IterationFolder) -> None:
    rows = [StepLoss("id0", math.inf, 3)]
    (folder.evals / "5.jsonl").write_bytes(codec.to_json_lines(rows))
    assert loss_path(folder, "id0").losses == (math.inf, 0.5)


def test_a_folder_of_evaluations_that_is_a_link_is_not_followed(
    folder: IterationFolder, tmp_path: Path
) -> None:
    folder.evals.rename(tmp_path / "elsewhere")
    folder.evals.symlink_to(tmp_path / "elsewhere")
    assert folder.eval_steps() == []
    assert loss_path(folder, "id0", 1.0) == LossPath((0,), (1.0,))


def test_the_base_has_no_time_before_it(folder: IterationFolder) -> None:
    assert loss_path(folder.loop.iteration(0), "id0", 3.0) == LossPath()
