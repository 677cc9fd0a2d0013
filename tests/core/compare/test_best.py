"""One rule says which iteration is the best, wherever it is told."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.core.conftest import MakeFinished
from tui_loop.cli.main import main
from tui_loop.core.compare.best import best_config, best_mark, best_of
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.compare.loop_list import LoopsReader
from tui_loop.core.compare.progress import ProgressReader
from tui_loop.core.compare.progress_text import differs_words, otherwise_words
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Iteration, State
from tui_loop.core.report.gather import report_of
from tui_loop.core.report.sections import iterations as iterations_section
from tui_loop.core.workflow.autopilot_log import best_summary
from tui_loop.core.workflow.holdout import loops_of
from tui_loop.core.workflow.suggestion_source import History


def one(number: int, state: State = "finished", **metrics: Any) -> Iteration:
    return Iteration(number=number, state=state, metrics=metrics)


@pytest.mark.parametrize(
    ("iterations", "best"),
    [
        ([], None),
        ([one(0, score=1.0)], None),
        ([one(1, score=0.5), one(2, score=0.75), one(3, score=0.75)], 2),
        ([one(1, score=0.5), one(2, "failed", score=1.0)], 1),
        ([one(1, score=0.0, eval_loss=9.0), one(2, score=None, eval_loss=0.1)], 1),
        ([one(1, eval_loss=0.5), one(2, eval_loss=0.25), one(3, eval_loss=0.25)], 2),
        ([one(1, eval_loss="NaN"), one(2, eval_loss=3.0)], 2),
        ([one(1)], None),
    ],
)
def test_the_best_iteration_has_the_highest_score_else_the_lowest_loss(
    loop: LoopFolder, iterations: list[Iteration], best: int | None
) -> None:
    assert best_of(Comparer(LoopReader(loop)), iterations) == best


def test_a_lucky_run_is_no_better_than_its_config_wherever_the_best_is_told(
    loop: LoopFolder, finished: MakeFinished, capsys: pytest.CaptureFixture[str]
) -> None:
    finished([0.0] * 10, base=True)
    finished([1.0] * 6 + [0.0] * 4)
    finished([1.0] * 8 + [0.0] * 2, "lora.r=4", parent=1)
    finished([1.0] * 9 + [0.0], "lora.r=16", parent=1)
    finished([1.0] * 5 + [0.0] * 5, "training.seed=7", parent=3)  # 3 and 4: 70% on average
    finished([1.0] * 9 + [0.0], "training.seed=8", parent=2)  # 2 and 5: 85%
    (entry,) = LoopsReader(loops_of(loop)).poll()
    assert (entry.best, entry.metrics["score"]) == (2, pytest.approx(0.85))
    assert entry.iterations == 5
    assert ProgressReader(LoopReader(loop)).poll().best == 2
    history = History(loop)
    assert history.best is not None
    assert history.best.number == 2
    assert best_summary(history.best_runs) == (
        "The best iteration is 2: score 85%, eval loss 0.500, the mean of runs 2, 5."
    )
    report = report_of(loop)
    assert (report.best, report.best_runs) == (2, (2, 5))
    assert main(["--loops", str(loop.path.parent), "list"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert row.split()[1:5] == ["idle", "finished", "5", "2:"]
    assert "85%" in row
    assert "+00:00" not in row
    assert head.split()[:7] == ["loop", "state", "last", "run", "iterations", "best", "updated"]
    close = ["--loops", str(loop.path.parent), "close", loop.name, "--why", "good", "--yes"]
    assert main(close) == 0
    closed = loop.read_settings().closed
    assert closed is not None
    assert closed.iteration == 2


def test_what_is_trained_on_is_ranked_by_the_score_and_not_by_the_loss(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([0.0] * 10, base=True)
    finished([1.0] * 8 + [0.0] * 2)
    finished([1.0] * 6 + [0.0] * 4, "data.train_on=all", parent=1)
    reader = LoopReader(loop)
    iterations = [reader.iteration(each) for each in (0, 1, 2)]
    assert best_of(Comparer(reader), iterations) == 1
    progress = ProgressReader(reader).poll()
    assert progress.best == 1
    assert [each.best for each in progress.points] == [None, 1, 1]
    assert [each.differs for each in progress.points] == [("loss",), ("loss",), ()]
    assert (
        otherwise_words(progress)
        == "the eval loss of iterations 0, 1 is not comparable, because it is computed over "
        "different tokens"
    )
    assert "losses are not comparable" in differs_words(progress.points[1])
    assert differs_words(progress.points[2]) == ""
    by_loss = [replace(each, metrics={"eval_loss": 0.1 * each.number}) for each in iterations]
    assert best_of(Comparer(reader), by_loss) == 2


def test_another_evaluation_is_not_ranked_though_it_has_a_score(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0] * 8 + [0.0] * 2, base=True)
    finished([1.0] * 8 + [0.0] * 2)
    settings = ("data.train_on=all", "evaluation.max_length=64")
    finished([1.0] * 6 + [0.0] * 4, *settings, parent=1)
    progress = ProgressReader(LoopReader(loop)).poll()
    assert progress.best == 2
    assert otherwise_words(progress) == (
        "not comparable with the newest iteration, because evaluated differently: "
        "iterations 0, 1 (lengths, loss)"
    )


def test_the_best_says_the_mean_over_its_runs_and_the_next_best(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0] * 8 + [0.0] * 2)
    finished([1.0] * 7 + [0.0] * 3, "lora.r=4", parent=1)
    finished([1.0] * 9 + [0.0], "training.seed=8", parent=1)
    best = best_config(Comparer(LoopReader(loop)), LoopReader(loop).iterations())
    assert best is not None
    assert (best.number, best.runs) == (1, (1, 3))
    assert best.words == (
        "best: mean score 85% over iterations 1, 3 (same config); next best: 70% (iteration 2)"
    )
    assert [best_mark(number, best.number) for number in (1, 2, 3)] == ["★", "", ""]


def test_a_repeated_seed_counts_once_in_the_mean_and_the_words_say_so(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0] * 8 + [0.0] * 2)
    finished([1.0] * 6 + [0.0] * 4, parent=1)
    best = best_config(Comparer(LoopReader(loop)), LoopReader(loop).iterations())
    assert best is not None
    assert best.words == "best: mean score 80% over iterations 1, 2 (same config, 1 seed)"


def test_the_best_of_a_single_run_and_without_scores_is_explained_too(loop: LoopFolder) -> None:
    iterations = [one(1, eval_loss=0.5), one(2, eval_loss=0.25)]
    best = best_config(Comparer(LoopReader(loop)), iterations)
    assert best is not None
    assert best.words == (
        "best: eval loss 0.250, one run of this config; next best: 0.500 (iteration 1)"
    )
    assert best_config(Comparer(LoopReader(loop)), [one(0, score=1.0)]) is None


def test_the_same_sign_marks_the_best_in_show_in_progress_and_in_the_report(
    loop: LoopFolder, finished: MakeFinished, capsys: pytest.CaptureFixture[str]
) -> None:
    finished([1.0] * 5 + [0.0] * 5)
    finished([1.0] * 9 + [0.0], "lora.r=4", parent=1)
    for words in (["show", loop.name], ["progress", loop.name]):
        assert main(["--loops", str(loop.path.parent), *words]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if "★" in line]
        assert [line.split()[:2] for line in lines if line.lstrip()[0].isdigit()] == [["2", "★"]]
    assert "2 ★" in str(iterations_section(report_of(loop)))
