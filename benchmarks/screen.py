"""A program in a pseudo-terminal: what it writes and when, keys for it, a reader that can stop."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import msgspec

READ_BYTES = 1 << 16
ALTERNATE = "\x1b[?1049h"
"""What a program writes to have the screen for itself."""

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|P[^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)


class Read(msgspec.Struct, frozen=True):
    """Bytes that arrived, with the clock of `time.perf_counter` just after they were read."""

    at: float
    data: bytes


class Screen:
    """Runs `command` on a terminal of its own; a thread reads what it writes, until told not to.

    Nobody answers the program's queries, as on a terminal that knows none of them.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int,
        lines: int,
        folder: Path,
        environment: dict[str, str],
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.reads: list[Read] = []
        self._arrived = threading.Condition()
        self._draining, self._closing = threading.Event(), threading.Event()
        self._draining.set()
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            list(command),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, keys: str) -> float:
        """Types; gives the clock just before."""
        now = time.perf_counter()
        os.write(self._master, keys.encode())
        return now

    def resize(self, columns: int, lines: int) -> None:
        """Gives the terminal another size and tells the program."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.killpg(self.process.pid, signal.SIGWINCH)

    def stop_reading(self) -> None:
        """Leaves what the program writes where it is, as a terminal that hangs does."""
        self._draining.clear()

    def go_on_reading(self) -> None:
        self._draining.set()

    def text(self, since: int = 0) -> str:
        """What was drawn from read number `since` on, without escape sequences."""
        return plain(b"".join(each.data for each in self.reads[since:]))

    def bytes_between(self, begin: float, end: float) -> int:
        """How many bytes arrived between two clocks."""
        return sum(len(each.data) for each in self.reads if begin <= each.at < end)

    def wait_for(self, pattern: str, *, since: int = 0, seconds: float = 60.0) -> float:
        """The clock at which `pattern` was on its way to the screen; raises TimeoutError."""
        wanted = re.compile(pattern)
        return self.wait_until(
            lambda: wanted.search(self.text(since)) is not None, pattern, seconds
        )

    def wait_until(self, is_there: Callable[[], bool], what: str, seconds: float = 60.0) -> float:
        """The clock of the read after which `is_there` holds; raises TimeoutError.

        It is asked after every read, and never goes back.
        """
        deadline = time.perf_counter() + seconds
        with self._arrived:
            while not is_there():
                left = deadline - time.perf_counter()
                if left <= 0 or self._closing.is_set():
                    raise TimeoutError(f"{what!r} did not come; the last: {self.text()[-2000:]!r}")
                self._arrived.wait(left)
            return self.reads[-1].at

    def first_frame(self) -> float:
        """The clock of the first read with a visible sign on the alternate screen."""

        def is_drawn() -> bool:
            whole = b"".join(each.data for each in self.reads).decode("utf-8", "replace")
            _, entered, drawn = whole.partition(ALTERNATE)
            return bool(entered and _ESCAPES.sub("", drawn).strip())

        return self.wait_until(is_drawn, "the first frame")

    def close(self) -> int:
        """Ends the program, if it has not ended, and its reader; gives its exit code."""
        if self._closing.is_set():
            return self.process.returncode
        self._draining.set()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self._closing.set()
        self._reader.join()
        os.close(self._master)
        return code

    def wait_for_end(self, seconds: float = 60.0) -> int:
        """Waits until the program has ended by itself; gives its exit code."""
        self.process.wait(seconds)
        return self.close()

    def _read(self) -> None:
        while not self._closing.is_set():
            if not self._draining.wait(0.05):
                continue
            ready, _, _ = select.select([self._master], [], [], 0.05)
            if not ready or not self._draining.is_set():
                continue
            try:
                data = os.read(self._master, READ_BYTES)
            except OSError:  # the program has ended
                data = b""
            now = time.perf_counter()
            if not data:
                self._closing.wait(0.05)
                continue
            with self._arrived:
                self.reads.append(Read(now, data))
                self._arrived.notify_all()


def plain(data: bytes) -> str:
    """Text as drawn, without escape sequences."""
    return _ESCAPES.sub("", data.decode("utf-8", "replace"))
