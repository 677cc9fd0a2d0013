"""One process at a time changes the files that the runs of a loop share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tui_loop.core.record.folders import LoopFolder


@contextmanager
def exclusive(loop: LoopFolder) -> Iterator[None]:
    """Locks the loop's folder while files are read, changed and written; others wait meanwhile.

    Never call it within itself. On a file system without locks it has no effect.
    """
    descriptor = os.open(loop.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
