"""Waits of tests: they end as soon as a condition holds; their limit only catches hangs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

PATIENCE_SECONDS = float(os.environ.get("TUI_LOOP_TEST_PATIENCE", "120"))
"""Longer than anything in a test takes, also on a machine that is busy with other work.

A shorter one, by the environment, shows failing expectations sooner.
"""

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
