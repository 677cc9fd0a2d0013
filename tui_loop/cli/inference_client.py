"""Client of the inference server: sends prompts to a loop's models and receives their outputs."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO

import msgspec

from tui_loop.cli.json_process import JsonProcess
from tui_loop.core.consent import require_consent
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.inference_messages import (
    GenerateRequest,
    ServerMessage,
    ServerStatus,
    iterations_to_compare,
)
from tui_loop.core.record import codec
from tui_loop.core.record.folders import LoopFolder


class InferenceClient(JsonProcess[ServerMessage]):
    """Starts an inference server for models of a loop and sends it requests.

    Implements `tui.backend.ModelClient`. `settings`: `run.*` and `evaluation.*` fields for all of
    its requests.
    """

    def __init__(
        self, loop: LoopFolder, iterations: Sequence[int], settings: Sequence[str] = ()
    ) -> None:
        from tui_loop.engine.extras import require_train
        from tui_loop.engine.launch import start_inference_server

        require_train("asking a model")
        self._iterations = tuple(iterations)
        self._request_numbers = itertools.count(1)
        self._write_lock = threading.Lock()

        def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
            return start_inference_server(loop, iterations, settings, log)

        super().__init__(start, ServerMessage, "answers")

    @property
    def iterations(self) -> tuple[int, ...]:
        """Returns the iterations whose models answer, in the order of their responses."""
        return self._iterations

    def ask(self, prompt: str, *, example: str = "", settings: Sequence[str] = ()) -> int:
        """Sends a prompt, or that of a held-out example; returns the request's number."""
        examples = (example,) if example else ()
        return self._send(prompt=prompt, examples=examples, settings=tuple(settings))

    def ask_examples(self, examples: Sequence[str], *, settings: Sequence[str] = ()) -> int:
        """Sends the prompts of several held-out examples as one request; returns its number."""
        return self._send(examples=tuple(examples), settings=tuple(settings))

    def drop(self) -> None:
        """Cancels the requests that are not answered yet."""
        self._send(cancel=True)

    def answers(self) -> Iterator[ServerMessage]:
        """Yields responses and states as they arrive; ends after `ended`."""
        return self.messages()

    def answers_to(self, request_number: int) -> Iterator[ServerMessage]:
        """Yields messages until a request is answered; raises BadInput where it cannot be."""
        for message in self.answers():
            if isinstance(message, ServerStatus):
                if message.state == "answered" and message.id == request_number:
                    return
                failed = message.state == "error" and message.iteration is None
                if message.state == "ended" or failed:
                    raise BadInput(message.message or "the inference server ended", message.hint)
            yield message

    def _send(self, **fields: object) -> int:
        number = next(self._request_numbers)
        line = codec.to_json(msgspec.convert({"id": number, **fields}, GenerateRequest)) + b"\n"
        assert self._process.stdin is not None
        with self._write_lock, suppress(OSError, ValueError):  # `ended` reports a server that ended
            self._process.stdin.write(line)
            self._process.stdin.flush()
        return number

    def _final_message(self, code: int, last: ServerMessage | None) -> ServerMessage:
        assert self._process.stdin is not None
        with self._write_lock, suppress(OSError):
            self._process.stdin.close()
        if code == 0 or self._is_closed:
            return ServerStatus("ended")
        reason = self._last_log_line(code)
        return ServerStatus("ended", message=f"the inference server ended unexpectedly: {reason}")


def client_of(loop: LoopFolder, number: int, *, allow_code: bool = False) -> InferenceClient:
    """Starts a server for iteration `number`, its parent and the base."""
    numbers = iterations_to_compare(loop, number)
    require_models_consent(loop, numbers, allow=allow_code)
    return InferenceClient(loop, numbers)


def require_models_consent(loop: LoopFolder, numbers: Sequence[int], *, allow: bool) -> None:
    """Raises NeedsConsent where loading these iterations would run code not allowed yet."""
    from tui_loop.engine.foreign_code import iteration_code

    code = []
    for number in numbers:
        with suppress(BadInput, NotFound):  # the inference server reports a broken iteration
            code += iteration_code(loop.existing(number))
    require_consent(code, allow=allow)
