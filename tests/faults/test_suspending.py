"""The app suspended and continued: under a shell, and where no shell waits for it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.core.conftest import loop, loops
from tests.faults.kit import Outcome
from tests.faults.test_app_on_a_terminal import LEAVES_ALTERNATE_SCREEN, AppOnTerminal
from tests.waiting import wait_until
from tui_loop.core.record.folders import LoopFolder

__all__ = ["loop", "loops"]

OpenApp = Callable[..., AppOnTerminal]
PROMPT = "prompt>"


@pytest.fixture
def open_app(loop: LoopFolder, tmp_path: Path) -> Iterator[OpenApp]:
    opened: list[AppOnTerminal] = []

    def started(*, command: Sequence[str] = ()) -> AppOnTerminal:
        app = AppOnTerminal(loop.root, tmp_path / "state", loop.name, command=command)
        opened.append(app)
        return app

    yield started
    for each in opened:
        each.closes()


class Shell:
    """An interactive shell on a terminal, and the app as its job."""

    def __init__(self, open_app: OpenApp, loop: LoopFolder) -> None:
        bash = shutil.which("bash")
        if bash is None:
            pytest.skip("there is no bash here")
        command = ["env", f"PS1={PROMPT}", bash, "--norc", "--noprofile", "-i"]
        self.terminal = open_app(command=command)
        self.terminal.shows(PROMPT)
        self.begins(f"{sys.executable} -m tui_loop {loop.name}")

    def begins(self, line: str) -> None:
        """Types a line after which the app draws."""
        self.terminal.output = b""
        self.terminal.types(f"{line}\n")
        self.terminal.draws()

    def stops(self) -> None:
        """Waits for the shell to say that the whole job has stopped."""
        self.terminal.shows("Stopped")
        wait_until(
            lambda: {each.status() for each in self.job} == {psutil.STATUS_STOPPED}, "the stop"
        )
        assert LEAVES_ALTERNATE_SCREEN in self.terminal.output

    @property
    def job(self) -> list[psutil.Process]:
        return psutil.Process(self.terminal.pid).children(recursive=True)


@pytest.mark.slow
def test_ctrl_z_gives_the_shell_back_and_fg_the_app(open_app: OpenApp, loop: LoopFolder) -> None:
    shell = Shell(open_app, loop)
    parent, app = shell.job
    threads = app.num_threads()
    shell.terminal.types("\x1a")
    shell.stops()
    shell.begins("fg")
    wait_until(
        lambda: {parent.status(), app.status()} == {psutil.STATUS_SLEEPING}, "both awake and idle"
    )
    wait_until(lambda: app.num_threads() <= threads, "the end of the threads before")
    shell.terminal.types("q")
    wait_until(lambda: shell.job == [], "its end")


@pytest.mark.slow
def test_an_app_that_was_stopped_from_outside_comes_back_with_one_reader_of_its_keys(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    shell = Shell(open_app, loop)
    _, app = shell.job
    threads = app.num_threads()
    app.send_signal(signal.SIGSTOP)
    shell.terminal.shows("Stopped")
    shell.begins("fg")
    wait_until(lambda: app.num_threads() <= threads, "the end of the threads before")
    shell.terminal.types("q")
    wait_until(lambda: shell.job == [], "its end")


@pytest.mark.slow
def test_a_suspended_app_ends_when_its_shell_ends_the_job(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    shell = Shell(open_app, loop)
    shell.terminal.types("\x1a")
    shell.stops()
    shell.terminal.types("kill %1\n")
    wait_until(lambda: shell.job == [], "its end")


@pytest.mark.slow
@pytest.mark.fault(
    "ctrl+z and SIGTSTP where the app leads its session (`ssh -t`, `xterm -e`), then SIGTERM",
    group="app",
    state="-",
    readable="it is not suspended, and says why; the SIGTERM ends it, the terminal in order",
)
def test_an_app_without_a_shell_is_not_suspended(open_app: OpenApp, outcome: Outcome) -> None:
    app = open_app().draws()
    app.types("\x1a")
    app.shows("Cannot suspend the app: no shell could resume it")
    app.app.send_signal(signal.SIGTSTP)
    app.output = b""
    app.types("?")
    app.shows("esc")  # it still draws
    os.kill(app.pid, signal.SIGTERM)
    assert app.ends() == 0
    assert LEAVES_ALTERNATE_SCREEN in app.output
    outcome.checked()


@pytest.mark.slow
@pytest.mark.fault(
    "SIGSTOP to an app that leads its session, then SIGTERM to the process in front of it",
    group="app",
    state="-",
    readable="the process in front stays awake, continues the app and passes the signal on",
)
def test_a_stopped_app_without_a_shell_is_continued_for_a_termination(
    open_app: OpenApp, outcome: Outcome
) -> None:
    app = open_app().draws()
    child = app.app
    child.send_signal(signal.SIGSTOP)
    wait_until(lambda: child.status() == psutil.STATUS_STOPPED, "the stop")
    os.kill(app.pid, signal.SIGCONT)
    wait_until(lambda: child.status() != psutil.STATUS_STOPPED, "its being continued")
    child.send_signal(signal.SIGSTOP)
    wait_until(lambda: child.status() == psutil.STATUS_STOPPED, "the stop")
    os.kill(app.pid, signal.SIGTERM)
    assert app.ends() == 0
    assert LEAVES_ALTERNATE_SCREEN in app.output
    outcome.checked()
