"""Advice of libraries to run the code in a file of weights does not reach a user."""

from __future__ import annotations

import pytest

from tui_loop.core.text.unsafe_advice import PLAIN_TENSORS, without_unsafe_advice


@pytest.mark.parametrize("text", ["", "the loss is nan", "Weights only load failed on Tuesday."])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert without_unsafe_advice(text) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Pass weights_only=False to torch.load.", PLAIN_TENSORS),
        (
            "optimizer.pt: no tensors. Set weights_only=False if you trust it.",
            f"optimizer.pt: no tensors: {PLAIN_TENSORS}",
        ),
        (
            "Weights only load failed. In PyTorch 2.6, `weights_only` is `True`. "
            "WeightsUnpickler error: \n\nUnsupported operand 118\n\nCheck the documentation",
            f"{PLAIN_TENSORS} (Unsupported operand 118)",
        ),
    ],
)
def test_the_advice_gives_way_to_what_is_wrong(text: str, told: str) -> None:
    assert without_unsafe_advice(text) == told
