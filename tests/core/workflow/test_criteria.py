"""The `[ready]` table: what it says where it says nothing, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tui_loop.core.errors import BadInput
from tui_loop.core.workflow.readiness import Criteria, read_criteria


def test_an_empty_table_asks_for_three_iterations_no_regression_and_the_holdout() -> None:
    assert read_criteria({}, "label", "loop.toml") == Criteria(None, 3, ("parent", "base"), True)


def test_every_criterion_can_be_set() -> None:
    table = {"target": 0.9, "min_iterations": 0, "no_regression": ["base"], "holdout": False}
    assert read_criteria(table, "label", "loop.toml") == Criteria(0.9, 0, ("base",), False)
    assert read_criteria({"no_regression": []}, "label", "x").no_regression == ()
    assert read_criteria({"target": 1}, "label", "x").target == 1.0


def test_under_metric_none_the_target_is_a_loss() -> None:
    assert read_criteria({"target": 1.7}, "none", "x").target == 1.7
    with pytest.raises(BadInput, match=r"ready\.target: must be an eval loss above 0"):
        read_criteria({"target": 0}, "none", "x")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"tagret": 0.9}, "ready.tagret: no such criterion, did you mean target?"),
        ({"target": 85}, "ready.target: must be a score from 0 to 1, not 85"),
        ({"target": "0.9"}, "ready.target: must be a score from 0 to 1, not '0.9'"),
        ({"target": True}, "ready.target: must be a score from 0 to 1, not True"),
        ({"target": float("nan")}, "ready.target: must be a score from 0 to 1, not nan"),
        ({"min_iterations": 2.5}, "ready.min_iterations: must be a whole number of at least 0"),
        ({"min_iterations": -1}, "ready.min_iterations: must be a whole number of at least 0"),
        (
            {"no_regression": "base"},
            'ready.no_regression: must be a list with "parent", "base" or both',
        ),
        ({"no_regression": [["base"]]}, "ready.no_regression: must be a list"),
        ({"holdout": "yes"}, "ready.holdout: must be true or false"),
    ],
)
def test_what_is_wrong_is_told_with_its_file_and_field(table: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_criteria(table, "label", "loops/x/loop.toml")
    assert caught.value.message.startswith(f"loops/x/loop.toml: {told}")
    assert caught.value.hint
