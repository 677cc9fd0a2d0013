"""A process of the training stack that reports in JSON lines: reads its messages and ends it."""

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
"""Bytes at the end of the process's log that are searched for its last line."""


class JsonProcess(Generic[T]):
    """A process whose output lines are messages of type `message_type`; starts at once.

    `start` starts the process with a file for whatever its libraries print. `name` names the
    messages in errors. None in the queue marks the end of the messages.
    """

    def __init__(
        self, start: Callable[[IO[bytes]], subprocess.Popen[bytes]], message_type: Any, name: str
    ) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()
        self._process = start(self._log)
        self._message_type, self._name = message_type, name
        self._messages: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._is_closed = False
        threading.Thread(target=self._read_messages, name=name, daemon=True).start()

    def take(self) -> list[T]:
        """Returns the messages since the last call; never waits."""
        taken: list[T] = []
        with suppress(queue.Empty):
            while (message := self._messages.get_nowait()) is not None:
                taken.append(message)
            self._messages.put(None)
        return taken

    def messages(self) -> Iterator[T]:
        """Yields the messages as they arrive, until the process has ended."""
        while (message := self._messages.get()) is not None:
            yield message
        self._messages.put(None)  # a later call ends at once as well

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

    def _final_message(self, code: int, last: T | None) -> T | None:
        """Returns a message to add after the process's end; `last` was its own last one."""
        raise NotImplementedError

    def _read_messages(self) -> None:
        """Reads the process's messages until it ends; runs in a thread."""
        assert self._process.stdout is not None
        decoder, last = msgspec.json.Decoder(self._message_type), None
        with self._process.stdout as lines:
            for line in lines:
                with suppress(BadInput):  # a process that is ended leaves half a line
                    last = codec.decoded(decoder, line, self._name)
                    self._messages.put(last)
        final = self._final_message(self._process.wait(), last)
        if final is not None:
            self._messages.put(final)
        self._messages.put(None)
        self._log.close()

    def _last_log_line(self, code: int) -> str:
        """Returns the last line that the process printed, else its exit code."""
        size = self._log.seek(0, 2)
        self._log.seek(max(0, size - LOG_TAIL))
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return one_line(redacted(lines[-1]), 300) if lines else f"exit code {code}"
