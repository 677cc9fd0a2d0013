"""A loop over its iterations: what is best by more than noise, and which repeat would tell."""

from __future__ import annotations

import msgspec
import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core.compare.progress import Pair, Progress, ProgressReader
from tui_loop.core.compare.progress_text import (
    NOTHING_YET,
    best_words,
    otherwise_words,
    pair_words,
    reach_words,
    replicate_words,
)
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import LoopReader

COUNT = 100


def passing(*passed: int | range) -> list[float]:
    """Scores of which so many pass, or those in a range."""
    (which,) = passed
    rows = range(which) if isinstance(which, int) else which
    return [float(row in rows) for row in range(COUNT)]


def look(loop: LoopFolder) -> Progress:
    return ProgressReader(LoopReader(loop)).poll()


def against(progress: Progress, number: int) -> Pair:
    return next(each for each in progress.pairs if each.a == number)


def lasts(folder: IterationFolder, seconds: float) -> None:
    summary = folder.read_summary()
    assert summary is not None
    folder.write_summary(msgspec.structs.replace(summary, duration_s=seconds))


def test_each_iteration_has_its_figures_with_intervals_and_the_best_up_to_then(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(passing(10), base=True)
    finished(passing(50))
    finished(passing(80), "lora.r=4", parent=1)
    finished(passing(70), "lora.r=32", parent=1)
    progress = look(loop)
    assert [each.best for each in progress.points] == [None, 1, 2, 2]
    assert [each.is_new_best for each in progress.points] == [False, True, True, False]
    assert progress.best == 2
    score = progress.points[2].score
    assert score is not None
    assert (score.delta, round(score.low, 3), round(score.high, 3)) == (0.8, 0.711, 0.867)
    assert best_words(progress).startswith("the best so far is iteration 2 (r ")
    assert "score 80%, eval loss 0.500" in best_words(progress)
    assert {(each.a, each.about) for each in progress.pairs} == {
        (3, "the runner-up"),
        (1, "its parent"),
    }


def test_runs_that_differ_in_the_seed_alone_are_one_config_with_a_spread(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(passing(60))
    finished(passing(64), "seed=7", parent=1)
    finished(passing(62), "seed=7", parent=1)  # the same seed again shows no noise
    finished(passing(61), "lora.r=4", parent=1)
    progress = look(loop)
    assert [each.config for each in progress.points] == [1, 1, 1, 4]
    (first, second) = progress.tried
    assert first.runs == (1, 2, 3)
    assert first.score is not None
    assert (first.score.mean, first.score.runs) == (pytest.approx(0.62), 2)
    assert first.score.deviation == pytest.approx(0.0283, abs=1e-4)
    assert second.score is not None
    assert second.score.deviation is None
    assert progress.best == 1
    assert replicate_words(progress) == [
        "iterations 1, 2, 3 have the same config: score 62% (sd 2.8 points over 2 runs), "
        "eval loss 0.500 (sd 0.000 over 2 runs)"
    ]


def test_where_nothing_is_known_of_training_noise_a_first_repeat_of_both_is_suggested(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    lasts(finished(passing(60)), 30)
    lasts(finished(passing(75), "lora.r=4", parent=1), 60)
    (pair,) = look(loop).pairs
    assert pair.about == "its parent and the runner-up"
    assert pair.claim == "consistent with better"
    assert pair.commands == (
        "`tui-loop run intents --from 1 --repeat 1`",
        "`tui-loop run intents --from 2 --repeat 1`",
    )
    assert pair_words(pair) == (
        "iteration 2 against 1, its parent and the runner-up: +15 ±7 points over 100 examples, "
        "consistent with better (one run of each config)"
    )
    assert reach_words(pair) == (
        "2 more runs would show whether the difference is training noise (about 1m 30s)"
    )


def test_known_noise_says_how_many_runs_a_gap_needs(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(passing(50))
    finished(passing(56), "seed=7", parent=1)
    finished(passing(68), "lora.r=4", parent=1)
    progress = look(loop)
    assert progress.noise is not None
    assert progress.noise.deviation == pytest.approx(0.0424, abs=1e-4)
    (pair,) = progress.pairs
    assert pair.replicates == (2, 1)
    assert pair.reach is not None
    assert pair.reach.runs == 3  # two give ±18 of training noise alone
    assert [each.split()[-1] for each in pair.commands] == ["1`", "2`"]


def test_what_replicates_of_both_have_told_needs_no_more(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(passing(30))
    finished(passing(31), "seed=7", parent=1)
    finished(passing(80), "lora.r=4", parent=1)
    finished(passing(81), "lora.r=4", "seed=7", parent=1)
    (pair,) = look(loop).pairs
    assert (pair.claim, pair.reach, pair.commands) == ("better", None, ())
    assert reach_words(pair) == ""


def test_a_gap_within_the_noise_of_the_examples_asks_for_examples_not_for_runs(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(passing(range(50)))
    finished(passing(range(50)), "seed=7", parent=1)
    finished(passing(range(22, 75)), "lora.r=4", parent=1)  # 25 fixed, 22 broken
    finished(passing(range(22, 76)), "lora.r=4", "seed=7", parent=1)
    (pair,) = look(loop).pairs
    assert pair.claim == "no difference shown"
    assert pair.reach is not None
    assert pair.reach.runs is None
    assert pair.reach.examples is not None
    assert 1000 < pair.reach.examples < 2000
    assert (
        "more runs cannot decide which is better: the gap is within the noise of 100"
        in reach_words(pair)
    )


def test_equal_configs_are_not_worth_deciding_and_the_base_takes_no_repeat(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(passing(40), base=True)
    finished(passing(60))
    (pair,) = look(loop).pairs
    assert (pair.a, pair.about, pair.reach) == (0, "the base", None)
    assert "1 against the base: +20 ±8 points" in pair_words(pair)
    assert "(1 run)" in pair_words(pair)
    finished(passing(60), "lora.r=4", parent=1)
    pair = against(look(loop), 2)
    assert reach_words(pair) == "the gap is too small to matter"
    assert not pair.commands


def test_what_was_measured_otherwise_is_shown_but_not_compared(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(passing(90))
    finished(passing(40), "evaluation.max_new_tokens=5", parent=1)
    finished(passing(50), "lora.r=4", parent=2)
    progress = look(loop)
    assert progress.points[0].differs == ("lengths",)
    assert progress.points[0].score is not None
    assert progress.best == 3
    assert [each.number for each in progress.tried] == [2, 3]
    assert otherwise_words(progress) == (
        "not comparable with the newest iteration, because evaluated differently: "
        "iteration 1 (lengths)"
    )


def test_without_a_score_the_loss_ranks_and_is_compared(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    bare = {"score": None, "passed": None}
    for rank, losses in enumerate(([2.0, 2.4, 2.2] * 3, [1.0, 1.3, 1.1] * 3)):
        settings = ["lora.r=4"] * rank
        folder = finished([0.0] * 9, *settings, parent=rank or None, metrics=bare)
        examples = folder.read_examples()
        folder.write_examples(
            [
                msgspec.structs.replace(each, loss=loss, score=None, passed=None)
                for each, loss in zip(examples, losses, strict=True)
            ],
            [],
        )
    progress = look(loop)
    assert progress.best == 1  # both have a recorded loss of 0.5: the earlier one
    assert progress.points[1].score is None
    (pair,) = progress.pairs
    assert pair.by_loss
    assert pair.claim == "consistent with worse"
    assert "nats per token" in pair_words(pair)


def test_a_loop_without_iterations_has_nothing_to_tell(loop: LoopFolder) -> None:
    progress = look(loop)
    assert (progress.points, progress.best, progress.pairs) == ((), None, ())
    assert best_words(progress) == NOTHING_YET


def test_what_did_not_change_is_not_read_again(
    loop: LoopFolder, finished: MakeFinished, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(passing(40))
    reader = ProgressReader(LoopReader(loop))
    before = reader.poll()
    monkeypatch.setattr(reader, "_outcomes", lambda _: pytest.fail("it was read again"))
    assert reader.poll() == before
    monkeypatch.undo()
    finished(passing(45), "lora.r=4", parent=1)
    assert reader.poll().best == 2
