"""Rows of Arrow tables: Parquet, Arrow and Feather files, and datasets; large ones are streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tui_loop.core.data.files.streamed_rows import (
    RawRows,
    StreamedRows,
    head,
    is_large_size,
)
from tui_loop.core.data.rows import RawRow
from tui_loop.core.errors import BadInput
from tui_loop.engine.extras import require_train

_ROWS_AT_ONCE = 1000
_BUFFER = 1 << 20
"""Bytes of a column that are read at once: a group of rows may have gigabytes."""

Batches = Callable[[], Iterator[list[dict[str, Any]]]]
"""Reads a table from its start, some rows at a time."""


def table_rows(path: Path) -> RawRows:
    """Returns the rows of a Parquet, Arrow or Feather file; raises BadInput, NeedsExtra."""
    require_train(f"reading {path.name}")
    import pyarrow

    def batches() -> Iterator[list[dict[str, Any]]]:
        try:
            for batch in _batches_of(path):
                yield batch.to_pylist()
        except (pyarrow.ArrowException, OSError) as error:
            raise _not_a_table(path, error) from error

    try:
        names, size = _label_names(_schema_of(path)), path.stat().st_size
    except (pyarrow.ArrowException, OSError) as error:
        raise _not_a_table(path, error) from error
    return _rows(batches, names, size, str(path))


def dataset_rows(dataset: Any, where: str) -> RawRows:
    """Returns the rows of a `datasets.Dataset`; raises BadInput for an empty one."""

    def batches() -> Iterator[list[dict[str, Any]]]:
        for start in range(0, len(dataset), _ROWS_AT_ONCE):
            yield dataset.select(range(start, min(start + _ROWS_AT_ONCE, len(dataset)))).to_list()

    names = _label_names(dataset.features.arrow_schema)
    return _rows(batches, names, dataset.data.nbytes, where)


def _rows(batches: Batches, names: Mapping[str, list[str]], size: int, where: str) -> RawRows:
    def read() -> Iterator[RawRow]:
        number = 0
        for values in batches():
            for value in _with_names(values, names):
                number += 1
                yield RawRow(number, value)

    rows: RawRows = StreamedRows(read) if is_large_size(size) else list(read())
    if not head(rows, 1):
        raise BadInput(f"{where}: has no rows", "give data with at least one row")
    return rows


def _schema_of(path: Path) -> Any:
    from pyarrow import parquet

    if path.suffix.lower() == ".parquet":
        return parquet.read_schema(path)
    return _mapped_table(path).schema


def _batches_of(path: Path) -> Iterator[Any]:
    from pyarrow import parquet

    if path.suffix.lower() == ".parquet":
        with parquet.ParquetFile(
            path, memory_map=True, buffer_size=_BUFFER, pre_buffer=False
        ) as file:
            yield from file.iter_batches(_ROWS_AT_ONCE)
    else:
        yield from _mapped_table(path).to_batches(_ROWS_AT_ONCE)


def _mapped_table(path: Path) -> Any:
    """Returns the table of an Arrow or Feather file, or of the stream that datasets writes."""
    from pyarrow import feather, ipc, memory_map

    if path.suffix.lower() == ".feather":
        return feather.read_table(path, memory_map=True)
    with memory_map(str(path)) as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        return (ipc.open_file if is_file else ipc.open_stream)(file).read_all()


def _label_names(schema: Any) -> dict[str, list[str]]:
    """Returns the names of the labels by column, from what datasets notes in a schema."""
    if not (schema.metadata or {}).get(b"huggingface"):
        return {}
    from datasets import ClassLabel, Features

    features = Features.from_arrow_schema(schema)
    return {name: each.names for name, each in features.items() if isinstance(each, ClassLabel)}


def _with_names(
    values: list[dict[str, Any]], names: Mapping[str, list[str]]
) -> list[dict[str, Any]]:
    """Returns rows with the names of labels in place of their numbers; -1 is no label."""
    for row in values if names else ():
        for column, known in names.items():
            number = row.get(column)
            if isinstance(number, int):
                row[column] = known[number] if 0 <= number < len(known) else None
    return values


def _not_a_table(path: Path, error: Exception) -> BadInput:
    kind = path.suffix[1:].capitalize()
    return BadInput(f"{path}: not a {kind} file: {error}", "write the file again")
