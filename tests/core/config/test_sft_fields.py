"""Every SFTConfig name is declared, owned or passed on: one of the three and no two."""

from __future__ import annotations

from itertools import combinations

import pytest

from tui_loop.core.config.schema import Config, Training
from tui_loop.core.config.settings import with_settings
from tui_loop.core.config.sft_fields import OTHER_TRAINING_FIELDS, OWNED_TRAINING_FIELDS
from tui_loop.core.config.validation import ConfigError

TABLES = {
    "declared": set(Training.__struct_fields__),
    "owned": set(OWNED_TRAINING_FIELDS),
    "other": set(OTHER_TRAINING_FIELDS),
}


@pytest.mark.parametrize(("one", "two"), list(combinations(TABLES, 2)))
def test_no_training_field_is_in_two_tables(one: str, two: str) -> None:
    assert not TABLES[one] & TABLES[two]


@pytest.mark.parametrize("name", sorted(OWNED_TRAINING_FIELDS))
def test_a_field_that_the_program_owns_is_refused_with_its_reason(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(Config(), [f"training.{name}=1"])
    assert caught.value.problems == [
        f"training.{name}: cannot be set, {OWNED_TRAINING_FIELDS[name]}"
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("output_dir", "hub_token", "push_to_hub", "report_to", "resume_from_checkpoint"),
        *("deepspeed", "fsdp", "bf16", "gradient_checkpointing"),
    ],
)
def test_the_fields_that_design_names_are_owned(name: str) -> None:
    assert name in OWNED_TRAINING_FIELDS
