"""Training rows that are near to an example, or suspect, for the commands and the app.

An index is made once.
"""

from __future__ import annotations

from pathlib import Path

from tui_loop.core.commands import command
from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import ReadSource, Source, load_data, read_text_source, resolved
from tui_loop.core.data.text_files import is_text_file
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.suspects import median_loss, suspect_training_rows
from tui_loop.core.examples.tfidf_index import TrainingIndex
from tui_loop.core.examples.training_rows import TrainingRows, training_rows
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.preflight.leakage import leaked_rows
from tui_loop.core.preflight.row_checks import conflicting_rows, repeated_rows
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example
from tui_loop.tui.backend import Nearest, Suspected


class LookUp:
    """Keeps the index of the rows that were asked for last."""

    def __init__(self) -> None:
        self._known: tuple[object, TrainingRows, TrainingIndex] | None = None

    def index(self, folder: IterationFolder) -> tuple[TrainingRows, TrainingIndex]:
        """What an iteration was trained on; raises TuiLoopError where that is not here."""
        config = folder.read_config()
        entry, root = config.data.train, folder.loop.root
        path = resolved(entry, root) if entry else None
        stamp = path.stat().st_mtime_ns if path is not None and path.is_file() else None
        key = folder.path, stamp
        if self._known is None or self._known[0] != key:
            rows = training_rows(folder, read_any)
            self._known = key, rows, TrainingIndex(rows.rows)
        return self._known[1:]

    def nearest(self, folder: IterationFolder, example: Example, limit: int = 5) -> Nearest:
        """What training had for an example; raises TuiLoopError."""
        rows, index = self.index(folder)
        text = example.prompt or example.reference
        answer = index.answer(text, example.reference, min(limit, len(rows.rows)))
        name = rows.path.name if rows.path is not None else rows.entry
        return Nearest(answer, name, rows.notice, rows.path)


def suspected(folder: IterationFolder, limit: int | None = None) -> Suspected:
    """Training rows of an iteration that may be wrong; of the hard ones at most `limit`.

    Raises BadInput where nothing was measured and the data is not here either.
    """
    measured = folder.read_training_rows()
    trained, findings, notices = _data_of(folder)
    if not measured and trained is None:
        raise BadInput(
            f"{folder}: no training rows were measured, and {notices[0]}",
            f"a run measures them (evaluation.train_rows): {command('run', folder.loop.name)}",
        )
    rows = trained.rows if trained is not None else []
    named = {each.line for finding in findings for each in finding.rows if each.split == "train"}
    return Suspected(
        measured=len(measured),
        sampled_of=measured[0].sampled_of if measured else None,
        median_loss=median_loss(measured),
        suspects=suspect_training_rows(measured, rows, limit),
        findings=findings,
        rows={row.line: row for row in rows if row.line in named},
        name=_name(folder, trained),
        path=trained.path if trained is not None else None,
        notices=notices,
    )


def _name(folder: IterationFolder, trained: TrainingRows | None) -> str:
    """What the rows come from, in a word."""
    if trained is not None and trained.path is not None:
        return trained.path.name
    return Path(folder.read_config().data.train).name


def _data_of(folder: IterationFolder) -> tuple[TrainingRows | None, list[CheckResult], list[str]]:
    """The training rows, what is found of them, and why something of that is not to be had."""
    config, root = folder.read_config(), folder.loop.root
    read: ReadSource = read_text_source
    if resolved(config.data.train, root).exists():  # nothing is fetched for a look at a record
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
        return trained, [], [*notices, f"contradictions and repeats were not looked for: {error}"]
    findings = [*conflicting_rows(data), *repeated_rows(data), *leaked_rows(data)]
    of_training = [each for each in findings if any(row.split == "train" for row in each.rows)]
    return trained, of_training, notices


def read_any(entry: str, root: Path, config: Config) -> Source:
    """The rows of a data entry; what is no text file is read by the training stack."""
    if is_text_file(resolved(entry, root)):
        return read_text_source(entry, root, config)
    from tui_loop.engine.sources import read_source

    return read_source(entry, root, config)
