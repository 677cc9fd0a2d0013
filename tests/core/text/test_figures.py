"""Numbers as they are printed."""

from __future__ import annotations

import pytest

from tui_loop.core.stats import Interval
from tui_loop.core.text.figures import loss_change


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(-0.15, -0.19, -0.11), "-0.15 ±0.04"),
        (Interval(0.1234, 0.0234, 0.2234), "+0.12 ±0.10"),
        (Interval(-0.0121, -0.0151, -0.0091), "-0.012 ±0.003"),
        (Interval(-0.0004, -0.3, 0.3), "+0.00 ±0.30"),
        (None, ""),
    ],
)
def test_a_change_of_loss_has_as_many_digits_as_its_interval_allows(
    interval: Interval | None, text: str
) -> None:
    assert loss_change(interval) == text
