"""The one declaration of the config: complete, and true to its own limits."""

from __future__ import annotations

import pytest

from tui_loop.core.config.schema import GROUPS, Config, all_fields, field_help
from tui_loop.core.config.tables import to_tables
from tui_loop.core.config.validation import read_config


def test_the_groups_are_those_of_the_config() -> None:
    assert [*GROUPS, "other", "other_lora"] == list(Config.__struct_fields__)


def test_the_defaults_pass_their_own_limits() -> None:
    assert read_config(to_tables(Config())) == Config()


@pytest.mark.parametrize("name", all_fields())
def test_every_field_has_a_help_of_one_sentence_and_a_default(name: str) -> None:
    text, default = field_help(name)
    assert text.endswith(".")
    assert "\n" not in text
    group, _, field = name.partition(".")
    assert default == to_tables(Config())[group][field]
