"""Diagnoses made by hand, and a diagnoser that gives them."""

from __future__ import annotations

import pytest

from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.findings import (
    Diagnosis,
    Finding,
    Prediction,
    Suggestion,
    Verdict,
)

RATE, EPOCHS = "training.learning_rate", "training.num_train_epochs"

OVERFITTING = Finding(
    "overfitting",
    "alarm",
    "eval loss turned up at step 15 (0.64 → 0.92) while train loss went on falling (0.44 → 0.17)",
    steps=(15, 30),
    otherwise="24 examples are few, and eval loss moves by 0.1 from run to run",
)
WEAK = Finding(
    "weak_slice",
    "warning",
    'label "pin blocked" fails 3 of 6 (elsewhere 4 of 18, p = 0.03); 3 of 3 said "card arrival"',
    examples=("000000000017", "00000000000b"),
)
PLATEAU = Finding("plateau", "note", "2 is no better than 1 beyond noise", iterations=(1, 2))
FEWER = Suggestion(
    "fewer_epochs",
    "overfitting",
    "num_train_epochs 5 → 2.5",
    "eval loss turned up at step 15, half of the run",
    changes={EPOCHS: (5.0, 2.5)},
    expects=Prediction("score", 0.71, 0.72, 0.8),
    confidence="medium",
    ground="the lowest eval loss was in the middle of the run",
    tried=(1,),
    record="fewer epochs after overfitting: 3 of 4 confirmed here",
)
LOWER = Suggestion(
    "lower_learning_rate",
    "overfitting",
    "learning_rate 5e-3 → 1e-3, num_train_epochs 5 → 3",
    "a lower rate overfits later",
    changes={RATE: (5e-3, 1e-3), EPOCHS: (5.0, 3.0)},
)
SMALLER = Suggestion(
    "lower_rank",
    "overfitting",
    "r 16 → 8",
    "fewer weights overfit later.",
    changes={"lora.r": (16, 8)},
    expects=Prediction("eval_loss", 0.915, 0.7, 0.8),
)
ROWS = Suggestion(
    "more_rows",
    "weak_slice",
    '10 to 15 more rows with the label "pin blocked"',
    "pin blocked has too few training rows",
    expects=Prediction("score", 0.71, 0.72, 0.76),
)
LOOSE = Suggestion("more_runs", "eval_too_small", "run it again with another seed", "to know")
FULL = Diagnosis(
    2,
    (OVERFITTING, WEAK, PLATEAU),
    (FEWER, LOWER, SMALLER, ROWS, LOOSE),
    Verdict(
        "consistent",
        "score 0.71, 0.65 to 0.75 was expected, up from 0.42; one run of each config",
        "underfitting/more_epochs",
        0.71,
    ),
)


def says(patch: pytest.MonkeyPatch, *diagnoses: Diagnosis) -> None:
    """Has the diagnoser give these diagnoses, and an empty one of every other iteration."""
    known = {each.number: each for each in diagnoses}

    def diagnose(self: Diagnoser, number: int) -> Diagnosis:
        return known.get(number, Diagnosis(number))

    patch.setattr(Diagnoser, "diagnose", diagnose)
