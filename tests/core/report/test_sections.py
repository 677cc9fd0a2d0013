"""What a reader is told, in which words."""

from __future__ import annotations

from tui_loop.core.diagnosis.findings import (
    Diagnosis,
    Finding,
    Prediction,
    Suggestion,
    Verdict,
)
from tui_loop.core.record.folders import Closed
from tui_loop.core.record.structs import Iteration
from tui_loop.core.report.facts import (
    Counted,
    Curves,
    Failure,
    FailureSummary,
    IterationEntry,
    Line,
    Recovery,
    Report,
    RunDetails,
)
from tui_loop.core.report.iterations import spans, when
from tui_loop.core.report.markdown import markdown
from tui_loop.core.report.sections import document_of


def text_of(*told: IterationEntry, **more: object) -> str:
    fields = {"made_by": "tui-loop 1", "name": "x", "goal": "", "model": "tiny", "metric": "label"}
    return markdown(document_of(Report(**fields, iterations=told, **more)))  # type: ignore[arg-type]


def failed(**fields: object) -> IterationEntry:
    error = {"kind": "diverged", "message": "the loss is NaN", "hint": "a lower rate", "step": 9}
    iteration = Iteration(number=1, parent=0, state="failed", error=error, **fields)  # type: ignore[arg-type]
    return IterationEntry(
        iteration,
        story=RunDetails(
            recoveries=(Recovery("oom", "batch 8 → 4"),),
            warnings=2,
            curves=Curves(train=Line((1, 2), (1.0, 2.0), 2, nonfinite=3), diverged_at=9),
        ),
    )


def test_a_failed_iteration_says_why_and_what_to_do() -> None:
    text = text_of(failed(changes={"training.learning_rate": [1e-4, 1e4], "lora.r": [8, 16]}))
    for wanted in (
        "failed: diverged",
        "the loss is NaN",
        "a lower rate",
        "oom: batch 8 → 4",
        "2 warnings in its log",
        "3 loss values not finite (NaN or infinite)",
        "diverged at step 9",
        "| training.learning_rate | `1e-4` | `10000` |",
    ):
        assert wanted in text, wanted


def test_changed_rows_of_data_are_told_by_their_counts() -> None:
    changes = {"data.train": {"rows_added": 4, "rows_removed": 0}, "training.seed": [1, 2]}
    assert "`rows added 4, rows removed 0`" in text_of(failed(changes=changes))


def test_a_diagnosis_is_told_with_its_evidence_and_what_it_expects() -> None:
    finding = Finding("overfitting", "alarm", "eval loss turned up", otherwise="a hard batch")
    suggestion = Suggestion(
        *("fewer_epochs", "overfitting", "num_train_epochs 3 → 2", "why"),
        changes={"training.num_train_epochs": (3, 2)},
        expects=Prediction("score", 0.5, 0.55, 0.6),
        ground="its own curve",
        tried=(2,),
        record="3 of 4 confirmed",
    )
    verdict = Verdict("against", "score fell to 40%", "a/b")
    text = text_of(failed(), diagnoses=(Diagnosis(1, (finding,), (suggestion,), verdict),))
    for wanted in (
        "● alarm, overfitting: eval loss turned up. But: a hard batch.",
        "num_train_epochs 3 → 2. The suggestion expects score 55% to 60% (now 50%).",
        "Confidence low: its own curve. 3 of 4 confirmed. Tried already in iteration 2.",
        "✗ against the prediction. score fell to 40%",
    ):
        assert wanted in text, wanted
    assert "Sets" not in text  # the action says it


def test_what_fails_is_told_by_cause_and_in_full() -> None:
    worst = Failure("a1", "line one\nline two", "yes", "", 1.25, ("empty",))
    found = FailureSummary(
        *(1, "the newest", 3, 10),
        causes=(Counted("empty", 3),),
        labels=(Counted("yes", 2, "2 of 4 fail"),),
        worst=(worst,),
        judged="score 40% with 1 output accepted",
    )
    text = text_of(
        failed(), open=(found, FailureSummary(4, "the best so far", unread="x is missing"))
    )
    for wanted in (
        "## What fails in iteration 1, the newest",
        "3 of 10 examples fail",
        "score 40% with 1 output accepted",
        "| empty | 3 |",
        "line one\nline two",
        "(nothing)",
        "example a1; loss 1.250 nats per token; empty",
        "The 1 failure with the highest loss",
        "cannot be read: x is missing",
    ):
        assert wanted in text, wanted


def test_a_closed_loop_says_why() -> None:
    assert "**Closed at 3:** good enough" in text_of(closed=Closed("good enough", 1.0, 3))


def test_a_moment_is_told_in_utc_and_a_damaged_one_not_at_all() -> None:
    assert when(0.0) == "1970-01-01 00:00 UTC"
    assert (when(None), when(1e300)) == ("", "")


def test_numbers_in_a_row_are_told_as_spans() -> None:
    assert spans((0, 1, 2, 5, 7, 8)) == "0-2, 5, 7-8"
    assert spans(()) == ""
