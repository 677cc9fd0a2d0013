"""What configs of earlier versions say about the loss mask, in the words of today."""

from __future__ import annotations

from typing import Any

import pytest

from tui_loop.core.config.earlier_versions import upgraded
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.config.tables import to_tables
from tui_loop.core.config.validation import ConfigError, read_config


def tables(shape: str, **training: Any) -> dict[str, Any]:
    """The tables of a record of an earlier version."""
    return {"data": {"shape": shape}, "training": {"assistant_only_loss": False, **training}}


@pytest.mark.parametrize(
    ("before", "as_run", "now"),
    [
        (tables("messages"), "all", "assistant"),
        (tables("messages", assistant_only_loss=True), "assistant", "assistant"),
        (tables("prompt_completion"), "assistant", "assistant"),
        (tables("prompt_completion", completion_only_loss=False), "all", "all"),
        (tables("instruction", completion_only_loss=True), "assistant", "assistant"),
    ],
)
def test_an_old_mask_is_read_as_what_that_run_trained_on(
    before: dict[str, Any], as_run: str, now: str
) -> None:
    assert read_config(before).data.train_on == as_run
    assert upgraded(before, as_run=False)["data"]["train_on"] == now


def test_tables_of_today_are_left_alone() -> None:
    today = to_tables(with_settings(Config(), ["data.shape=messages", "data.train_on=last"]))
    assert upgraded(today) == today
    assert read_config(today).data.train_on == "last"


@pytest.mark.parametrize("name", ["assistant_only_loss", "completion_only_loss"])
def test_the_old_fields_cannot_be_set_and_point_to_the_new_one(name: str) -> None:
    for key in (name, f"training.{name}"):
        with pytest.raises(ConfigError, match=rf"training\.{name}: cannot be set \(use data"):
            with_settings(Config(), [f"{key}=true"])
