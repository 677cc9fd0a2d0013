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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.hostile.folders import make_hostile, write_runnable_draft
from tests.hostile.terminal import Stream
from tests.hostile.texts import Hostile
from tests.tui.conftest import record_loop
from tests.waiting import wait_until
from tui_loop.core.record.loops_folder import LoopsFolder

RESTS = 6
POLL_SECONDS = 0.01
"""An app is done with a key when it is seen at rest so often: it draws every 17 ms at most."""

LOOP = "support-intents"
UP, DOWN, RIGHT, END, HOME = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[F", "\x1b[H"
PAGE_UP, PAGE_DOWN, ENTER, TAB, BACK = "\x1b[5~", "\x1b[6~", "\r", "\t", "\x1b[Z"
EDIT = "e"
ALTERNATE_SCREEN = b"\x1b[?1049h"
ESCAPE = "\x1b[27u"
"""As terminals send it that were asked to tell it from the beginning of a longer key."""

LOOKS_AT_PANES = ["1", "2", "3", "4", "5", "z", "z"]
READS = [ENTER, f"={LOOP}/", PAGE_DOWN, PAGE_DOWN, END, ESCAPE, "=Iterations"]
COUNTS = ["4", "g", "d", "=What fails", DOWN, " ", " ", END, PAGE_UP, HOME, "A"]
COUNTS += ["x\u009b2J", ENTER]
LISTS_EXAMPLES = [ESCAPE, "4", "f", "\x15", ENTER, "=all", END, HOME]
SEARCHES = ["/", "INST", ENTER, "/", "\x15", ENTER]
READS_EXAMPLES = [HOME, ENTER, "=Example 1", PAGE_DOWN, "]", "=Example 2", END, HOME, END]
JUDGES = ["n", RIGHT, "v", "a", "m", "a", "x", "a", "n", "odd", ENTER]
JUDGES += ["g", "t", "=rows nearest", ESCAPE]
LEAVES_EXAMPLE = ["]", "=Example 3", END, HOME, END, ESCAPE]
LOOKS_AT_TRAINING = ["g", "t", "=Training rows", DOWN, TAB, PAGE_DOWN, ESCAPE, ESCAPE]
EDITS = ["2", "z", END, HOME, DOWN, ENTER, HOME, END, ESCAPE, "a", HOME, ESCAPE, "v", "v"]
FINDS = ["g", "n", "/", "model", ENTER, ENTER, HOME, ESCAPE, "z"]
DRAWS = ["3", "v", "v", "v", "g", "y", "g", "V", RIGHT]
LOOKS_AT_LOG = ["5", END, PAGE_UP, PAGE_UP, HOME, "f", "f", "f", "/", "Q", ENTER, UP]
COMPARES = ["1", "m", UP, "c", "=Compare", PAGE_DOWN, END, ESCAPE]
READS_FURTHER = ["1", END, UP, UP, *(word for _ in range(4) for word in (*READS, UP))]
LOOKS_AT_DRAFT = ["1", END, DOWN, "2", "v", PAGE_DOWN, PAGE_DOWN, "g", "n", "v", "r"]
DRAFTS = ["1", HOME, "i", "=There is a draft", ESCAPE]
ASKS = [
    "?",
    "=Help",
    PAGE_DOWN,
    ESCAPE,
    ":",
    "=iterations.filter",
    "quit",
    ESCAPE,
    EDIT,
    "s",
    ESCAPE,
]
BEGINS = ["g", "l", "=Loops", DOWN, DOWN, "A", "=data", "red", DOWN, UP, TAB, BACK, ESCAPE, ESCAPE]
WALK = [
    *LOOKS_AT_PANES,
    "1",
    *READS,
    *COUNTS,
    *LISTS_EXAMPLES,
    *SEARCHES,
    *READS_EXAMPLES,
    *JUDGES,
    *LEAVES_EXAMPLE,
    *LOOKS_AT_TRAINING,
    *EDITS,
    *FINDS,
    *DRAWS,
    *LOOKS_AT_LOG,
    *COMPARES,
    *READS_FURTHER,
    *LOOKS_AT_DRAFT,
    *DRAFTS,
    *ASKS,
    *BEGINS,
]
"""Keys, and after `=` the words that are to be waited for: then a screen stands."""

SHOWN = {
    *("goal", "why", "draft why", "error message", "error hint", "changed model", "metric"),
    *("prompt 5", "reference 5", "output 5", "source", "host", "notes", "trained 0"),
    *("recovery", "checkpoint", "decision", "logged", "draft model", "odd key"),
}
"""Hostile texts that the walk must have brought to the screen, whole marks and all."""


class Session:
    """The app on a terminal of its own."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        own = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "EDITOR": "true"}
        own |= {"TUI_LOOP_STATE": str(folder / "state"), "COLORTERM": "truecolor"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui_loop", f"{LOOP}/2"],
            cwd=folder,
            env={**os.environ, **own},
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
        )
        self.output = b""
        self._family: list[int] = []

    def opens(self) -> None:
        self.shows("Iterations", 0)
        self.shows("base", 0)
        self._family = _family_of(self.process.pid)
        self.settles()

    def types(self, keys: Sequence[str]) -> None:
        """Types keys one after the other, each once what came of the one before is drawn."""
        before = len(self.output)
        for key in keys:
            if key.startswith("="):
                self.shows(key[1:], before)
                before = len(self.output)
                continue
            typed = len(self.output)
            os.write(self.master, key.encode())
            if key == EDIT:
                self._comes_back(typed)
            self.settles()

    def shows(self, word: str, since: int) -> None:
        """Waits until what was drawn since then has `word`."""
        wait_until(
            lambda: word in Stream(self.output[since:]).text,
            word,
            between=lambda: self._takes(0.05),
            seen=lambda: Stream(self.output[since:]).text[-3000:],
        )

    def settles(self) -> None:
        """Takes what comes until the app has rested for a moment, its keys read."""
        rests = 0

        def is_quiet() -> bool:
            nonlocal rests
            is_busy = self._takes(POLL_SECONDS) or not self._rests(self._family)
            rests = 0 if is_busy else rests + 1
            return rests >= RESTS and self._rests(_family_of(self.process.pid))

        wait_until(is_quiet, "a rest", between=lambda: None)

    def _comes_back(self, since: int) -> None:
        """Waits until the app has the terminal again after the editor; it drops keys until then."""
        wait_until(
            lambda: ALTERNATE_SCREEN in self.output[since:],
            "the app after its editor",
            between=lambda: self._takes(POLL_SECONDS),
        )

    def leaves(self) -> None:
        """Quits, and takes what is still to come."""
        self.types([ESCAPE, "q"])
        wait_until(
            lambda: not self._takes(0.1) and self.process.poll() is not None,
            "its end",
            between=lambda: None,
            seen=lambda: repr(self.output[-2000:]),
        )
        assert self.process.returncode == 0, self.output[-2000:]

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def _rests(self, processes: Sequence[int]) -> bool:
        """Whether no key waits to be read, and no thread runs or waits for its turn."""
        unread = fcntl.ioctl(self.slave, termios.FIONREAD, bytes(4))
        return not any(unread) and not any(map(_is_at_work, processes))

    def _takes(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], seconds)
        try:
            part = os.read(self.master, 1 << 16) if ready else b""
        except OSError:  # the program has gone
            part = b""
        self.output += part
        return bool(part)


def _family_of(process: int) -> list[int]:
    """A process and what it started."""
    try:
        return [process, *(each.pid for each in psutil.Process(process).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def _is_at_work(process: int) -> bool:
    """Whether a thread of a process is runnable or waits for a disk; False without /proc."""
    states = set()
    for each in Path(f"/proc/{process}/task").glob("*/stat"):
        with suppress(OSError):  # the thread has ended
            states.add(each.read_text().rpartition(") ")[2][0])
    return bool(states & {"R", "D"})


def harmless(folder: Path, recorded: Path) -> Stream:
    """What the app sends on a loop without a hostile text."""
    shutil.copytree(recorded, folder / "loops")
    with Session(folder, (100, 30)) as session:
        session.opens()
        session.types([*LOOKS_AT_PANES, "4", *READS_EXAMPLES, *LEAVES_EXAMPLE])
        session.types(["2", ENTER, ESCAPE, "1", *READS])
        session.types(["c", "=Compare", ESCAPE, ":", "=iterations.filter", ESCAPE, "y", "=copied"])
        session.leaves()
    return Stream(session.output)


def hostile_at(folder: Path, size: tuple[int, int]) -> tuple[Stream, Hostile]:
    """What it sends on a hostile loop, with the texts by their marks."""
    text = Hostile()
    loop = record_loop(LoopsFolder(folder / "loops"))
    make_hostile(loop, text)
    with Session(folder, size) as session:
        session.opens()
        session.types(WALK)
        loop.iteration(4).lock.unlink()  # its run is taken for a live one of another machine
        write_runnable_draft(loop, text)
        session.types(["1", END, f"={text.mark('run why')}", "r", "=hint", ESCAPE])
        session.types(["g", "c", "=Check ", DOWN, ENTER, PAGE_DOWN, "]", ESCAPE])
        session.leaves()
    return Stream(session.output), text


@pytest.mark.slow
def test_nothing_in_a_hostile_loop_reaches_the_terminal_as_a_sequence(
    tmp_path: Path, recorded: Path
) -> None:
    sizes = ((80, 24), (160, 48))
    homes = [tmp_path / name for name in ("plain", "small", "large")]
    for home in homes:
        home.mkdir()
    with ThreadPoolExecutor() as together:
        plain = together.submit(harmless, homes[0], recorded)
        others = [together.submit(hostile_at, *pair) for pair in zip(homes[1:], sizes, strict=True)]
    kinds = plain.result().kinds
    assert not plain.result().faults
    strings = {kind for kind in kinds if "string" in kind or kind.startswith("OSC")}
    assert strings == {"OSC 22", "OSC 52"}, "the shape of the pointer, and what is copied"
    assert "CSI m" in kinds
    assert "ESC c" not in kinds
    for size, other in zip(sizes, others, strict=True):
        stream, text = other.result()
        assert not stream.faults, size
        assert stream.kinds <= kinds - {"OSC 52"}, (size, stream.kinds - kinds)
        unseen = {what for what in SHOWN if text.marks[what] not in stream.text}
        assert not unseen, size
        tokens = [text.marks[f"token {index}"] for index in (3, 5, 7)]
        assert any(mark in stream.text for mark in tokens), size
