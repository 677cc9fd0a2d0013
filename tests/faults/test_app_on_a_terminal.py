"""A run that lives in the app, on a real terminal: what becomes of it when that goes away."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.kit import Outcome
from tests.waiting import POLL_SECONDS, wait_until
from tui_loop.cli.main import main
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.state import RunState
from tui_loop.core.shipped import shipped

pytestmark = [pytest.mark.train, pytest.mark.slow]

LEAVES_ALTERNATE_SCREEN = b"\x1b[?1049l"


class AppOnTerminal:
    """The program as the leader of a session with a terminal of its own, as under `ssh -t`.

    `command`: what leads the session in its place, a shell for instance.
    """

    def __init__(
        self, project: Path, state: Path, *arguments: str, command: Sequence[str] = ()
    ) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(project)
            os.environ |= {
                "TERM": "xterm-256color",
                "LC_ALL": "C.UTF-8",
                "TUI_LOOP_STATE": str(state),
            }
            words = command or [sys.executable, "-m", "tui_loop", *arguments]
            os.execvp(words[0], words)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.output = b""
        self.code: int | None = None

    def shows(self, text: str) -> AppOnTerminal:
        """Takes what is written until it has a text, cursor moves and colours aside."""
        wanted = re.sub(r"\s", "", text)
        self._until(lambda: wanted in self._plain(), text)
        return self

    def draws(self) -> AppOnTerminal:
        """Waits until the app has its screen, and something on it."""
        self._until(lambda: self.output.count(b"\x1b[?1049h") > 0, "the screen")
        return self.shows("idle")

    def types(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def runs(self, folder: IterationFolder, steps: int = 2) -> AppOnTerminal:
        """Starts the draft by keys and waits until it trains."""
        self.shows("idle")
        self.types("r")
        self.shows("training rows")
        self.types("\r")
        self._until(lambda: folder.path.exists() and read_run(folder).step >= steps, "training")
        return self

    def ends(self) -> int:
        """The exit code; a killed program's is minus the signal."""
        self._until(self._has_ended, "its end")
        while self._read():
            pass
        assert self.code is not None
        return self.code

    def hangs_up(self) -> None:
        """The terminal goes away, as when an SSH connection or tmux dies."""
        os.close(self.master)
        self.master = -1

    def closes(self) -> None:
        children = psutil.Process(self.pid).children() if psutil.pid_exists(self.pid) else []
        for each in children:
            with suppress(psutil.Error):
                each.kill()
        if self.code is None and not self._has_ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.master >= 0:
            os.close(self.master)

    @property
    def app(self) -> psutil.Process:
        """The process behind the thin one that the shell waits for."""
        [child] = psutil.Process(self.pid).children()
        return child

    def _plain(self) -> str:
        text = self.output.decode("utf-8", "replace")
        return re.sub(r"\s", "", re.sub(r"\x1b\[[0-9;?<>=]*[a-zA-Z]", "", text))

    def _has_ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def _until(self, condition: Callable[[], object], what: str) -> None:
        wait_until(condition, what, between=self._read, seen=lambda: self._plain()[-1500:])

    def _read(self) -> bool:
        if self.master < 0:
            time.sleep(POLL_SECONDS)
            return False
        ready, _, _ = select.select([self.master], [], [], 0.05)
        try:
            data = os.read(self.master, 65536) if ready else b""
        except OSError:  # the other side has been closed
            return False
        self.output += data
        return bool(data)


@pytest.fixture
def loop(tmp_path: Path) -> LoopFolder:
    """A loop with a run of thousands of short steps before it."""
    project = tmp_path / "project"
    project.mkdir()
    for name, rows in (("train.jsonl", 40), ("eval.jsonl", 12)):
        lines = shipped("sample_data", "support-intents", name).read_text().splitlines(True)
        (project / name).write_text("".join(lines[:rows]))
    return LoopsFolder(project / "loops").create(
        "long",
        LoopSettings(
            metric="label",
            defaults={
                "model": {"id": "tiny"},
                "data": {"train": "train.jsonl", "eval": "eval.jsonl"},
                "training": {"max_steps": 20000, "eval_steps": 0, "save_steps": 0},
                "evaluation": {"base": False},
            },
        ),
    )


@pytest.fixture
def open_app(loop: LoopFolder, tmp_path: Path) -> Iterator[Callable[[], AppOnTerminal]]:
    opened: list[AppOnTerminal] = []

    def started(*, command: Sequence[str] = ()) -> AppOnTerminal:
        opened.append(AppOnTerminal(loop.root, tmp_path / "state", "long", command=command))
        return opened[-1]

    yield started
    for each in opened:
        each.closes()
    run = read_run(loop.iteration(1)) if loop.iteration(1).path.exists() else RunState()
    if run.started and not run.ended:
        with suppress(ProcessLookupError):
            os.kill(run.started.pid, signal.SIGKILL)


def goes_on(folder: IterationFolder) -> None:
    """Asserts that a run is shown as running and that steps keep coming, none left out."""
    seen = read_run(folder).step
    wait_until(lambda: read_run(folder).step > seen + 3, "further steps")
    assert iteration_of(folder).state == "running"
    steps = [point.step for point in read_run(folder).metrics]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.fault(
    "the terminal of the app that hosts a run goes away (SIGHUP)",
    group="app",
    state="stopped",
    readable="every step, also those after it; it is found, followed and stopped from elsewhere",
)
def test_a_run_outlives_its_terminal_and_is_stopped_from_another(
    loop: LoopFolder, open_app: Callable[[], AppOnTerminal], outcome: Outcome
) -> None:
    folder = loop.iteration(1)
    first = open_app().runs(folder)
    first.hangs_up()
    goes_on(folder)

    second = open_app()
    second.shows("▶ 1 training")
    second.types("s")
    second.shows("save the weights")
    second.types("s")
    wait_until(lambda: iteration_of(folder).state == "stopped", "its end")
    run = read_run(folder)
    assert (run.attempt, run.missing) == (1, 0)
    assert run.checkpoints[-1].step == run.step
    second.types("q")
    assert second.ends() == 0
    outcome(folder)


@pytest.mark.fault(
    "the app lets go of its run (D), and the run's process is killed later",
    group="app",
    state="interrupted",
    readable="every step; the shell has its prompt back at once",
)
def test_the_detach_key_gives_the_shell_back_and_the_run_goes_on(
    loop: LoopFolder,
    open_app: Callable[[], AppOnTerminal],
    outcome: Outcome,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = loop.iteration(1)
    first = open_app().runs(folder)
    first.types("\x1a")  # ctrl+z does not stop an app that a run lives in
    first.shows("Suspending the app would also suspend long/1")
    first.types("D")
    assert first.ends() == 0
    assert b"continues in the background" in first.output
    assert LEAVES_ALTERNATE_SCREEN in first.output
    goes_on(folder)
    assert main(["--loops", str(loop.path.parent), "status", "long"]) == 0
    assert "long/1 running  training" in capfd.readouterr().out

    started = read_run(folder).started
    assert started is not None
    assert os.getsid(started.pid) != first.pid
    os.kill(started.pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(started.pid), "its death")
    outcome(folder)


@pytest.mark.fault(
    "SIGTERM or SIGUSR1 to the app that hosts a run",
    group="app",
    state="stopped",
    readable="a checkpoint of the last step; exit code 3, the terminal in order",
)
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGUSR1])
def test_a_termination_of_the_app_saves_a_checkpoint_and_exits_three(
    loop: LoopFolder, open_app: Callable[[], AppOnTerminal], outcome: Outcome, sent: signal.Signals
) -> None:
    folder = loop.iteration(1)
    app = open_app().runs(folder)
    os.kill(app.pid, sent)
    assert app.ends() == 3
    assert LEAVES_ALTERNATE_SCREEN in app.output
    assert b"tui-loop resume long/1" in app.output
    run = read_run(folder)
    assert run.checkpoints[-1].step == run.step
    outcome(folder)


HANGS_IN_PREPARING = """
import os, sys
from tui_loop.cli.main import main
from tui_loop.engine import run_host, run_iteration
nothing_comes, _ = os.pipe()
run_iteration.column_findings = lambda *_: os.read(nothing_comes, 1)
run_host.STOP_SECONDS = 1.0
sys.exit(main(["long"]))
"""


@pytest.mark.fault(
    "a stop request to a run that hangs in the app's process",
    group="app",
    state="stopped",
    readable="a warning that names the phase; the next run gets a process of its own",
)
def test_a_run_that_hangs_in_the_app_is_stopped_and_keeps_the_app_from_nothing(
    loop: LoopFolder, open_app: Callable[..., AppOnTerminal], outcome: Outcome
) -> None:
    folder = loop.iteration(1)
    app = open_app(command=[sys.executable, "-c", HANGS_IN_PREPARING]).draws()
    app.types("r")
    app.shows("training rows")
    app.types("\r")
    wait_until(lambda: folder.path.exists() and read_run(folder).phase == "preparing", "the phase")
    app.types("s")
    app.shows("save the weights")
    app.types("s")
    wait_until(lambda: iteration_of(folder).state == "stopped", "its end")
    assert "still in phase preparing" in read_run(folder).lines[-1].text
    app.output = b""
    app.shows("idle")
    app.types("r")
    app.shows("starts in a separate process")
    with RunLock(folder.lock):  # raises where somebody holds it
        pass
    app.types("\x03")
    assert app.ends() == 0
    outcome(folder)


@pytest.mark.fault(
    "SIGKILL to the app that hosts a run",
    group="app",
    state="interrupted",
    readable="every step; the terminal in order, and what to do is said",
)
def test_a_killed_app_leaves_an_interrupted_run_and_a_usable_terminal(
    loop: LoopFolder, open_app: Callable[[], AppOnTerminal], outcome: Outcome
) -> None:
    folder = loop.iteration(1)
    app = open_app().runs(folder)
    app.app.kill()
    assert app.ends() == 128 + signal.SIGKILL
    assert app.output.rindex(LEAVES_ALTERNATE_SCREEN) < app.output.rindex(b"tui-loop resume")
    assert read_run(folder).missing == 0
    outcome(folder)


@pytest.mark.fault(
    "SIGKILL to a run in a process of its own, with the app open",
    group="app",
    state="interrupted",
    readable="every step; the app is alive and shows it",
)
def test_the_app_outlives_the_process_of_its_run(
    loop: LoopFolder, open_app: Callable[[], AppOnTerminal], outcome: Outcome
) -> None:
    with loop.settings_file.open("a") as file:
        file.write('[defaults.run]\nrunner = "process"\n')
    folder = loop.iteration(1)
    app = open_app().runs(folder)
    started = read_run(folder).started
    assert started is not None
    assert started.pid not in (app.pid, app.app.pid)
    os.kill(started.pid, signal.SIGKILL)
    app.shows("interrupted")
    app.types("q")
    assert app.ends() == 0
    outcome(folder)


@pytest.mark.fault(
    "the thin process in front of the app is killed, without a word to the app",
    group="app",
    state="stopped",
    readable="every step: the app leaves the screen and finishes in the background",
)
def test_an_app_whose_parent_vanishes_goes_on_without_a_screen(
    loop: LoopFolder,
    open_app: Callable[[], AppOnTerminal],
    outcome: Outcome,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = loop.iteration(1)
    app = open_app().runs(folder)
    os.kill(app.pid, signal.SIGKILL)
    assert app.ends() == -signal.SIGKILL
    goes_on(folder)
    assert main(["--loops", str(loop.path.parent), "stop", "long", "--wait"]) == 0
    assert "long/1 stopped" in capfd.readouterr().out
    outcome(folder)
