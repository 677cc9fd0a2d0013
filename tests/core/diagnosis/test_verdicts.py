"""Whether a prediction came true: as far as the runs can carry, and no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.diagnosis.experience import Experience, Tally, experience_beside
from tui_loop.core.diagnosis.findings import Prediction, Verdict
from tui_loop.core.diagnosis.verdicts import prediction_of, verdict_of
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.ledger import write_ledger
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Decision
from tui_loop.core.workflow.run_end import record_diagnosis

MakeFinished = Callable[..., IterationFolder]

WORSE = [1.0] * 30 + [0.0] * 70
BETTER = [1.0] * 80 + [0.0] * 20
A_LITTLE = [1.0] * 33 + [0.0] * 67
EXPECTED = {"metric": "score", "was": 0.3, "low": 0.5, "high": 0.9}


def predicting(folder: IterationFolder, predicted: Any, name: str | None = "a/raise") -> None:
    decision = folder.read_decision()
    folder.write_decision(msgspec.structs.replace(decision, suggestion=name, predicted=predicted))


def verdict(loop: LoopFolder, number: int) -> Verdict | None:
    reader = LoopReader(loop)
    decision = loop.iteration(number).read_decision()
    return verdict_of(Comparer(reader), reader.iteration(number), decision)


@pytest.mark.parametrize(
    ("scores", "word"),
    [(BETTER, "consistent"), (A_LITTLE, "against"), (WORSE, "against")],
)
def test_one_run_of_each_is_at_most_consistent_with_a_prediction(
    loop: LoopFolder, finished: MakeFinished, scores: list[float], word: str
) -> None:
    finished(WORSE)
    predicting(finished(scores, "learning_rate=2e-4", parent=1), EXPECTED)
    found = verdict(loop, 2)
    assert found is not None
    assert found.word == word
    assert "expected score 50% to 90% (was 30%), measured" in found.sentence
    assert found.sentence.endswith("one run of each config")


@pytest.mark.parametrize(
    ("scores", "word"),
    [(BETTER, "confirmed"), (WORSE, "refuted")],
)
def test_replicates_of_both_confirm_or_refute(
    loop: LoopFolder, finished: MakeFinished, scores: list[float], word: str
) -> None:
    finished(WORSE)
    finished(WORSE, "seed=2", parent=1)
    predicting(finished(scores, "learning_rate=2e-4", parent=1), EXPECTED)
    finished(scores, "seed=2", parent=3)
    found = verdict(loop, 3)
    assert found is not None
    assert found.word == word
    assert "one run" not in found.sentence


def test_what_the_examples_cannot_tell_is_too_close_to_call(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    later = finished([1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0], "learning_rate=2e-4", parent=1)
    predicting(later, {"metric": "score", "was": 0.5, "low": 0.55, "high": 0.7})
    found = verdict(loop, 2)
    assert found is not None
    assert found.word == "too close to call"


def test_a_prediction_of_the_loss_is_held_against_the_loss(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(WORSE)
    folder = finished(WORSE, "learning_rate=2e-4", parent=1, metrics={"eval_loss": 0.5})
    predicting(folder, {"metric": "eval_loss", "was": 0.5, "low": 0.3, "high": 0.4})
    found = verdict(loop, 2)
    assert found is not None
    assert (found.word, found.measured) == ("against", 0.5)
    assert "expected eval loss 0.300 to 0.400 (was 0.500)" in found.sentence


def test_a_run_that_diverged_speaks_against_whatever_was_hoped(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(WORSE)
    folder = finished([], "learning_rate=1.0", parent=1)
    predicting(folder, EXPECTED)
    summary = folder.read_summary()
    assert summary is not None
    error = {"kind": "diverged", "message": "diverged at step 2: nan", "hint": "", "step": 2}
    folder.write_summary(msgspec.structs.replace(summary, state="failed", error=error))
    found = verdict(loop, 2)
    assert found is not None
    assert found.word == "against"
    assert found.sentence.endswith("the run diverged at step 2")


@pytest.mark.parametrize(
    ("settings", "is_judged"),
    [
        (["learning_rate=2e-4"], True),
        (["learning_rate=2e-4", "seed=7"], True),
        (["learning_rate=3e-4"], False),
        (["learning_rate=2e-4", "lora.r=4"], False),
    ],
)
def test_a_prediction_is_judged_by_the_change_that_it_rests_on_alone(
    loop: LoopFolder, finished: MakeFinished, settings: list[str], is_judged: bool
) -> None:
    finished(WORSE)
    folder = finished(BETTER, *settings, parent=1)
    predicting(folder, {**EXPECTED, "changes": {"training.learning_rate": "2e-4"}})
    assert (verdict(loop, 2) is not None) is is_judged


def test_runs_are_counted_for_what_they_are(loop: LoopFolder, finished: MakeFinished) -> None:
    finished(WORSE)
    finished(WORSE, "seed=2", parent=1)
    predicting(finished(BETTER, "learning_rate=2e-4", parent=1), EXPECTED)
    found = verdict(loop, 3)
    assert found is not None
    assert found.word == "consistent"
    assert found.sentence.endswith("; 2 runs of iteration 1, one of iteration 3")


def test_after_a_parent_without_figures_the_base_is_what_counts(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(WORSE, base=True)
    finished([], "learning_rate=1.0")
    predicting(finished(BETTER, "learning_rate=2e-4", parent=1), EXPECTED)
    found = verdict(loop, 2)
    assert found is not None
    assert found.word == "consistent"
    assert "compared with the base because parent 1 was not evaluated; one run" in found.sentence


@pytest.mark.parametrize(
    "predicted",
    [None, {}, {"metric": "score"}, {"metric": "speed", "was": 1, "low": 1, "high": 2}],
)
def test_what_predicts_nothing_that_can_be_read_has_no_verdict(
    loop: LoopFolder, finished: MakeFinished, predicted: Any
) -> None:
    finished(WORSE)
    predicting(finished(BETTER, "learning_rate=2e-4", parent=1), predicted)
    assert prediction_of(loop.iteration(2).read_decision()) is None
    assert verdict(loop, 2) is None


def test_the_verdict_stands_in_summary_ledger_and_diagnosis(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(WORSE)
    folder = finished(BETTER, "learning_rate=2e-4", parent=1, why="more")
    predicting(folder, EXPECTED, "underfitting/raise_learning_rate")
    diagnosis = record_diagnosis(folder)
    assert diagnosis.verdict is not None
    summary = folder.read_summary()
    assert summary is not None
    assert summary.verdict == "consistent"
    kept = msgspec.json.decode(folder.diagnosis.read_bytes())
    assert kept["verdict"]["word"] == "consistent"
    write_ledger(loop)
    row = loop.ledger.read_text().splitlines()[2]
    assert "underfitting/raise_learning_rate,score 0.5 to 0.9,consistent" in row


def test_a_diagnosis_written_again_is_the_same_file(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(WORSE)
    folder = finished(BETTER, "learning_rate=2e-4", parent=1)
    predicting(folder, EXPECTED)
    record_diagnosis(folder)
    before = folder.diagnosis.read_bytes(), folder.summary.read_bytes()
    record_diagnosis(folder)
    assert (folder.diagnosis.read_bytes(), folder.summary.read_bytes()) == before


def test_the_record_of_a_kind_counts_verdicts_over_all_loops_and_moves_the_ranking(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(WORSE)
    for scores in (BETTER, BETTER, WORSE):
        folder = finished(scores, f"learning_rate={2 + sum(scores)}e-4", parent=1)
        predicting(folder, EXPECTED, "underfitting/raise_learning_rate")
        record_diagnosis(folder)
    together = finished(BETTER, "learning_rate=5e-4", parent=1)
    predicting(together, EXPECTED, "underfitting/raise_learning_rate + slow/pack")
    record_diagnosis(together)
    tally = experience_beside(loop).of("raise_learning_rate")
    assert tally.counts == {"consistent": 2, "against": 1}
    assert tally.words == "2 of 3 predictions for this kind of change came true in your loops"
    assert Experience().of("raise_learning_rate").weight == 1.0 < tally.weight
    assert Tally({"refuted": 3}).weight < 1.0


def test_a_prediction_knows_which_way_is_better() -> None:
    assert Prediction("score", 0.1, 0.2, 0.3).wants_more
    assert not Prediction("eval_loss", 0.3, 0.1, 0.2).wants_more


def test_an_iteration_without_a_decision_has_none(loop: LoopFolder, finished: MakeFinished) -> None:
    finished(WORSE)
    reader = LoopReader(loop)
    assert verdict_of(Comparer(reader), reader.iteration(1), Decision()) is None
