"""What is written when a run has ended: its summary, its diagnosis, and its row of the ledger.

The run host writes them. If it was killed before it could, or if git or a full disk took a
summary away, the next command that may write restores them from the journal.

Both are derived: they can be written anew whenever the record, or the program, has learned more.
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
from tui_loop.core.record.iteration import described
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.ledger import COLUMNS, ledger_row, write_ledger
from tui_loop.core.record.lock import RunLock, Watch
from tui_loop.core.record.reader import LoopReader, iterations_of, read_run
from tui_loop.core.record.results import Results, results_of
from tui_loop.core.record.safe_open import read_text
from tui_loop.core.record.state import RunState
from tui_loop.core.record.structs import Decision, EndState, Iteration, RunError
from tui_loop.core.text.secrets import redacted
from tui_loop.core.text.untrusted import csv_text, one_line

_COMPARED = [COLUMNS.index(name) for name in ("state", "train_loss", "eval_loss", "score")]
"""Columns by which an outdated row of the ledger is recognized, beside its number."""


def write_end(
    folder: IterationFolder,
    journal: Journal,
    lock: RunLock,
    *,
    state: EndState,
    error: RunError | None,
    results: Results,
) -> None:
    """Ends the journal of a run, closes it, and writes summary, diagnosis and ledger. Never raises.

    The journal comes first and has the results: no later fault costs the run anything. The lock
    names the first file that could not be written.
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
        except Exception as fault:  # the run's edge: it is over, whatever happens here
            if not isinstance(fault, (OSError, TuiLoopError)):
                traceback.print_exc()  # to output.log
            reason = lock.trouble or f"the {name} was not written"
            lock.tell(lock.trouble if has_failed else one_line(redacted(f"{reason}: {fault}"), 400))
            has_failed = True


def _diagnose(folder: IterationFolder) -> None:
    """Findings, suggestions and the verdict; the untouched base has none."""
    if folder.number > 0:
        record_diagnosis(folder)


def _write_summary(
    folder: IterationFolder, run: RunState, state: EndState, results: Results
) -> None:
    """Writes `summary.json` of a run that ended in `state`; raises TuiLoopError, OSError."""
    iteration = described(
        folder.number, folder.read_decision(), to_tables(folder.read_config()), run, state
    )
    folder.write_summary(
        msgspec.structs.replace(iteration, metrics=results.metrics, fingerprint=results.fingerprint)
    )


def restore_ends(loop: LoopFolder) -> list[int]:
    """Writes what is missing of the runs that have ended; gives their numbers.

    A run that is alive is left to its host. What cannot be read or written stays as it is: the
    record shows the same without it.
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
    """Whether a summary or a verdict was missing, and has been written."""
    has_summary = folder.summary.exists()
    if has_summary and not _lacks_verdict(folder):
        return False
    folder.check_own()  # never write through a stranger's link
    if Watch(folder.lock).look() != "gone":
        return False
    if not has_summary:
        run = read_run(folder)
        if run.ended is None:
            return False
        _write_summary(folder, run, run.ended.state, results_of(folder, run))
    _diagnose(folder)
    return True


def _lacks_verdict(folder: IterationFolder) -> bool:
    """Whether a prediction was made and never compared with what came."""
    if folder.number == 0 or folder.diagnosis.exists():
        return False
    return folder.read_decision().predicted is not None


def _is_ledger_outdated(loop: LoopFolder) -> bool:
    """Whether an iteration that has ended is not in the ledger with its present results."""
    ended = [each for each in iterations_of(loop) if loop.iteration(each.number).summary.exists()]
    if not ended:
        return False
    text = read_text(loop.ledger) if loop.ledger.exists() else ""
    written = {tuple(row[:1] + _compared(row)) for row in csv.reader(text.splitlines()) if row}
    return any(_cells(each) not in written for each in ended)


def _cells(iteration: Iteration) -> tuple[str, ...]:
    text = csv_text(COLUMNS, [ledger_row(iteration, Decision())])
    row = list(csv.reader(text.splitlines()))[-1]
    return tuple(row[:1] + _compared(row))


def _compared(row: list[str]) -> list[str]:
    return [row[at] if at < len(row) else "" for at in _COMPARED]


def record_diagnosis(folder: IterationFolder) -> Diagnosis:
    """Diagnoses an iteration that has ended and writes what that gave; raises TuiLoopError,
    OSError."""
    diagnosis = Diagnoser(LoopReader(folder.loop)).diagnose(folder.number)
    write_atomically(folder.diagnosis, codec.to_pretty_json(diagnosis))
    summary = folder.read_summary()
    word = diagnosis.verdict.word if diagnosis.verdict is not None else None
    if summary is not None and summary.verdict != word:
        folder.write_summary(msgspec.structs.replace(summary, verdict=word))
    return diagnosis
