"""Fields of LoraConfig: declared, passed on, or refused with the reason."""

from __future__ import annotations

from itertools import combinations

import pytest

from tui_loop.core.config.fields import field, from_setting, next_choice
from tui_loop.core.config.lora_fields import OTHER_LORA_FIELDS, OWNED_LORA_FIELDS
from tui_loop.core.config.schema import Config, Lora
from tui_loop.core.config.settings import full_name, with_settings
from tui_loop.core.config.sft_fields import OTHER_TRAINING_FIELDS, OWNED_TRAINING_FIELDS
from tui_loop.core.config.tables import changed_fields, to_tables
from tui_loop.core.config.validation import ConfigError, read_config, read_effective
from tui_loop.core.record.codec import from_toml, to_toml

TABLES = {
    "declared": set(Lora.__struct_fields__),
    "owned": set(OWNED_LORA_FIELDS),
    "other": set(OTHER_LORA_FIELDS),
    "of training": {*OTHER_TRAINING_FIELDS, *OWNED_TRAINING_FIELDS},
}
INIT = "lora.init_lora_weights"


def problems(*settings: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        with_settings(Config(), list(settings))
    return caught.value.problems


@pytest.mark.parametrize(("one", "two"), list(combinations(TABLES, 2)))
def test_no_field_is_in_two_tables(one: str, two: str) -> None:
    assert not TABLES[one] & TABLES[two]


@pytest.mark.parametrize("name", sorted(OWNED_LORA_FIELDS))
def test_a_field_that_cannot_be_set_is_refused_with_its_reason(name: str) -> None:
    assert problems(f"lora.{name}=1") == [f"lora.{name}: cannot be set ({OWNED_LORA_FIELDS[name]})"]


def test_a_further_field_is_a_key_of_its_group_everywhere() -> None:
    config = with_settings(
        Config(), ["lora_bias=true", "lora.use_bdlora.nblocks=2", "adam_beta1=0.8"]
    )
    assert config.other_lora == {"lora_bias": True, "use_bdlora": {"nblocks": 2}}
    assert config.other == {"adam_beta1": 0.8}
    assert to_tables(config)["lora"]["lora_bias"] is True
    assert changed_fields(Config(), config)["lora.lora_bias"] == (None, True)
    assert full_name("exclude_modules") == "lora.exclude_modules"
    assert with_settings(config, ["lora_bias=unset"]).other_lora == {"use_bdlora": {"nblocks": 2}}


def test_the_new_fields_survive_the_record() -> None:
    config = with_settings(
        Config(),
        [
            "init_lora_weights=pissa_niter_4",
            'modules_to_save=["lm_head"]',
            "layers_to_transform=3",
            'rank_pattern={"layers.0.*q_proj" = 4}',
            "lora.alpha_pattern.q_proj=8",
            "trainable_token_indices={embed_tokens = [1, 2]}",
            "exclude_modules=['v_proj']",
        ],
    )
    tables = {
        group: {name: value for name, value in table.items() if value is not None}
        for group, table in to_tables(config).items()
    }
    assert read_effective(from_toml(to_toml(tables), "config.toml")) == config
    assert config.lora.alpha_pattern == {"q_proj": 8.0}


def test_a_record_without_the_new_fields_has_their_defaults() -> None:
    config = read_effective({"lora": {"enabled": True, "r": 8}})
    assert config.lora == Lora(r=8)
    assert config.other_lora == {}


@pytest.mark.parametrize(
    "value", [True, False, "gaussian", "orthogonal", "pissa", "pissa_niter_16"]
)
def test_initializations_without_a_pass_over_the_data_are_taken(value: object) -> None:
    assert read_config({"lora": {"init_lora_weights": value}}).lora.init_lora_weights == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("eva", "must be an initialization that needs no data"),
        ("corda", "must be an initialization that needs no data"),
        ("loftq", "must be an initialization that does not quantize the base model"),
        (
            "pissa_niter_x",
            "must be one of true, false, gaussian, orthogonal, mica, olora, pissa, pissa_niter_N",
        ),
    ],
)
def test_other_initializations_are_refused_with_the_reason(value: str, reason: str) -> None:
    assert problems(f"{INIT}={value}") == [f"{INIT}: {reason}, not {value!r}"]


def test_conflicts_are_given_at_once() -> None:
    assert problems(
        "init_lora_weights=pissa",
        "use_dora=true",
        "model.quantization=4bit",
        "target_modules=.*proj",
        "layers_to_transform=[1]",
        "lora_bias=true",
        "layers_pattern='(a+)+'",
    ) == [
        "lora.layers_to_transform: needs all-linear or a list of names in lora.target_modules",
        "lora.layers_pattern: must be a name or a list of names (letters, digits, _ and .)",
        f"{INIT}: pissa needs a base model that is not quantized",
        f"{INIT}: pissa does not work with lora.use_dora",
        "lora.lora_bias: needs lora.init_lora_weights to be true or false",
        "lora.lora_bias: does not work with lora.use_dora",
    ]


def test_settings_of_an_adapter_do_not_matter_without_one() -> None:
    with_settings(Config(), ["lora.enabled=false", "init_lora_weights=pissa", "use_dora=true"])


def test_the_form_offers_the_initializations() -> None:
    known = field(INIT)
    assert known.kind == "choice"
    assert next_choice(known, True) is False
    assert next_choice(known, False) == "gaussian"
    assert next_choice(known, "pissa") is True
    assert from_setting(INIT, "true") is True
    assert from_setting(INIT, "pissa_niter_4") == "pissa_niter_4"


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("lora.layers_to_transform", "a whole number or a list: [0, 1], at least 0 | unset"),
        ("lora.rank_pattern", "a table: {q_proj = 8}, at least 1"),
        (
            "lora.trainable_token_indices",
            "a list: [5, 6], or a table: {embed_tokens = [5, 6]}, at least 0 | unset",
        ),
        ("lora.modules_to_save", 'a list: ["a", "b"] | unset'),
    ],
)
def test_the_form_says_what_a_field_takes(name: str, limits: str) -> None:
    assert field(name).limits == limits
