"""Waits of tests: they end as soon as a condition holds; their limit only catches hangs."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = float(__import__("os").environ.get("PATIENCE", 60))
"""Longer than anything in a test takes, also on a machine that is busy with other work."""

POLL_SECONDS = 0.02


def wait_until(
    condition: Callable[[], object],
    what: str,
    *,
    between: Callable[[], object] = lambda: time.sleep(POLL_SECONDS),
    seen: Callable[[], str] = str,
) -> None:
    """Waits until `condition` holds; fails with what there was instead, as `seen` gives it.

    `between` is called between two checks, to let what is awaited happen.
    """
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends, f"never came: {what}\n{seen()}"
        between()
