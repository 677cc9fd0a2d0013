"""A process of the training stack that tells what it has as JSON lines: followed, and ended."""

from __future__ import annotations

import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any, Generic, TypeVar

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.text.secrets import redacted
from tui_loop.core.text.untrusted import one_line

T = TypeVar("T")

CLOSE_SECONDS = 5.0
LOG_TAIL = 8192
"""Bytes of the process's last words that are looked at."""


class JsonProcess(Generic[T]):
    """What a process tells, each line as a `kind`, named `where` in errors; it begins at once.

    `start` begins the process, with the file that its libraries may print to.
    """

    def __init__(
        self, start: Callable[[IO[bytes]], subprocess.Popen[bytes]], kind: Any, where: str
    ) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()
        self._process = start(self._log)
        self._kind, self._where = kind, where
        self._told: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._is_closed = False
        threading.Thread(target=self._listen, name=where, daemon=True).start()

    def take(self) -> list[T]:
        """What was told since it was last taken; never waits."""
        parts: list[T] = []
        with suppress(queue.Empty):
            while (each := self._told.get_nowait()) is not None:
                parts.append(each)
            self._told.put(None)
        return parts

    def told(self) -> Iterator[T]:
        """What is told, as it comes, to its end."""
        while (each := self._told.get()) is not None:
            yield each
        self._told.put(None)  # for whoever asks again

    def close(self) -> None:
        """Ends the process at once; further calls do nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._process.terminate()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _at_end(self, code: int, last: T | None) -> T | None:
        """What is to be told when the process has ended, after the `last` that it told itself."""
        raise NotImplementedError

    def _listen(self) -> None:
        """Hands on what the process tells, to its end."""
        assert self._process.stdout is not None
        decoder, last = msgspec.json.Decoder(self._kind), None
        with self._process.stdout as lines:
            for line in lines:
                with suppress(BadInput):  # cut off by its end
                    last = codec.decoded(decoder, line, self._where)
                    self._told.put(last)
        end = self._at_end(self._process.wait(), last)
        if end is not None:
            self._told.put(end)
        self._told.put(None)
        self._log.close()

    def _last_words(self, code: int) -> str:
        """The last line that was printed, else the exit code."""
        size = self._log.seek(0, 2)
        self._log.seek(max(0, size - LOG_TAIL))
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return one_line(redacted(lines[-1]), 300) if lines else f"exit code {code}"
