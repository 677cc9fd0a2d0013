"""What an iteration has to be before it is ready: the `[ready]` table of `loop.toml`."""

from __future__ import annotations

import difflib
import math
from typing import Any

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.loop_folder import LoopFolder
from tui_loop.core.scoring import NO_METRIC

MIN_ITERATIONS = 3
AGAINST = ("parent", "base")
"""What an iteration can be held against for a regression."""


class Criteria(msgspec.Struct, frozen=True):
    """`target`: the least score in [0, 1], or under metric none the highest eval loss.

    `no_regression`: what it must not be significantly worse than. `holdout`: whether the holdout,
    where the loop has one, must agree.
    """

    target: float | None = None
    min_iterations: int = MIN_ITERATIONS
    no_regression: tuple[str, ...] = AGAINST
    holdout: bool = True


FIELDS = Criteria.__struct_fields__


def criteria_of(loop: LoopFolder) -> Criteria:
    """The loop's criteria; raises BadInput with file and field."""
    settings = loop.read_settings()
    return read_criteria(settings.ready, settings.metric, str(loop.settings_file))


def read_criteria(table: dict[str, Any], metric: str, where: str) -> Criteria:
    """The criteria in a `ready` table; raises BadInput that names `where` and the field."""
    for name in table:
        if name not in FIELDS:
            close = difflib.get_close_matches(name, FIELDS, n=1)
            guess = f", did you mean {close[0]}?" if close else ""
            raise BadInput(
                f"{where}: ready.{name}: no such criterion{guess}", f"one of {', '.join(FIELDS)}"
            )
    read = Criteria()
    if "target" in table:
        target = checked_target(table["target"], metric, f"{where}: ready.target")
        read = msgspec.structs.replace(read, target=target)
    if "min_iterations" in table:
        count = table["min_iterations"]
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise _wrong(where, "min_iterations", "a whole number from 0 on", count)
        read = msgspec.structs.replace(read, min_iterations=count)
    if "no_regression" in table:
        names = table["no_regression"]
        if not isinstance(names, list) or not all(each in AGAINST for each in names):
            raise _wrong(where, "no_regression", 'a list of "parent" and "base"', names)
        kept = tuple(each for each in AGAINST if each in names)
        read = msgspec.structs.replace(read, no_regression=kept)
    if "holdout" in table:
        if not isinstance(table["holdout"], bool):
            raise _wrong(where, "holdout", "true or false", table["holdout"])
        read = msgspec.structs.replace(read, holdout=table["holdout"])
    return read


def checked_target(value: Any, metric: str, field: str) -> float:
    """A target that can be reached; raises BadInput that names `field`."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if metric == NO_METRIC:
        if not is_number or not 0 < value < math.inf:
            raise BadInput(
                f"{field}: must be an eval loss above 0, not {value!r}",
                "under metric none the target is the highest eval loss, in nats a token",
            )
    elif not is_number or not 0 <= value <= 1:
        raise BadInput(
            f"{field}: must be a score from 0 to 1, not {value!r}", "0.85 stands for 85%"
        )
    return float(value)


def _wrong(where: str, field: str, wanted: str, value: Any) -> BadInput:
    return BadInput(
        f"{where}: ready.{field}: must be {wanted}, not {value!r}", "correct that line in an editor"
    )
