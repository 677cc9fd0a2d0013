"""A time in which the disk took none of a journal's lines, and how it is told."""

from __future__ import annotations

import errno
import time

from tui_loop.core.events import Recovered

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Gap:
    """Since when the disk took nothing, why, and what it cost: lines waited, lines lost."""

    def __init__(self) -> None:
        self._since: float | None = None
        self.reason = ""
        self.written = 0
        self.waited = 0
        self.lost = 0

    @property
    def is_open(self) -> bool:
        return self._since is not None or self.lost > 0

    def widen(self, error: OSError, waiting: int) -> bool:
        """Takes in a failure that left so many lines waiting; whether it is the first."""
        is_first = self._since is None
        if self._since is None:
            self._since = time.monotonic()
        self.reason, self.waited = reason_of(error), self.written + waiting
        return is_first

    def told(self) -> Recovered:
        """The gap as an event."""
        seconds = 0.0 if self._since is None else round(time.monotonic() - self._since, 1)
        lost = f", {lines(self.lost)} lost" if self.lost else ""
        return Recovered(
            kind="disk",
            message=f"{self.reason or 'the disk is slow'}: nothing could be written for "
            f"{seconds} s; {lines(self.waited)} waited{lost}",
            changes={"seconds": seconds, "waited": self.waited, "lost": self.lost},
        )


def reason_of(error: OSError) -> str:
    """Why the disk took nothing, in a few words."""
    if error.errno in _FULL:
        return "disk full"
    return f"disk: {error.strerror or type(error).__name__}"


def lines(count: int) -> str:
    """`1 line`, `2 lines`."""
    return f"{count} line{'' if count == 1 else 's'}"
