"""Results without a summary: the journal and the examples say the same."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import CHECKOUT
from tui_loop.core.record.events import PhaseStarted, RunEnded, RunStarted
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.ledger import write_ledger
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.points import Point
from tui_loop.core.record.reader import iteration_of, iterations_of, read_run
from tui_loop.core.record.results import mean_loss, metrics_by_source, results_of
from tui_loop.core.record.structs import Iteration, SplitSource
from tui_loop.core.workflow.run_end import restore_ends

KNOWN = (
    "train_loss",
    "eval_loss",
    "trainer_eval_loss",
    "score",
    "macro_f1",
    "passed",
    "total",
    "weights_step",
    "steps",
    "epochs",
    "train_rows",
    "eval_tokens",
    "outputs_truncated",
)


def copied(place: Path, target: Path) -> LoopFolder:
    """A copy of a recorded loop, with what is needed to read its iterations."""
    loop = target / "loops" / place.name
    shutil.copytree(place, loop)
    return LoopFolder(loop)


@pytest.fixture
def recorded(tmp_path: Path) -> LoopFolder:
    """A copy of the shipped loop of seven iterations."""
    return copied(CHECKOUT / "loops" / "support-tiny", tmp_path)


def same(one: Any, other: Any) -> bool:
    """Equal, or two numbers that differ by the rounding of a sum."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def test_every_recorded_run_has_the_results_of_its_summary_without_it(planted: Path) -> None:
    recorded = [
        summary.parent
        for folder in (CHECKOUT, planted)
        for summary in sorted(folder.glob("loops/*/*/summary.json"))
    ]
    assert len(recorded) > 50
    for path in recorded:
        folder = LoopFolder(path.parent).iteration(int(path.name))
        summary = folder.read_summary()
        assert summary is not None
        results = results_of(folder, read_run(folder))
        different = {
            name: (summary.metrics.get(name), results.metrics.get(name))
            for name in KNOWN
            if not same(summary.metrics.get(name), results.metrics.get(name))
        }
        assert not different, folder
        if folder.read_examples():
            assert summary.fingerprint is not None
            assert results.fingerprint is not None
            assert not summary.fingerprint.differs_from(results.fingerprint), folder


def test_a_run_without_its_summary_is_shown_with_its_results(recorded: LoopFolder) -> None:
    before = iterations_of(recorded)
    for number in recorded.numbers():
        recorded.iteration(number).summary.unlink()
    for known, now in zip(before, iterations_of(recorded), strict=True):
        shown = (now.state, now.title, now.decision, now.error, now.attempts)
        assert shown == (known.state, known.title, known.decision, known.error, known.attempts)
        for name in ("train_loss", "eval_loss", "score", "passed", "total"):
            assert same(known.metrics[name], now.metrics[name])


def test_a_missing_summary_and_its_ledger_row_are_written_again(recorded: LoopFolder) -> None:
    write_ledger(recorded)
    ledger = recorded.ledger.read_text()
    folder = recorded.iteration(3)
    known = folder.read_summary()
    assert known is not None
    folder.summary.unlink()
    rows = ledger.splitlines(keepends=True)
    recorded.ledger.write_text("".join(row for row in rows if not row.startswith("3,")))

    assert restore_ends(recorded) == [3]
    again = folder.read_summary()
    assert again is not None
    assert (again.state, again.metrics["score"]) == (known.state, known.metrics["score"])
    assert scores(recorded.ledger.read_text()) == scores(ledger)
    assert restore_ends(recorded) == []


def scores(ledger: str) -> list[list[str]]:
    """Number, state and score of each row."""
    cells = [row.split(",") for row in ledger.splitlines()]
    at = cells[0].index("score")
    return [[row[0], row[2], row[at]] for row in cells]


def test_a_row_missing_from_the_ledger_alone_is_written_again(recorded: LoopFolder) -> None:
    write_ledger(recorded)
    ledger = recorded.ledger.read_text()
    recorded.ledger.write_text("\n".join(ledger.splitlines()[:-1]) + "\n")
    assert restore_ends(recorded) == []
    assert recorded.ledger.read_text() == ledger


def test_a_ledger_that_is_whole_is_not_touched(recorded: LoopFolder) -> None:
    write_ledger(recorded)
    before = recorded.ledger.stat().st_mtime_ns
    restore_ends(recorded)
    assert recorded.ledger.stat().st_mtime_ns == before


def test_a_run_that_is_alive_is_left_to_its_host(recorded: LoopFolder) -> None:
    folder = recorded.iteration(3)
    folder.summary.unlink()
    with RunLock(folder.lock):
        restore_ends(recorded)
        assert not folder.summary.exists()


def test_nothing_is_written_through_a_link(recorded: LoopFolder, tmp_path: Path) -> None:
    folder = recorded.iteration(3)
    folder.summary.unlink()
    elsewhere = tmp_path / "elsewhere.json"
    folder.diagnosis.unlink(missing_ok=True)
    folder.diagnosis.symlink_to(elsewhere)
    restore_ends(recorded)
    assert not elsewhere.exists()
    assert not folder.summary.exists()


def test_a_broken_line_of_the_examples_does_not_change_what_the_journal_measured(
    recorded: LoopFolder,
) -> None:
    folder = recorded.iteration(3)
    known = folder.read_summary()
    assert known is not None
    folder.summary.unlink()
    lines = folder.examples.read_bytes().splitlines(keepends=True)
    folder.examples.write_bytes(b"".join([b"{cut\n", *lines[1:]]))
    iteration = iteration_of(folder)
    assert iteration.metrics["score"] == known.metrics["score"]
    assert iteration.metrics["eval_loss"] == known.metrics["eval_loss"]


def test_the_mean_loss_weighs_each_log_by_its_steps() -> None:
    points = [Point(10, 0.1, {"loss": 2.0}, 0.0), Point(40, 0.4, {"loss": 1.0}, 0.0)]
    assert mean_loss(points) == 1.25
    assert mean_loss([]) is None


def test_a_live_run_has_no_results_before_its_evaluation(recorded: LoopFolder) -> None:
    folder = recorded.iteration(3)
    for path in (folder.summary, folder.examples):
        path.unlink()
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    begun = next(at for at, line in enumerate(lines) if b'"name":"training"' in line)
    folder.journal.write_bytes(b"".join(lines[: begun + 20]))
    with RunLock(folder.lock):
        iteration: Iteration = iteration_of(folder)
    assert iteration.state == "running"
    assert iteration.metrics["score"] is None
    assert iteration.metrics["train_loss"] is None


def test_a_resume_that_is_killed_before_it_works_leaves_the_results_before(
    recorded: LoopFolder,
) -> None:
    folder = recorded.iteration(3)
    known = folder.read_summary()
    assert known is not None
    folder.summary.unlink()
    ended = RunEnded(state="stopped", metrics=known.metrics)
    again = RunStarted(loop="support-tiny", iteration=3, attempt=2, pid=1, host="h", from_step=100)
    journal = Journal(folder.journal)
    for event in (ended, again, PhaseStarted(name="loading")):
        journal.append(event)
    journal.close()
    iteration = iteration_of(folder)
    assert (iteration.state, iteration.metrics) == ("interrupted", known.metrics)
    journal = Journal(folder.journal)
    journal.append(PhaseStarted(name="training"))
    journal.close()
    folder.remove_results(100)
    assert iteration_of(folder).metrics["score"] is None


def test_a_run_that_was_killed_after_its_evaluation_has_the_results_of_each_source(
    recorded: LoopFolder,
) -> None:
    folder = recorded.iteration(3)
    folder.summary.unlink()
    splits = folder.read_splits()
    sources = {"shop": SplitSource("shop.jsonl"), "bank": SplitSource("bank.csv")}
    splits["eval"] = msgspec.structs.replace(splits["eval"], sources=sources)
    folder.write_config(folder.read_config(), splits)
    examples = [
        msgspec.structs.replace(each, columns={"source": "shop" if number % 3 else "bank"})
        for number, each in enumerate(folder.read_examples())
    ]
    folder.write_examples(examples, [])
    run = msgspec.structs.replace(read_run(folder), results=None)
    found = metrics_by_source(results_of(folder, run).metrics)
    assert set(found) == {"shop", "bank"}
    for name, own in found.items():
        rows = [each for each in examples if each.columns["source"] == name]
        assert own["total"] == len(rows)
        assert own["passed"] == sum(each.passed is True for each in rows)
        assert own["score"] == pytest.approx(sum(each.score or 0 for each in rows) / len(rows))
        assert own["eval_loss"] > 0
