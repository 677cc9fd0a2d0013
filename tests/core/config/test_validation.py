"""Configs: `--set`, every problem at once, limits, TOML and what differs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import full_name, settings_tables, with_settings
from tui_loop.core.config.tables import changed_fields, flatten, merge, to_tables
from tui_loop.core.config.validation import ConfigError, read_config, read_effective
from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec


def value_of(setting: str, field: str, start: Config | None = None) -> Any:
    return flatten(with_settings(start or Config(), [setting]))[field]


def problems_of(*settings: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        with_settings(Config(), list(settings))
    return caught.value.problems


def any_problems_of(pairs: list[str]) -> list[str]:
    try:
        with_settings(Config(), pairs)
    except ConfigError as error:
        return error.problems
    return []


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("learning_rate=2e-4", "training.learning_rate", 2e-4),
        ("training.learning_rate=1", "training.learning_rate", 1.0),
        ("r=8", "lora.r", 8),
        (" lora.r = 8", "lora.r", 8),
        ("packing=true", "training.packing", True),
        ("model.id=org/some-model", "model.id", "org/some-model"),
        ("model.id='quoted'", "model.id", "quoted"),
        ("metric=contains", "evaluation.metric", "contains"),
        ("target_modules=['q_proj', 'v_proj']", "lora.target_modules", ["q_proj", "v_proj"]),
        ("target_modules=all-linear", "lora.target_modules", "all-linear"),
        ("pattern=a=b", "evaluation.pattern", "a=b"),
        ("prompt_template=Q: {prompt}\nA:", "data.prompt_template", "Q: {prompt}\nA:"),
        ("evaluation.labels=['a', 'b']", "evaluation.labels", ["a", "b"]),
        ("data.columns.prompt=utterance", "data.columns", {"prompt": "utterance"}),
        ("data.columns={completion = 'intent'}", "data.columns", {"completion": "intent"}),
        ("adam_beta2=0.95", "training.adam_beta2", 0.95),
        ("training.neftune_noise_alpha=5", "training.neftune_noise_alpha", 5.0),
        ("lr_scheduler_kwargs={min_lr = 1e-6}", "training.lr_scheduler_kwargs", {"min_lr": 1e-6}),
        ("lora_dropout=.05", "lora.lora_dropout", 0.05),
        ("lora_dropout=+.05", "lora.lora_dropout", 0.05),
        ("lora_dropout= 0. ", "lora.lora_dropout", 0.0),
        ("learning_rate=+1e-4", "training.learning_rate", 1e-4),
        ("learning_rate=1E-4", "training.learning_rate", 1e-4),
        ("learning_rate=1.e-4", "training.learning_rate", 1e-4),
        ("learning_rate=.1e-3", "training.learning_rate", 1e-4),
        ("save_steps=1_000", "training.save_steps", 1000),
        ("num_train_epochs=5.", "training.num_train_epochs", 5.0),
        ("adam_beta2=.95", "training.adam_beta2", 0.95),
        ("training.lr_scheduler_kwargs.min_lr=.5", "training.lr_scheduler_kwargs", {"min_lr": 0.5}),
        ("model.revision=.05", "model.revision", ".05"),
        ("model.revision=1.", "model.revision", "1."),
        ("eos_token=5", "training.eos_token", "5"),
        ("eos_token=.5", "training.eos_token", ".5"),
    ],
)
def test_a_setting_is_read_as_toml_else_as_a_string(setting: str, field: str, value: Any) -> None:
    got = value_of(setting, field)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "text", [".", "..5", "1._5", "_.5", "1.5.", "٣.", "１.", ".٥", "1.e", "0x.5", "." + "9" * 200]
)
def test_what_is_no_number_in_ascii_digits_is_refused_as_text(text: str) -> None:
    [problem] = problems_of(f"lora_dropout={text}")
    assert problem.startswith("lora.lora_dropout: must be a number")


def test_a_value_that_looks_like_more_toml_is_text() -> None:
    assert value_of("pattern=1\nother = 2", "evaluation.pattern") == "1\nother = 2"


def test_roles_of_columns_add_up() -> None:
    config = with_settings(Config(), ["data.columns.prompt=a", "data.columns.completion=b"])
    assert config.data.columns == {"prompt": "a", "completion": "b"}
    again = with_settings(config, ["data.columns.prompt=c"])
    assert again.data.columns == {"prompt": "c", "completion": "b"}
    assert config.data.columns["prompt"] == "a"


@pytest.mark.parametrize("word", ["none", "unset", "null", "None"])
@pytest.mark.parametrize("field", ["training.max_length", "data.eval", "training.save_steps"])
def test_optional_fields_can_be_unset(field: str, word: str) -> None:
    start = with_settings(Config(), ["data.eval=x.jsonl"])
    assert value_of(f"{field}={word}", field, start) is None


def test_a_field_that_must_have_a_value_cannot_be_unset() -> None:
    assert problems_of("learning_rate=unset") == [
        "training.learning_rate: must be a number, not 'unset'"
    ]


def test_a_further_training_field_can_be_unset_again() -> None:
    start = with_settings(Config(), ["adam_beta1=0.8", "eos_token=<end>"])
    back = with_settings(start, ["adam_beta1=unset", "eos_token=none"])
    assert back.other == {}
    assert changed_fields(start, back) == {
        "training.adam_beta1": (0.8, None),
        "training.eos_token": ("<end>", None),
    }


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        (
            "max_length=3",
            "several groups have this field; write training.max_length or evaluation.max_len",
        ),
        ("learning_rat=3", "no such field, did you mean learning_rate?"),
        ("lora.lora_alpa=3", "lora.lora_alpa: no such field, did you mean lora_alpha?"),
        ("lr=3", "lr: no such field, did you mean learning_rate?"),
        ("training.epochs=3", "did you mean num_train_epochs?"),
        ("batch-size=3", "did you mean per_device_train_batch_size?"),
        ("rank=3", "did you mean r?"),
        ("alpha=3", "did you mean lora_alpha?"),
        ("dropout=3", "did you mean lora_dropout?"),
        ("trainin.seed=3", "no such group, did you mean training?"),
        ("qqqqqq=3", "qqqqqq: no such field"),
        ("training.adam_bet1=3", "did you mean adam_beta1?"),
        ("data.columns.promt=x", "data.columns.promt: no such role, did you mean prompt?"),
        ("data.columns.sytem=x", "data.columns.sytem: no such role, did you mean system?"),
        ("training.learning_rate.x=3", "training.learning_rate.x: no such field"),
        ("model.id.x=3", "model.id.x: no such field"),
        ("learning_rate", "must be K=V"),
        ("=3", "must be K=V"),
        (
            "report_to=wandb",
            "training.report_to: cannot be set (tui-loop keeps its own record of a run)",
        ),
        ("training.hub_token=hf_x", "training.hub_token: cannot be set (tui-loop uploads nothing)"),
        ("bf16=true", "use training.precision"),
    ],
)
def test_what_cannot_be_set_says_why(setting: str, problem: str) -> None:
    [said] = problems_of(setting)
    assert problem in said


def test_an_unknown_name_without_group_that_is_owned_is_named_in_full() -> None:
    assert full_name("output_dir") == "training.output_dir"
    with pytest.raises(BadInput):
        full_name("no_such_thing")


def test_all_problems_are_reported_together() -> None:
    assert len(problems_of("nonsense=1", "max_length=3", "learning_rate")) == 3
    with pytest.raises(ConfigError) as caught:
        read_config(
            {
                "lora": {"r": 0, "lora_dropout": 1.0},
                "training": {"learning_rate": -1.0, "output_dir": "x"},
                "nonsense": {},
                "data": 3,
            },
            "loop.toml",
        )
    error = caught.value
    assert len(error.problems) == 6
    assert error.message.startswith("loop.toml: 6 problems: ")
    for name in ("lora.r", "lora.lora_dropout", "training.learning_rate", "training.output_dir"):
        assert f"{name}: " in error.message


@pytest.mark.parametrize(
    "setting",
    [
        *("learning_rate=1000", "learning_rate=1e-300", "r=1", "r=100000", "lora_alpha=0.001"),
        *("lora_dropout=0.99", "num_train_epochs=0.001", "max_grad_norm=0", "weight_decay=50"),
        *("training.max_length=1", "warmup_steps=0.5", "eval_steps=0", "save_steps=0", "seed=0"),
        *("temperature=100", "top_p=1", "eval_fraction=0.999", "pass_score=0", "max_steps=1"),
        *("per_device_train_batch_size=100000", "gradient_accumulation_steps=1"),
    ],
)
def test_the_unusual_is_allowed(setting: str) -> None:
    with_settings(Config(), [setting])


@pytest.mark.parametrize(
    "setting",
    [
        *("learning_rate=0", "learning_rate=-1", "r=0", "r=8.5", "lora_alpha=0", "lora_dropout=1"),
        *("lora_dropout=-0.1", "num_train_epochs=0", "max_steps=0", "training.max_length=0"),
        *("temperature=0", "top_p=0", "top_p=1.01", "eval_fraction=0", "eval_fraction=1"),
        *("pass_score=1.1", "seed=-1", "seed=4294967296", "warmup_steps=-1", "batch_size=0"),
        *("logging_steps=0", "max_train_rows=0", "model.id=''", "optim=''", "init_adapter=0"),
        *("enabled=1", "shape=foo", "dtype=int8", "data.columns=3", "adam_beta1=true"),
        *("optim_target_modules={a = 1}", "data.train=[3]", "labels=[1]", "packing=yes"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(setting: str) -> None:
    [problem] = problems_of(setting)
    assert problem.startswith(full_name(setting.partition("=")[0]) + ": ")
    assert "`" not in problem, "the message must be in a user's words"


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        (["keep=best", "eval_steps=0"], "training.keep"),
        (["early_stopping_patience=2", "eval_steps=0"], "training.early_stopping_patience"),
        (["packing=true", "training.max_length=unset"], "training.packing"),
        (["quantization=4bit", "lora.enabled=false"], "model.quantization"),
        (["init_adapter=3", "lora.enabled=false"], "model.init_adapter"),
        (["prompt_template=Message:"], "data.prompt_template"),
    ],
)
def test_fields_that_cannot_be_had_together_are_refused_by_name(
    pairs: list[str], field: str
) -> None:
    [problem] = problems_of(*pairs)
    assert problem.startswith(f"{field}: ")


def test_contradictions_are_reported_together() -> None:
    assert len(problems_of("keep=best", "eval_steps=0", "prompt_template=x")) == 2


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("field", ["learning_rate", "lora_alpha", "adam_beta1", "pass_score"])
def test_numbers_that_are_not_finite_are_refused(field: str, value: str) -> None:
    [problem] = problems_of(f"{field}={value}")
    assert "must be a finite number" in problem


def test_a_number_that_is_not_finite_is_refused_within_a_table_too() -> None:
    [problem] = problems_of("lr_scheduler_kwargs={min_lr = nan}")
    assert "must be a finite number" in problem


@pytest.mark.parametrize(
    "value",
    ["1" + "0" * 400, "1" + "0" * 5000, "0x" + "f" * 9000, "[" * 100_000, "9" * 30],
    ids=["400 digits", "5000 digits", "9000 hex digits", "deep", "beyond 64 bits"],
)
@pytest.mark.parametrize("field", ["r", "learning_rate", "adam_beta1", "shape"])
def test_an_absurd_value_is_a_problem_of_its_field(field: str, value: str) -> None:
    problems = any_problems_of([f"{field}={value}"])
    assert all(each.startswith(f"{full_name(field)}: ") for each in problems)
    assert all(len(each) < 200 for each in problems)
    assert problems


def test_an_optional_field_says_what_it_takes() -> None:
    [problem] = problems_of("training.max_length=long")
    assert problem == "training.max_length: must be a whole number or unset, not 'long'"
    [problem] = problems_of("lora.target_modules={a=3}")
    assert problem == "lora.target_modules: must be text or a list, not {'a': 3}"


def test_a_choice_lists_its_values() -> None:
    [problem] = problems_of("keep=first")
    assert problem == "training.keep: must be one of last, best, not 'first'"


def test_settings_tables_hold_only_what_was_named() -> None:
    assert settings_tables(["r=8", "data.eval=none", "data.columns.id=key"]) == {
        "lora": {"r": 8},
        "data": {"eval": "none", "columns": {"id": "key"}},
    }
    with pytest.raises(ConfigError):
        settings_tables(["r=0"])


def test_merge_puts_fields_over_fields_and_leaves_both_as_they_were() -> None:
    base, over = {"lora": {"r": 8, "bias": "all"}}, {"lora": {"r": 4}, "run": {"device": "cpu"}}
    assert merge(base, over) == {"lora": {"r": 4, "bias": "all"}, "run": {"device": "cpu"}}
    assert base == {"lora": {"r": 8, "bias": "all"}}


def test_changed_fields_are_those_that_differ_in_schema_order() -> None:
    old = with_settings(Config(), ["adam_beta1=0.8"])
    new = with_settings(Config(), ["seed=7", "r=8", "model.id=smollm2", "data.eval=e.jsonl"])
    assert list(changed_fields(old, new).items()) == [
        ("model.id", ("tiny", "smollm2")),
        ("data.eval", (None, "e.jsonl")),
        ("lora.r", (16, 8)),
        ("training.seed", (42, 7)),
        ("training.adam_beta1", (0.8, None)),
    ]
    assert changed_fields(old, old) == {}


def test_an_absent_key_is_unset_in_a_record_and_the_default_in_a_loop_file() -> None:
    unset = with_settings(Config(), ["training.max_length=unset", "save_total_limit=unset"])
    text = codec.to_toml(to_tables(unset))
    assert "save_total_limit" not in text
    tables = codec.from_toml(text, "config.toml")
    assert read_effective(tables) == unset
    assert read_config(tables).training.max_length == Config().training.max_length == 1024


def test_a_record_with_a_missing_group_has_its_optional_fields_unset() -> None:
    config = read_effective({})
    assert config.training.max_length is None
    assert config.training.save_steps is None
    assert config.training.learning_rate == Config().training.learning_rate


texts = st.text(min_size=1, max_size=12).filter(
    lambda text: text.lower() not in ("none", "unset", "null")
)
tables = st.fixed_dictionaries(
    {},
    optional={
        "model": st.fixed_dictionaries({}, optional={"id": texts, "revision": texts | st.none()}),
        "data": st.fixed_dictionaries(
            {},
            optional={
                "train": st.text(max_size=12),
                "eval": texts | st.none(),
                "columns": st.dictionaries(st.sampled_from(["prompt", "id", "text"]), texts),
                "prompt_template": texts.map("{{prompt}}{}".format) | st.none(),
                "max_train_rows": st.integers(1, 2**40) | st.none(),
                "eval_fraction": st.floats(0.001, 0.999),
            },
        ),
        "lora": st.fixed_dictionaries(
            {}, optional={"target_modules": texts | st.lists(texts, max_size=3)}
        ),
        "training": st.fixed_dictionaries(
            {},
            optional={
                "learning_rate": st.floats(1e-300, 1e300),
                "max_steps": st.integers(1, 10**9) | st.none(),
                "max_length": st.integers(1, 10**9) | st.none(),
                "adam_beta1": st.floats(0, 1),
                "eos_token": texts,
                "lr_scheduler_kwargs": st.dictionaries(texts, st.floats(0, 1), max_size=2),
            },
        ),
        "evaluation": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.lists(st.text(max_size=8), max_size=3) | st.none(),
                "pass_score": st.floats(0, 1) | st.none(),
            },
        ),
    },
)


@given(tables)
@settings(max_examples=30)
def test_any_config_survives_the_record(values: dict[str, Any]) -> None:
    config = read_config(values)
    again = read_effective(codec.from_toml(codec.to_toml(to_tables(config)), "config.toml"))
    assert again == config
    assert changed_fields(config, again) == {}


@given(st.lists(st.text(max_size=30), max_size=3))
def test_any_setting_gives_a_config_or_problems(pairs: list[str]) -> None:
    problems = any_problems_of(pairs)
    assert bool(problems) >= any("=" not in pair for pair in pairs)


@given(
    st.sampled_from(["lora.r", "learning_rate", "data.columns.prompt", "data.columns", "labels"]),
    st.text(max_size=20) | st.integers().map(str) | st.floats().map(str),
)
def test_any_value_gives_a_config_or_a_problem_of_its_field(key: str, value: str) -> None:
    problems = any_problems_of([f"{key}={value}"])
    assert all(key in each for each in problems)


def test_a_table_that_was_valid_before_keeps_its_values_and_a_wrong_one_its_problem() -> None:
    table = {"training": {"learning_rate": 1, "adam_beta1": 0.8}}
    first, again = read_config(table), read_config(table)
    assert first == again
    assert again.other == {"adam_beta1": 0.8}
    for _ in range(2):
        with pytest.raises(ConfigError, match="learning_rate"):
            read_config({"training": {"learning_rate": -1}})
    assert read_config({"training": {"seed": 1}}).training.seed == 1
    with pytest.raises(ConfigError, match="seed"):
        read_config({"training": {"seed": 1.5}})
