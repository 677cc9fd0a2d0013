"""Settings that make the optimizer's steps small, each with the number that it leaves of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.core.diagnosis.written import Written, asked
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.rules import learning_rate
from tui_loop.core.diagnosis.rules.step_size import causes_of, held_back
from tui_loop.core.record.reader import LoopReader

ROWS = asked(60)
HIGH = [5.0] * 60
MILLION = 1_000_000


def run(
    folder: Path,
    *settings: str,
    loss: float = 4.8,
    losses: list[float] = HIGH,
    wrong: int = 50,
    **more: Any,
) -> IterationFacts:
    written = Written(folder)
    written.base(ROWS, loss=5.0)
    metrics = {"eval_loss": loss, "trainable_parameters": MILLION}
    return written.trained(ROWS, losses, *settings, wrong=wrong, metrics=metrics, **more)


@pytest.mark.parametrize(
    ("settings", "more", "part", "said"),
    [
        # A typical gradient is 1 / sqrt(10**6) = 1e-3, and 1e-3 / (1e-3 + 1e-2) = 1 / 11.
        (["training.adam_epsilon=1e-2"], {"grads": [1.0] * 60}, 1 / 11, "adam_epsilon 1e-2"),
        # Clipped to 1e-6: a typical gradient of 1e-9, and 1e-9 / (1e-9 + 1e-8) = 1 / 11.
        (["max_grad_norm=1e-6"], {"grads": [1.0] * 60}, 1 / 11, "max_grad_norm 1e-6"),
        (["optim=sgd"], {"grads": [0.5] * 60}, 5e-4, "plain SGD"),
        (["optim=sgd", "max_grad_norm=0.1"], {"grads": [0.5] * 60}, 1e-4, "plain SGD"),
        (["lora.r=64", "lora_alpha=4"], {}, 1 / 16, "lora_alpha 4 at r 64"),
        (["lora_dropout=0.9"], {}, 0.1, "lora_dropout 0.9"),
        # 60 steps at 1e-3 with a decay of 50 leave exp(-3).
        (
            ["learning_rate=1e-3", "weight_decay=50"],
            {"learning_rates": [1e-3] * 60},
            math.exp(-3),
            "weight_decay 50",
        ),
        # A mean of 1% of the rate, where the usual schedules have 50%.
        (
            ["learning_rate=1e-3", "warmup_steps=3000"],
            {"learning_rates": [1e-5] * 60},
            0.02,
            "a warm-up of 3000 steps",
        ),
    ],
)
def test_a_setting_that_takes_most_of_each_step_is_found_with_the_part_that_is_left(
    tmp_path: Path, settings: list[str], more: dict[str, Any], part: float, said: str
) -> None:
    facts = run(tmp_path, *settings, **more)
    (cause,) = causes_of(facts)
    assert cause.part == pytest.approx(part, rel=0.05)
    assert cause.evidence.startswith(said)
    (found,) = held_back(facts)
    assert found.message.endswith("the eval loss is still 96% of the base model's")
    assert not list(learning_rate.learning_rate_too_low(facts))


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ([], {"grads": [1.0] * 60, "learning_rates": [1e-4] * 60}),
        (["max_grad_norm=0.01"], {"grads": [10.0] * 60}),  # Adam's steps do not depend on it
        (["lora.r=16", "lora_alpha=16", "lora_dropout=0.1"], {}),
        (["lr_scheduler_type=cosine"], {"learning_rates": [5e-5] * 60}),
        (["weight_decay=0.1"], {"learning_rates": [1e-4] * 60}),
        (["optim=adafactor"], {"grads": [1e-9] * 60}),
        (["lora.r=16", "lora_alpha=4", "lora.use_rslora=true"], {}),
    ],
)
def test_usual_settings_hold_nothing_back(
    tmp_path: Path, settings: list[str], more: dict[str, Any]
) -> None:
    assert causes_of(run(tmp_path, *settings, **more)) == []


def test_a_run_that_has_learned_much_is_held_back_only_by_a_setting_that_leaves_next_to_nothing(
    tmp_path: Path,
) -> None:
    learned: dict[str, Any] = {"losses": [5.0 * 0.95**n for n in range(60)], "wrong": 6}
    assert not list(held_back(run(tmp_path / "a", "lora_dropout=0.8", loss=0.5, **learned)))
    (found,) = held_back(run(tmp_path / "b", "lora_dropout=0.95", loss=0.5, **learned))
    assert found.severity == "note"
    (found,) = held_back(run(tmp_path / "c", "lora_dropout=0.8", loss=0.5))
    assert found.severity == "warning"  # its training rows are as hard as before, and its score low


def test_a_run_that_stops_far_above_zero_has_not_converged(tmp_path: Path) -> None:
    evals = {20: 2.6, 40: 2.51, 60: 2.5}
    (found,) = learning_rate.loss_plateau(run(tmp_path, loss=2.5, evals=evals))
    assert "50% of the base model's" in found.message
    assert "converged" not in found.message


def test_the_strongest_cause_comes_first_and_is_the_first_suggestion(tmp_path: Path) -> None:
    facts = run(tmp_path, "lora_dropout=0.6", "lora.r=64", "lora_alpha=1")
    assert [next(iter(each.fields)) for each in causes_of(facts)] == [
        "lora.lora_alpha",
        "lora.lora_dropout",
    ]
    diagnosis = Diagnoser(LoopReader(facts.folder.loop)).diagnose(facts.number)
    first = next(each for each in diagnosis.suggestions if each.changes)
    assert (first.name, first.changes) == (
        "held_back/usual_steps",
        {"lora.lora_alpha": (1.0, 128)},
    )
    assert "raise_learning_rate" not in {each.kind for each in diagnosis.suggestions}


def test_the_arguments_of_a_schedule_go_with_it(tmp_path: Path) -> None:
    case = run(
        tmp_path,
        "learning_rate=5e-3",
        "lr_scheduler_type=polynomial",
        "training.lr_scheduler_kwargs={power = 30.0}",
        learning_rates=[5e-3, *[1e-6] * 59],
    )
    fields = [each.fields for each in causes_of(case)]
    assert {
        "training.lr_scheduler_type": "linear",
        "training.lr_scheduler_kwargs": None,
    } in fields
