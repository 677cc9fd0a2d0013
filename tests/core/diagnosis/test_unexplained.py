"""A bad result that nothing explains, and the outcomes of the experiments on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.diagnosis.written import Written, answered, example, messages
from tui_loop.core.audit.structs import Places
from tui_loop.core.config.data_sources import DataSource
from tui_loop.core.config.fields import as_setting
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.findings import Diagnosis, Finding
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind
from tui_loop.core.diagnosis.rules.unexplained import experiment, experiment_of, unexplained
from tui_loop.core.record.reader import LoopReader

ROWS = messages(280, seed=1)
HELD, TRAIN = ROWS[:80], ROWS[80:]
GOOD_LOSS = {"eval_loss": 0.1}
LEFT = {"eval_loss": 4.0}


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A loop whose base knows nothing of HELD."""
    made = Written(tmp_path)
    made.base(HELD)
    return made


def add(made: Written, wrong: int, metrics: Mapping[str, float], *settings: str) -> None:
    made.add(answered(HELD, range(wrong)), *settings, train=TRAIN, metrics=dict(metrics))


def diagnosed(made: Written) -> Diagnosis:
    return Diagnoser(LoopReader(made.loop)).diagnose(made.loop.numbers()[-1])


def test_a_low_score_with_a_good_loss_is_unexplained(written: Written) -> None:
    add(written, 60, GOOD_LOSS)
    [one] = unexplained(written.case(), [])
    assert (one.severity, one.figures) == ("warning", {"symptom": "learned"})
    assert one.message == (
        "the score is only 25% although the eval loss is low (0.100), and nothing in the record "
        "explains this; the record lacks a comparison of training and evaluation rows"
    )
    assert "an experiment would show which" in one.otherwise


def test_much_loss_that_is_left_is_unexplained(written: Written) -> None:
    add(written, 70, LEFT)
    [one] = unexplained(written.case(), [])
    assert (one.severity, one.figures) == ("warning", {"symptom": "left"})
    assert one.message == (
        "the run learned little: the eval loss is still 4.000 (80% of the base model's), and "
        "nothing in the record explains this; the record lacks a comparison of training and "
        "evaluation rows"
    )


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (
            Places(80, 3.2, 0.1, 0.1),
            "explains this; most of the loss is in the first token of an answer",
        ),
        (
            Places(80, 0.1, 0.1, 2.5),
            "most of the loss is in the token that ends an answer (2.5 nats)",
        ),
        (
            Places(80, 0.01, None, 0.02),
            "so the cause is probably how outputs are generated or scored",
        ),
        (Places(80, 0.5, 0.5, 0.5), "nothing in the record explains this"),
    ],
)
def test_it_says_where_the_loss_is(places: Places, said: str, written: Written) -> None:
    made = answered(HELD, range(60))
    folder = written.add(made, train=TRAIN, metrics=dict(GOOD_LOSS), audit=True)
    folder.write_audit_part("losses", places)
    [one] = unexplained(written.case(), [])
    assert said in one.message
    assert "lacks a comparison" not in one.message


def test_a_good_result_needs_no_explanation(written: Written) -> None:
    add(written, 4, GOOD_LOSS)
    assert list(unexplained(written.case(), [])) == []


def test_a_score_of_the_commonest_answer_alone_is_low(tmp_path: Path) -> None:
    held = [*messages(72, seed=3, labels=("refund",)), *messages(8, seed=4, labels=("login",))]
    made = Written(tmp_path)
    made.base(held)
    one_word = [example(row, "refund", loss=0.1) for row in held]
    made.add(one_word, train=TRAIN, metrics=dict(GOOD_LOSS))
    assert [each.figures["symptom"] for each in unexplained(made.case(), [])] == ["learned"]


def test_a_low_score_of_a_few_rows_may_be_bad_luck(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.base(HELD[:6])
    made.add(answered(HELD[:6], range(3)), train=TRAIN, metrics=dict(GOOD_LOSS))
    assert list(unexplained(made.case(), [])) == []


@pytest.mark.parametrize(
    ("kind", "severity", "figures", "explains"),
    [
        (FindingKind.TWO_NAMES, "warning", {}, True),
        (FindingKind.DATA_GAP, "alarm", {}, True),
        (FindingKind.UNDERFITTING, "warning", {}, True),
        (FindingKind.TWO_NAMES, "note", {}, False),
        (FindingKind.CLASS_BIAS, "alarm", {}, False),
        (FindingKind.PLATEAU, "warning", {}, False),
        (FindingKind.SLOW, "warning", {}, False),
        (FindingKind.TRUNCATED_OUTPUTS, "alarm", {}, True),
        (FindingKind.TRUNCATED_OUTPUTS, "alarm", {"longest_reference": 12}, True),
    ],
)
def test_only_a_serious_finding_that_names_a_cause_explains(
    kind: FindingKind,
    severity: Any,
    figures: dict[str, float | int | str],
    explains: bool,
    written: Written,
) -> None:
    add(written, 60, GOOD_LOSS)
    told = unexplained(written.case(), [Finding(kind, severity, "m", figures)])
    assert list(told) == [] if explains else [each.kind for each in told] == ["unexplained"]


def test_the_base_and_a_failed_run_need_no_explanation(written: Written) -> None:
    assert list(unexplained(written.case(0), [])) == []
    error = {"kind": "oom", "message": "out of memory"}
    written.add(answered(HELD, range(60)), train=TRAIN, error=error)
    assert list(unexplained(written.case(), [])) == []


def test_the_diagnosis_suggests_two_experiments_on_a_good_loss(written: Written) -> None:
    add(written, 60, GOOD_LOSS, "learning_rate=1e-3")
    found = diagnosed(written)
    assert found.findings[0].kind == "unexplained"
    told = {each.kind: each for each in found.suggestions if each.finding == "unexplained"}
    assert list(told) == ["on_training_rows", "smaller_rate"]
    assert told["on_training_rows"].changes == {
        "data.eval": (None, "train.jsonl"),
        "data.max_eval_rows": (None, 100),
    }
    assert told["smaller_rate"].changes == {"training.learning_rate": (1e-3, 2e-4)}


def test_training_rows_of_several_sources_are_evaluated_without_their_weights(
    written: Written,
) -> None:
    sources = ["data.train={}", "data.train.a=train.jsonl", "data.train.a.weight=2"]
    add(written, 60, GOOD_LOSS, "learning_rate=1e-3", *sources)
    told = {each.kind: each for each in diagnosed(written).suggestions}
    changes = told["on_training_rows"].changes
    assert changes["data.eval"] == (None, {"a": {"path": "train.jsonl"}})
    settings = [f"{name}={as_setting(new)}" for name, (_, new) in changes.items()]
    config = with_settings(written.case().config or Config(), settings)
    assert config.data.eval == {"a": DataSource(path="train.jsonl")}


def test_the_diagnosis_suggests_two_experiments_on_a_loss_that_is_left(written: Written) -> None:
    add(written, 70, LEFT, "learning_rate=2e-5")
    told = {each.kind: each for each in diagnosed(written).suggestions}
    assert set(told) == {"overfit_few", "larger_rate"}
    assert told["overfit_few"].changes == {
        "data.max_train_rows": (None, 20),
        "training.num_train_epochs": (3.0, 30),
    }
    assert told["larger_rate"].changes == {"training.learning_rate": (2e-5, 1e-4)}
    assert {each.ground for each in told.values()} == {
        "an experiment whose outcome rules out one of two explanations"
    }


def try_out(
    made: Written,
    kind: str,
    wrong: int = 40,
    metrics: Mapping[str, float] | None = None,
    **more: Any,
) -> None:
    """A child of the newest iteration, run for an unexplained result."""
    folder = made.add(
        answered(HELD, range(wrong)), train=TRAIN[:20], metrics=dict(metrics or {}), **more
    )
    decision = folder.read_decision()
    folder.write_decision(msgspec.structs.replace(decision, suggestion=f"unexplained/{kind}"))


@pytest.mark.parametrize(
    ("loss", "outcome", "said"),
    [
        (0.01, "rows", "can learn rows with these settings, so the cause is in the rows"),
        (2.5, "settings", "Even these rows were not learned, so the cause is in the settings"),
    ],
)
def test_a_few_rows_that_are_learned_or_not(
    loss: float, outcome: str, said: str, written: Written
) -> None:
    add(written, 70, LEFT)
    try_out(written, "overfit_few", metrics={"train_rows_loss": loss})
    one = written.one(experiment)
    assert one.severity == "warning"
    assert one.figures == {"experiment": "overfit_few", "outcome": outcome, "parent": 1}
    assert one.iterations == (1,)
    assert one.message.startswith(
        "experiment on iteration 1: trained many times on a few rows, the model reaches a loss"
    )
    assert said in one.message


def test_without_a_measured_loss_the_last_log_counts(written: Written) -> None:
    add(written, 70, LEFT)
    try_out(written, "overfit_few", losses=[4.0, 2.0, 0.01])
    assert written.one(experiment).figures["outcome"] == "rows"
    try_out(written, "overfit_few")
    assert list(experiment(written.case())) == []


@pytest.mark.parametrize(
    ("wrong", "outcome", "said"),
    [
        (4, "rows", "The model does what it was trained to do"),
        (70, "measuring", "The model fails on rows that it was trained on"),
    ],
)
def test_training_rows_that_pass_or_fail(
    wrong: int, outcome: str, said: str, written: Written
) -> None:
    add(written, 60, GOOD_LOSS)
    try_out(written, "on_training_rows", wrong)
    one = written.one(experiment)
    assert one.figures["outcome"] == outcome
    assert said in one.message


@pytest.mark.parametrize("kind", ["smaller_rate", "larger_rate"])
@pytest.mark.parametrize(
    ("wrong", "outcome", "said"),
    [
        (5, "rate", "the learning rate was the cause"),
        (59, "not the rate", "the learning rate is not the cause"),
    ],
)
def test_another_rate_that_helps_or_does_not(
    kind: str, wrong: int, outcome: str, said: str, written: Written
) -> None:
    add(written, 60, GOOD_LOSS)
    try_out(written, kind, wrong)
    one = written.one(experiment)
    assert one.figures["outcome"] == outcome
    assert f"a {kind.removesuffix('_rate')} learning rate did" in one.message
    assert said in one.message


@pytest.mark.parametrize(
    "suggestion",
    [
        None,
        "",
        "unexplained",
        "underfitting/overfit_few",
        "unexplained/undo",
        "unexplained/overfit_few + slow/pack",
    ],
)
def test_other_iterations_are_no_experiments(suggestion: str | None, written: Written) -> None:
    add(written, 70, LEFT)
    try_out(written, "overfit_few", metrics={"train_rows_loss": 0.01})
    folder = written.loop.iteration(2)
    decision = folder.read_decision()
    folder.write_decision(msgspec.structs.replace(decision, suggestion=suggestion))
    assert experiment_of(written.case()) is None
    assert list(experiment(written.case())) == []


def test_an_experiment_explains_all_its_other_findings(written: Written) -> None:
    add(written, 70, LEFT)
    try_out(written, "overfit_few", 78, {"train_rows_loss": 0.01, "eval_loss": 6.0})
    found = diagnosed(written)
    assert found.findings[0].kind == "experiment"
    assert [each.name for each in found.suggestions] == ["experiment/look_at_failures"]
    assert "go back to iteration 1" in found.suggestions[0].action


def test_a_cause_in_the_settings_leaves_nothing_to_read(written: Written) -> None:
    add(written, 70, LEFT)
    try_out(written, "overfit_few", metrics={"train_rows_loss": 3.0})
    assert SuggestionKind.LOOK_AT_FAILURES not in {
        each.kind for each in diagnosed(written).suggestions
    }
