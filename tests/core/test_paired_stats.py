"""Paired tests and intervals against values known beforehand, and against simulated runs."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean

import pytest

from tui_loop.core.paired_stats import (
    mcnemar,
    mean_sign_flip,
    paired_interval,
    spread_interval,
)
from tui_loop.core.stats import Z95, Interval


@pytest.mark.parametrize(
    ("fixed", "broken", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (3, 3, 1.0),
        (5, 0, 0.0625),  # 2 / 2**5
        (8, 1, 0.0390625),  # 2 * (1 + 9) / 2**9
        (1, 8, 0.0390625),
        (10, 2, 2 * (1 + 12 + 66) / 2**12),
        (15, 5, 0.04138946533203125),  # R: binom.test(5, 20)
        (0, 3000, 0.0),
    ],
)
def test_mcnemar_gives_the_exact_binomial_p_value(fixed: int, broken: int, p: float) -> None:
    assert mcnemar(fixed, broken) == pytest.approx(p, abs=1e-12)


def test_a_paired_interval_is_the_same_every_time_and_holds_the_mean() -> None:
    rng = random.Random(1)
    old = [rng.random() for _ in range(50)]
    new = [score + rng.gauss(0.1, 0.3) for score in old]
    interval = paired_interval(old, new)
    assert interval is not None
    assert interval == paired_interval(old, new)
    assert interval.delta == pytest.approx(fmean(new) - fmean(old))
    assert interval.low < interval.delta < interval.high


@pytest.mark.parametrize("total", [1, 20, 400])
def test_outcomes_that_do_not_change_leave_an_interval(total: int) -> None:
    interval = outcomes_interval(0, 0, total)
    bound = Z95**2 / (total + Z95**2)  # Tango's interval in closed form
    assert (interval.low, interval.high) == pytest.approx((-bound, bound))


@pytest.mark.parametrize(
    ("fixed", "broken", "total"), [(1, 0, 1), (3, 0, 6), (4, 0, 117), (5, 0, 5), (0, 0, 500)]
)
def test_a_few_changed_outcomes_show_no_difference(fixed: int, broken: int, total: int) -> None:
    interval = outcomes_interval(fixed, broken, total)
    assert not interval.excludes_zero
    assert interval.half_width > 0
    assert interval.margin >= abs(interval.delta)


def outcomes_interval(fixed: int, broken: int, total: int) -> Interval:
    old = [0.0] * fixed + [1.0] * (total - fixed)
    new = [1.0] * fixed + [0.0] * broken + [1.0] * (total - fixed - broken)
    interval = paired_interval(old, new)
    assert interval is not None
    return interval


@pytest.mark.parametrize("total", [1, 5, 6, 9, 40, 117, 400])
def test_the_interval_of_outcomes_excludes_zero_where_mcnemar_does(total: int) -> None:
    for changed in range(min(total, 60) + 1):
        for fixed in range(changed + 1):
            interval = outcomes_interval(fixed, changed - fixed, total)
            is_claimed = mcnemar(fixed, changed - fixed) <= 0.05
            assert interval.excludes_zero is is_claimed, (fixed, changed - fixed)


def test_two_rows_never_show_a_difference() -> None:
    interval = paired_interval([1.0, 2.0], [1.012, 2.012])
    assert interval is not None
    assert interval.delta == pytest.approx(0.012)
    assert not interval.excludes_zero


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("change", [-0.25, 0.0, 0.5])
def test_examples_that_all_change_alike_leave_an_interval(count: int, change: float) -> None:
    interval = paired_interval([0.25] * count, [0.25 + change] * count)
    assert interval is not None
    assert interval.delta == change
    assert interval.low < interval.high
    assert not interval.excludes_zero


def test_six_losses_that_all_fall_are_a_difference() -> None:
    # Six equal signs have p = 2 / 2**6 = 0.03.
    old = [2.0, 2.1, 1.9, 2.2, 2.0, 1.8]
    interval = paired_interval(old, [each - fall for each, fall in zip(old, FALLS, strict=True)])
    assert interval is not None
    assert interval.high < 0


FALLS = [0.4, 0.5, 0.45, 0.6, 0.55, 0.5]

GRADES = (0, 0, 0.25, 0.5, 1)
DIFFERENCES: dict[str, Callable[[random.Random], float]] = {
    "normal": lambda rng: rng.gauss(0, 1),
    "long tails": lambda rng: rng.choice((-1, 1)) * rng.lognormvariate(0, 2),
    "two values": lambda rng: rng.choice((-1, 1)) * (1 + rng.random() / 100),
    "few change much": lambda rng: (rng.random() < 0.05) * rng.choice((-1.0, 1.0)) * 0.7,
    "few change much, the rest a little": lambda rng: (
        rng.choice((-0.7, 0.7)) if rng.random() < 0.05 else rng.gauss(0, 0.003)
    ),
    "graded scores": lambda rng: (
        rng.choice((0, 0, 0.25, 0.5, 1)) - rng.choice((0, 0, 0.25, 0.5, 1))
    ),
    "outcomes": lambda rng: float(rng.random() < 0.7) - float(rng.random() < 0.7),
}


@pytest.mark.parametrize("kind", DIFFERENCES)
@pytest.mark.parametrize("count", [4, 5, 6, 7, 9, 12, 20, 50, 117, 500])
def test_equal_models_are_called_different_in_at_most_5_percent(kind: str, count: int) -> None:
    rng, trials = random.Random(f"{kind} {count}"), 600 if count <= 50 else 120
    called = 0
    for _ in range(trials):
        interval = paired_interval([0.0] * count, [DIFFERENCES[kind](rng) for _ in range(count)])
        assert interval is not None
        assert interval.half_width > 0
        called += interval.excludes_zero
    assert called <= 0.05 * trials + 2.33 * math.sqrt(0.05 * 0.95 * trials)


@pytest.mark.parametrize("clusters", [4, 6, 12, 40])
def test_equal_models_of_conversations_are_called_different_in_at_most_5_percent(
    clusters: int,
) -> None:
    rng, trials, called = random.Random(clusters), 1000, 0
    for _ in range(trials):
        numbers, differences = [], []
        for number in range(clusters):
            size, shift = rng.randint(1, 4), rng.choice((-1.0, 0.0, 0.0, 1.0))
            numbers += [number] * size
            differences += [shift] * size
        interval = paired_interval([0.0] * len(numbers), differences, numbers)
        assert interval is not None
        called += interval.excludes_zero
    assert called <= 0.05 * trials + 2.33 * math.sqrt(0.05 * 0.95 * trials)


def test_the_sign_flip_test_of_values_counts_all_signs() -> None:
    assert mean_sign_flip([1.0, 2.0, 4.0]) == 2 / 8
    assert mean_sign_flip([1.0, 2.0, -4.0]) == 1.0  # |-1| is the smallest sum of all
    assert mean_sign_flip([0.0, 0.0]) == 1.0
    assert mean_sign_flip([0.5] * 9) == pytest.approx(2 / 2**9)


def test_the_sign_flip_test_of_many_values_is_close_to_counting_all_signs() -> None:
    rng = random.Random(4)
    for _ in range(20):
        values = [rng.gauss(0.3, 1) * (5 if rng.random() < 0.2 else 1) for _ in range(13)]
        sums = [0.0]
        for each in values:
            sums = [total + sign * each for total in sums for sign in (1, -1)]
        exact = sum(abs(each) >= abs(sum(values)) - 1e-12 for each in sums) / len(sums)
        assert mean_sign_flip(values) == pytest.approx(exact, abs=0.015)


def test_turning_a_comparison_round_turns_its_sign() -> None:
    old, new = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0, 1.0]
    there, back = paired_interval(old, new), paired_interval(new, old)
    assert there is not None
    assert back is not None
    assert there.delta == pytest.approx(-back.delta) == pytest.approx(0.5)


def test_no_pairs_have_no_interval() -> None:
    assert paired_interval([], []) is None


def test_scores_that_are_not_paired_are_a_bug() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        paired_interval([1.0, 0.0], [1.0])


def test_a_paired_interval_covers_the_truth_about_95_times_in_100() -> None:
    rng, covered = random.Random(3), 0
    for _ in range(100):
        differences = [rng.gauss(0.2, 1.0) for _ in range(40)]
        interval = paired_interval([0.0] * 40, differences)
        assert interval is not None
        covered += interval.low <= 0.2 <= interval.high
    assert 0.88 <= covered / 100 <= 0.99


def replicates(
    rng: random.Random, chances: list[float], runs: int, noise: float
) -> list[list[float]]:
    """Runs of one config: each run has a luck of its own, each example is passed by chance."""
    made = []
    for _ in range(runs):
        luck = rng.gauss(0.0, noise)
        made.append([float(rng.random() < chance + luck) for chance in chances])
    return made


def share_called_different(examples: int, runs: int, noise: float, better: float = 0.0) -> float:
    rng, called, trials = random.Random(f"{examples} {runs} {noise}"), 0, 400
    for _ in range(trials):
        chances = [rng.betavariate(2, 1) for _ in range(examples)]
        old = replicates(rng, chances, runs, noise)
        new = replicates(rng, [chance + better for chance in chances], runs, noise)
        interval = spread_interval(old, new)
        assert interval is not None
        called += interval.excludes_zero
    return called / trials


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
@pytest.mark.parametrize(("examples", "runs"), [(60, 3), (20, 2), (150, 3), (30, 5)])
def test_runs_of_one_config_are_seldom_called_different(
    examples: int, runs: int, noise: float
) -> None:
    assert share_called_different(examples, runs, noise) <= 0.07


def test_a_large_change_is_called_different_nearly_always() -> None:
    assert share_called_different(100, 3, 0.02, better=-0.4) >= 0.9


def test_the_spread_of_replicates_widens_the_interval() -> None:
    calm = spread_interval([[0, 1, 1, 0], [0, 1, 1, 0]], [[1, 1, 1, 0], [1, 1, 1, 0]])
    noisy = spread_interval([[0, 1, 1, 0], [0, 0, 0, 0]], [[1, 1, 1, 1], [1, 1, 0, 0]])
    assert calm is not None
    assert noisy is not None
    assert noisy.half_width > calm.half_width > 0


def test_a_spread_interval_by_hand() -> None:
    # Means 0.4, 0.6 against 0.7, 0.9: delta 0.3, variances 0.02 each. Student: 2 degrees of
    # freedom, t = 4.303, standard error sqrt(0.02 / 2 + 0.02 / 2).
    interval = spread_interval([[0.4] * 9, [0.6] * 9], [[0.7] * 9, [0.9] * 9])
    assert interval is not None
    assert interval.delta == pytest.approx(0.3)
    between, unseen = 4.303 * 0.02**0.5, 0.3 * (1 - 0.025 ** (1 / 9))
    assert interval.half_width == pytest.approx(math.hypot(between, unseen), abs=1e-3)
    assert not interval.excludes_zero


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 1), (1, 1), (0, 3)])
def test_fewer_than_two_replicates_a_side_allow_no_claim(old: int, new: int) -> None:
    assert spread_interval([[1.0, 0.0]] * old, [[1.0, 1.0]] * new) is None


def test_no_examples_allow_no_claim() -> None:
    assert spread_interval([[], []], [[], []]) is None


def test_two_examples_show_no_difference_whatever_the_replicates() -> None:
    interval = spread_interval([[0.0, 0.0]] * 2, [[1.0, 1.0]] * 2)
    assert interval is not None
    assert interval.delta == 1.0
    assert not interval.excludes_zero


def test_replicates_that_agree_on_six_examples_show_a_difference() -> None:
    interval = spread_interval([[0.0] * 6] * 2, [[1.0] * 6] * 2)
    assert interval is not None
    assert interval.low > 0
