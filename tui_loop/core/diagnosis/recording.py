"""Writing an iteration's diagnosis beside its record, and its verdict into its summary.

Both are derived: they can be written anew whenever the record, or the program, has learned more.
"""

from __future__ import annotations

import msgspec

from tui_loop.core import codec
from tui_loop.core.diagnosis.diagnosing import Diagnoser
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.files import write_atomically
from tui_loop.core.reader import LoopReader
from tui_loop.core.store import IterationFolder


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
