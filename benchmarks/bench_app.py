"""The app on a copy of the recorded loop, in a terminal, with a run of the tiny base in it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.scale import is_tiny
from benchmarks.screen import Screen
from tui_loop.core.record.events import LineLogged, MetricsLogged, PhaseStarted, RunEnded
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.shipped import shipped
from tui_loop.core.workflow.draft import new_draft, write_draft

LOOP = "support-tiny"
DATA = ("sample_data", "support-intents")
ENDLESS = 1_000_000
"""Steps of a run that is killed when enough was seen of it."""

RUN_SECONDS = 300.0
"""Longest wait for a run to get where it is awaited."""


@contextmanager
def recorded_loop() -> Iterator[LoopFolder]:
    """A copy of the recorded loop on the tiny base with its data, in a folder that goes away."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shutil.copytree(shipped("loops", LOOP), folder / "loops" / LOOP)
        shutil.copytree(shipped(*DATA), folder.joinpath(*DATA))
        yield LoopsFolder(folder / "loops").loop(LOOP)


def environment(folder: Path) -> dict[str, str]:
    """The environment of a person's terminal, with settings and state of its own in `folder`."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_KEPT}
    return {
        **kept,
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        "TUI_LOOP_CONFIG": str(folder / "settings.toml"),
        "TUI_LOOP_STATE": str(folder / "state"),
    }


_NOT_KEPT = ("COLUMNS", "LINES", "NO_COLOR", "LC_ALL", "LC_CTYPE", "PYTHONDONTWRITEBYTECODE")
"""Among them: without compiled files every start would measure the compiler."""


def command(loop: LoopFolder, *words: str) -> list[str]:
    """`tui-loop WORDS` on the folder of `loop`, as a command line."""
    loops = str(loop.path.parent)
    return [sys.executable, "-P", "-m", "tui_loop", "--loops", loops, *words]


def open_app(loop: LoopFolder, *, columns: int = 160, lines: int = 48) -> Screen:
    """The app on `loop`, once its table has rows."""
    screen = Screen(
        command(loop, loop.name),
        columns=columns,
        lines=lines,
        folder=loop.root,
        environment=environment(loop.root),
    )
    try:
        screen.wait_for(rf"▸ +{max(loop.numbers())} ")
    except TimeoutError:
        screen.close()
        raise
    return screen


def draft(
    loop: LoopFolder, parent: int, more: dict[str, object] | None = None, **training: object
) -> None:
    """Saves a draft from `parent` with training fields changed, for the app and `run --draft`.

    `more`: other fields, as {"group.field": value}.
    """
    draft = new_draft(loop, parent)
    fields = {"eval_steps": 0, "save_steps": 0, **training}
    for name, value in fields.items():
        draft = draft.with_value(f"training.{name}", value)
    rows = {"data.max_eval_rows": 2} if is_tiny() else {}
    for name, value in {**rows, **(more or {})}.items():
        draft = draft.with_value(name, value)
    draft = draft.with_value("evaluation.base", False).with_value("run.cpu_threads", 1)
    write_draft(loop, draft.with_why("a benchmark"))


def begin_run(screen: Screen, loop: LoopFolder) -> IterationFolder:
    """Runs the draft by the app's keys; gives the iteration as soon as it is there."""
    before = set(loop.numbers())
    at = len(screen.reads)
    screen.send("r")
    screen.wait_for(r"training rows", since=at)
    screen.send("\r")
    deadline = time.monotonic() + RUN_SECONDS
    while not (fresh := set(loop.numbers()) - before):
        _check(time.monotonic() < deadline, screen, "no iteration was created")
        time.sleep(0.02)
    return loop.iteration(fresh.pop())


class RunLog:
    """A run's journal, read as it grows."""

    def __init__(self, folder: IterationFolder) -> None:
        self.folder = folder
        self._follower = Follower(folder.journal)
        self.metrics: list[MetricsLogged] = []
        self.training_at: float | None = None
        self.imported_at: float | None = None
        self.ended: RunEnded | None = None

    def read(self) -> RunLog:
        """Takes what is new."""
        for event in self._follower.read_all():
            if isinstance(event, MetricsLogged):
                self.metrics.append(event)
            elif isinstance(event, RunEnded):
                self.ended = event
            elif isinstance(event, PhaseStarted) and event.name == "training":
                self.training_at = event.t
            elif isinstance(event, LineLogged) and event.text.startswith("loading "):
                self.imported_at = event.t
        return self

    def wait_for_steps(self, screen: Screen, count: int) -> RunLog:
        """Waits until `count` steps were logged."""
        deadline = time.monotonic() + RUN_SECONDS
        while len(self.read().metrics) < count:
            _check(time.monotonic() < deadline, screen, "the run does not train")
            _check(self.ended is None, screen, f"the run ended: {self.ended}")
            time.sleep(0.05)
        return self

    def wait_for_end(self, screen: Screen) -> RunLog:
        """Waits until the run has ended; raises unless it finished."""
        deadline = time.monotonic() + RUN_SECONDS
        while self.read().ended is None:
            _check(time.monotonic() < deadline, screen, "the run does not end")
            time.sleep(0.05)
        _check(self.ended is not None and self.ended.state == "finished", screen, f"{self.ended}")
        return self

    def steps_between(self, begin: float, end: float) -> int:
        """Steps logged between two times, in unix seconds."""
        return sum(begin <= event.t < end for event in self.read().metrics)


def _check(is_well: bool, screen: Screen, message: str) -> None:
    if not is_well or screen.process.poll() is not None:
        raise RuntimeError(f"{message}; the screen says {screen.text()[-2000:]!r}")
