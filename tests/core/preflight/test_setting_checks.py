"""Settings that no run can have, and settings without an effect."""

from __future__ import annotations

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.preflight import setting_checks
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.preflight.setting_checks import check_settings, without_fields


def results(*settings: str) -> list[CheckResult]:
    return check_settings(with_settings(Config(), list(settings)))


def the_error(*settings: str) -> CheckResult:
    (found,) = results(*settings)
    assert found.severity == "error"
    return found


def test_the_defaults_have_no_findings() -> None:
    assert results() == []


@pytest.mark.parametrize(
    ("field", "value", "choice"),
    [
        ("loss_type", "mse", "dft"),
        ("packing_strategy", "bdf", "bfd"),
        ("truncation_mode", "keep_middle", "keep_start"),
        ("train_sampling_strategy", "by_length", "group_by_length"),
    ],
)
def test_a_value_that_trl_does_not_know_is_an_error_that_lists_those_it_knows(
    field: str, value: str, choice: str
) -> None:
    found = (
        the_error(f"training.{field}={value}", "packing=true")
        if field == "packing_strategy"
        else the_error(f"training.{field}={value}")
    )
    assert found.field == f"training.{field}"
    assert choice in found.message
    assert value in found.message


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("neftune_noise_alpha=-1.0", "at least 0"),
        ("label_smoothing_factor=1.0", "below 1"),
        ("torch_empty_cache_steps=0", "at least 1"),
        ("adam_beta2=1.0", "below 1"),
        ("data_seed=-1", "at least 0"),
    ],
)
def test_a_number_out_of_its_range_is_an_error(setting: str, words: str) -> None:
    found = the_error(f"training.{setting}")
    assert found.field == f"training.{setting.partition('=')[0]}"
    assert words in found.message


def test_an_unknown_optimizer_is_an_error_with_a_guess() -> None:
    found = the_error("optim=adamw_torsh")
    assert "did you mean adamw_torch?" in found.message
    assert found.field == "training.optim"


def test_arguments_of_an_optimizer_are_pairs() -> None:
    assert the_error("training.optim_args=rank").field == "training.optim_args"
    assert results("training.optim_args=rank=8,scale=2") == []


@pytest.mark.parametrize(
    ("optimizer", "package"),
    [
        ("adamw_8bit", "bitsandbytes"),
        ("paged_lion_32bit", "bitsandbytes"),
        ("galore_adamw_8bit", "galore-torch"),
        ("adalomo", "lomo-optim"),
        ("schedule_free_sgd", "schedulefree"),
        ("adamw_torch_4bit", "torchao"),
    ],
)
def test_an_optimizer_whose_package_is_missing_is_an_error_that_names_it(
    optimizer: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setting_checks, "find_spec", lambda name: None)
    found = the_error(f"optim={optimizer}")
    assert f"needs the package {package}" in found.message
    monkeypatch.setattr(setting_checks, "find_spec", lambda name: object())
    assert results(f"optim={optimizer}") == []


def test_liger_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_checks, "find_spec", lambda name: None)
    assert the_error("training.use_liger_kernel=true").field == "training.use_liger_kernel"
    assert results("training.use_liger_kernel=false") == []


def test_padding_free_needs_packing_or_no_limit() -> None:
    assert the_error("training.padding_free=true").field == "training.padding_free"
    assert results("training.padding_free=true", "packing=true") == []
    assert results("training.padding_free=true", "training.max_length=none") == []


def test_wrapped_packing_is_a_warning() -> None:
    (found,) = results("packing=true", "packing_strategy=wrapped")
    assert found.severity == "warning"
    assert "attend to the rows before it" in found.message


def test_a_schedule_that_follows_the_trainers_evaluations_cannot_be_had() -> None:
    found = the_error("lr_scheduler_type=reduce_lr_on_plateau")
    assert "tui-loop has its own evaluation" in found.message
    assert found.hint


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (["packing_strategy=wrapped"], "training.packing_strategy"),
        (["training.pad_to_multiple_of=8", "packing=true"], "training.pad_to_multiple_of"),
        (["truncation_mode=keep_end", "training.max_length=none"], "training.truncation_mode"),
        (["training.optim_target_modules=['attn']"], "training.optim_target_modules"),
        (["training.adam_beta2=0.95", "optim=sgd"], "training.adam_beta2"),
        (["num_train_epochs=9", "max_steps=5"], "training.num_train_epochs"),
        (["evaluation.temperature=0.7"], "evaluation.temperature"),
        (["training.ddp_timeout=60"], "training.ddp_timeout"),
        (["lora.enabled=false", "lora.r=64", "use_dora=true"], "lora.r"),
    ],
)
def test_a_setting_without_effect_is_a_warning_with_the_reason(
    settings: list[str], field: str
) -> None:
    (found,) = results(*settings)
    assert (found.severity, found.kind, found.field) == ("warning", "no_effect", field)
    assert "no effect: " in found.message


def test_settings_without_effect_for_one_reason_are_one_warning() -> None:
    (found,) = results("lora.enabled=false", "lora.r=64", "use_dora=true")
    assert found.message == "lora.r, lora.use_dora have no effect: lora.enabled is off"


def test_fields_can_be_taken_back_to_their_defaults() -> None:
    config = with_settings(Config(), ["loss_type=mse", "optim=sgd", "lora.r=4"])
    without = without_fields(config, ["training.loss_type", "training.optim"])
    assert without == with_settings(Config(), ["lora.r=4"])
