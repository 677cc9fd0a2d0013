"""The autopilot: what it builds on, when it stops, and the log that it writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.core.workflow.conftest import RATE, FakeRunner, Played, Scripted
from tui_loop.core.config.schema import Config
from tui_loop.core.diagnosis.findings import (
    Diagnosis,
    Finding,
    Prediction,
    Suggestion,
    Verdict,
)
from tui_loop.core.errors import NotFound
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.snapshot import LoopPoller, SnapshotRequest
from tui_loop.core.workflow.plan import create_iteration, plan_next
from tui_loop.core.workflow.stop_rules import read_auto_end
from tui_loop.core.workflow.suggestion_source import DiagnosisSource, Proposal

Play = Callable[..., Played]

BEST_RATE = 1e-3


def world(config: Config) -> dict[str, Any]:
    """The nearer to the best rate the better; far above it diverges."""
    rate = config.training.learning_rate
    if rate > 5e-3:
        return {"error": "diverged"}
    score = min(rate, BEST_RATE) / max(rate, BEST_RATE)
    return {"score": score, "eval_loss": 2 - score, "passed": 10 * score, "total": 10}


def rate(value: float, parent: int | None = None, **more: Any) -> Proposal:
    return Proposal(parent, f"the rate is to be {value}", {RATE: value}, **more)


def move(number: int, old: float, new: float, *, kind: str = "rate", **more: Any) -> Suggestion:
    return Suggestion(
        kind, "found", "another rate", f"{number} says so.", {RATE: (old, new)}, **more
    )


def test_a_loop_without_iterations_runs_its_defaults_first(loop: LoopFolder, play: Play) -> None:
    played = play(Scripted(rate(5e-4, 1)), world, iterations=2)
    assert played.tree == [((1,), 0), ((2,), 1)]
    assert played.outcome.stop.kind == "budget"
    assert played.outcome.best is not None
    assert played.outcome.best.number == 2
    assert loop.iteration(1).read_decision().why.startswith("nothing has been trained yet")
    assert loop.iteration(2).read_decision().changes[0].new == 5e-4


def test_the_end_is_recorded_with_its_reason(loop: LoopFolder, play: Play) -> None:
    assert read_auto_end(loop) is None
    outcome = play(Scripted(rate(5e-4, 1)), world, iterations=2).outcome
    end = read_auto_end(loop)
    assert end is not None
    assert end.stop == outcome.stop
    assert (end.last, end.best) == (2, 2)


def test_changes_of_the_data_are_left_to_a_person(loop: LoopFolder, play: Play) -> None:
    def advice(field: str, old: object, new: object) -> Suggestion:
        return Suggestion("kind", "found", "a change", "because", {field: (old, new)})

    suggestions = {
        1: (
            advice("data.chat_template", "auto", "off"),
            advice("data.train_on", "assistant", "last"),
        ),
    }
    source = DiagnosisSource(lambda number: Diagnosis(number, (), suggestions.get(number, ())))
    play(source, world, iterations=2)
    config = loop.iteration(2).read_config()
    assert (config.data.chat_template, config.data.train_on) == ("auto", "last")


def test_suggestion_and_prediction_are_in_the_decision(loop: LoopFolder, play: Play) -> None:
    predicted = {"metric": "score", "was": 0.1, "low": 0.4, "high": 0.6}
    proposal = rate(5e-4, 1, suggestion="found/rate", predicted=predicted)
    played = play(Scripted(proposal), world, iterations=2)
    decision = loop.iteration(2).read_decision()
    assert (decision.suggestion, decision.predicted) == ("found/rate", predicted)
    assert "expects score 40% to 60% (was 10%)" in played.lines


def test_what_got_worse_or_diverged_is_left_and_the_best_is_built_on(play: Play) -> None:
    suggestions = {
        1: (move(1, 1e-4, 5e-4), move(1, 1e-4, 2e-4)),
        2: (move(2, 5e-4, 1e-2),),
        3: (),
    }
    source = DiagnosisSource(lambda n: Diagnosis(n, suggestions=suggestions.get(n, ())))
    played = play(source, world, iterations=9)
    assert played.tree == [((1,), 0), ((2,), 1), ((3,), 2)]
    assert [each.ended.state for each in played.outcome.steps] == ["finished", "finished", "failed"]
    assert played.outcome.stop.kind == "nothing"
    assert played.outcome.best is not None
    assert played.outcome.best.number == 2
    assert played.outcome.exit_code == 0


def test_a_failed_try_says_where_to_look_and_the_best_is_changed_so(
    loop: LoopFolder, play: Play
) -> None:
    expects = Prediction("score", 0.5, 0.6, 0.9)
    suggestions = {
        1: (move(1, 1e-4, 1e-2),),
        2: (
            Suggestion("r", "diverged", "less", "other", {"lora.r": (16, 4)}),
            move(2, 1e-2, 1e-3, expects=expects),
        ),
    }
    source = DiagnosisSource(lambda n: Diagnosis(n, suggestions=suggestions.get(n, ())))
    played = play(source, world)
    assert played.tree == [((1,), 0), ((2,), 1), ((3,), 1)]
    decision = loop.iteration(3).read_decision()
    assert decision.why == (
        "2 says so (seen in iteration 2, applied to iteration 1, the best so far)"
    )
    assert decision.changes[0].field == RATE
    assert (decision.suggestion, decision.predicted) == ("found/rate", None)
    assert played.outcome.best is not None
    assert played.outcome.best.number == 3


def test_with_nothing_that_finished_the_failed_one_is_built_on(
    loop: LoopFolder, play: Play
) -> None:
    suggestions = {1: (move(1, 1e-4, 8e-3),), 2: (move(2, 8e-3, 1e-3),)}

    def harsh(config: Config) -> dict[str, Any]:
        return world(config) if config.training.learning_rate == 1e-3 else {"error": "diverged"}

    source = DiagnosisSource(lambda n: Diagnosis(n, suggestions=suggestions.get(n, ())))
    played = play(source, harsh)
    assert played.tree == [((1,), 0), ((2,), 1), ((3,), 2)]
    assert played.outcome.best is not None
    assert played.outcome.best.number == 3
    assert played.outcome.exit_code == 0


def test_neither_what_was_tried_nor_advice_on_data_is_taken(play: Play) -> None:
    suggestions = (
        Suggestion("more_rows", "data_gap", "more rows", "rows"),
        move(1, 1e-4, 3e-4, tried=(1,)),
        move(1, 1e-4, 1e-4),
        move(1, 1e-4, -1.0),
        move(1, 1e-4, 5e-4),
    )
    source = DiagnosisSource(lambda n: Diagnosis(n, suggestions=suggestions if n == 1 else ()))
    played = play(source, world)
    assert [each.plan.config.training.learning_rate for each in played.outcome.steps] == [
        1e-4,
        5e-4,
    ]


def test_a_seed_makes_no_other_config(loop: LoopFolder, play: Play) -> None:
    play(Scripted(), world, iterations=1)
    create = plan_next(loop, parent=1, settings=["seed=7"], why="again")
    runner = FakeRunner(loop, world)
    create_iteration(loop, create, {})
    runner.run([2])
    source = DiagnosisSource(lambda n: Diagnosis(n, suggestions=(move(n, 1e-4, 1e-4),)))
    assert play(source, world).outcome.stop.kind == "nothing"


def test_the_mean_of_a_configs_runs_decides_not_the_luckiest(loop: LoopFolder, play: Play) -> None:
    def lucky(config: Config) -> dict[str, Any]:
        if config.training.learning_rate == 5e-4:
            return {"score": 0.6}
        return {"score": 0.9 if config.training.seed == 43 else 0.2}

    proposals = [
        Proposal(1, "seed", {"training.seed": 43}),
        rate(5e-4, 1),
    ]
    played = play(Scripted(*proposals), lucky, iterations=3)
    assert played.outcome.best is not None
    assert played.outcome.best.number == 3


def test_of_equal_scores_the_lower_loss_is_better(loop: LoopFolder, play: Play) -> None:
    losses = {1e-4: 3.0, 5e-4: 2.0, 1e-3: 2.5}

    def hopeless(config: Config) -> dict[str, Any]:
        return {"score": 0.0, "eval_loss": losses[config.training.learning_rate]}

    played = play(Scripted(rate(5e-4, 1), rate(1e-3, 2)), hopeless, iterations=3)
    assert [each.best for each in played.outcome.steps] == [1, 2, 2]


def test_it_goes_on_from_the_iteration_that_is_named_whatever_else_is_there(
    loop: LoopFolder, play: Play
) -> None:
    play(Scripted(rate(1e-3, 1), rate(2e-4, 1)), world, iterations=3)
    source = Scripted(rate(3e-4, 3))
    played = play(source, world, start=3, iterations=1)
    assert source.parents == [3]
    assert played.tree == [((4,), 3)]
    assert played.outcome.best is not None
    assert played.outcome.best.number == 4


def test_ready_is_the_best_reason_and_is_asked_of_the_best(play: Play) -> None:
    asked: list[int] = []

    def is_ready(number: int) -> str:
        asked.append(number)
        return "all 4 criteria are met" if number == 2 else ""

    played = play(Scripted(rate(1e-3, 1), rate(5e-4, 2)), world, is_ready=is_ready)
    assert played.outcome.stop == msgspec.structs.replace(
        played.outcome.stop, kind="ready", reason="all 4 criteria are met"
    )
    assert asked == [1, 2]


def test_three_tries_that_bring_nothing_are_a_plateau(play: Play) -> None:
    proposals = [rate(1e-3, 1), *(rate(value, 2) for value in (5e-4, 2e-3, 2e-4, 3e-4))]
    played = play(Scripted(*proposals), world, iterations=9)
    assert played.outcome.stop.kind == "plateau"
    assert played.outcome.stop.reason == "the last 3 tries were no better than iteration 2"
    assert len(played.outcome.steps) == 5


def test_three_tries_that_fail_are_no_plateau_but_a_failure(play: Play) -> None:
    proposals = [rate(1e-2 * factor, 1) for factor in (1, 2, 3, 4)]
    played = play(Scripted(*proposals), lambda _: {"error": "crashed"}, iterations=9)
    assert played.outcome.stop.kind == "failed"
    assert played.outcome.exit_code == 1
    assert len(played.outcome.steps) == 3


def test_a_plateau_that_the_diagnosis_finds_ends_it_but_not_before_something_was_tried(
    play: Play,
) -> None:
    finding = Finding("plateau", "warning", "no config helped", iterations=(1, 2))
    within = Finding("plateau", "note", "flat within the run")
    found = {1: (within,), 2: (finding,)}
    played = play(
        Scripted(rate(1e-3, 1), rate(2e-3, 1)),
        world,
        diagnose=lambda n: Diagnosis(n, found.get(n, ())),
    )
    assert (played.outcome.stop.kind, played.outcome.stop.reason) == ("plateau", "no config helped")
    assert len(played.outcome.steps) == 2
    again = play(Scripted(rate(2e-3, 1)), world, diagnose=lambda n: Diagnosis(n, (finding,)))
    assert len(again.outcome.steps) == 1


@pytest.mark.parametrize(("hours", "tries"), [(0.0, 0), (0.01, 1), (0.034, 2), (None, 4)])
def test_no_try_is_begun_that_would_end_beyond_the_hours(
    play: Play, hours: float | None, tries: int
) -> None:
    proposals = [rate(value, 1) for value in (2e-4, 3e-4, 4e-4)]
    played = play(Scripted(*proposals), world, hours=hours)  # a minute each
    assert len(played.outcome.steps) == tries
    assert played.outcome.stop.kind == "budget"


def test_a_stop_request_ends_it_and_the_trail_is_kept(loop: LoopFolder, play: Play) -> None:
    runner = FakeRunner(loop, world)
    runner.stops_at = 2
    played = play(Scripted(rate(1e-3, 1), rate(5e-4, 1)), world, runner=runner)
    assert (played.outcome.stop.kind, played.outcome.exit_code) == ("stopped", 3)
    assert [each.ended.state for each in played.outcome.steps] == ["finished", "stopped"]
    assert "auto stopped: intents/2 was stopped on request." in loop.iteration(2).read_notes()


def test_the_reason_for_the_stop_is_shown_until_another_iteration_is_created(
    loop: LoopFolder, play: Play
) -> None:
    play(Scripted(rate(1e-3, 1)), world, iterations=1)
    played = play(Scripted(), world)
    assert (played.outcome.stop.kind, played.outcome.steps) == ("nothing", ()), "it created none"
    poller = LoopPoller(loop)
    end = poller.poll(SnapshotRequest()).auto_end
    assert end is not None
    assert (end.stop, end.last, end.best) == (played.outcome.stop, 1, 1)
    create_iteration(loop, plan_next(loop, parent=1, settings=["lora.r=4"], why="by hand"), {})
    assert poller.poll(SnapshotRequest()).auto_end is None


def test_what_cannot_be_run_is_told_and_the_next_is_tried(loop: LoopFolder, play: Play) -> None:
    runner = FakeRunner(loop, world)
    runner.refused = (5e-4,)
    source = DiagnosisSource(
        lambda n: Diagnosis(n, suggestions=(move(n, 1e-4, 5e-4), move(n, 1e-4, 1e-3)))
    )
    played = play(source, world, runner=runner, iterations=2)
    assert any(
        "This config cannot run" in line and "does not please" in line for line in played.lines
    )
    assert played.outcome.steps[-1].plan.config.training.learning_rate == 1e-3


def test_what_the_gate_refuses_is_no_step_and_the_next_is_tried(
    loop: LoopFolder, play: Play
) -> None:
    runner = FakeRunner(loop, world)
    runner.refused_by_gate = (5e-4,)
    source = DiagnosisSource(
        lambda n: Diagnosis(n, suggestions=(move(n, 1e-4, 5e-4), move(n, 1e-4, 1e-3)))
    )
    played = play(source, world, runner=runner, iterations=2)
    assert any(
        "This config cannot run" in line and "optimizer refuses" in line for line in played.lines
    )
    assert [each.plan.config.training.learning_rate for each in played.outcome.steps] == [
        1e-4,
        1e-3,
    ]
    assert loop.numbers() == [1, 2]


def test_auto_ends_after_too_many_refusals(loop: LoopFolder, play: Play) -> None:
    runner = FakeRunner(loop, world)
    runner.refused_by_gate = (2e-4, 3e-4, 4e-4, 5e-4)
    proposals = [rate(value, 1) for value in (2e-4, 3e-4, 4e-4, 5e-4)]
    played = play(Scripted(*proposals), world, runner=runner)
    assert played.outcome.stop.kind == "refused"
    assert "optimizer refuses" in played.outcome.stop.reason
    assert len(played.outcome.steps) == 1


def test_defaults_that_the_gate_refuses_end_it(loop: LoopFolder, play: Play) -> None:
    runner = FakeRunner(loop, world)
    runner.refused_by_gate = (1e-4,)
    played = play(Scripted(), world, runner=runner)
    assert (played.outcome.stop.kind, played.outcome.steps) == ("refused", ())
    assert played.outcome.exit_code == 2


def test_defaults_that_cannot_be_run_end_it(loop: LoopFolder, play: Play) -> None:
    runner = FakeRunner(loop, world)
    runner.refused = (1e-4,)
    played = play(Scripted(), world, runner=runner)
    assert (played.outcome.stop.kind, played.outcome.exit_code) == ("refused", 2)
    assert "does not please" in played.outcome.stop.reason


def test_the_trail_has_each_decision_with_its_reason_and_what_became_of_it(
    loop: LoopFolder, play: Play
) -> None:
    verdicts = {
        2: Verdict("consistent", "score 10% became 100%, 40% to 99% was expected.", "found/rate")
    }

    def diagnose(number: int) -> Diagnosis:
        if number == 1:
            raise NotFound("no diagnosis", "")
        return Diagnosis(number, verdict=verdicts.get(number))

    played = play(Scripted(rate(1e-3, 1), rate(1e-2, 2)), world, diagnose=diagnose, iterations=3)
    assert played.lines == [
        "1 of 3: iteration 1 from the defaults: baseline, because nothing has been trained yet: "
        "the default settings are the starting point",
        "iteration 1: score 10%, eval loss 1.900. The best so far.",
        "2 of 3: iteration 2 from iteration 1: learning_rate 1e-4 → 1e-3, because the rate is to "
        "be 0.001",
        "iteration 2: score 100%, eval loss 1.000. Consistent: score 10% became 100%, 40% to 99% "
        "was expected. The best so far.",
        "3 of 3: iteration 3 from iteration 2: learning_rate 1e-3 → 1e-2, because the rate is to "
        "be 0.01",
        "iteration 3 failed: it diverged. Iteration 2 is still the best.",
        "stopped (budget): all 3 allowed iterations have been run",
        "The best iteration is 2: score 100%, eval loss 1.000.",
    ]
    assert loop.iteration(3).read_notes().splitlines() == [
        "auto stopped (budget): all 3 allowed iterations have been run.",
        "The best iteration is 2: score 100%, eval loss 1.000.",
        "- " + played.lines[0].partition(": ")[2] + ". " + played.lines[1],
        "- " + played.lines[2].partition(": ")[2] + ". " + played.lines[3],
        "- " + played.lines[4].partition(": ")[2] + ". " + played.lines[5],
    ]
    record = played.outcome.record
    assert [each["numbers"] for each in record["steps"]] == [[1], [2], [3]]
    assert record["steps"][1]["verdict"]["word"] == "consistent"
    assert (record["best"], record["stopped"]["kind"]) == (2, "budget")
