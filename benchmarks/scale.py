"""How much the benchmarks do: `full` for figures that count, `tiny` to run each of their lines.

A benchmark states its sizes as constants, `ROWS = sized(100_000, 500)`. They are read when its
module is imported, so the scale is chosen before that.
"""

from __future__ import annotations

from typing import Literal, TypeVar, get_args

Scale = Literal["full", "tiny"]
SCALES: tuple[Scale, ...] = get_args(Scale)

T = TypeVar("T")


class _Chosen:
    scale: Scale = "full"


def choose(scale: Scale) -> None:
    """Sets the scale of all benchmarks that are imported from now on."""
    _Chosen.scale = scale


def chosen() -> Scale:
    """The scale of all benchmarks."""
    return _Chosen.scale


def is_tiny() -> bool:
    """Whether figures are too small to be compared with their limits."""
    return _Chosen.scale == "tiny"


def sized(full: T, tiny: T) -> T:
    """One of two sizes, by the scale."""
    return tiny if is_tiny() else full
