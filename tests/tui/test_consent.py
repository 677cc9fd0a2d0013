"""Every key that loads a model or a metric asks before any of its code is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.foreign import with_foreign_code
from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.cli.backend import AppBackend
from tui_loop.core.consent import allow_code, consent_file
from tui_loop.core.record.folders import LoopFolder
from tui_loop.engine.foreign_code import config_code
from tui_loop.tui.screens.dialogs import ConsentScreen
from tui_loop.tui.screens.run_dialogs import RunDialog

pytestmark = pytest.mark.train

KEYS = {
    "check": ["i", "g c"],
    "run": ["i", "r"],
    "resume": ["1", "end", "k", "R"],
    "ask": ["g m"],
    "retry": ["4", "g n", "enter"],
    "auto": ["g a"],
    "queue": ["g q", "r", "enter"],
    "holdout": ["g r", "r", "e"],
}


@pytest.fixture
def backend() -> AppBackend:
    """The real thing."""
    return AppBackend(allow_code=False)


@pytest.fixture
def foreign(loop: LoopFolder, canary: Path, monkeypatch: pytest.MonkeyPatch) -> LoopFolder:
    monkeypatch.chdir(loop.root)
    return with_foreign_code(loop, canary)


async def asked(opened: Opened) -> ConsentScreen:
    await opened.until(lambda: isinstance(opened.app.screen, ConsentScreen), "the question")
    screen = opened.app.screen
    assert isinstance(screen, ConsentScreen)
    return screen


@pytest.mark.slow
@pytest.mark.parametrize("keys", KEYS.values(), ids=list(KEYS))
def test_a_key_runs_no_foreign_code_without_consent(
    keys: list[str], open_app: OpenApp, foreign: LoopFolder, canary: Path
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.looks(2)
        for key in keys:
            await opened.press(key)
        await asked(opened)
        await opened.shows("Run this code?", "modeling_mine.py", "y  allow this code")
        await opened.press("enter")  # the first answer is no
        await opened.until(lambda: not isinstance(opened.app.screen, ConsentScreen))
        await opened.looks(1)
        assert not canary.exists()
        assert not consent_file().exists()
        assert foreign.numbers() == [0, 1, 2, 3]

    on_app(open_app(number=2), steps)


@pytest.mark.slow
def test_reading_a_loop_never_asks(open_app: OpenApp, foreign: LoopFolder, canary: Path) -> None:
    async def steps(opened: Opened) -> None:
        for key in ("1", "2", "3", "4", "enter", "escape", "g d", "escape", "5", "d", "escape"):
            await opened.press(key)
        for key in (
            "m",
            "1",
            "k",
            "c",
            "escape",
            "g p",
            "escape",
            "g h",
            "escape",
            "g r",
            "escape",
        ):
            await opened.press(key)
        await opened.looks(2)
        assert not isinstance(opened.app.screen, ConsentScreen)
        assert not canary.exists()

    on_app(open_app(number=2), steps)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_allowed_code_runs_and_is_not_asked_for_again(
    size: tuple[int, int], open_app: OpenApp, foreign: LoopFolder, canary: Path
) -> None:
    """Of the model's and the metric's code; the metric's is imported for the dialog."""

    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await opened.press("r")
        await asked(opened)
        await opened.press("y")
        await opened.until(lambda: isinstance(opened.app.screen, RunDialog), "the dialog")
        await opened.until(canary.exists, "the metric's code")
        await opened.press("escape")
        await opened.press("r")
        await opened.until(lambda: isinstance(opened.app.screen, RunDialog), "the dialog again")
        await opened.looks(2)
        assert not isinstance(opened.app.screen, ConsentScreen)
        assert len(consent_file().read_text().splitlines()) == 4

    on_app(open_app(size, number=2), steps)


def test_code_that_changed_since_is_asked_for_again(
    open_app: OpenApp, foreign: LoopFolder, canary: Path
) -> None:
    allow_code(config_code(foreign.iteration(2).read_config(), foreign.root))
    with (foreign.root / "model" / "modeling_mine.py").open("a") as file:
        file.write("# changed\n")

    async def steps(opened: Opened) -> None:
        await opened.press("g m")
        await asked(opened)
        await opened.press("n")
        await opened.tells("brings its own Python code")
        assert not canary.exists()

    on_app(open_app(number=2), steps)
