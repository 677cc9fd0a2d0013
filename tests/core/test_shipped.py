"""What travels with the program is found, and what does not is an error."""

from __future__ import annotations

import pytest

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.shipped import shipped


def test_sample_data_is_found() -> None:
    assert shipped("sample_data", "support-intents", "train.jsonl").stat().st_size > 0


def test_what_is_missing_is_named() -> None:
    with pytest.raises(TuiLoopError, match="sample_data/nothing is missing"):
        shipped("sample_data", "nothing")
