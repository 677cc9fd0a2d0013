"""The field tables of the schema against the SFTConfig and LoraConfig that are installed."""

from __future__ import annotations

import dataclasses

import pytest

from tui_loop.core.config.lora_fields import OTHER_LORA_FIELDS, OWNED_LORA_FIELDS
from tui_loop.core.config.schema import Lora, Training
from tui_loop.core.config.sft_fields import OTHER_TRAINING_FIELDS, OWNED_TRAINING_FIELDS

pytestmark = pytest.mark.train

OURS = {"precision", "keep", "early_stopping_patience"}


def test_every_sftconfig_field_is_declared_owned_or_settable() -> None:
    from trl import SFTConfig

    theirs = {field.name for field in dataclasses.fields(SFTConfig)}
    declared = set(Training.__struct_fields__) - OURS
    assert theirs == declared | set(OWNED_TRAINING_FIELDS) | set(OTHER_TRAINING_FIELDS)
    assert not declared & set(OWNED_TRAINING_FIELDS)
    assert not set(OTHER_TRAINING_FIELDS) & set(OWNED_TRAINING_FIELDS)


def test_every_loraconfig_field_is_declared_owned_or_settable() -> None:
    from peft import LoraConfig

    theirs = {field.name for field in dataclasses.fields(LoraConfig)}
    declared = set(Lora.__struct_fields__) - {"enabled"}
    assert theirs == declared | set(OWNED_LORA_FIELDS) | set(OTHER_LORA_FIELDS)


def test_every_scheduler_offered_is_one_that_transformers_knows() -> None:
    from transformers import SchedulerType

    from tui_loop.core.config.schema import choices_of, hints_of

    offered = choices_of(hints_of(Training)["lr_scheduler_type"])
    assert set(offered) <= {kind.value for kind in SchedulerType}
