"""Every SFTConfig name is declared, owned or passed on: one of the three and no two."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from tui_loop.core.config.schema import GROUPS, Config, Training, all_fields
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
        f"training.{name}: cannot be set ({OWNED_TRAINING_FIELDS[name]})"
    ]


@pytest.mark.parametrize("name", sorted(OWNED_TRAINING_FIELDS))
def test_each_place_that_a_refusal_names_is_a_field(name: str) -> None:
    places = re.findall(rf"\b(?:{'|'.join(GROUPS)})\.\w+", OWNED_TRAINING_FIELDS[name])
    assert set(places) <= set(all_fields())
    assert not re.search(r"\bgroup\b", OWNED_TRAINING_FIELDS[name]), "names no field"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("eval_strategy", "training.eval_steps"),
        ("per_device_eval_batch_size", "evaluation.batch_size"),
        ("load_best_model_at_end", "training.keep"),
        ("save_strategy", "training.save_steps"),
        ("logging_strategy", "training.logging_steps"),
        ("eval_on_start", "evaluation.base"),
        ("bf16", "training.precision"),
        ("bf16_full_eval", "model.dtype"),
        ("gradient_checkpointing", "training.activation_checkpointing"),
        ("use_cpu", "run.device"),
        ("trust_remote_code", "model.trust_remote_code"),
        ("chat_template_path", "data.chat_template"),
        ("completion_only_loss", "data.train_on"),
        ("dataset_text_field", "data.columns"),
    ],
)
def test_a_refusal_names_the_place_of_the_setting(name: str, place: str) -> None:
    for setting in (f"training.{name}=1", f"{name}=1"):
        with pytest.raises(ConfigError, match=rf"\b{re.escape(place)}\b"):
            with_settings(Config(), [setting])


@pytest.mark.parametrize(
    "name",
    [
        *("output_dir", "hub_token", "push_to_hub", "report_to", "resume_from_checkpoint"),
        *("deepspeed", "fsdp", "bf16", "gradient_checkpointing"),
    ],
)
def test_the_fields_that_design_names_are_owned(name: str) -> None:
    assert name in OWNED_TRAINING_FIELDS
