"""Writes the summary, the diagnosis and the ledger row of a run that has ended.

The run host does this. If it was killed before, or if git or a full disk removed a summary, the
next command that may write restores the files from the journal. All of them are derived from the
record and can be regenerated.
"""

from __future__ import annotations

import csv
import traceback
from collections.abc import Callable
from contextlib import suppress

import msgspec

from tui_loop.core.config.tables import to_tables
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record import codec
from tui_loop.core.record.events import RunEnded
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.iteration import iteration_from
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.ledger import COLUMNS, ledger_row, write_ledger
from tui_loop.core.record.lock import LockWatcher, RunLock
from tui_loop.core.record.reader import LoopReader, iterations_of, read_run
from tui_loop.core.record.results import Results, results_of
from tui_loop.core.record.safe_open import read_text
from tui_loop.core.record.state import RunState
from tui_loop.core.record.structs import Decision, EndState, Iteration, RunError
from tui_loop.core.text.secrets import redacted
from tui_loop.core.text.untrusted import csv_text, one_line

_KEY_COLUMNS = [COLUMNS.index(name) for name in ("state", "train_loss", "eval_loss", "score")]
"""Columns that show an outdated row of the ledger, besides the number."""


def write_end(
    folder: IterationFolder,
    journal: Journal,
    lock: RunLock,
    *,
    state: EndState,
    error: RunError | None,
    results: Results,
) -> None:
    """Ends and closes the journal of a run, then writes summary, diagnosis and ledger.

    Never raises. The journal comes first because it has the results, so that a later fault loses
    nothing. The lock file names the first file that could not be written.
    """
    journal.append(
        RunEnded(
            state=state,
            error=msgspec.to_builtins(error),
            metrics=results.metrics,
            fingerprint=msgspec.to_builtins(results.fingerprint),
        )
    )
    journal.close()
    writes: tuple[tuple[str, Callable[[], object]], ...] = (
        ("summary", lambda: _write_summary(folder, read_run(folder), state, results)),
        ("diagnosis", lambda: _diagnose(folder)),
        ("ledger", lambda: write_ledger(folder.loop)),
    )
    has_failed = False
    for name, write in writes:
        try:
            write()
        except Exception as fault:  # an edge: the run has ended, whatever happens here
            if not isinstance(fault, (OSError, TuiLoopError)):
                traceback.print_exc()  # to output.log
            reason = lock.trouble or f"the {name} was not written"
            lock.report_trouble(
                lock.trouble if has_failed else one_line(redacted(f"{reason}: {fault}"), 400)
            )
            has_failed = True


def _diagnose(folder: IterationFolder) -> None:
    """Writes findings, suggestions and the verdict; the untouched base has none."""
    if folder.number > 0:
        record_diagnosis(folder)


def _write_summary(
    folder: IterationFolder, run: RunState, state: EndState, results: Results
) -> None:
    """Writes `summary.json` of a run that ended in `state`; raises TuiLoopError, OSError."""
    iteration = iteration_from(
        folder.number, folder.read_decision(), to_tables(folder.read_config()), run, state
    )
    folder.write_summary(
        msgspec.structs.replace(iteration, metrics=results.metrics, fingerprint=results.fingerprint)
    )


def restore_ends(loop: LoopFolder) -> list[int]:
    """Writes missing summaries and diagnoses of ended runs; returns their numbers.

    Skips live runs, whose host will write them. Ignores files that cannot be read or written, since
    the record shows the same without them.
    """
    restored = []
    for number in loop.numbers():
        with suppress(TuiLoopError, OSError):
            if _restore(loop.iteration(number)):
                restored.append(number)
    with suppress(TuiLoopError, OSError):
        if restored or _is_ledger_outdated(loop):
            write_ledger(loop)
    return restored


def _restore(folder: IterationFolder) -> bool:
    """Writes a missing summary or verdict; returns whether one was missing."""
    has_summary = folder.summary.exists()
    if has_summary and not _lacks_verdict(folder):
        return False
    folder.check_no_links()  # a link could lead the write out of the loop
    if LockWatcher(folder.lock).poll() != "gone":
        return False
    if not has_summary:
        run = read_run(folder)
        if run.ended is None:
            return False
        _write_summary(folder, run, run.ended.state, results_of(folder, run))
    _diagnose(folder)
    return True


def _lacks_verdict(folder: IterationFolder) -> bool:
    """Returns whether a recorded prediction was never compared with the result."""
    if folder.number == 0 or folder.diagnosis.exists():
        return False
    return folder.read_decision().predicted is not None


def _is_ledger_outdated(loop: LoopFolder) -> bool:
    """Returns whether the ledger lacks the current results of an iteration that has ended."""
    ended = [each for each in iterations_of(loop) if loop.iteration(each.number).summary.exists()]
    if not ended:
        return False
    text = read_text(loop.ledger) if loop.ledger.exists() else ""
    written = {tuple(row[:1] + _ledger_cells(row)) for row in csv.reader(text.splitlines()) if row}
    return any(_cells(each) not in written for each in ended)


def _cells(iteration: Iteration) -> tuple[str, ...]:
    text = csv_text(COLUMNS, [ledger_row(iteration, Decision())])
    row = list(csv.reader(text.splitlines()))[-1]
    return tuple(row[:1] + _ledger_cells(row))


def _ledger_cells(row: list[str]) -> list[str]:
    return [row[at] if at < len(row) else "" for at in _KEY_COLUMNS]


def record_diagnosis(folder: IterationFolder) -> Diagnosis:
    """Diagnoses an iteration that has ended, writes and returns the result.

    Raises TuiLoopError, OSError.
    """
    diagnosis = Diagnoser(LoopReader(folder.loop)).diagnose(folder.number)
    write_atomically(folder.diagnosis, codec.to_pretty_json(diagnosis))
    summary = folder.read_summary()
    word = diagnosis.verdict.word if diagnosis.verdict is not None else None
    if summary is not None and summary.verdict != word:
        folder.write_summary(msgspec.structs.replace(summary, verdict=word))
    return diagnosis
