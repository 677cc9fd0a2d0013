"""Looks at a holdout, as a loop records them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tui_loop.core.readiness.holdout import Figures, Look, PairedTable

SHA = "a" * 64


@pytest.fixture
def look() -> Callable[..., Look]:
    """Makes a look: 80 of 100 on eval, 78 of 100 on the holdout; anything else may be named."""

    def make(**more: Any) -> Look:
        fields: dict[str, Any] = {
            "t": 1_700_000_000.0,
            "iteration": 1,
            "sha256": SHA,
            "rows": 100,
            "metric": "label",
            "score": 0.78,
            "passed": 78,
            "total": 100,
            "loss": 0.61,
            "loss_error": 0.05,
            "base": Figures(0.1, 10, 100, 3.2),
            "paired": PairedTable(9, 69, 1, 21),
            "eval": Figures(0.8, 80, 100, 0.6, loss_error=0.05),
        }
        return Look(**{**fields, **more})

    return make
