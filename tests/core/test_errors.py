"""Every error carries a message, a hint and the exit code that DESIGN gives it."""

from __future__ import annotations

import pytest

from tui_loop.core.config.validation import ConfigError
from tui_loop.core.errors import (
    BadInput,
    NeedsExtra,
    NotFound,
    RunFailed,
    RunStopped,
    TuiLoopError,
)


@pytest.mark.parametrize(
    ("kind", "code"), [(RunFailed, 1), (BadInput, 2), (RunStopped, 3), (NotFound, 4)]
)
def test_each_error_has_its_exit_code_message_and_hint(kind: type[TuiLoopError], code: int) -> None:
    error = kind("what happened", "what to do")
    assert (error.exit_code, error.message, error.hint) == (code, "what happened", "what to do")
    assert str(error) == "what happened"


def test_a_missing_extra_exits_5_with_the_pip_command() -> None:
    error = NeedsExtra("training", "train")
    assert error.exit_code == 5
    assert "training" in error.message
    assert error.hint == 'pip install "tui-loop[train]"'


def test_a_config_error_is_bad_input() -> None:
    assert ConfigError(["lora.r: is odd"]).exit_code == BadInput.exit_code == 2
