"""What a report is told from: the record, once, whatever state it is in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.conftest import CHECKOUT
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import Decision, Example
from tui_loop.core.report import gather
from tui_loop.core.report.facts import WORST, IterationEntry, Report
from tui_loop.core.report.files import FORMATS, report_text
from tui_loop.core.report.gather import report_of

MakeFinished = Callable[..., IterationFolder]


@pytest.fixture(autouse=True)
def _no_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture(scope="module")
def recorded() -> Report:
    return report_of(LoopsFolder(CHECKOUT / "loops").loop("support-intents"))


def told(report: Report, number: int) -> IterationEntry:
    return next(each for each in report.iterations if each.iteration.number == number)


def test_the_recorded_loop_is_told_with_its_claims(recorded: Report) -> None:
    assert (recorded.name, recorded.model, recorded.metric) == (
        "support-intents",
        "smollm2",
        "label",
    )
    assert recorded.best == 4
    fourth = told(recorded, 4).against
    assert fourth is not None
    assert fourth.brief.endswith("better")
    assert fourth.parent == 2
    assert fourth.fixed > len(fourth.fixed_examples) == 3
    assert {each.before != each.after for each in fourth.fixed_examples} == {True}
    seed = told(recorded, 5).against
    assert seed is not None
    assert seed.brief.endswith("noise")


def test_it_has_curves_data_and_environment(recorded: Report) -> None:
    story = told(recorded, 4).story
    assert story is not None
    assert len(story.curves.train.steps) == 100
    assert story.curves.eval.steps == (25, 50, 75, 100)
    assert [(each.split, each.rows) for each in recorded.data] == [
        ("train", 405),
        ("eval", 117),
        ("holdout", 83),
    ]
    assert all(len(each.sha256) == 64 for each in recorded.data)
    [environment] = recorded.environments
    assert environment.device == "cpu"
    assert "torch" in environment.versions


def test_what_fails_is_told_of_the_best_and_of_the_newest(recorded: Report) -> None:
    assert [each.number for each in recorded.open] == [4, 6]
    best = recorded.open[0]
    assert best.failed == 117 - 82
    assert best.total == 117
    assert len(best.worst) == WORST
    assert best.causes
    assert best.labels
    losses = [each.loss or 0.0 for each in best.worst]
    assert losses == sorted(losses, reverse=True)


def test_the_same_record_gives_the_same_bytes(recorded: Report) -> None:
    again = report_of(LoopsFolder(CHECKOUT / "loops").loop("support-intents"))
    for kind in FORMATS:
        assert report_text(again, kind) == report_text(recorded, kind)


def test_a_loop_without_iterations_has_a_report_too(loop: LoopFolder) -> None:
    report = report_of(loop)
    assert report.iterations == ()
    assert report.best is None
    for kind in FORMATS:
        assert report_text(report, kind)
    assert "no iterations yet" in report_text(report, "md")


def test_an_unreadable_iteration_is_told_as_such(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([1.0, 0.0], base=True)
    finished([1.0, 0.0]).summary.write_text("{")
    finished([1.0, 1.0], parent=0)
    report = report_of(loop)
    assert [each.iteration.state for each in report.iterations] == [
        "finished",
        "unreadable",
        "finished",
    ]
    for kind in FORMATS:
        assert "unreadable" in report_text(report, kind)
    assert "001/summary.json" in report_text(report, "md")


def test_what_was_taken_predicted_and_noted_is_told(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([0.0, 0.0], base=True)
    folder = finished([1.0, 0.0], "learning_rate=2e-4")
    predicted = {"metric": "score", "was": 0.0, "low": 0.3, "high": 0.6}
    decision = Decision(0, "a try", (), "underfitting/more_epochs", predicted)
    folder.write_decision(decision)
    folder.add_note("looks right to me")
    summary = folder.read_summary()
    assert summary is not None
    folder.write_summary(msgspec.structs.replace(summary, verdict="consistent"))
    text = report_text(report_of(loop), "md")
    for wanted in (
        "(more epochs, after underfitting)",
        "30% to 60%",
        "looks right to me",
        "consistent with",
    ):
        assert wanted in text, wanted
    assert "more_epochs" in report_text(report_of(loop), "csv")


def test_a_look_at_the_holdout_is_told_and_a_bad_line_counted(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0, 0.0], base=True)
    look = {
        "t": 1.0,
        "iteration": 1,
        "sha256": "ab",
        "rows": 10,
        "metric": "label",
        "score": 0.5,
        "passed": 5,
        "total": 10,
        "loss": 1.25,
    }
    loop.holdout.write_bytes(to_json(look) + b"\nbroken\n")
    report = report_of(loop)
    assert [each.score for each in report.holdout_evaluations] == [0.5]
    assert any("1 line of holdout.jsonl" in each for each in report.left_out)
    assert "5 of 10" in report_text(report, "md")


def test_long_texts_are_cut_and_say_so() -> None:
    assert gather.shortened("x" * 2000).endswith("… (500 more characters)")
    assert gather.shortened("short") == "short"


def test_many_iterations_are_bounded_and_what_is_left_out_is_told(
    loop: LoopFolder, finished: MakeFinished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "DETAILED", 2)
    monkeypatch.setattr(gather, "COMPARED", 2)
    finished([0.0, 0.0], base=True)
    finished([1.0, 1.0])
    for _ in range(4):
        finished([1.0, 0.0])
    report = report_of(loop)
    in_full = [each.iteration.number for each in report.iterations if each.story is not None]
    assert in_full == [0, 1, 4, 5]  # the first, the best, the newest two
    compared = [each.iteration.number for each in report.iterations if each.against is not None]
    assert compared == [4, 5]
    assert any("iterations 2-3" in each for each in report.left_out)
    assert any("iterations 1-3" in each for each in report.left_out)
    assert len(report_text(report, "csv").splitlines()) == 7


def test_hostile_texts_of_a_record_stay_texts(
    loop: LoopFolder, finished: MakeFinished, example: Callable[..., Example]
) -> None:
    evil = "</pre><script>x</script> `|` =1+1 \x1b[2J\u202e"
    rows = [
        example("a", 0.0, prompt=evil, output=evil, reference=evil),
        example("b", 1.0, prompt=evil),
    ]
    for why in (evil, evil):
        folder = finished([0.0, 1.0], why=why)
        folder.write_examples(rows, [])
    folder.add_note(evil)
    report = report_of(loop)
    for kind in FORMATS:
        text = report_text(report, kind)
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script" not in report_text(report, "html")


@pytest.mark.parametrize(
    "odd", ["NaN", "Infinity", "-Infinity", "words", -1, 1e308, 10**30, True, [], {}]
)
def test_a_damaged_figure_costs_no_report(
    odd: object, loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([0.0, 1.0], base=True)
    names = ("score", "passed", "total", "eval_loss", "train_loss", "steps", "epochs")
    finished([1.0, 0.0], metrics=dict.fromkeys(names, odd))
    for kind in FORMATS:
        assert report_text(report_of(loop), kind)


def test_nothing_is_written_into_the_record(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([1.0, 0.0], base=True)
    finished([1.0, 1.0])

    def state() -> dict[Path, int]:
        return {each: each.stat().st_mtime_ns for each in loop.path.rglob("*")}

    before = state()
    report_of(loop)
    assert state() == before
