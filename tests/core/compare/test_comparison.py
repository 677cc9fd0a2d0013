"""Two iterations side by side, and no more said of them than the runs can carry."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from tests.core.conftest import compare
from tui_loop.core.compare.claims import brief_delta, claim_words, regression_of
from tui_loop.core.compare.comparison import Comparison, claim_of
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.paired_stats import mcnemar, paired_interval, spread_interval
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Example

MakeFinished = Callable[..., IterationFolder]

LOW = [0.0] * 16 + [1.0] * 4
HIGH = [1.0] * 18 + [0.0] * 2


def flipped(scores: list[float], *indices: int) -> list[float]:
    return [1.0 - score if n in indices else score for n, score in enumerate(scores)]


def test_a_comparison_names_what_was_fixed_and_broken_and_the_exact_p_value(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished({"a": 0.0, "b": 1.0, "c": 0.0, "d": 1.0, "e": 0.0}, base=True)
    finished({"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.0, "e": 0.0})
    result = compare(loop, 0, 1)
    assert (result.fixed, result.broken, result.compared) == (["a", "c"], ["d"], 5)
    assert result.p_value == mcnemar(2, 1)
    assert result.interval is not None
    assert result.interval.delta == pytest.approx(0.2)
    assert result.notices == []
    back = compare(loop, 1, 0)
    assert (back.fixed, back.broken) == (["d"], ["a", "c"])


def test_what_changed_in_config_and_metrics_is_listed(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(LOW, metrics={"steps": 10})
    finished(HIGH, "r=4", "save_steps=none", "adam_beta1=0.8", metrics={"chrf": 0.5})
    result = compare(loop, 1, 2)
    assert result.config == {
        "lora.r": (16, 4),
        "training.save_steps": (500, None),
        "training.adam_beta1": (None, 0.8),
    }
    assert result.metrics["score"] == (0.2, 0.9)
    assert result.metrics["steps"] == (10, None)
    assert result.metrics["chrf"] == (None, 0.5)


@pytest.mark.parametrize(
    ("old", "new", "claim"),
    [
        (LOW, HIGH, "consistent with better"),
        (HIGH, LOW, "consistent with worse"),
        (LOW, flipped(LOW, 0), "no difference shown"),
        (LOW, LOW, "no difference shown"),
    ],
)
def test_one_run_a_side_is_at_most_consistent_with_a_difference(
    loop: LoopFolder, finished: MakeFinished, old: list[float], new: list[float], claim: str
) -> None:
    finished(old)
    finished(new, "r=4")
    result = compare(loop, 1, 2)
    assert (result.claim, result.replicates) == (claim, (1, 1))


@pytest.mark.parametrize(
    ("first", "second", "claim"),
    [(LOW, HIGH, "better"), (HIGH, LOW, "worse"), (LOW, flipped(LOW, 3), "no difference shown")],
)
def test_with_replicates_of_both_the_change_itself_is_judged(
    loop: LoopFolder,
    finished: MakeFinished,
    first: list[float],
    second: list[float],
    claim: str,
) -> None:
    for n in range(3):
        finished(flipped(first, n), f"seed={n}")
    for n in range(3):
        finished(flipped(second, n + 5), "r=4", f"seed={n}", parent=1)
    result = compare(loop, 1, 4)
    assert (result.claim, result.replicates) == (claim, (3, 3))


def test_runs_that_were_said_to_differ_may_be_noise_that_replicates_show(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(LOW, "seed=0")
    finished(HIGH, "r=4", "seed=0")
    assert compare(loop, 1, 2).claim == "consistent with better"
    finished(HIGH, "seed=1", parent=1)
    finished(LOW, "r=4", "seed=1", parent=1)
    assert compare(loop, 1, 2).claim == "no difference shown"


@pytest.mark.parametrize("runs", [2, 4])
def test_two_seeds_of_one_config_are_training_noise_and_never_better_or_worse(
    loop: LoopFolder, finished: MakeFinished, runs: int
) -> None:
    for n in range(runs):
        finished(HIGH if n == 1 else flipped(LOW, n), f"seed={n}")
    result = compare(loop, 1, 2)
    assert (result.claim, result.replicates) == ("training noise", (runs, runs))
    assert result.p_value is not None
    assert result.p_value < 0.01
    assert list(result.config) == ["training.seed"]
    assert re.fullmatch(r"\+65 ±\d\d noise", brief_delta(result))


def test_an_identical_rerun_with_the_same_results_is_called_identical(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(LOW)
    finished(LOW, parent=1)
    finished(HIGH, parent=1)
    same, other = compare(loop, 1, 2), compare(loop, 1, 3)
    assert (same.claim, same.is_identical, brief_delta(same)) == (
        "training noise",
        True,
        "identical",
    )
    assert claim_words(same)[-1] == (
        "no change:",
        "both runs have the same config, rows and seed, and gave the same results",
    )
    assert not other.is_identical  # the same seed, and the machine made a difference
    assert brief_delta(other).endswith("noise")
    assert LoopReader(loop).iteration(2).title == "identical to 1"


def test_an_iteration_against_itself_differs_in_nothing(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(LOW)
    result = compare(loop, 1, 1)
    assert (result.claim, result.fixed, result.broken) == ("no difference shown", [], [])
    assert result.loss is not None
    assert result.loss.delta == 0.0


def test_the_same_seed_again_is_no_replicate(loop: LoopFolder, finished: MakeFinished) -> None:
    for _ in range(3):
        finished(LOW, "r=8")
    for _ in range(3):
        finished(flipped(LOW, *range(8)), "r=4")
    result = compare(loop, 1, 4)
    assert result.replicates == (1, 1)
    assert result.claim.startswith("consistent with")


def test_a_run_measured_otherwise_is_no_replicate(loop: LoopFolder, finished: MakeFinished) -> None:
    finished({"a": 1.0, "b": 0.0}, "seed=0")
    finished({"a": 1.0, "b": 1.0}, "seed=1", references={"b": "another"})
    finished({"a": 1.0}, "seed=2")
    finished({"a": 0.0, "b": 0.0}, "r=4", "seed=0")
    assert compare(loop, 1, 4).replicates == (1, 1)


def test_a_run_on_other_rows_is_no_replicate_but_a_change_to_be_judged(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    for n in range(3):
        finished(flipped(LOW, n), f"seed={n}", trained_on="old rows")
    for n in range(3):
        finished(flipped(HIGH, n), f"seed={n}", trained_on="new rows")
    result = compare(loop, 1, 4)
    assert (result.replicates, result.claim) == ((3, 3), "better")
    assert compare(loop, 1, 2).claim == "training noise"


def test_the_base_has_no_replicates(loop: LoopFolder, finished: MakeFinished) -> None:
    finished(LOW, base=True)
    finished(HIGH, "seed=0")
    finished(HIGH, "seed=1")
    result = compare(loop, 0, 1)
    assert result.replicates == (1, 2)
    assert result.claim == "consistent with better"


def test_a_broken_third_iteration_does_not_stand_in_the_way(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(LOW, "seed=0")
    finished(HIGH, "r=4", "seed=0")
    finished(LOW, "r=16", "seed=1").examples.write_text("{half")
    finished(LOW, "seed=2").summary.write_text("{half")
    finished(LOW, "seed=3").summary.write_text(
        '{"number": 5, "state": "finished", "config": {"lora": {"r": 0}}}'
    )
    result = compare(loop, 1, 2)
    assert result.replicates == (1, 1)


def test_only_examples_alike_in_both_are_compared_and_a_notice_says_so(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished({"a": 0.0, "b": 0.0, "c": 0.0}, base=True)
    finished({"a": 1.0, "b": 1.0, "d": 1.0}, references={"b": "changed"})
    result = compare(loop, 0, 1)
    assert (result.compared, result.fixed) == (1, ["a"])
    [notice] = result.notices
    assert "measured differently (rows, references)" in notice
    assert "1 examples" in notice


def test_without_a_metric_one_example_shows_no_difference(
    loop: LoopFolder, finished: MakeFinished, example: Callable[..., Example]
) -> None:
    for settings in ([], ["r=4"]):
        folder = finished([0.0], *settings)
        folder.write_examples([example("id0", None)], [])
    result = compare(loop, 1, 2)
    assert (result.claim, result.p_value, result.interval) == ("no difference shown", None, None)
    assert (result.fixed, result.broken, result.compared) == ([], [], 1)


def test_an_iteration_without_an_evaluation_cannot_be_compared(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(LOW)
    finished(HIGH).examples.unlink()
    with pytest.raises(BadInput, match="intents/2 has no evaluated examples"):
        compare(loop, 1, 2)
    with pytest.raises(NotFound, match="no iteration 3"):
        compare(loop, 1, 3)


def test_scores_by_different_metrics_are_not_compared(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(LOW)
    finished(HIGH, "evaluation.metric=contains")
    result = compare(loop, 1, 2)
    assert result.interval is None
    assert result.p_value is None
    assert (result.fixed, result.broken) == ([], [])
    assert result.claim == "no difference shown"
    assert any("metrics differ" in notice for notice in result.notices)


def with_losses(
    folder: IterationFolder,
    example: Callable[..., Example],
    losses: Sequence[float | str | None],
    tokens: int = 1,
) -> None:
    """Gives the run's examples these losses, each over `tokens` tokens."""
    folder.write_examples(
        [
            example(f"id{n}", 1.0, loss=loss, supervised_tokens=tokens)
            for n, loss in enumerate(losses)
        ],
        [],
    )


def test_losses_are_compared_example_by_example(
    loop: LoopFolder, finished: MakeFinished, example: Callable[..., Example]
) -> None:
    rng = random.Random(1)
    before = [rng.lognormvariate(0, 1) for _ in range(40)]
    after = [loss * 0.8 for loss in before]
    for losses, settings in ((before, []), (after, ["r=4"])):
        with_losses(finished([1.0] * 40, *settings), example, losses)
    result = compare(loop, 1, 2)
    assert result.loss == paired_interval(before, after)
    assert (result.loss_examples, result.notices) == (40, [])


FELL = [7.4 - 0.01 * n for n in range(40)], [2.2 + 0.01 * n for n in range(40)]


@pytest.mark.parametrize("case", [(*FELL, "better"), (*FELL[::-1], "worse")])
@pytest.mark.parametrize("metrics", [{}, {"score": None, "passed": None}])
def test_where_the_score_has_not_moved_or_there_is_none_the_loss_decides(
    loop: LoopFolder,
    finished: MakeFinished,
    example: Callable[..., Example],
    case: tuple[list[float], list[float], str],
    metrics: dict[str, Any],
) -> None:
    *losses, claim = case
    for each, settings in zip(losses, ([], ["r=4"]), strict=True):
        folder = finished([0.0] * 40, *settings, metrics=metrics)
        score = None if metrics else 0.0
        rows = [example(f"id{n}", score, loss=loss) for n, loss in enumerate(each)]
        folder.write_examples(rows, [])
    result = compare(loop, 1, 2)
    assert (result.claim, result.claim_by) == (f"consistent with {claim}", "loss")
    assert result.change == result.loss
    assert brief_delta(result) == f"loss {'-' if claim == 'better' else '+'}4.81 {claim}?"


def test_a_loss_that_barely_changes_decides_nothing_beside_a_score(
    loop: LoopFolder, finished: MakeFinished, example: Callable[..., Example]
) -> None:
    rng = random.Random(0)
    before = [rng.gauss(2, 1) for _ in range(40)]
    after = [each + rng.gauss(-0.36, 1) for each in before]
    for losses, settings in ((before, []), (after, ["r=4"])):
        with_losses(finished([1.0] * 40, *settings), example, losses)
    result = compare(loop, 1, 2)
    assert result.loss is not None
    assert result.loss.excludes_zero
    assert (result.claim, result.claim_by) == ("no difference shown", "")


@pytest.mark.parametrize("setting", ["evaluation.do_sample=true", 'evaluation.stop=["."]'])
def test_outputs_that_were_made_differently_are_neither_better_nor_worse(
    loop: LoopFolder, finished: MakeFinished, setting: str
) -> None:
    finished(LOW)
    finished(HIGH, setting)
    result = compare(loop, 1, 2)
    assert result.claim == "measured differently"
    assert brief_delta(result).endswith("unlike")
    assert regression_of(result)[1] is None
    assert any(
        text.startswith("measured differently (one run of each") for _, text in claim_words(result)
    )


def test_equal_models_are_called_different_in_at_most_5_percent_by_score_and_loss() -> None:
    rng, trials = random.Random(11), 500
    for count in (6, 12, 40, 117):
        called = 0
        for _ in range(trials):
            scores = [(float(rng.random() < 0.5), float(rng.random() < 0.5)) for _ in range(count)]
            losses = [
                (2 - one + rng.gauss(0, 0.5), 2 - other + rng.gauss(0, 0.5))
                for one, other in scores
            ]
            score, loss = (paired_interval(*zip(*each, strict=True)) for each in (scores, losses))
            called += claim_of(score, loss, has_spread=False)[1] != ""
        assert called <= 0.05 * trials + 2.33 * (0.05 * 0.95 * trials) ** 0.5, count


def test_a_loss_that_is_not_finite_or_over_other_tokens_is_left_out_and_said(
    loop: LoopFolder, finished: MakeFinished, example: Callable[..., Example]
) -> None:
    with_losses(finished([1.0] * 5), example, [1.0, 1.0, 1.0, None, 2.0])
    with_losses(finished([1.0] * 5, "r=4"), example, [0.5, "NaN", "Infinity", 1.0, 1e300])
    result = compare(loop, 1, 2)
    assert (result.loss, result.loss_examples) == (paired_interval([1.0], [0.5]), 1)
    assert result.notices == [
        "4 examples left out of the loss: it is not finite in at least one of the iterations"
    ]
    with_losses(finished([1.0] * 5, "r=2"), example, [1.0] * 5, tokens=2)
    result = compare(loop, 1, 3)
    assert (result.loss, result.loss_examples) == (None, 0)
    assert result.notices == ["5 examples left out of the loss: token counts differ"]


def test_without_any_loss_nothing_is_said_of_it(
    loop: LoopFolder, finished: MakeFinished, example: Callable[..., Example]
) -> None:
    for settings in ([], ["r=4"]):
        with_losses(finished([1.0] * 3, *settings), example, [None] * 3)
    result = compare(loop, 1, 2)
    assert (result.loss, result.loss_examples, result.notices) == (None, 0, [])


def test_the_loss_has_the_noise_of_replicates_in_it(
    loop: LoopFolder, finished: MakeFinished, example: Callable[..., Example]
) -> None:
    runs = []
    for settings, level in (([], 1.0), (["r=4"], 0.7)):
        for seed, luck in enumerate((0.0, 0.1)):
            losses = [level + luck + 0.01 * n for n in range(20)]
            folder = finished([1.0] * 20, *settings, f"seed={seed}", parent=1 if settings else None)
            with_losses(folder, example, losses)
            runs.append(losses)
    result = compare(loop, 1, 3)
    assert result.replicates == (2, 2)
    assert result.loss == spread_interval(runs[:2], runs[2:])
    assert result.loss != paired_interval(runs[0], runs[2])


def test_keys_of_the_record_stay_in_order_and_new_ones_come_last() -> None:
    names = [field.name for field in msgspec.structs.fields(Comparison)]
    assert names[:12] == [
        "a",
        "b",
        "config",
        "metrics",
        "compared",
        "fixed",
        "broken",
        "p_value",
        "interval",
        "replicates",
        "claim",
        "notices",
    ]
    assert names[12:14] == ["loss", "loss_examples"]
