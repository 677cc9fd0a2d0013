"""A whole round in a real terminal, key by key; `python -m scripts.round` has the steps."""

from __future__ import annotations

import shutil

import pytest

from scripts.round import ROUND, SIZES, play

pytestmark = [
    pytest.mark.slow,
    pytest.mark.train,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]


@pytest.mark.parametrize("size", SIZES)
def test_every_screen_of_a_round_comes(size: str) -> None:
    assert play(size) == ""


def test_every_screen_of_a_round_comes_behind_a_slow_link() -> None:
    assert play("100x30", delay=0.15) == ""


def test_a_round_has_about_sixty_keys() -> None:
    keys = [key for step in ROUND for key in step.keys.replace("'", "").split()]
    assert 55 <= len(keys) <= 90
