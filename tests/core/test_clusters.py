"""Conversations as the unit of tests and intervals."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from statistics import fmean

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tui_loop.core import paired_stats
from tui_loop.core.clusters import (
    HitCounts,
    cluster_count,
    clusters_at,
    clusters_of,
    group_of,
    unit_of,
)
from tui_loop.core.paired_stats import mcnemar, paired_interval, sign_flip, spread_interval
from tui_loop.core.record.structs import Example
from tui_loop.core.stats import effective_total, fisher_greater, mean_error, share_interval, wilson


def example(conversation: str = "", prompt: str = "", reference: str = "yes") -> Example:
    return Example(
        id="",
        prompt=prompt,
        reference=reference,
        output=None,
        score=None,
        passed=None,
        causes=(),
        loss=None,
        supervised_tokens=1,
        output_tokens=0,
        truncated=False,
        source_line=1,
        conversation=conversation,
    )


def test_examples_of_their_own_have_no_clusters() -> None:
    assert clusters_of(["tea", "rum", "gin"]) is None
    assert clusters_of([]) is None
    assert cluster_count(None) == 0


def test_examples_of_one_group_share_a_number() -> None:
    clusters = clusters_of(["tea", "gin", "rum", "tea", "ale"])
    assert clusters is not None
    assert clusters[0] == clusters[3]
    assert cluster_count(clusters) == 4


def test_a_selection_of_one_of_each_group_has_no_clusters() -> None:
    clusters = clusters_of(["tea", "tea", "rum"])
    assert clusters_at(clusters, [0, 2]) is None
    assert cluster_count(clusters_at(clusters, [0, 1])) == 1
    assert clusters_at(clusters, range(3)) is clusters


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (example(prompt="where?"), example(prompt="where?"), True),
        (example(prompt="where?"), example(prompt="where?", reference="no"), True),
        (example(prompt="where?"), example(prompt="when?"), False),
        (example(reference="a text"), example(reference="a text"), True),
        (example(reference="a text"), example(reference="a book"), False),
        (example("talk1", "where?"), example("talk1", "when?"), True),
        (example("talk1", "where?"), example("talk2", "where?"), False),
        (example("0123456789ab"), example("0123456789ab-2"), True),
        (example("0123456789ab-3"), example("0123456789ab-2"), True),
        (example("talk-1"), example("talk-2"), False),
    ],
)
def test_answers_of_a_conversation_and_repeats_of_an_input_are_one_group(
    one: Example, other: Example, same: bool
) -> None:
    assert (group_of(one) == group_of(other)) is same


def test_the_unit_is_the_conversation_where_there_is_one() -> None:
    assert unit_of([example(), example()]) == "distinct input"
    assert unit_of([example(), example("talk1")]) == "conversation"


def enumerated(differences: Sequence[int]) -> float:
    """Returns the share of all sign choices with a sum at least as far from 0."""
    sums = [
        abs(sum(sign * each for sign, each in zip(signs, differences, strict=True)))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    return fmean(each >= abs(sum(differences)) for each in sums)


def test_the_sign_flip_test_counts_all_signs() -> None:
    rng = random.Random(4)
    for _ in range(60):
        differences = [rng.randint(-4, 5) for _ in range(rng.randint(1, 11))]
        assert sign_flip(differences) == pytest.approx(enumerated(differences), rel=1e-12)


def test_the_sign_flip_test_is_mcnemar_s_where_each_conversation_has_one_answer() -> None:
    rng = random.Random(5)
    for _ in range(100):
        fixed, broken = rng.randint(0, 400), rng.randint(0, 400)
        differences = [1] * fixed + [-1] * broken + [0] * rng.randint(0, 50)
        assert sign_flip(differences) == mcnemar(fixed, broken)


def test_the_sign_flip_test_does_not_depend_on_the_unit() -> None:
    assert sign_flip([3] * 9 + [-3] * 2) == pytest.approx(mcnemar(9, 2), rel=1e-12)


def test_the_sign_flip_test_agrees_with_random_permutations() -> None:
    rng = np.random.default_rng(6)
    differences = rng.integers(-3, 5, 60)
    found = scipy_stats.permutation_test(
        (differences,),
        np.sum,
        permutation_type="samples",
        n_resamples=40_000,
        random_state=rng,
    )
    assert sign_flip(differences.tolist()) == pytest.approx(found.pvalue, abs=0.01)


def test_thousands_of_conversations_give_the_same_p_value_as_integers_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(7)
    for shift in (0, 1, 2):
        differences = [rng.randint(-5, 5 + shift) for _ in range(300)]
        exact = sign_flip(differences)
        with monkeypatch.context() as patch:
            patch.setattr(paired_stats, "MOST_COUNTED", 10)
            assert sign_flip(differences) == pytest.approx(exact, rel=1e-6, abs=2e-12)
    many = [rng.choice((-2, -1, 1, 2, 3)) for _ in range(5000)]
    deviation = sum(each * each for each in many) ** 0.5
    expected = 2 * scipy_stats.norm.sf((abs(sum(many)) - 0.5) / deviation)
    assert sign_flip(many) == pytest.approx(expected, rel=0.05, abs=1e-11)


def test_nothing_that_changed_is_no_evidence() -> None:
    assert sign_flip([]) == 1.0
    assert sign_flip([0, 0]) == 1.0
    assert sign_flip([2, -2]) == 1.0


def correlated(
    rng: random.Random, conversations: int, share: float
) -> tuple[list[float], list[int]]:
    """Returns outcomes of answers, of which those of one conversation are alike, and clusters."""
    marks: list[float] = []
    clusters: list[int] = []
    for number in range(conversations):
        own = rng.betavariate(2 * share, 2 * (1 - share))
        size = rng.choice((1, 2, 3, 5, 8))
        marks += [float(rng.random() < own) for _ in range(size)]
        clusters += [number] * size
    return marks, clusters


def test_the_interval_of_a_score_covers_correlated_answers() -> None:
    rng = random.Random(8)
    for conversations, share in ((12, 0.6), (40, 0.5), (40, 0.9), (150, 0.8)):
        covered = plain = 0
        for _ in range(400):
            marks, clusters = correlated(rng, conversations, share)
            low, high = share_interval(marks, clusters)
            covered += low <= share <= high
            low, high = wilson(sum(marks), len(marks))
            plain += low <= share <= high
        assert covered >= 0.92 * 400
        assert plain < 0.87 * 400


def test_the_paired_interval_covers_correlated_answers() -> None:
    rng = random.Random(9)
    for conversations in (6, 30, 120):
        covered = 0
        for _ in range(400):
            old, clusters = correlated(rng, conversations, 0.5)
            shifts = [rng.gauss(0.1, 0.3) for _ in range(conversations)]
            new = [each + shifts[at] for each, at in zip(old, clusters, strict=True)]
            found = paired_interval(old, new, clusters)
            assert found is not None
            covered += found.low <= 0.1 <= found.high
        assert covered >= 0.91 * 400


def test_equal_answers_count_as_one_example() -> None:
    marks = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    repeated = [mark for mark in marks for _ in range(4)]
    clusters = [at // 4 for at in range(40)]
    assert mean_error(repeated, clusters) == pytest.approx(mean_error(marks))
    assert effective_total(repeated, clusters) < 10
    assert effective_total([1.0] * 40, clusters) == 10
    assert share_interval([1.0] * 40, clusters) == wilson(10, 10)


def test_the_score_of_a_single_conversation_is_that_of_one_example() -> None:
    assert effective_total([1.0, 0.0, 1.0], [3, 3, 3]) == pytest.approx(1)
    assert mean_error([1.0, 0.0, 1.0], [3, 3, 3]) is None


def test_a_single_conversation_excludes_nothing() -> None:
    found = paired_interval([0.0] * 6, [1.0] * 6, [0] * 6)
    assert found is not None
    assert not found.excludes_zero
    runs = [[0.0] * 6, [0.0] * 6], [[1.0] * 6, [1.0] * 6]
    spread = spread_interval(*runs, [0] * 6)
    assert spread is not None
    assert not spread.excludes_zero


def test_the_spread_interval_of_replicates_is_over_conversations() -> None:
    rng = random.Random(10)
    old = [[rng.random() for _ in range(20)] for _ in range(3)]
    new = [[rng.random() for _ in range(20)] for _ in range(3)]
    clusters = [at // 4 for at in range(80)]
    repeated = ([[each for each in run for _ in range(4)] for run in side] for side in (old, new))
    found = spread_interval(*repeated, [at // 4 for at in range(80)])
    alone = spread_interval(old, new)
    assert found is not None
    assert alone is not None
    assert len(set(clusters)) == 20
    assert found.delta == pytest.approx(alone.delta)
    assert found.half_width == pytest.approx(alone.half_width)


def test_hits_are_plain_counts_where_each_example_stands_alone() -> None:
    counts = HitCounts([True, False, True, True], None)
    assert counts.split([0, 1]) == (1, 2, 2, 2)


def test_each_conversation_counts_once_on_each_side() -> None:
    hits = [True, True, False, True, False, False]
    clusters = [0, 0, 0, 1, 1, 2]
    # the group has two answers of the first and one of the second conversation
    assert HitCounts(hits, clusters).split([0, 1, 3]) == (2, 2, 0, 3)
    assert HitCounts(hits, clusters).split([5]) == (0, 1, 2, 2)
    assert HitCounts(hits, clusters).split(range(6)) == (1, 3, 0, 0)


def test_the_test_of_a_group_holds_its_level_where_answers_are_alike() -> None:
    rng = random.Random(11)
    rejected = plain = 0
    for _ in range(400):
        marks, clusters = correlated(rng, 60, 0.5)
        hits = [mark > 0 for mark in marks]
        chosen = {number for number in range(60) if rng.random() < 0.3}
        rows = [row for row, number in enumerate(clusters) if number in chosen]
        rejected += fisher_greater(*HitCounts(hits, clusters).split(rows)) < 0.05
        plain += fisher_greater(*HitCounts(hits, None).split(rows)) < 0.05
    assert rejected <= 0.05 * 400
    assert plain > 0.08 * 400
