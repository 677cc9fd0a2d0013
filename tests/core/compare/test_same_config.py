"""What the script that counts false alarms among runs of one config is made of."""

from __future__ import annotations

import math
import random
from itertools import combinations

import pytest

from scripts.same_config import all_halves, called_different, report, sampled_groups
from tests.core.conftest import MakeFinished
from tui_loop.core.record.folders import LoopFolder


def test_ten_runs_have_126_halves_each_once() -> None:
    splits = list(all_halves(10))
    assert len(splits) == 126 == math.comb(10, 5) // 2
    assert len({frozenset(map(frozenset, split)) for split in splits}) == 126
    assert all(sorted((*first, *second)) == list(range(10)) for first, second in splits)


@pytest.mark.parametrize("size", [2, 3])
def test_groups_are_disjoint_differ_and_are_the_same_every_time(size: int) -> None:
    groups = sampled_groups(10, size, 200)
    assert len({frozenset(map(frozenset, split)) for split in groups}) == 200
    assert all(len({*first, *second}) == 2 * size for first, second in groups)
    assert groups == sampled_groups(10, size, 200)
    every = sampled_groups(6, size, 10_000)
    assert len(every) == math.comb(6, size) * math.comb(6 - size, size) // 2


def test_two_groups_that_do_differ_are_called_different() -> None:
    rng = random.Random(1)
    low, high = (
        [[float(rng.random() < chance) for _ in range(100)] for _ in range(5)]
        for chance in (0.2, 0.8)
    )
    assert called_different(low + high, [((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))]) == (1, 1)
    assert called_different(low, list(combinations([(0, 1), (2, 3), (1, 4)], 2))) == (0, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("is_one_config", "last"), [(True, "yes"), (False, "NO")])
def test_the_report_says_yes_of_noise_and_no_of_two_kinds_of_runs(
    loop: LoopFolder,
    finished: MakeFinished,
    capsys: pytest.CaptureFixture[str],
    is_one_config: bool,
    last: str,
) -> None:
    rng = random.Random(2)
    for seed in range(1, 11):
        chance = 0.5 if is_one_config or seed > 5 else 0.1
        finished([float(rng.random() < chance) for _ in range(60)], f"seed={seed}")
    assert report(loop) is is_one_config
    said = capsys.readouterr().out
    assert "training noise: 45 of 45 (100.0%)" in said
    assert said.rstrip().endswith(last)
