"""A stranger's loop on disk, programs on a terminal of their own, and commands that are read."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.hostile.folders import make_hostile
from tests.hostile.texts import Hostile
from tests.tui.conftest import (  # noqa: F401
    _own_folders,
    _short_pauses,
    backend,
    loop,
    loops,
    open_app,
    recorded,
)
from tui_loop.cli.main import main
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder


class Printed(msgspec.Struct, frozen=True):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Printed]


class _OnTerminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def command(loops: LoopsFolder, monkeypatch: pytest.MonkeyPatch) -> Command:  # noqa: F811
    """Runs a command line here, on the test's loops, and gives what it printed."""

    def run(*words: str, on_terminal: bool = False) -> Printed:
        kind = _OnTerminal if on_terminal else io.TextIOWrapper
        streams = [kind(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            code = main(["--loops", str(loops.path), *words])
        texts = []
        for stream in streams:
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
        return Printed(code, *texts)

    return run


@pytest.fixture
def hostile() -> Hostile:
    """The texts of the hostile loop, by their marks."""
    return Hostile()


@pytest.fixture
def hostile_loop(loop: LoopFolder, hostile: Hostile) -> LoopFolder:  # noqa: F811
    """The recorded loop with hostile text in every place that has text."""
    make_hostile(loop, hostile, long_line=20_000)
    return loop


@pytest.fixture
def empty_home(tmp_path: Path) -> Iterator[Path]:
    """A folder outside the loops, with a file that nobody is to read."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    yield home
    shutil.rmtree(home)
