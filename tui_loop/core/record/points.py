"""The logged points of a run, kept in columns: a long run has a million of them."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import msgspec

STEP_LIMIT = 2**62
"""Steps beyond it on either side, which only an edited journal has, are counted as it."""


class Point(msgspec.Struct, frozen=True, gc=False):
    """The logged values of a training step, or of an evaluation after it."""

    step: int
    epoch: float | None
    values: dict[str, float]
    t: float


class SystemPoint(Point, frozen=True, gc=False):
    """A sample of the machine; `step` is the optimizer step that the run had reached.

    `seconds`: the time since the sample before. `is_training`: the run trained, and was not paused.
    """

    seconds: float = 0.0
    is_training: bool = False


class _Piece(msgspec.Struct, frozen=True, gc=False):
    """Values of one metric at equal distances in the flat array.

    `index`: how many values of the metric come before; `segment`: the number of the segment.
    """

    index: int
    segment: int
    offset: int
    stride: int


class _Data:
    """The memory that a log and the earlier states of it share.

    The values of a point lie side by side in `flat`. Points that follow each other and have the
    same metrics are a segment: `starts` has the first row of each, `offsets` its place in `flat`.
    """

    def __init__(self) -> None:
        self.steps = array("q")
        self.epochs = array("d")
        self.times = array("d")
        self.flat = array("d")
        self.starts: list[int] = []
        self.offsets: list[int] = []
        self.layouts: list[tuple[str, ...]] = []
        self.layout: tuple[str, ...] | None = None
        self.pieces: dict[str, list[_Piece]] = {}
        self.totals: dict[str, int] = {}

    def append(self, point: Point) -> None:
        values, step, epoch = point.values, point.step, point.epoch
        layout = tuple(values)
        if layout != self.layout:
            self._begin_segment(layout)
        self.flat.fromlist(list(values.values()))
        self.steps.append(step if -STEP_LIMIT < step < STEP_LIMIT else STEP_LIMIT)
        self.epochs.append(math.nan if epoch is None else epoch)
        self.times.append(point.t)

    def _begin_segment(self, layout: tuple[str, ...]) -> None:
        row = len(self.steps)
        if self.starts:
            for name in self.layouts[-1]:
                self.totals[name] = self.totals.get(name, 0) + row - self.starts[-1]
        self.starts.append(row)
        self.offsets.append(len(self.flat))
        self.layouts.append(layout)
        self.layout = layout
        for at, name in enumerate(layout):
            piece = _Piece(
                self.totals.get(name, 0), len(self.starts) - 1, len(self.flat) + at, len(layout)
            )
            self.pieces.setdefault(name, []).append(piece)

    def end_of(self, segment: int, rows: int) -> int:
        """Returns the row after a segment, among the first `rows`."""
        after = segment + 1
        return min(rows, self.starts[after]) if after < len(self.starts) else rows


class PointLog(Sequence[Point]):
    """Points in the order in which they were logged; each is created when it is read.

    A point with seven values takes 80 bytes. Only the log that `until` was called on grows; what
    it returned shares its memory and stays as it is.
    """

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self._data = _Data()
        self._count = 0
        for point in points:
            self.append(point)

    def append(self, point: Point) -> None:
        """Adds a point at the end."""
        self._data.append(point)
        self._count += 1

    def until(self, count: int | None = None) -> PointLog:
        """Returns the first `count` points, by default all, as a log of their own."""
        earlier = PointLog.__new__(PointLog)
        earlier._data = self._data
        earlier._count = self._count if count is None else min(count, self._count)
        return earlier

    def shares(self, other: PointLog) -> bool:
        """Returns whether two logs are states of the same growing one."""
        return self._data is other._data

    def column(self, name: str) -> Column:
        """Returns the values of a metric."""
        return Column(self._data, name, self._count)

    def nonfinite(self, start: int = 0) -> list[Point]:
        """Returns the points from `start` on with a value that is not finite."""
        if start >= self._count:
            return []
        values = self._data.flat[self._offset(start) : self._offset(self._count)]
        if math.isfinite(sum(values)):
            return []
        return [
            point for point in self[start:] if not all(map(math.isfinite, point.values.values()))
        ]

    def _offset(self, row: int) -> int:
        """Where the values of a row begin."""
        data = self._data
        segment = bisect_right(data.starts, row) - 1
        return data.offsets[segment] + (row - data.starts[segment]) * len(data.layouts[segment])

    @property
    def steps(self) -> array[int]:
        """The steps; those of later points may follow."""
        return self._data.steps

    @property
    def epochs(self) -> array[float]:
        """The epochs, NaN for a point without one; those of later points may follow."""
        return self._data.epochs

    @property
    def times(self) -> array[float]:
        """The times, in unix seconds; those of later points may follow."""
        return self._data.times

    @property
    def names(self) -> list[str]:
        """The metrics, in the order in which they were first logged."""
        return [name for name in list(self._data.pieces) if len(self.column(name))]

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Point: ...

    @overload
    def __getitem__(self, index: slice) -> list[Point]: ...

    def __getitem__(self, index: int | slice) -> Point | list[Point]:
        rows = range(self._count)[index]
        if isinstance(rows, int):
            return next(self._points(rows, rows + 1))
        if rows.step == 1:
            return list(self._points(rows.start, rows.stop))
        return [self[row] for row in rows]

    def __iter__(self) -> Iterator[Point]:
        return self._points(0, self._count)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == theirs for mine, theirs in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PointLog({list(self)!r})"

    def _points(self, start: int, end: int) -> Iterator[Point]:
        data = self._data
        segment = bisect_right(data.starts, start) - 1
        while start < end:
            layout, stop = data.layouts[segment], data.end_of(segment, end)
            width, at = len(layout), self._offset(start)
            for row in range(start, stop):
                epoch = data.epochs[row]
                values = dict(zip(layout, data.flat[at : at + width], strict=True))
                yield Point(
                    data.steps[row], None if math.isnan(epoch) else epoch, values, data.times[row]
                )
                at += width
            start, segment = stop, segment + 1


class Column(Sequence[float]):
    """The values of one metric, of the points that have it; they share the memory of the log."""

    def __init__(self, data: _Data, name: str, rows: int) -> None:
        self._data, self._rows = data, rows
        pieces = data.pieces.get(name, [])
        before = bisect_left(pieces, rows, key=lambda each: data.starts[each.segment])
        self._pieces = pieces[:before]
        self._count = 0
        if self._pieces:
            last = self._pieces[-1]
            begin, end = data.starts[last.segment], data.end_of(last.segment, rows)
            self._count = last.index + end - begin

    @property
    def is_dense(self) -> bool:
        """Whether every point has a value."""
        return self._count == self._rows

    def row_of(self, index: int) -> int:
        """Returns the row of a value: the number of points before it."""
        piece = self._piece_of(index)
        return self._data.starts[piece.segment] + index - piece.index

    def rows(self, start: int = 0) -> array[int]:
        """Returns the rows of the values from number `start` on."""
        found = array("q")
        for piece, first, last in self._parts(start, self._count):
            before = self._data.starts[piece.segment] - piece.index
            found.extend(range(before + first, before + last))
        return found

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...

    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        wanted = range(self._count)[index]
        if isinstance(wanted, int):
            piece = self._piece_of(wanted)
            return self._data.flat[piece.offset + (wanted - piece.index) * piece.stride]
        if wanted.step != 1:
            return [self[each] for each in wanted]
        found = array("d")
        for piece, first, last in self._parts(wanted.start, wanted.stop):
            low = piece.offset + (first - piece.index) * piece.stride
            high = piece.offset + (last - 1 - piece.index) * piece.stride + 1
            part = self._data.flat[low : high : piece.stride]
            found = found + part if found else part
        return found

    def __iter__(self) -> Iterator[float]:
        return iter(self[:])

    def _piece_of(self, index: int) -> _Piece:
        return self._pieces[bisect_right(self._pieces, index, key=lambda each: each.index) - 1]

    def _parts(self, start: int, end: int) -> Iterator[tuple[_Piece, int, int]]:
        """Yields each piece with the range of its values that are in a range."""
        at = max(0, bisect_right(self._pieces, start, key=lambda piece: piece.index) - 1)
        for place in range(at, len(self._pieces)):
            piece = self._pieces[place]
            following = self._pieces[place + 1 : place + 2]
            stop = min(end, following[0].index if following else self._count)
            first = max(start, piece.index)
            if first >= end:
                return
            if first < stop:
                yield piece, first, stop
