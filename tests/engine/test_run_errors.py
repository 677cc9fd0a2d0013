"""What a run records of the errors that end it."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.engine.conftest import TinyLoop
from tui_loop.core.config.schema import Config
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.reader import read_run
from tui_loop.engine.output_capture import logging_to
from tui_loop.engine.run_context import Outcome
from tui_loop.engine.run_errors import run_error_of

pytestmark = pytest.mark.train


class Code:
    """An object whose pickle runs a command."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("true",)


def load_error(folder: Path, kind: str) -> Exception:
    """Returns what torch raises for a file that is none of plain tensors."""
    path = folder / "optimizer.pt"
    if kind == "code":
        torch.save({"state": Code()}, path)
    elif kind == "script":
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path)
    else:
        path.write_bytes(b"no pickle at all")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of a script before it refuses it
        with pytest.raises(Exception) as caught:  # noqa: PT011
            torch.load(path, weights_only=True)
    assert "weights_only" in str(caught.value)
    return caught.value


@pytest.mark.filterwarnings("default::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["code", "script", "garbage"])
def test_torchs_advice_to_run_the_code_in_a_file_is_not_recorded(
    kind: str, tmp_path: Path, tiny_loop: Callable[..., TinyLoop], capfd: pytest.CaptureFixture[str]
) -> None:
    loop = tiny_loop()
    folder = loop.loop.iteration(loop.plan("max_steps=1"))
    fault = load_error(tmp_path, kind)
    error = run_error_of(fault, folder, Config(), Outcome())
    assert error.kind == "data"
    assert "contains objects other than tensors" in error.message
    assert "restore the file" in error.hint
    journal = Journal(folder.journal)
    with logging_to(journal):
        logging.getLogger("transformers").warning("cannot load: %s", fault)
        warnings.warn(str(fault), UserWarning, stacklevel=1)
    journal.close()
    lines = [line.text for line in read_run(folder).lines]
    assert sum("objects other than tensors" in line for line in lines) == 2, lines
    for text in (error.message, error.hint, *lines):
        assert "weights_only" not in text
        assert "add_safe_globals" not in text
