"""Extremes of any part of a growing series are the true ones."""

from __future__ import annotations

import random
from array import array

from tui_loop.core.plot.values import BLOCK, Values, extremes_of

SIZE = 4 * BLOCK + 17


def test_extremes_are_those_of_the_part() -> None:
    draw = random.Random(1)
    source = array("d", (draw.random() for _ in range(SIZE)))
    values = Values()
    for whole in (source[: SIZE // 2], source):
        values.follow(whole)
        for _ in range(200):
            start = draw.randrange(len(whole))
            end = draw.randint(start + 1, len(whole))
            assert values.extremes(start, end) == (min(whole[start:end]), max(whole[start:end]))
            assert extremes_of(whole, start, end) == values.extremes(start, end)
    assert extremes_of(values) == (min(source), max(source))
    assert values == source
    assert list(values) == list(source)
