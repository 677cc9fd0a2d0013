"""An iteration as every list shows it, whatever state its files are in."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.record.test_lock import holding_process
from tui_loop.core.record.events import (
    AnyEvent,
    Evaluated,
    MetricsLogged,
    PhaseStarted,
    Progressed,
    RequestSeen,
    RunEnded,
    RunStarted,
)
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.iteration import (
    as_json,
    last_run_state,
    loop_state,
    next_parent,
    reached_words,
    share_words,
    state_of,
)
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.reader import iteration_of, iterations_of, read_run
from tui_loop.core.record.state import RunState
from tui_loop.core.record.structs import Iteration, Reached, State
from tui_loop.core.workflow.plan import create_iteration, plan_next

MakeFinished = Callable[..., IterationFolder]
STARTED = RunStarted(loop="intents", iteration=1, attempt=1, pid=1, host="h")
ERROR = {"kind": "oom", "message": "m", "hint": "h", "step": 3}


def create(loop: LoopFolder, *settings: str) -> IterationFolder:
    plan = plan_next(loop, parent=None, settings=list(settings), why="to see")
    return create_iteration(loop, plan, {})


def happened(folder: IterationFolder, *events: AnyEvent) -> None:
    journal = Journal(folder.journal)
    for event in events:
        journal.append(event)
    journal.close()


def test_an_iteration_that_has_not_begun_is_queued(loop: LoopFolder) -> None:
    iteration = iteration_of(create(loop, "r=4"))
    assert (iteration.state, iteration.attempts, iteration.duration_s) == ("queued", 0, None)
    assert (iteration.number, iteration.parent, iteration.decision) == (1, 0, "to see")
    assert iteration.changes == {"lora.r": [16, 4]}
    assert iteration.title == "r 16 → 4"
    assert iteration.config is not None
    assert iteration.config["lora"]["r"] == 4


def test_a_run_whose_lock_is_held_is_running_and_after_a_kill_interrupted(
    loop: LoopFolder,
) -> None:
    folder = create(loop)
    happened(folder, STARTED, MetricsLogged(step=1, epoch=0.1, values={"loss": 1.0}))
    with holding_process(folder.lock) as process:
        assert iteration_of(folder).state == "running"
        assert loop_state(iterations_of(loop)) == "running"
        happened(folder, RequestSeen(id="a", name="stop"))
        assert iteration_of(folder).state == "stopping"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert iteration_of(folder).state == "interrupted"
    assert loop_state(iterations_of(loop)) == "idle"
    assert last_run_state(iterations_of(loop)) == "interrupted"


def test_a_run_without_lock_and_end_is_interrupted(loop: LoopFolder) -> None:
    folder = create(loop)
    happened(folder, STARTED)
    iteration = iteration_of(folder)
    assert (iteration.state, iteration.attempts) == ("interrupted", 1)


@pytest.mark.parametrize(
    ("state", "error"), [("finished", None), ("stopped", None), ("failed", ERROR)]
)
def test_a_run_that_ended_without_a_summary_has_the_journals_state_and_error(
    loop: LoopFolder, state: Any, error: dict[str, Any] | None
) -> None:
    folder = create(loop)
    happened(folder, STARTED, RunEnded(state=state, error=error))
    iteration = iteration_of(folder)
    assert (iteration.state, iteration.error) == (state, error)
    assert iteration.duration_s is not None
    assert iteration.duration_s >= 0


@pytest.mark.parametrize(
    ("events", "alive", "state"),
    [
        ([], True, "queued"),
        ([STARTED], True, "running"),
        ([STARTED], False, "interrupted"),
        ([STARTED, RequestSeen(id="a", name="stop")], True, "stopping"),
        ([STARTED, RequestSeen(id="a", name="stop")], False, "interrupted"),
        ([STARTED, RunEnded(state="failed")], True, "failed"),
        ([STARTED, RunEnded(state="failed"), STARTED], True, "running"),
    ],
)
def test_the_state_follows_from_the_journal_and_the_process(
    loop: LoopFolder, events: list[AnyEvent], alive: bool, state: State
) -> None:
    folder = create(loop)
    happened(folder, *events)
    assert state_of(read_run(folder), alive) == state
    assert state_of(RunState(), alive) == "queued"


def test_a_summary_is_taken_as_it_is(loop: LoopFolder, finished: MakeFinished) -> None:
    folder = finished([1.0, 0.0], "r=4", metrics={"steps": 7})
    assert iteration_of(folder) == folder.read_summary()


def test_what_there_is_not_is_null_in_the_metrics(loop: LoopFolder) -> None:
    metrics = iteration_of(create(loop)).metrics
    for name in ("train_loss", "eval_loss", "score", "passed", "total", "weights_step"):
        assert metrics[name] is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.toml", b"[[["),
        ("config.toml", b"\xff"),
        ("config.toml", None),
        ("config.toml", b"[lora]\nr = 0\n"),
        ("decision.toml", b"parent = 'x'"),
        ("summary.json", b"{"),
        ("summary.json", b'{"number": 1, "state": "dancing"}'),
        ("summary.json", b'{"number": 1, "state": "finished", "config": {"training": 3}}'),
        ("summary.json", "folder"),
    ],
)
def test_an_unreadable_iteration_is_shown_beside_the_healthy_ones_and_says_why(
    loop: LoopFolder, finished: MakeFinished, name: str, content: bytes | str | None
) -> None:
    finished([1.0])
    broken = create(loop)
    finished([0.0])
    path: Path = broken.path / name
    path.unlink(missing_ok=True)
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    first, second, third = iterations_of(loop)
    assert [first.state, second.state, third.state] == ["finished", "unreadable", "finished"]
    assert second.number == 2
    assert second.error is not None
    assert str(path) in second.error["message"]
    assert set(second.error) == {"kind", "message", "hint", "step"}


def test_junk_in_a_journal_hides_nothing_else(loop: LoopFolder) -> None:
    folder = create(loop)
    folder.journal.write_bytes(b"\xff\xfe\n{}\n")
    happened(folder, STARTED, RunEnded(state="stopped"))
    assert iteration_of(folder).state == "stopped"


def one(number: int, state: State = "finished", **metrics: Any) -> Iteration:
    return Iteration(number=number, state=state, metrics=metrics)


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ([], "new"),
        (["finished", "failed"], "idle"),
        (["finished", "queued"], "queued"),
        (["running", "finished"], "running"),
        (["finished", "stopping", "queued"], "stopping"),
    ],
)
def test_a_loop_runs_while_any_iteration_runs(states: list[State], state: str) -> None:
    assert loop_state([one(number, each) for number, each in enumerate(states)]) == state


def test_an_iteration_as_json_holds_plain_types_alone(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    plain = as_json(iteration_of(finished([1.0])))
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["fingerprint"]["rows"]


def trained(number: int, parent: int | None, *, diverged: bool = False) -> Iteration:
    error = {"kind": "diverged", "message": "the loss is NaN", "step": 9} if diverged else None
    state: State = "failed" if diverged else "finished"
    return Iteration(number=number, parent=parent, state=state, config={"model": {}}, error=error)


@pytest.mark.parametrize(
    ("iterations", "expected"),
    [
        ([], None),
        ([trained(0, None)], 0),
        ([trained(0, None), trained(1, None), trained(2, 1)], 2),
        ([trained(1, None), trained(2, 1, diverged=True)], 1),
        ([trained(1, None), trained(2, 1, diverged=True), trained(3, 2, diverged=True)], 1),
        ([trained(1, None, diverged=True)], 1),
        ([trained(0, None), trained(1, 0, diverged=True)], 1),
        ([trained(1, None), trained(2, 1, diverged=True), trained(3, 1)], 3),
    ],
)
def test_the_next_parent_is_the_newest_sound_iteration_of_the_lineage(
    iterations: list[Iteration], expected: int | None
) -> None:
    assert next_parent(iterations) == expected


def test_an_unreadable_iteration_is_nobodys_parent() -> None:
    unreadable = Iteration(number=2, parent=1, state="unreadable")
    assert next_parent([trained(1, None), unreadable]) == 1


@pytest.mark.parametrize("state", ["stopped", "failed", "interrupted"])
def test_an_unfinished_run_says_how_far_it_came_and_what_it_measured(
    loop: LoopFolder, state: Any
) -> None:
    folder = create(loop)
    happened(
        folder,
        STARTED,
        PhaseStarted(name="training"),
        Progressed(phase="training", done=40, total=76),
        Evaluated(step=40, epoch=0.5, values={"eval_loss": 1.21}),
        Progressed(phase="training", done=41, total=76),
        PhaseStarted(name="saving"),
        *([] if state == "interrupted" else [RunEnded(state=state)]),
    )
    iteration = iteration_of(folder)
    assert reached_words(iteration) == (
        f"{state} at 41 of 76 steps (53%), eval loss 1.210 at step 40"
    )
    assert share_words(iteration) == "53%"
    assert as_json(iteration)["reached"] == {
        "steps": 41,
        "total": 76,
        "eval_loss": 1.21,
        "eval_step": 40,
    }


def test_a_summary_of_an_earlier_version_gets_its_share_of_the_steps_from_the_journal(
    loop: LoopFolder,
) -> None:
    folder = create(loop)
    happened(
        folder,
        STARTED,
        PhaseStarted(name="training"),
        Progressed(phase="training", done=3, total=4),
        RunEnded(state="stopped"),
    )
    summary = iteration_of(folder)
    folder.write_summary(msgspec.structs.replace(summary, reached=msgspec.UNSET))
    assert reached_words(iteration_of(folder)) == "stopped at 3 of 4 steps (75%)"


@pytest.mark.parametrize(
    ("reached", "share"),
    [(Reached(1, 5000), "1%"), (Reached(4999, 5000), "99%"), (Reached(7), ""), (None, "")],
)
def test_a_share_of_the_steps_is_never_none_nor_all_of_them(
    reached: Reached | None, share: str
) -> None:
    iteration = Iteration(
        number=1, state="stopped", reached=msgspec.UNSET if reached is None else reached
    )
    assert share_words(iteration) == share


def test_a_finished_run_and_one_that_took_no_step_have_no_share(loop: LoopFolder) -> None:
    first, second = create(loop), create(loop)
    trained = Progressed(phase="training", done=4, total=4)
    happened(first, STARTED, PhaseStarted(name="training"), trained, RunEnded(state="finished"))
    happened(second, STARTED, PhaseStarted(name="loading"), RunEnded(state="stopped"))
    for iteration in (iteration_of(first), iteration_of(second)):
        assert iteration.reach is None
        assert reached_words(iteration) == ""
        assert "reached" not in as_json(iteration)


@pytest.mark.parametrize(
    ("states", "last"),
    [
        ([], ""),
        (["finished", "failed"], "failed"),
        (["finished", "failed", "queued"], "failed"),
        (["failed", "running"], ""),
        (["queued"], ""),
    ],
)
def test_how_the_last_run_ended_is_told_apart_from_the_state(
    states: list[State], last: str
) -> None:
    assert last_run_state([one(number, each) for number, each in enumerate(states)]) == last
