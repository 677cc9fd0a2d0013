"""Smoothed values: the debiased exponential moving average.

Source: the bias correction of Kingma and Ba, "Adam", 2015, section 3, which TensorBoard's scalar
charts use too. With m(t) = w m(t-1) + (1-w) x(t) from m(0) = 0, the mean is m(t) / (1 - w^t).
Written without m, it is s(t) = s(t-1) + g (x(t) - s(t-1)) with g = (1-w) / (1 - w^t).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from tui_loop.core.plot.values import BLOCK

_NO_BIAS = 1e-20
"""A bias that a float does not show: from then on a mean is the plain moving average."""


def smoothed(
    values: Iterable[float], weight: float, mean: float = 0.0, count: int = 0
) -> list[float]:
    """Returns one mean for each finite value.

    `weight` in [0, 1) is the share that a mean keeps of the previous mean; 0 does not smooth.
    `mean` is the last of the `count` means of earlier values.
    """
    means: list[float] = []
    finite = [value for value in values if math.isfinite(value)]
    power = weight**count
    fresh = 1.0 - weight
    biased = 0
    for value in finite:
        if power < _NO_BIAS:
            break
        power *= weight
        gain = fresh / (1.0 - power)
        mean = mean * (1.0 - gain) + value * gain  # a difference of two floats may overflow
        means.append(mean)
        biased += 1
    for value in finite[biased:]:
        mean = mean * weight + value * fresh
        means.append(mean)
    return means


class Means(Sequence[float]):
    """The means of values that grow at their end, computed when they are read.

    Only the last mean of each block is kept, so that a long run costs no memory, and the block
    that was read last, since a chart reads them in order.
    """

    def __init__(self, values: Sequence[float], weight: float) -> None:
        self._values, self.weight = values, weight
        self._ends = array("d")
        self._newest: tuple[int, list[float]] = (-1, [])

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...

    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        wanted = range(len(self))[index]
        if isinstance(wanted, int):
            return self._between(wanted, wanted + 1)[0]
        return self._between(wanted.start, wanted.stop)[:: wanted.step]

    def __iter__(self) -> Iterator[float]:
        return iter(self[:])

    def _between(self, start: int, end: int) -> list[float]:
        """The means from `start` to before `end`, from the last block that ended before."""
        if start >= end:
            return []
        while len(self._ends) < start // BLOCK:
            self._ends.append(self._block(len(self._ends))[-1])
        means: list[float] = []
        for block in range(start // BLOCK, -(-end // BLOCK)):
            found = self._block(block)[: end - block * BLOCK]
            if block == len(self._ends) and len(found) == BLOCK:
                self._ends.append(found[-1])
            means += found
        return means[start % BLOCK :]

    def _block(self, block: int) -> list[float]:
        """The means of a block so far."""
        begin = block * BLOCK
        size = min(BLOCK, len(self) - begin)
        known, means = self._newest
        if known != block or len(means) != size:
            before = self._ends[block - 1] if block else 0.0
            values = self._values[begin : begin + size]
            means = smoothed(values, self.weight, before, begin)
            self._newest = block, means
        return means
