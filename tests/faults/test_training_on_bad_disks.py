"""Real runs on the tiny base while the disk misbehaves under their journal."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engine.conftest import TinyLoop, tiny_loop
from tests.faults.kit import Outcome
from tui_loop.cli.main import main
from tui_loop.core.diagnosis import diagnose
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.record.events import AnyEvent, MetricsLogged
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import trouble_of
from tui_loop.core.record.reader import IterationReader
from tui_loop.core.workflow import run_end
from tui_loop.engine.run_host import RunHost

__all__ = ["tiny_loop"]

pytestmark = [pytest.mark.train, pytest.mark.slow]

MakeLoop = Callable[..., TinyLoop]


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, Callable[[Any], None]]], None]:
    """Has something done to the journal just before the log of a step is appended."""
    append = Journal.append

    def arrange(acts: dict[int, Callable[[Any], None]]) -> None:
        def acting(journal: Journal, event: AnyEvent) -> None:
            if isinstance(event, MetricsLogged) and event.step in acts:
                acts[event.step](journal)
            append(journal, event)

        monkeypatch.setattr(Journal, "append", acting)

    return arrange


@pytest.mark.fault(
    "a training run's journal is cut, and later removed, while it trains",
    group="training",
    state="finished",
    readable="every step, the evaluations, the summary",
)
def test_a_run_whose_journal_is_cut_and_removed_trains_to_its_end(
    tiny_loop: MakeLoop, at_step: Callable[..., None], outcome: Outcome
) -> None:
    at_step(
        {2: lambda journal: os.truncate(journal.path, 0), 4: lambda journal: journal.path.unlink()}
    )
    loop = tiny_loop(training={"logging_steps": 1})
    folder = loop.loop.existing(loop.plan())
    summary = loop.run_number(folder.number)
    view = IterationReader(folder).view()
    assert [point.step for point in view.run.metrics] == [1, 2, 3, 4]
    assert (view.bad_lines, view.run.missing) == (0, 0)
    assert summary.metrics["eval_loss"] is not None
    outcome(folder)


@pytest.mark.fault(
    "the disk takes nothing of a training run's journal for a while",
    group="training",
    state="finished",
    readable="every step, and how many lines waited for how long",
)
def test_a_run_whose_journal_finds_no_room_for_a_while_trains_to_its_end(
    tiny_loop: MakeLoop,
    at_step: Callable[..., None],
    outcome: Outcome,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, full = os.write, set[int]()

    def writes(descriptor: int, data: bytes) -> int:
        if descriptor in full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", writes)
    at_step({2: lambda journal: full.add(journal._descriptor), 4: lambda _: full.clear()})
    loop = tiny_loop(training={"logging_steps": 1})
    folder = loop.loop.existing(loop.plan())
    loop.run_number(folder.number)
    run = IterationReader(folder).view().run
    assert [point.step for point in run.metrics] == [1, 2, 3, 4]
    assert run.missing == 0
    [gap] = [each for each in run.recoveries if each.kind == "disk"]
    assert gap.changes["waited"] >= 2
    assert gap.changes["lost"] == 0
    outcome(folder)


@pytest.mark.fault(
    "there is no room for the summary when a training run ends",
    group="training",
    state="finished",
    readable="the state by the journal, and that the summary was not written",
)
def test_a_run_without_room_for_its_summary_has_ended_nevertheless(
    tiny_loop: MakeLoop, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(IterationFolder, "write_summary", refuse)
    loop = tiny_loop()
    folder = loop.loop.existing(loop.plan())
    assert RunHost(folder, runner="thread").run() == "finished"
    assert folder.read_summary() is None
    told = IterationReader(folder).view().trouble
    assert told == "the summary was not written: [Errno 28] No space left on device"
    outcome(folder)


@pytest.mark.fault(
    "there is no room for the diagnosis when a training run ends",
    group="training",
    state="finished",
    readable="all but diagnosis.json, and that it was not written; `diagnose` makes it anew",
)
def test_a_run_without_room_for_its_diagnosis_has_its_summary_and_its_row_in_the_ledger(
    tiny_loop: MakeLoop,
    outcome: Outcome,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_end, "write_atomically", refuse)
    loop = tiny_loop(training={"max_steps": 1})
    folder = loop.loop.existing(loop.plan())
    summary = loop.run_number(folder.number)
    assert summary.metrics["eval_loss"] is not None
    assert not folder.diagnosis.exists()
    assert loop.loop.ledger.read_text().count("\n") == 2
    assert main(["--loops", str(loop.loop.path.parent), "status"]) == 0
    told = "finished  the diagnosis was not written: [Errno 28] No space left on device"
    assert told in capsys.readouterr().out
    assert diagnose.diagnose(loop.loop, 1).number == 1
    outcome(folder)


@pytest.mark.fault(
    "a rule of the diagnosis has a fault of its own",
    group="training",
    state="finished",
    readable="all but diagnosis.json, and that it was not written; where it broke is in output.log",
)
def test_a_fault_in_the_diagnosis_costs_a_run_nothing_else(
    tiny_loop: MakeLoop,
    outcome: Outcome,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def faulty(case: IterationFacts) -> Iterator[Finding]:
        raise ZeroDivisionError(f"of hf_{'canary' * 4}, in {case.number}")

    monkeypatch.setattr(diagnose, "RULES", (faulty,))
    loop = tiny_loop(training={"max_steps": 1})
    folder = loop.loop.existing(loop.plan())
    assert RunHost(folder, runner="thread").run() == "finished"
    summary = folder.read_summary()
    assert summary is not None
    assert summary.metrics["eval_loss"] is not None
    assert not folder.diagnosis.exists()
    assert loop.loop.ledger.read_text().count("\n") == 2
    assert trouble_of(folder.lock) == "the diagnosis was not written: of ***, in 1"
    assert "in faulty" in capsys.readouterr().err
    outcome(folder)
