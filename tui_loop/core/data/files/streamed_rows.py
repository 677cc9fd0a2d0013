"""Rows of a large file: they are read anew each time, and never all in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from tui_loop.core.data.rows import RawRow

LARGE = 64_000_000
"""Bytes of a file from which on its rows are streamed."""

Read = Callable[[], Iterator[RawRow]]


class StreamedRows:
    """The rows of one split of a file, in its order.

    `notes`: what was detected, once the rows have been read to their end.
    """

    def __init__(
        self,
        read: Read,
        count: Callable[[], int | None] = lambda: None,
        pick: Callable[[Sequence[int]], Iterator[RawRow]] | None = None,
        notes: Callable[[], tuple[str, ...]] = lambda: (),
    ) -> None:
        self._read, self._count, self._pick, self._notes = read, count, pick, notes

    def __iter__(self) -> Iterator[RawRow]:
        return self._read()

    @property
    def notes(self) -> tuple[str, ...]:
        return self._notes()

    def count(self) -> int | None:
        """Returns the number of rows where it is found without decoding them, else None."""
        return self._count()

    def pick(self, places: Sequence[int]) -> Iterator[RawRow]:
        """Yields the rows with some numbers from 0, which are in ascending order."""
        if self._pick is not None:
            return self._pick(places)
        return _picked(self, places)


RawRows = list[RawRow] | StreamedRows


def head(rows: Iterable[RawRow], count: int) -> list[RawRow]:
    """Returns the first rows."""
    return list(islice(rows, count))


def count_of(rows: RawRows) -> int | None:
    """Returns the number of rows where it is found without decoding them, else None."""
    return len(rows) if isinstance(rows, list) else rows.count()


def picked(rows: RawRows, places: Sequence[int]) -> Iterator[RawRow]:
    """Yields the rows with some numbers from 0, which are in ascending order."""
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
