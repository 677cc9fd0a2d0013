"""Which weights are the newest good ones."""

from __future__ import annotations

import math

import pytest
import torch

from tui_loop.engine import last_good_weights
from tui_loop.engine.last_good_weights import LastGoodWeights

pytestmark = pytest.mark.train


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> torch.nn.Linear:
    """One weight, of which every copy is due."""
    monkeypatch.setattr(last_good_weights, "SHARE", math.inf)
    return torch.nn.Linear(1, 1, bias=False)


def train_to(model: torch.nn.Linear, step: int) -> int:
    with torch.no_grad():
        model.weight.fill_(float(step))
    return step


def test_a_log_vouches_for_the_weights_of_the_log_before(model: torch.nn.Linear) -> None:
    good = LastGoodWeights()
    good.begin(model, train_to(model, 0))
    good.note(model, train_to(model, 10), is_sound=True)
    assert good.step == 0
    good.note(model, train_to(model, 20), is_sound=True)
    good.note(model, train_to(model, 30), is_sound=False)
    assert good.restore(model) == 10
    assert model.weight.item() == 10


def test_an_evaluation_vouches_for_the_weights_as_they_are(model: torch.nn.Linear) -> None:
    good = LastGoodWeights()
    good.begin(model, train_to(model, 0))
    good.note_evaluation(model, train_to(model, 5), is_sound=True)
    assert good.step == 5
    good.note_evaluation(model, train_to(model, 6), is_sound=False)
    assert good.restore(model) == 5
    assert model.weight.item() == 5


def test_what_was_copied_before_an_unsound_evaluation_is_not_good(model: torch.nn.Linear) -> None:
    good = LastGoodWeights()
    good.begin(model, train_to(model, 0))
    good.note_evaluation(model, train_to(model, 5), is_sound=False)
    good.note(model, train_to(model, 6), is_sound=True)
    assert good.step is None
