"""The inference server, a process that generates with the models of a loop:
`python -m tui_loop.engine.inference_server LOOP N...`.

It reads a `core.inference_messages.GenerateRequest` a line from stdin and writes a
`GenerateResponse` or `ServerStatus` a line to stdout. What libraries print goes to stderr instead.
Weights are loaded once. The process ends when stdin has ended and all requests are answered. It
writes no file.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.inference_messages import GenerateRequest, ServerMessage, ServerStatus
from tui_loop.core.record import codec
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.text.secrets import redacted
from tui_loop.engine.output_capture import set_environment

if TYPE_CHECKING:
    from tui_loop.engine.model_pool import ModelPool


class Cancelled(Exception):
    """Raised during the generation for a request that a later one has cancelled."""


class _Inbox:
    """The requests, read in a thread of their own so that one can be cancelled while it runs."""

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines
        self._queue: queue.SimpleQueue[GenerateRequest | str | None] = queue.SimpleQueue()
        self._cancelled_below = 0
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def next(self) -> GenerateRequest | str | None:
        """Waits for the next request, or the error of a bad line; None after the last."""
        return self._queue.get()

    def is_cancelled(self, request: GenerateRequest) -> bool:
        return request.id < self._cancelled_below

    def _read(self) -> None:
        decoder = msgspec.json.Decoder(GenerateRequest)
        for line in self._lines:
            if not line.strip():
                continue
            try:
                request = codec.decoded(decoder, line, "a request")
            except BadInput as error:
                self._queue.put(error.message)
                continue
            if request.cancel:
                self._cancelled_below = max(self._cancelled_below, request.id)
            if request.prompt or request.examples or not request.cancel:
                self._queue.put(request)
        self._queue.put(None)


class _Server:
    def __init__(self, loop: LoopFolder, numbers: list[int], settings: list[str]) -> None:
        self._loop, self._numbers, self._settings = loop, numbers, settings
        self._out = protected_stdout()
        self._left_out: list[ServerStatus] = []

    def serve(self, inbox: _Inbox) -> None:
        """Loads the models, then answers requests until there are no more."""
        pool = self._load()
        while (request := inbox.next()) is not None:
            if isinstance(request, str):
                self._send(ServerStatus("error", message=request))
            else:
                self._answer(pool, request, inbox)

    def _load(self) -> ModelPool:
        from tui_loop.core.config.settings import with_settings

        # Importing the training stack takes seconds: the client shows a state meanwhile.
        self._send(ServerStatus("loading", iteration=self._numbers[0]))
        from tui_loop.engine.model_pool import ModelPool, set_threads

        first = self._loop.existing(self._numbers[0])
        set_threads(with_settings(first.read_config(), self._settings))
        pool = ModelPool(self._loop, self._numbers, self._settings)
        for number in self._numbers:
            self._send(ServerStatus("loading", iteration=number))
            try:
                pool.load(number)
            except Exception as error:  # the other models can still respond
                self._left_out.append(with_error(ServerStatus("left_out", iteration=number), error))
                self._send(self._left_out[-1])
        self._send(ServerStatus("ready", iterations=pool.numbers))
        return pool

    def _answer(self, pool: ModelPool, request: GenerateRequest, inbox: _Inbox) -> None:
        def poll() -> None:
            if inbox.is_cancelled(request):
                raise Cancelled

        try:
            rows = self._rows(pool, request)
        except TuiLoopError as error:
            self._send(with_error(ServerStatus("error", id=request.id), error))
            return
        for number in request.iterations or pool.numbers:
            try:
                poll()
                if number not in pool.numbers:
                    raise BadInput(f"iteration {number} is not loaded")
                pool.generate(number, rows, request, poll=poll, on_response=self._send)
            except Cancelled:
                self._send(ServerStatus("error", id=request.id, message="cancelled"))
                return
            except Exception as error:  # other models and later requests can still be answered
                status = ServerStatus("error", id=request.id, iteration=number)
                self._send(with_error(status, error))
        self._send(ServerStatus("answered", id=request.id))

    def _rows(self, pool: ModelPool, request: GenerateRequest) -> list[Row]:
        if not pool.numbers:
            raise BadInput(self._left_out[0].message, self._left_out[0].hint)
        if request.examples:
            return pool.rows_of(request.examples)
        if not request.prompt.strip():
            raise BadInput("the prompt is empty", "write one")
        return [Row("", request.prompt, "", 0)]

    def _send(self, message: ServerMessage) -> None:
        self._out.write(codec.to_json(message) + b"\n")
        self._out.flush()


def with_error(status: ServerStatus, error: Exception) -> ServerStatus:
    """Returns `status` with the message and hint of `error`; logs an unexpected one."""
    if isinstance(error, TuiLoopError):
        message, hint = error.message, error.hint
    else:
        from tui_loop.engine.memory import OutOfMemory, first_line, is_out_of_memory

        traceback.print_exception(error)
        is_memory = isinstance(error, OutOfMemory) or is_out_of_memory(error)
        message = f"{'out of memory' if is_memory else type(error).__name__}: {first_line(error)}"
        hint = (
            "--set run.device=cpu, or end other programs that use the device" if is_memory else ""
        )
    return msgspec.structs.replace(status, message=redacted(message), hint=redacted(hint))


def protected_stdout() -> BinaryIO:
    """Returns the real stdout, for messages alone; what libraries print there goes to stderr."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(stdout, "wb")


def main(arguments: list[str] | None = None) -> int:
    """Answers requests for outputs of some iterations of a loop until stdin ends."""
    parser = argparse.ArgumentParser(prog="python -m tui_loop.engine.inference_server")
    parser.add_argument("loop", type=Path)
    parser.add_argument("numbers", type=int, nargs="+")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    args = parser.parse_args(arguments)
    set_environment()
    server = _Server(LoopFolder(args.loop), args.numbers, args.settings)
    try:
        server.serve(_Inbox(sys.stdin.buffer))
    except BrokenPipeError:  # the client has gone
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
