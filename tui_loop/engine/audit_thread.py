"""Records the data audit of a run in a thread of its own, while the run prepares and trains.

A run whose texts are those of an earlier iteration copies its audit. An error in the audit is
logged and never fails the run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tui_loop.core.audit.data_audit import AuditRows
from tui_loop.core.audit.structs import DataAudit
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.data.split import sample
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder
from tui_loop.engine.run_context import Run

AUDITED_ROWS = 200_000
"""Of more training rows, the audit reads a seeded sample: it keeps their texts in memory."""


class _Cancelled(Exception):
    """The run ends before its audit is complete."""


@contextmanager
def auditing(run: Run, data: LoadedData) -> Iterator[None]:
    """Records the data audit during the block; a block that ends early does not wait for it."""
    cancelled = threading.Event()
    thread = threading.Thread(
        target=_record, args=(run, data, cancelled), name="data-audit", daemon=True
    )
    thread.start()
    try:
        yield
    except BaseException:
        cancelled.set()
        raise
    finally:
        if run.control.stop_requested:
            cancelled.set()
        thread.join()


def _record(run: Run, data: LoadedData, cancelled: threading.Event) -> None:
    def poll() -> None:
        if cancelled.is_set():
            raise _Cancelled

    try:
        is_label_metric = run.config.evaluation.metric == "label"
        train = sample(data.train, AUDITED_ROWS, run.config.data.split_seed)
        if len(train) < len(data.train):
            run.info(f"the data audit reads {len(train):,} of {len(data.train):,} training rows")
        rows = AuditRows(train, data.eval, is_label_metric=is_label_metric, poll=poll)
        own = _recorded(run.folder)
        if own is not None and own.digest == rows.digest:
            return
        if own is not None:  # of data that have changed since
            run.folder.write_audit_part("data", None)
        poll()
        run.folder.write_audit_part("data", _earlier(run.folder, rows.digest) or rows.compute())
    except _Cancelled:
        return
    except Exception as error:  # an edge: the audit is no condition of a run
        run.warn(
            "audit", f"the data audit failed and is not recorded: {type(error).__name__}: {error}"
        )


def _earlier(folder: IterationFolder, digest: str) -> DataAudit | None:
    """Returns the audit of the same texts that the parent or the base has recorded."""
    numbers = dict.fromkeys((folder.read_decision().parent or 0, 0))
    found = (_recorded(folder.loop.iteration(number)) for number in numbers)
    return next((each for each in found if each is not None and each.digest == digest), None)


def _recorded(folder: IterationFolder) -> DataAudit | None:
    try:
        audit = folder.read_audit()
    except BadInput:
        return None
    return None if audit is None else audit.data
