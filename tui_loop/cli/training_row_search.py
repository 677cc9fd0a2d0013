"""Finds training rows that are near an example or may be wrong, for the commands and the app."""

from __future__ import annotations

from pathlib import Path

from tui_loop.core.commands import command
from tui_loop.core.config.schema import Config
from tui_loop.core.data.files.reading import is_text_file
from tui_loop.core.data.loading import load_data
from tui_loop.core.data.row_files import row_files
from tui_loop.core.data.source_rows import ReadSource, Source, read_text_source, resolved
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.suspects import (
    TrainingRows,
    median_loss,
    suspect_training_rows,
    training_rows,
)
from tui_loop.core.examples.tfidf_index import TrainingIndex
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.preflight.leakage import leaked_rows
from tui_loop.core.preflight.row_checks import conflicting_rows, repeated_rows
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example
from tui_loop.tui.backend import NearestRows, SuspectRows


class TrainingRowSearch:
    """Finds the training rows nearest to an example; keeps the index of the last iteration."""

    def __init__(self) -> None:
        self._cached: tuple[object, TrainingRows, TrainingIndex] | None = None

    def index(self, folder: IterationFolder) -> tuple[TrainingRows, TrainingIndex]:
        """Returns an iteration's training rows with their index; raises TuiLoopError."""
        config = folder.read_config()
        files = row_files(config.data.train, folder.loop.root).paths.values()
        modified = tuple(path.stat().st_mtime_ns for path in files if path.is_file())
        key = folder.path, modified
        if self._cached is None or self._cached[0] != key:
            rows = training_rows(folder, read_any)
            self._cached = key, rows, TrainingIndex(rows.rows)
        return self._cached[1:]

    def nearest(self, folder: IterationFolder, example: Example, limit: int = 5) -> NearestRows:
        """Returns the training rows nearest to an example; raises TuiLoopError."""
        rows, index = self.index(folder)
        text = example.prompt or example.reference
        answer = index.answer(text, example.reference, min(limit, len(rows.rows)))
        return NearestRows(answer, rows.files, rows.notice)


def suspected_rows(folder: IterationFolder, limit: int | None = None) -> SuspectRows:
    """Returns training rows that may be wrong; at most `limit` of those with a high loss.

    Raises BadInput where no losses were recorded and the data is not on this machine.
    """
    measured = folder.read_training_rows()
    trained, findings, notices = _training_data(folder)
    if not measured and trained is None:
        raise BadInput(
            f"{folder}: no losses of training rows were recorded, and {notices[0]}",
            "a new run records these losses (evaluation.train_rows): "
            + command("run", folder.loop.name),
        )
    rows = trained.rows if trained is not None else []
    places = {
        (each.source, each.line)
        for finding in findings
        for each in finding.rows
        if each.split == "train"
    }
    named = {place: row for row in rows if (place := (row.source, row.line)) in places}
    return SuspectRows(
        measured=len(measured),
        sampled_of=measured[0].sampled_of if measured else None,
        median_loss=median_loss(measured),
        suspects=suspect_training_rows(measured, rows, limit),
        findings=findings,
        rows=named,
        files=row_files(folder.read_config().data.train, folder.loop.root),
        notices=notices,
    )


def _training_data(
    folder: IterationFolder,
) -> tuple[TrainingRows | None, list[CheckResult], list[str]]:
    """Returns the training rows, the findings about them, and notices about missing parts."""
    config, root = folder.read_config(), folder.loop.root
    read: ReadSource = read_text_source
    files = row_files(config.data.train, root)
    if files.entries.keys() == files.paths.keys():  # reading a record downloads nothing
        from tui_loop.engine.sources import read_source

        read = read_source
    try:
        trained = training_rows(folder, read)
    except (TuiLoopError, OSError) as error:
        return None, [], [str(error)]
    notices = [trained.notice] if trained.notice else []
    try:
        data = load_data(config, root, read, refused={})
    except (TuiLoopError, OSError) as error:
        return trained, [], [*notices, f"conflicting and repeated rows were not checked: {error}"]
    findings = [*conflicting_rows(data), *repeated_rows(data), *leaked_rows(data)]
    in_training = [each for each in findings if any(row.split == "train" for row in each.rows)]
    return trained, in_training, notices


def read_any(entry: str, root: Path, config: Config) -> Source:
    """Reads a data entry; needs the training stack for anything but a text file."""
    if is_text_file(resolved(entry, root)):
        return read_text_source(entry, root, config)
    from tui_loop.engine.sources import read_source

    return read_source(entry, root, config)
