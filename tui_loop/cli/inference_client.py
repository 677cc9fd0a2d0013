"""The client of the process that has a loop's models: questions to it, answers from it."""

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


class ModelAsker(JsonProcess[ServerMessage]):
    """Asks models of a loop (`tui.backend.Asker`); the process starts with it.

    `settings`: `run.*` and `evaluation.*` fields for all of its questions.
    """

    def __init__(
        self, loop: LoopFolder, iterations: Sequence[int], settings: Sequence[str] = ()
    ) -> None:
        from tui_loop.engine.extras import require_train
        from tui_loop.engine.launch import start_inference_server

        require_train("asking a model")
        self._iterations = tuple(iterations)
        self._numbers = itertools.count(1)
        self._writing = threading.Lock()

        def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
            return start_inference_server(loop, iterations, settings, log)

        super().__init__(start, ServerMessage, "answers")

    @property
    def iterations(self) -> tuple[int, ...]:
        """Who is asked, in the order in which they answer."""
        return self._iterations

    def ask(self, prompt: str, *, example: str = "", settings: Sequence[str] = ()) -> int:
        """Sends a prompt, or a held-out example's own; gives the question's number."""
        examples = (example,) if example else ()
        return self._send(prompt=prompt, examples=examples, settings=tuple(settings))

    def ask_examples(self, examples: Sequence[str], *, settings: Sequence[str] = ()) -> int:
        """Sends the prompts of many held-out examples as one question."""
        return self._send(examples=tuple(examples), settings=tuple(settings))

    def drop(self) -> None:
        """Gives up what was asked and is not answered."""
        self._send(cancel=True)

    def answers(self) -> Iterator[ServerMessage]:
        """What is told, as it comes; ends after `ended`."""
        return self.told()

    def answers_to(self, question: int) -> Iterator[ServerMessage]:
        """What is told until `question` is answered; raises BadInput where it cannot be."""
        for told in self.answers():
            if isinstance(told, ServerStatus):
                if told.state == "answered" and told.id == question:
                    return
                if told.state == "ended" or (told.state == "error" and told.iteration is None):
                    raise BadInput(told.message or "the models have gone", told.hint)
            yield told

    def _send(self, **question: object) -> int:
        number = next(self._numbers)
        line = codec.to_json(msgspec.convert({"id": number, **question}, GenerateRequest)) + b"\n"
        assert self._process.stdin is not None
        with self._writing, suppress(OSError, ValueError):  # it has ended, which is told
            self._process.stdin.write(line)
            self._process.stdin.flush()
        return number

    def _at_end(self, code: int, last: ServerMessage | None) -> ServerMessage:
        assert self._process.stdin is not None
        with self._writing, suppress(OSError):
            self._process.stdin.close()
        if code == 0 or self._is_closed:
            return ServerStatus("ended")
        said = self._last_words(code)
        return ServerStatus("ended", message=f"the models' process has ended: {said}")


def asker_of(loop: LoopFolder, number: int, *, allow_code: bool = False) -> ModelAsker:
    """Asks iteration `number`, its parent and the base side by side."""
    numbers = iterations_to_compare(loop, number)
    require_models_consent(loop, numbers, allow=allow_code)
    return ModelAsker(loop, numbers)


def require_models_consent(loop: LoopFolder, numbers: Sequence[int], *, allow: bool) -> None:
    """Raises NeedsConsent where loading these iterations would run code that nobody allowed."""
    from tui_loop.engine.foreign_code import iteration_code

    code = []
    for number in numbers:
        with suppress(BadInput, NotFound):  # the models' process says what is wrong with it
            code += iteration_code(loop.existing(number))
    require_consent(code, allow=allow)
