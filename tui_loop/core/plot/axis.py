"""The x axes of charts: step, epoch, tokens and time, each in whole numbers.

Places on an axis are integers, so that zoom, columns and cursor are exact on all of them: an
epoch is a million, a second a thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from tui_loop.core.plot.scale import step_ticks

Axis = Literal["step", "epoch", "tokens", "time"]
AXES: tuple[Axis, ...] = get_args(Axis)

TOKENS = "num_tokens"
"""The training metric that counts the tokens so far."""

EPOCH, SECOND = 1_000_000, 1_000
_MINUTE, _HOUR = 60 * SECOND, 3600 * SECOND
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_DAY = 24 * _HOUR

LARGEST = 10**15
"""Places beyond are no epochs, tokens or seconds of a run; a journal from anywhere may have any."""


def place_of(axis: Axis, value: float | None) -> int | None:
    """Returns the place of an epoch, a number of tokens or seconds; None if it has none."""
    if value is None or not -LARGEST < value < LARGEST:  # NaN fails both comparisons
        return None
    return round(value * {"epoch": EPOCH, "time": SECOND}.get(axis, 1))


def axis_ticks(axis: Axis, low: int, high: int, most: int) -> list[tuple[int, str]]:
    """Returns at most `most` round places from `low` to `high`, with labels."""
    places = _time_ticks(low, high, most) if axis == "time" else step_ticks(low, high, most)
    apart = places[1] - places[0] if len(places) > 1 else 0
    return [(place, _label(axis, place, apart)) for place in places]


def place_text(axis: Axis, place: int) -> str:
    """Returns a place in words: `step 41`, `epoch 0.54`, `12,300 tokens`, `time 1:05`."""
    if axis == "tokens":
        return f"{place:,} tokens"
    return f"{axis} {_plain(axis, place)}"


def range_text(axis: Axis, low: int, high: int) -> str:
    """Returns a part of an axis in words: `steps 51 to 100`, `time 0:05 to 1:20`."""
    name = {"step": "steps", "epoch": "epochs"}.get(axis, axis)
    return f"{name} {_plain(axis, low)} to {_plain(axis, high)}"


def _plain(axis: Axis, place: int) -> str:
    if axis == "epoch":
        return f"{place / EPOCH:.2f}"
    if axis == "time":
        return _clock(place)
    return f"{place:,}" if axis == "tokens" else str(place)


def _label(axis: Axis, place: int, apart: int) -> str:
    if axis == "epoch":
        return f"{place / EPOCH:g}"
    if axis == "time":
        return _clock(place, tenths=0 < apart < SECOND)
    if axis == "tokens" and place:
        for size, sign in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
            if abs(place) >= size and apart * 10 >= size:  # one decimal distinguishes them
                return f"{place / size:.1f}".removesuffix(".0") + sign
    return str(place)


def _clock(place: int, *, tenths: bool = False) -> str:
    """A time as `0:05`, `0:05.25`, `1h20m`."""
    sign, place = ("-", -place) if place < 0 else ("", place)
    if place >= _HOUR:
        return f"{sign}{place // _HOUR}h{place % _HOUR // _MINUTE:02d}m"
    seconds = place % _MINUTE
    rest = f".{seconds % SECOND:03d}".rstrip("0").rstrip(".") if tenths else ""
    return f"{sign}{place // _MINUTE}:{seconds // SECOND:02d}{rest}"


def _time_ticks(low: int, high: int, most: int) -> list[int]:
    if high - low < most * SECOND:
        return step_ticks(low, high, most)
    most = max(most, 1)
    days = (n * _DAY for n in _doubling())
    sizes: Sequence[int] = [seconds * SECOND for seconds in _SECONDS]
    size = next((size for size in sizes if (high - low) // size < most), None)
    if size is None:
        size = next(size for size in days if (high - low) // size < most)
    return list(range(-(-low // size) * size, high + 1, size))


def _doubling() -> Sequence[int]:
    return [2**n for n in range(60)]
