"""The real app on a real terminal, on a hostile loop: its screens are walked by keys, and every
byte that comes out is looked at. Only sequences of the kinds that Textual sends on a harmless
loop may be among them.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.hostile.folders import write_runnable_draft
from tests.hostile.terminal import Stream
from tests.hostile.texts import Hostile
from tui_loop.core.store import LoopFolder

PATIENCE_SECONDS = 20
QUIET_SECONDS = 0.03
KEY_SECONDS = 0.15
"""A key that draws nothing is waited for this long."""

LOOP = "support-intents"
UP, DOWN, RIGHT, END, HOME = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[F", "\x1b[H"
PAGE_DOWN, ENTER, TAB, BACK = "\x1b[6~", "\r", "\t", "\x1b[Z"
ESCAPE = "\x1b[27u"
"""As terminals send it that were asked to tell it from the beginning of a longer key."""

LOOKS_AT_PANES = ["1", "2", "3", "4", "5", "z", "z"]
READS = [ENTER, "=notes", PAGE_DOWN, END, ESCAPE, "=Iterations"]
LISTS_EXAMPLES = ["4", "f", "f", "f", "f", "=all", END, HOME]
SEARCHES = ["/", "INST", ENTER, "/", "\x15", ENTER]
READS_EXAMPLES = [HOME, ENTER, "=Example 1", PAGE_DOWN, RIGHT, "=Example 2", RIGHT, END, ESCAPE]
EDITS = ["2", "z", END, HOME, DOWN, ENTER, HOME, END, ESCAPE, "w", HOME, ESCAPE, "v", "v"]
FINDS = ["n", "/", "model", ENTER, ENTER, HOME, ESCAPE, "z"]
DRAWS = ["3", "v", "v", "v", "L", "o", RIGHT]
LOOKS_AT_LOG = ["5", END, HOME, "f", "f", "f", "/", "Q", ENTER, UP]
COMPARES = ["1", "m", UP, "c", "=Compare", PAGE_DOWN, END, ESCAPE]
READS_FURTHER = ["1", HOME, UP, *READS, END, UP, *READS, UP, *READS, UP, *READS, UP, *READS]
DRAFTS = ["1", END, DOWN, "r", HOME, ESCAPE, "1", HOME, "N", "=There is a draft", ESCAPE]
ASKS = ["?", "=Help", PAGE_DOWN, ESCAPE, ":", "=pane.iterations", "quit", ESCAPE, "E", "s", ESCAPE]
BEGINS = ["O", "=Loops", DOWN, DOWN, "n", "=data", "red", DOWN, UP, TAB, BACK, ESCAPE, ESCAPE]
WALK = [
    *LOOKS_AT_PANES,
    *LISTS_EXAMPLES,
    *SEARCHES,
    *READS_EXAMPLES,
    *EDITS,
    *FINDS,
    *DRAWS,
    *LOOKS_AT_LOG,
    *COMPARES,
    *READS_FURTHER,
    *DRAFTS,
    *ASKS,
    *BEGINS,
]
"""Keys, and after `=` the words that are to be waited for: then a screen stands."""

SHOWN = {
    *("goal", "why", "draft why", "error message", "error hint", "changed model", "metric"),
    *("prompt 0", "reference 0", "output 0", "token 0", "line info", "source", "host", "notes"),
    *("recovered", "checkpoint", "decision", "logged", "draft model", "draft rate", "odd key"),
}
"""Hostile texts that the walk must have brought to the screen, whole marks and all."""


class Session:
    """The app on a terminal of its own."""

    def __init__(self, folder: Path, size: tuple[int, int], *words: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        own = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "EDITOR": "true"}
        own |= {"TUI_LOOP_STATE": str(folder / f"state{size[0]}"), "COLORTERM": "truecolor"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui_loop", *words],
            cwd=folder,
            env={**os.environ, **own},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.output = b""

    def opens(self) -> None:
        self.shows("Iterations", 0)
        self.shows("base", 0)
        self.settles()

    def types(self, keys: Sequence[str]) -> None:
        """Types keys one after the other, each once what came of the one before is drawn."""
        before = len(self.output)
        for key in keys:
            if key.startswith("="):
                self.shows(key[1:], before)
                before = len(self.output)
                continue
            os.write(self.master, key.encode())
            self._takes(KEY_SECONDS)
            self.settles()

    def shows(self, word: str, since: int) -> None:
        """Waits until what was drawn since then has `word`."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while word not in (fresh := Stream(self.output[since:]).text):
            assert time.monotonic() < ends, f"never came: {word}\n{fresh[-3000:]}"
            self._takes(0.05)

    def settles(self, quiet: float = QUIET_SECONDS) -> None:
        """Takes what comes until nothing has come for a moment."""
        while self._takes(quiet):
            pass

    def leaves(self) -> int:
        self.types([ESCAPE, "q"])
        ends = time.monotonic() + PATIENCE_SECONDS
        while self._takes(0.1) or self.process.poll() is None:
            assert time.monotonic() < ends, self.output[-2000:]
        return self.process.returncode

    def closes(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def _takes(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], seconds)
        try:
            part = os.read(self.master, 1 << 16) if ready else b""
        except OSError:  # the program has gone
            part = b""
        self.output += part
        return bool(part)


@pytest.fixture
def sessions() -> Iterator[list[Session]]:
    started: list[Session] = []
    yield started
    for each in started:
        each.closes()


@pytest.fixture(scope="session")
def harmless_kinds(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The kinds of sequences that the app sends on a loop without a hostile text."""
    folder = tmp_path_factory.mktemp("harmless")
    shutil.copytree(recorded, folder / "loops")
    session = Session(folder, (100, 30), f"{LOOP}/2")
    try:
        session.opens()
        session.types([*LOOKS_AT_PANES, "4", *READS_EXAMPLES, "2", ENTER, ESCAPE, "1", *READS])
        session.types(
            ["c", "=Compare", ESCAPE, ":", "=pane.iterations", ESCAPE, "y", "=copied", "O"]
        )
        assert session.leaves() == 0
    finally:
        session.closes()
    stream = Stream(session.output)
    assert not stream.faults
    return stream.kinds


def test_the_app_itself_sends_no_more_than_a_screen_needs(harmless_kinds: set[str]) -> None:
    strings = {kind for kind in harmless_kinds if "string" in kind or kind.startswith("OSC")}
    assert strings == {"OSC 52"}, "copying is the only thing that is said to the terminal in words"
    assert "CSI m" in harmless_kinds
    assert "ESC c" not in harmless_kinds


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_nothing_in_a_hostile_loop_reaches_the_terminal_as_a_sequence(
    size: tuple[int, int],
    harmless_kinds: set[str],
    hostile_loop: LoopFolder,
    hostile: Hostile,
    sessions: list[Session],
) -> None:
    session = Session(hostile_loop.root, size, f"{LOOP}/2")
    sessions.append(session)
    session.opens()
    session.types(WALK)
    write_runnable_draft(hostile_loop, hostile)
    session.types(["1", END, f"={hostile.mark('run why')}", "r", "=hint"])
    assert session.leaves() == 0, session.output[-2000:]
    stream = Stream(session.output)
    assert not stream.faults
    assert stream.kinds <= harmless_kinds, stream.kinds - harmless_kinds
    unseen = {what for what in SHOWN if hostile.marks[what] not in stream.text}
    assert not unseen
