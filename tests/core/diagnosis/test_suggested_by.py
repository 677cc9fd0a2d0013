"""Names of suggestions in words."""

from __future__ import annotations

import pytest

from tui_loop.core.diagnosis.apply_suggestions import suggested_by


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (None, ""),
        ("", ""),
        ("search/sampled", "the sampler"),
        ("overfitting/fewer_epochs", "the diagnosis (fewer epochs, after overfitting)"),
        (
            "plateau/look_at_failures + plateau/raise_rank",
            "the diagnosis (look at failures, after plateau; raise rank, after plateau)",
        ),
        ("odd", "the diagnosis (odd)"),
    ],
)
def test_what_was_taken_is_told_in_words(name: str | None, told: str) -> None:
    assert suggested_by(name) == told
