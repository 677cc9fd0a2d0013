"""A run host passes the gate first: what it refuses leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import TinyLoop
from tui_loop.cli.output import Output
from tui_loop.cli.run_process import run_to_end
from tui_loop.cli.start import check_start, create
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, error
from tui_loop.core.record.events import PhaseStarted, RunStarted
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.reader import LoopReader, iteration_of, read_run
from tui_loop.core.record.requests import append_request, send_request
from tui_loop.core.workflow.draft import read_draft
from tui_loop.core.workflow.plan import plan_next
from tui_loop.engine import launch
from tui_loop.engine.host import HostedRuns
from tui_loop.engine.preflight import gate

pytestmark = pytest.mark.train

REFUSED = "training.adam_beta1=-0.5"
SHORT = ("max_steps=1", "eval_steps=0", "save_steps=0", "evaluation.train_rows=0")


def created(loop: LoopFolder, *settings: str, repeat: int | None = None) -> list[IterationFolder]:
    plan = plan_next(loop, parent=None, settings=[*SHORT, *settings], why="to see what happens")
    return create(loop, check_start(loop, plan, repeat=repeat))


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_refused_iteration_leaves_nothing_behind(tiny_loop: Callable[..., TinyLoop]) -> None:
    loop = tiny_loop().loop
    before = files_in(loop.path)
    folders = created(loop, REFUSED, repeat=2)
    assert [each.number for each in folders] == [0, 1, 2]
    runs = HostedRuns(folders, runner="thread")
    assert runs.run() == "failed"
    assert [each.field for each in runs.refusal] == ["training.adam_beta1"]
    assert files_in(loop.path) == before
    assert loop.numbers() == []


def test_a_refused_draft_is_the_draft_again(tiny_loop: Callable[..., TinyLoop]) -> None:
    loop = tiny_loop().loop
    before = set(files_in(loop.path))
    HostedRuns(created(loop, REFUSED), runner="thread", from_draft=True).run()
    assert set(files_in(loop.path)) - before == {"draft.toml"}
    draft = read_draft(loop)
    assert draft is not None
    assert draft.why == "to see what happens"
    assert draft.config.other == {"adam_beta1": -0.5}


@pytest.mark.slow
def test_the_base_is_evaluated_after_the_gate_has_passed(
    tiny_loop: Callable[..., TinyLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop().loop
    folders = created(loop, repeat=2)
    seen: list[tuple[str, str | None, bool]] = []
    whole = gate.check_run

    def look(*args: Any, **more: Any) -> list[CheckResult]:
        run = read_run(folders[1])
        seen.append((iteration_of(folders[1]).state, run.phase, folders[0].path.exists()))
        return whole(*args, **more)

    monkeypatch.setattr(gate, "check_run", look)
    assert HostedRuns(folders, runner="thread").run() == "finished"
    assert seen == [("running", "checking", False)]  # once, for both replicates
    assert [iteration_of(each).state for each in folders] == ["finished"] * 3
    events = Follower(folders[1].journal).read_all()
    assert isinstance(events[0], PhaseStarted)
    first = next(place for place, each in enumerate(events) if isinstance(each, RunStarted))
    assert {each.name for each in events[:first] if isinstance(each, PhaseStarted)} == {"checking"}
    base, one = read_run(folders[0]), read_run(folders[1])
    assert base.started is not None
    assert one.started is not None
    assert events[0].t <= base.started.t <= one.started.t


def test_a_stop_during_the_checks_ends_them(
    tiny_loop: Callable[..., TinyLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop().loop
    folders = created(loop)

    def stopped(*args: Any, poll: Callable[[], None], **more: Any) -> list[CheckResult]:
        send_request(folders[-1], "stop")
        poll()
        raise AssertionError("the poll has raised")

    monkeypatch.setattr(gate, "check_run", stopped)
    runs = HostedRuns(folders, runner="thread")
    assert runs.run() == "stopped"
    assert (runs.refusal, loop.numbers()) == ([], [])


def test_the_stop_of_a_screen_that_shows_the_checks_ends_them(
    tiny_loop: Callable[..., TinyLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop().loop
    folders = created(loop, "evaluation.base=false")

    def stopped(*args: Any, poll: Callable[[], None], **more: Any) -> list[CheckResult]:
        attempt = LoopReader(loop).at(1).view().run.asked_attempt
        append_request(folders[0].requests, attempt, "stop", save=True, evaluate=False)
        poll()
        raise AssertionError("the poll has raised")

    monkeypatch.setattr(gate, "check_run", stopped)
    assert HostedRuns(folders, runner="thread").run() == "stopped"
    assert loop.numbers() == []


def test_a_fault_within_the_checks_refuses_the_run(
    tiny_loop: Callable[..., TinyLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **more: Any) -> list[CheckResult]:
        raise ZeroDivisionError("of a library")

    monkeypatch.setattr(gate, "check_run", broken)
    loop = tiny_loop().loop
    runs = HostedRuns(created(loop), runner="thread")
    runs.run()
    assert "ZeroDivisionError: of a library" in runs.refusal[0].message
    assert loop.numbers() == []


def test_what_only_the_run_itself_can_see_is_refused_too(
    tiny_loop: Callable[..., TinyLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop().loop
    monkeypatch.setattr(gate, "check_run", lambda *_, **__: [])
    folders = created(loop, "target_modules=['nothing']", "evaluation.base=false")
    runs = HostedRuns(folders, runner="thread", from_draft=True)
    assert runs.run() == "failed"
    assert "nothing" in runs.refusal[0].message
    assert loop.numbers() == []
    assert not loop.ledger.exists()
    draft = read_draft(loop)
    assert draft is not None
    assert draft.config.lora.target_modules == ["nothing"]


def test_a_refused_resumption_changes_nothing(
    tiny_loop: Callable[..., TinyLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny_loop()
    made.run(*SHORT, "evaluation.base=false")
    folder = made.loop.iteration(1)
    before = files_in(folder.path)
    refusal = [error(CheckKind.MODEL, "another base", "take the first")]
    monkeypatch.setattr(gate, "check_run", lambda *_, **__: refusal)
    runs = HostedRuns([folder], runner="thread", from_draft=True)
    assert runs.run() == "failed"
    assert runs.refusal == refusal
    after = files_in(folder.path)
    assert {name for name in after if after[name] != before.get(name)} <= {"run.lock", "output.log"}
    assert read_draft(made.loop) is None


def test_a_run_whose_process_cannot_be_started_becomes_the_draft(
    tiny_loop: Callable[..., TinyLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any, **more: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(launch, "start_host", refused)
    loop = tiny_loop().loop
    with pytest.raises(PermissionError):
        run_to_end(loop, created(loop), Output(as_json=False))
    assert loop.numbers() == []
    assert read_draft(loop) is not None
