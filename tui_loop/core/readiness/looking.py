"""What a process that looks at the holdout tells, a JSON object a line. Nothing of it has a row."""

from __future__ import annotations

from typing import Literal

import msgspec

from tui_loop.core.readiness.holdout import Look

Doing = Literal["loading", "base", "iteration"]


class LookProgress(msgspec.Struct, frozen=True, tag_field="kind", tag="progress"):
    """How far it is: `done` of `total` steps of loading, or of measuring the base or the tuned."""

    doing: Doing
    done: int = 0
    total: int = 0

    @property
    def words(self) -> str:
        """`measuring the base 12/120`."""
        what = {"base": "measuring the base", "iteration": "measuring the iteration"}
        told = what.get(self.doing, "loading the model")
        return f"{told} {self.done}/{self.total}" if self.total else f"{told} ..."


class LookDone(msgspec.Struct, frozen=True, tag_field="kind", tag="look"):
    """It is over, and recorded."""

    look: Look


class LookFault(msgspec.Struct, frozen=True, tag_field="kind", tag="fault"):
    """It came to nothing, and does not count; `is_input`: because of what was given."""

    message: str
    hint: str = ""
    is_input: bool = False


LookTold = LookProgress | LookDone | LookFault
