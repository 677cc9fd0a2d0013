"""The training rows as SFTTrainer gets them: token ids, and labels that are the loss mask.

Those of large data are in an Arrow file in the user's cache folder, which datasets maps into
memory. It is removed after training.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import msgspec
import psutil

from tui_loop.core.cache_folder import cache_folder
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.engine.run_control import polled

if TYPE_CHECKING:
    from tui_loop.engine.rendering import Renderer

IGNORED = -100
"""The label of a token without loss (torch's `ignore_index`)."""

IN_MEMORY_TOKENS = 8_000_000
"""Tokens up to which the rows are kept in memory: lists of them take some 300 MB."""

_FOLDER = "training"
_COUNTED_AT_ONCE = 10_000


class RowsFolder:
    """A temporary folder for the Arrow file; removed when this object is collected."""

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        for left in _left_behind(parent):
            rmtree(left, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(dir=parent, prefix=f"{os.getpid()}-"))
        self._remove = weakref.finalize(self, rmtree, self.path, ignore_errors=True)

    @property
    def file(self) -> str:
        """Returns the path of the Arrow file."""
        return str(self.path / "rows.arrow")

    def remove(self) -> None:
        """Removes the folder now."""
        self._remove()


class TrainingRows(msgspec.Struct, frozen=True):
    """A `datasets.Dataset` of rows with `input_ids` and `labels`, and the length of each row.

    `left_out` rows have no trained token at all. `flaws`: how many rows have each of them.
    `folder`: where the dataset is on disk; it must be kept as long as the dataset is.
    """

    dataset: Any
    lengths: Sequence[int]
    trained_tokens: int
    answer_tokens: int
    left_out: int
    flaws: dict[str, int]
    folder: RowsFolder | None = None

    @property
    def metrics(self) -> dict[str, int]:
        """Returns the number of rows, and of tokens in all rows: trained on, and in answers."""
        return {
            "train_rows": len(self.lengths),
            "trained_tokens": self.trained_tokens,
            "answer_tokens": self.answer_tokens,
        }


def render_training_rows(
    renderer: Renderer, rows: Sequence[Row], poll: Callable[[], None] = lambda: None
) -> TrainingRows:
    """Renders the rows. Raises BadInput where the chat template refuses one."""
    kept = _Records()
    lengths = array("Q")
    flaws: Counter[str] = Counter()
    trained_tokens = answer_tokens = 0
    for row in polled(rows, poll):
        tokens = renderer.tokens(row)
        lengths.append(len(tokens.ids))
        flaws.update(tokens.flaws)
        count = sum(tokens.trained)
        answer_tokens += tokens.answer_tokens
        if count:
            trained_tokens += count
            kept.add(record_of(tokens.ids, tokens.trained))
    return TrainingRows(
        kept.dataset(),
        lengths,
        trained_tokens,
        answer_tokens,
        len(lengths) - len(kept),
        dict(sorted(flaws.items())),
        kept.folder,
    )


def record_of(ids: list[int], trained: list[bool]) -> dict[str, list[int]]:
    """Returns a row as SFTTrainer gets it; its labels are its ids where they are trained on."""
    labels = [token if counts else IGNORED for token, counts in zip(ids, trained, strict=True)]
    return {"input_ids": ids, "labels": labels}


def token_counts(dataset: Any) -> list[int]:
    """Returns the number of tokens of each row of a dataset with `input_ids`."""
    from pyarrow.compute import list_value_length

    batches = dataset.select_columns("input_ids").with_format("arrow").iter(_COUNTED_AT_ONCE)
    return [count for each in batches for count in list_value_length(each[0]).to_pylist()]


class _Records:
    """Rows of tokens, in memory or in an Arrow file."""

    def __init__(self) -> None:
        self.folder: RowsFolder | None = None
        self._records: list[dict[str, list[int]]] = []
        self._writer: Any = None
        self._count = self._tokens = 0

    def __len__(self) -> int:
        return self._count

    def add(self, record: dict[str, list[int]]) -> None:
        """Adds a row; raises BadInput where the disk has no room for it."""
        self._count += 1
        self._tokens += len(record["input_ids"])
        if self._writer is None and self._tokens <= IN_MEMORY_TOKENS:
            self._records.append(record)
            return
        try:
            if self._writer is None:
                self._open()
            self._writer.write(record)
        except OSError as error:
            raise BadInput(
                f"{cache_folder()}: cannot store the training rows: {error}",
                "free some space there, or name a different folder in TUI_LOOP_CACHE",
            ) from error

    def dataset(self) -> Any:
        """Returns the rows as a dataset, from a file mapped into memory."""
        from datasets import Dataset

        if self._writer is None:
            return Dataset.from_list(self._records)
        self._writer.finalize()
        assert self.folder is not None
        return Dataset.from_file(self.folder.file)

    def _open(self) -> None:
        from datasets import Features, List, Value
        from datasets.arrow_writer import ArrowWriter

        self.folder = RowsFolder(cache_folder() / _FOLDER)
        tokens = List(Value("int32"))
        self._writer = ArrowWriter(
            features=Features({"input_ids": tokens, "labels": tokens}),
            path=self.folder.file,
        )
        for record in self._records:
            self._writer.write(record)
        self._records = []


def _left_behind(parent: Path) -> Iterator[Path]:
    """Yields the folders of processes of this machine that were killed."""
    for folder in parent.iterdir():
        with suppress(ValueError):
            if not psutil.pid_exists(int(folder.name.partition("-")[0])):
                yield folder
