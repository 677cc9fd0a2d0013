"""The statistics against a library's, on random data."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest
from scipy import optimize, stats

from tui_loop.core.paired_stats import mcnemar, paired_interval, spread_interval
from tui_loop.core.stats import (
    benjamini_hochberg,
    fisher_greater,
    holm,
    newcombe,
    t95,
    wilson,
)


def test_mcnemar_is_the_binomial_test_of_fixed_against_broken() -> None:
    rng = random.Random(1)
    for _ in range(200):
        total = rng.choice([5, 40, 300, 3000])
        fixed = rng.randint(0, total)
        expected = stats.binomtest(fixed, total).pvalue
        assert mcnemar(fixed, total - fixed) == pytest.approx(expected, rel=1e-9, abs=1e-290)


def test_fisher_is_the_library_s_one_sided_test() -> None:
    rng = random.Random(2)
    for _ in range(150):
        table = [[rng.randint(0, 40) for _ in range(2)] for _ in range(2)]
        (failed, passed), (other_failed, other_passed) = table
        p = fisher_greater(failed, failed + passed, other_failed, other_failed + other_passed)
        assert p == pytest.approx(stats.fisher_exact(table, "greater").pvalue, rel=1e-9)


def test_fisher_holds_in_the_far_tails_of_a_million_examples() -> None:
    rng = random.Random(3)
    for _ in range(300):
        everything = rng.choice([20, 2000, 100_000, 1_000_000])
        total, failures = rng.randint(1, everything - 1), rng.randint(1, everything - 1)
        law = stats.hypergeom(everything, failures, total)
        low, high = law.support()
        failed = min(high, max(low, round(law.mean() + rng.gauss(0, 4) * law.std())))
        p = fisher_greater(failed, total, failures - failed, everything - total)
        assert p == pytest.approx(law.sf(failed - 1), rel=1e-7, abs=1e-290)


def test_fisher_says_nothing_of_an_empty_group_or_where_all_or_none_fail() -> None:
    assert fisher_greater(0, 0, 5, 10) == 1.0
    assert fisher_greater(4, 4, 6, 6) == 1.0
    assert fisher_greater(0, 4, 0, 6) == 1.0
    assert fisher_greater(3, 3, 0, 3) == pytest.approx(1 / 20)


def test_wilson_is_the_library_s_interval() -> None:
    rng = random.Random(4)
    for _ in range(200):
        total = rng.randint(1, 5000)
        count = rng.choice([0, total, rng.randint(0, total)])
        expected = stats.binomtest(count, total).proportion_ci(method="wilson")
        assert wilson(count, total) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
    ],
)
def test_newcombe_gives_the_intervals_of_its_paper(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    count, total, other_count, other_total = counts
    found = newcombe(other_count, other_total, count, total)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.delta == pytest.approx(count / total - other_count / other_total)


def test_newcombe_joins_the_library_s_wilson_intervals() -> None:
    rng = random.Random(8)
    for _ in range(100):
        totals = rng.randint(1, 500), rng.randint(1, 500)
        counts = rng.randint(0, totals[0]), rng.randint(0, totals[1])
        one, other = (
            stats.binomtest(count, total).proportion_ci(method="wilson")
            for count, total in zip(counts, totals, strict=True)
        )
        shares = [count / total for count, total in zip(counts, totals, strict=True)]
        below = ((shares[1] - other.low) ** 2 + (one.high - shares[0]) ** 2) ** 0.5
        found = newcombe(counts[0], totals[0], counts[1], totals[1])
        assert found.low == pytest.approx(shares[1] - shares[0] - below, abs=1e-9)


def test_t_quantiles_are_right_to_three_decimals_at_any_freedom() -> None:
    for freedom in range(1, 400):
        assert t95(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=6e-4)


def test_benjamini_hochberg_is_the_library_s_and_holm_s_by_its_definition() -> None:
    rng = random.Random(5)
    for count in (1, 2, 7, 300):
        p_values = [rng.random() ** 4 for _ in range(count)]
        p_values += p_values[:2]  # ties
        expected = stats.false_discovery_control(p_values, method="bh")
        assert benjamini_hochberg(p_values) == pytest.approx(list(expected), abs=1e-12)
        for index, adjusted in enumerate(holm(p_values)):
            # Rejected where it and every smaller one is below its own share of the level.
            order = sorted(p_values)
            steps = [
                (len(order) - rank) * p for rank, p in enumerate(order) if p <= p_values[index]
            ]
            assert adjusted == pytest.approx(min(1.0, max(steps)))
    assert benjamini_hochberg([]) == holm([]) == []


def test_what_was_tested_and_not_given_counts_in_the_adjustment() -> None:
    every = [0.0001, 0.001, 0.004, 0.2, 0.5, 0.9]
    few = benjamini_hochberg(every[:3], tested=len(every))
    assert few == pytest.approx(benjamini_hochberg(every)[:3])


@pytest.mark.parametrize(
    ("fixed", "broken", "total"), [(9, 1, 44), (60, 20, 400), (1, 8, 30), (7, 0, 7), (6, 6, 50)]
)
def test_the_interval_of_outcomes_inverts_the_score_test_of_a_numeric_fit(
    fixed: int, broken: int, total: int
) -> None:
    """The restricted fit by numeric maximisation, the ends by root finding (Tango 1998)."""

    def deviation(shift: float) -> float:
        def unlikely(rate: float) -> float:  # of a broken example; fixed ones have rate + shift
            shares = (rate + shift, rate, 1 - 2 * rate - shift)
            counts = (fixed, broken, total - fixed - broken)
            pairs = zip(counts, shares, strict=True)
            return -sum(count * math.log(max(share, 1e-300)) for count, share in pairs)

        bounds = (max(0.0, -shift), (1 - shift) / 2)
        rate = optimize.minimize_scalar(
            unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}
        ).x
        variance = total * (2 * rate + shift - shift * shift)
        return (fixed - broken - total * shift) / math.sqrt(max(variance, 1e-12))

    old = [0.0] * fixed + [1.0] * (total - fixed)
    new = [1.0] * fixed + [0.0] * broken + [1.0] * (total - fixed - broken)
    ours, delta = paired_interval(old, new), (fixed - broken) / total
    assert ours is not None
    low = optimize.brentq(lambda at: deviation(at) - 1.959964, -0.999, delta - 1e-6)
    assert ours.low == pytest.approx(low, abs=1e-4)
    if delta < 1:
        high = optimize.brentq(lambda at: deviation(at) + 1.959964, delta + 1e-6, 0.999)
        assert ours.high == pytest.approx(high, abs=1e-4)


@pytest.mark.parametrize("count", [12, 117, 4000])
def test_a_paired_interval_of_losses_is_the_library_s_t_interval(count: int) -> None:
    rng = random.Random(count)
    old = [rng.lognormvariate(-1, 1.2) for _ in range(count)]
    new = [loss * rng.lognormvariate(-0.3, 0.5) for loss in old]
    ours = paired_interval(old, new)
    assert ours is not None
    theirs = stats.ttest_rel(new, old).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-3)


def test_a_spread_interval_of_runs_with_little_noise_of_examples_is_the_library_s_t_interval() -> (
    None
):
    rng = random.Random(7)
    old, new = (
        [[level + rng.gauss(0, 1e-4) for _ in range(20)] for level in levels]
        for levels in (
            [rng.gauss(0.5, 0.1) for _ in range(4)],
            [rng.gauss(0.6, 0.1) for _ in range(3)],
        )
    )
    ours = spread_interval(old, new)
    assert ours is not None
    test = stats.ttest_ind([fmean(run) for run in new], [fmean(run) for run in old])
    theirs = test.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-3)


def test_a_spread_interval_covers_a_true_change_at_least_nearly_as_often_as_it_says() -> None:
    rng, covered, trials = random.Random(8), 0, 300
    for _ in range(trials):
        ease = [rng.gauss(0.5, 0.3) for _ in range(60)]  # examples differ; so do seeds
        runs = [
            [[level + shift + luck + rng.gauss(0, 0.3) for level in ease] for luck in lucks]
            for shift, lucks in (
                (0.0, [rng.gauss(0, 0.05) for _ in range(3)]),
                (0.1, [rng.gauss(0, 0.05) for _ in range(3)]),
            )
        ]
        interval = spread_interval(*runs)
        assert interval is not None
        covered += interval.low <= 0.1 <= interval.high
    assert covered / trials >= 0.93
