"""Values that grow at their end, with the extremes of any part of them in little time."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

Extremes = tuple[float, float]
"""The smallest and the largest value of some."""

BLOCK = 256
"""Values whose extremes are kept: a chart of a million values reads some blocks a column."""


class Values(Sequence[float]):
    """Finite values in the memory of `source`, which only grows at its end."""

    def __init__(self, source: Sequence[float] = ()) -> None:
        self._source = source
        self._lows, self._highs = array("d"), array("d")

    def follow(self, source: Sequence[float]) -> None:
        """Takes the values of `source`, which begins with those so far."""
        self._source = source

    def extremes(self, start: int, end: int) -> Extremes:
        """Returns the smallest and the largest of the values from `start` to before `end`."""
        first, last = -(-start // BLOCK), end // BLOCK
        if first >= last:
            part = self._source[start:end]
            return min(part), max(part)
        self._add_blocks(last)
        found = [(min(self._lows[first:last]), max(self._highs[first:last]))]
        for low, high in ((start, first * BLOCK), (last * BLOCK, end)):
            if low < high:
                part = self._source[low:high]
                found.append((min(part), max(part)))
        return min(low for low, _ in found), max(high for _, high in found)

    def _add_blocks(self, count: int) -> None:
        for block in range(len(self._lows), count):
            part = self._source[block * BLOCK : (block + 1) * BLOCK]
            self._lows.append(min(part))
            self._highs.append(max(part))

    def __len__(self) -> int:
        return len(self._source)

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...

    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        return self._source[index]

    def __iter__(self) -> Iterator[float]:
        return iter(self._source)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Iterable) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Values({list(self)!r})"


def extremes_of(values: Sequence[float], start: int = 0, end: int | None = None) -> Extremes:
    """Returns the smallest and the largest of some values; there must be one."""
    end = len(values) if end is None else end
    if isinstance(values, Values):
        return values.extremes(start, end)
    part = values[start:end]
    return min(part), max(part)
