"""Values, numbers and titles in few characters."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tui_loop.core.record.iteration import title_of
from tui_loop.core.text.figures import brief, brief_number

LR = "training.learning_rate"
SEED = "training.seed"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unset"),
        (True, "on"),
        (False, "off"),
        (8, "8"),
        (1e-4, "1e-4"),
        (["c_attn", "c_proj"], "c_attn,c_proj"),
        ("all-linear", "all-linear"),
    ],
)
def test_a_value_is_told_briefly(value: Any, text: str) -> None:
    assert brief(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (2.5e-5, "2.5e-5"),
        (1e-4, "1e-4"),
        (0.1234567, "0.123"),
        (32.0, "32"),
        (1024.0, "1024"),
        (1e6, "1e6"),
        (-3e-9, "-3e-9"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_a_number_is_told_briefly(value: float, text: str) -> None:
    assert brief_number(value) == text


@pytest.mark.parametrize(
    ("number", "parent", "changes", "title"),
    [
        (0, None, {}, "base"),
        (1, 0, {}, "baseline"),
        (1, None, {}, "baseline"),
        (3, 2, {}, "identical to 2"),
        (3, 2, {SEED: [42, 43]}, "replicate of 2, seed 43"),
        (1, 0, {SEED: [42, 43]}, "baseline, seed 43"),
        (1, None, {SEED: [42, 43]}, "baseline, seed 43"),
        (2, 1, {LR: [1e-4, 2e-4]}, "learning_rate 1e-4 → 2e-4"),
        (2, 1, {"lora.use_dora": [False, True], SEED: [1, 2]}, "use_dora off → on, +1"),
        (2, 1, {"data.train": {"rows_added": 3}}, "data.train +3 rows"),
        (
            2,
            1,
            {"data.train": {"rows_added": 3, "rows_removed": 0, "rows_changed": 2}, LR: [1, 2]},
            "data.train +3 ~2 rows, +1",
        ),
        (2, 1, {"training.max_steps": [None, 40]}, "max_steps unset → 40"),
    ],
)
def test_a_title_tells_the_changes_in_short(
    number: int, parent: int | None, changes: dict[str, Any], title: str
) -> None:
    assert title_of(number, parent, changes) == title


@pytest.mark.parametrize("odd", [3, None, [], [1, 2, 3], "x", {}])
@pytest.mark.parametrize("field", [SEED, LR])
def test_a_change_that_was_edited_by_hand_still_has_a_title(field: str, odd: Any) -> None:
    assert title_of(2, 1, {field: odd})


def test_a_long_value_stays_one_short_line() -> None:
    title = title_of(2, 1, {"data.prompt_template": [None, "Classify:\n" + "word " * 100]})
    assert "\n" not in title
    assert len(title) < 100
