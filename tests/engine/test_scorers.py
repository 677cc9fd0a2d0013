"""Metrics that need a library or a user's module."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_loop.core.config.schema import Evaluation
from tui_loop.core.consent import allow_code
from tui_loop.core.errors import BadInput
from tui_loop.core.scoring import Scorer
from tui_loop.engine.foreign_code import metric_code
from tui_loop.engine.scorers import check_metric, scorer_for


def score(metric: str, output: str, reference: str) -> float:
    scorer = scorer_for(Evaluation(metric=metric), [], Path())
    assert scorer is not None
    return scorer.score(output, reference)


def allowed(metric: str, root: Path) -> Scorer | None:
    """A user's own metric, with consent."""
    allow_code(metric_code(metric, root))
    return scorer_for(Evaluation(metric=metric), [], root)


@pytest.mark.train
def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence() -> None:
    assert score("rouge_l", "the cat sat", "the cat sat") == 1.0
    # common subsequence of 2; precision 2/3, recall 2/4
    assert score("rouge_l", "the dog sat", "the cat sat down") == pytest.approx(4 / 7)
    assert score("rouge_l", "", "word") == 0.0


@pytest.mark.train
def test_chrf_lies_between_nothing_and_everything_shared() -> None:
    assert score("chrf", "shipping", "shipping") == pytest.approx(1.0)
    assert score("chrf", "xyz", "shipping") == 0.0
    assert 0.3 < score("chrf", "ship", "shipping") < 0.9


def test_an_unknown_metric_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadInput, match="did you mean exact_match"):
        check_metric("exact-match")


def test_a_pass_score_of_the_config_overrides_the_metrics_own() -> None:
    scorer = scorer_for(Evaluation(metric="json_match", pass_score=0.25), [], Path())
    assert scorer is not None
    assert scorer.pass_score == 0.25


def test_a_function_that_leaves_the_scale_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "odd_metric.py").write_text("def two(output, reference):\n    return 2\n")
    scorer = allowed("odd_metric:two", tmp_path)
    assert scorer is not None
    with pytest.raises(BadInput, match="returned 2"):
        scorer.score("a", "b")


def test_a_users_function_gets_the_answers_without_reasoning(tmp_path: Path) -> None:
    (tmp_path / "fair_metric.py").write_text(
        "def same(output, reference):\n    return float((output, reference) == ('b', 'c'))\n"
    )
    scorer = allowed("fair_metric:same", tmp_path)
    assert scorer is not None
    assert scorer.score("<think>a</think>b", "<think>a</think>c") == 1.0


def test_a_users_module_that_fails_is_bad_input_not_a_fault_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "torn_metric.py").write_text("def half(:\n")
    (tmp_path / "sad_metric.py").write_text("def sad(output, reference):\n    return 1 / 0\n")
    with pytest.raises(BadInput, match="SyntaxError"):
        allowed("torn_metric:half", tmp_path)
    scorer = allowed("sad_metric:sad", tmp_path)
    assert scorer is not None
    with pytest.raises(BadInput, match="ZeroDivisionError"):
        scorer.score("a", "b")
