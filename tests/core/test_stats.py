"""The statistics against values known beforehand, and against simulated runs."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest

from tui_loop.core.stats import BOOTSTRAP_PAIRS, Interval, mcnemar, paired_interval, spread_interval


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


@pytest.mark.parametrize("count", [2, 20, 117, BOOTSTRAP_PAIRS])
@pytest.mark.parametrize("are_outcomes", [True, False])
def test_a_paired_interval_is_the_percentile_bootstrap_to_the_last_digit(
    count: int, are_outcomes: bool
) -> None:
    rng = random.Random(count)
    differences = [
        float(rng.randint(-1, 1)) if are_outcomes else rng.lognormvariate(0, 9) - 1e-3
        for _ in range(count)
    ]
    differences[0] += 1.0 if differences[0] == differences[1] else 0.0
    draw = random.Random(20240229).choices
    means = sorted(math.fsum(draw(differences, k=count)) / count for _ in range(1000))
    interval = paired_interval([0.0] * count, differences)
    assert interval is not None
    assert (interval.low, interval.high) == (means[25], means[974])


def test_turning_a_comparison_round_turns_its_sign() -> None:
    old, new = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0, 1.0]
    there, back = paired_interval(old, new), paired_interval(new, old)
    assert there is not None
    assert back is not None
    assert there.delta == pytest.approx(-back.delta) == pytest.approx(0.5)


def test_no_pairs_have_no_interval_and_equal_scores_have_a_certain_one() -> None:
    assert paired_interval([], []) is None
    assert paired_interval([0.5, 1.0], [0.5, 1.0]) == Interval(0.0, 0.0, 0.0)


def test_scores_that_are_not_paired_are_a_bug() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        paired_interval([1.0, 0.0], [1.0])


def test_the_bootstrap_agrees_with_the_normal_limit_where_one_takes_over() -> None:
    rng = random.Random(2)
    scores = [float(rng.random() < 0.3) - float(rng.random() < 0.2) for _ in range(BOOTSTRAP_PAIRS)]
    bootstrap = paired_interval([0.0] * len(scores), scores)
    normal = paired_interval([0.0] * (len(scores) + 1), [*scores, fmean(scores)])
    assert bootstrap is not None
    assert normal is not None
    assert bootstrap.half_width == pytest.approx(normal.half_width, rel=0.12)


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
    # Means 0.4, 0.6 against 0.7, 0.9: delta 0.3, variances 0.02 each, no spread over examples.
    interval = spread_interval([[0.4] * 5, [0.6] * 5], [[0.7] * 5, [0.9] * 5])
    assert interval is not None
    assert interval.delta == pytest.approx(0.3)
    # Welch: 2 degrees of freedom, t = 4.303, standard error sqrt(0.02 / 2 + 0.02 / 2).
    assert interval.half_width == pytest.approx(4.303 * 0.02**0.5, abs=1e-3)
    assert not interval.excludes_zero


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 1), (1, 1), (0, 3)])
def test_fewer_than_two_replicates_a_side_allow_no_claim(old: int, new: int) -> None:
    assert spread_interval([[1.0, 0.0]] * old, [[1.0, 1.0]] * new) is None


def test_no_examples_allow_no_claim() -> None:
    assert spread_interval([[], []], [[], []]) is None


def test_replicates_that_are_equal_to_the_bit_have_a_certain_difference() -> None:
    interval = spread_interval([[0.0, 0.0]] * 2, [[1.0, 1.0]] * 2)
    assert interval == Interval(1.0, 1.0, 1.0)
    assert interval.excludes_zero
