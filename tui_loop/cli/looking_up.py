"""Training rows near to an example, for the command and the app; an index is made once."""

from __future__ import annotations

from pathlib import Path

from tui_loop.core.data.loading import Source, read_text_source, resolved
from tui_loop.core.data.reading import is_text_file
from tui_loop.core.examples.neighbours import TrainingIndex
from tui_loop.core.examples.training_rows import TrainingRows, training_rows
from tui_loop.core.records import Example
from tui_loop.core.schema import Config
from tui_loop.core.store import IterationFolder
from tui_loop.tui.backend import Nearest


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
        return Nearest(answer, rows.path.name if rows.path is not None else rows.entry, rows.notice)


def read_any(entry: str, root: Path, config: Config) -> Source:
    """The rows of a data entry; what is no text file is read by the training stack."""
    if is_text_file(resolved(entry, root)):
        return read_text_source(entry, root, config)
    from tui_loop.engine.sources import read_source

    return read_source(entry, root, config)
