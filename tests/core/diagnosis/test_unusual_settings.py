"""Settings far outside their usual range, where the result is bad."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.diagnosis.written import Written, answered, messages
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.rules.unusual_settings import unusual_setting

ROWS = messages(280, seed=1)
HELD, TRAIN = ROWS[:80], ROWS[80:]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A loop whose base knows nothing of HELD."""
    made = Written(tmp_path)
    made.base(HELD)
    return made


def run(made: Written, *settings: str, wrong: int = 70, loss: float = 4.0) -> IterationFacts:
    made.add(answered(HELD, range(wrong)), *settings, train=TRAIN, metrics={"eval_loss": loss})
    return made.case()


@pytest.mark.parametrize(
    ("setting", "name", "usual", "said"),
    [
        (
            "training.label_smoothing_factor=0.9",
            "training.label_smoothing_factor",
            0.0,
            "label_smoothing_factor is 0.9, where 0 is usual",
        ),
        (
            "training.neftune_noise_alpha=500",
            "training.neftune_noise_alpha",
            "",
            "neftune_noise_alpha is 500, where unset is usual",
        ),
        ("training.adam_beta1=0.1", "training.adam_beta1", 0.9, "adam_beta1 is 0.1, where 0.9 is"),
        ("training.adam_beta2=0.3", "training.adam_beta2", 0.999, "adam_beta2 is 0.3, where 0.999"),
        (
            "lora.init_lora_weights=false",
            "lora.init_lora_weights",
            True,
            "init_lora_weights is off, where on is usual",
        ),
        ("lora.lora_alpha=2000", "lora.lora_alpha", 32, "lora_alpha is 2000, where 32 is usual"),
    ],
)
def test_a_value_far_outside_is_told_with_the_usual_one(
    setting: str, name: str, usual: float | str | bool, said: str, written: Written
) -> None:
    [one] = unusual_setting(run(written, setting))
    assert one.severity == "warning"
    assert one.figures == {"setting": name, "usual": usual}
    assert said in one.message
    assert list(unusual_setting(run(written, setting, wrong=4, loss=0.1))) == []


def test_a_low_score_alone_is_a_bad_result(written: Written) -> None:
    [one] = unusual_setting(run(written, "training.adam_beta2=0.3", wrong=60, loss=0.1))
    assert one.figures["setting"] == "training.adam_beta2"


def test_several_values_are_several_findings(written: Written) -> None:
    found = unusual_setting(run(written, "training.adam_beta1=0.1", "training.adam_beta2=0.3"))
    assert [each.figures["setting"] for each in found] == [
        "training.adam_beta1",
        "training.adam_beta2",
    ]


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("training.label_smoothing_factor=0.1", "training.neftune_noise_alpha=5"),
        ("training.adam_beta1=0.9", "training.adam_beta2=0.95"),
        ("training.adam_beta1=0.85", "training.adam_beta2=0.98"),
        ("lora.r=8", "lora.lora_alpha=16"),
        ("lora.r=8", "lora.lora_alpha=200", "lora.use_rslora=true"),
        ("lora.enabled=false", "lora.lora_alpha=2000"),
    ],
)
def test_usual_values_are_no_finding_however_bad_the_result(
    settings: tuple[str, ...], written: Written
) -> None:
    assert list(unusual_setting(run(written, *settings))) == []


def test_the_base_has_no_settings_of_training(written: Written) -> None:
    assert list(unusual_setting(written.case(0))) == []


def test_a_config_that_cannot_be_read_says_nothing(written: Written) -> None:
    folder = written.add(answered(HELD, range(70)), "training.adam_beta2=0.3", train=TRAIN)
    for path in (folder.config, folder.summary):
        path.unlink()
    assert list(unusual_setting(written.case())) == []
