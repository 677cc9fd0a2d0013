"""Rows of a large file: they are read anew each time, and never all in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from tui_loop.core.data.rows import RawRow

LARGE = 64_000_000
"""Bytes of a file from which on its rows are streamed."""


def is_large_size(size: float) -> bool:
    """Returns whether rows of so many bytes are streamed."""
    return size > LARGE


Read = Callable[[], Iterator[RawRow]]


class Lines(Protocol):
    """A file whose rows are counted and picked without decoding the others."""

    def count(self) -> int | None:
        """Returns the number of rows, None where some have no line of their own."""

    def pick(self, places: Sequence[int]) -> Iterator[RawRow]:
        """Yields the rows at some places, which count from 0 and ascend.

        `count` must have returned their number before.
        """


class StreamedRows:
    """The rows of one split of a file, in its order."""

    def __init__(
        self,
        read: Read,
        lines: Lines | None = None,
        notes: Callable[[], tuple[str, ...]] = lambda: (),
    ) -> None:
        self._read, self._lines, self._notes = read, lines, notes
        self._count: int | None = None

    def __iter__(self) -> Iterator[RawRow]:
        return self._read()

    @property
    def notes(self) -> tuple[str, ...]:
        """Returns what was detected, once the rows have been read to their end."""
        return self._notes()

    def count(self) -> int | None:
        """Returns the number of rows where it is found without decoding them, else None."""
        if self._count is None and self._lines is not None:
            self._count = self._lines.count()
        return self._count

    def pick(self, places: Sequence[int]) -> Iterator[RawRow]:
        """Yields the rows at some places, which count from 0 and ascend."""
        if self._count is not None and self._lines is not None:
            return self._lines.pick(places)
        return _picked(self, places)


RawRows = list[RawRow] | StreamedRows


def head(rows: Iterable[RawRow], count: int) -> list[RawRow]:
    """Returns the first rows."""
    return list(islice(rows, count))


def count_of(rows: RawRows) -> int | None:
    """Returns the number of rows where it is found without decoding them, else None."""
    return len(rows) if isinstance(rows, list) else rows.count()


def picked(rows: RawRows, places: Sequence[int]) -> Iterator[RawRow]:
    """Yields the rows at some places, which count from 0 and ascend."""
    return (rows[place] for place in places) if isinstance(rows, list) else rows.pick(places)


def notes_of(rows: RawRows) -> tuple[str, ...]:
    """Returns what was detected while rows were streamed."""
    return () if isinstance(rows, list) else rows.notes


def _picked(rows: Iterable[RawRow], places: Sequence[int]) -> Iterator[RawRow]:
    wanted = iter(places)
    next_place = next(wanted, None)
    for place, row in enumerate(rows):
        if next_place is None:
            return
        if place == next_place:
            yield row
            next_place = next(wanted, None)
