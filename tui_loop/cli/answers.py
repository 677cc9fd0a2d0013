"""The client of the process that has a loop's models: questions to it, answers from it."""

from __future__ import annotations

import itertools
import queue
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO

import msgspec

from tui_loop.core import codec
from tui_loop.core.errors import BadInput
from tui_loop.core.questions import AskingState, Question, Told, side_by_side
from tui_loop.core.secrets import masked
from tui_loop.core.store import LoopFolder
from tui_loop.core.text import one_line

CLOSE_SECONDS = 5.0
LOG_TAIL = 8192
"""Bytes of the process's last words that are looked at."""


class ModelAsker:
    """Asks models of a loop (`tui.backend.Asker`); the process starts with it.

    `settings`: `run.*` and `evaluation.*` fields for all of its questions.
    """

    def __init__(
        self, loop: LoopFolder, iterations: Sequence[int], settings: Sequence[str] = ()
    ) -> None:
        from tui_loop.engine.extras import require_train
        from tui_loop.engine.launch import start_answers

        require_train("asking a model")
        self._iterations = tuple(iterations)
        self._log: IO[bytes] = tempfile.TemporaryFile()
        self._process = start_answers(loop, iterations, settings, self._log)
        self._told: queue.SimpleQueue[Told | None] = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._writing = threading.Lock()
        self._is_closed = False
        threading.Thread(target=self._listen, name="answers", daemon=True).start()

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
        self._send(drop=True)

    def take(self) -> list[Told]:
        """What was told since it was last taken; never waits."""
        told: list[Told] = []
        with suppress(queue.Empty):
            while (each := self._told.get_nowait()) is not None:
                told.append(each)
            self._told.put(None)
        return told

    def answers(self) -> Iterator[Told]:
        """What is told, as it comes; ends after `ended`."""
        while (each := self._told.get()) is not None:
            yield each
        self._told.put(None)  # for whoever asks again

    def answers_to(self, question: int) -> Iterator[Told]:
        """What is told until `question` is answered; raises BadInput where it cannot be."""
        for told in self.answers():
            if isinstance(told, AskingState):
                if told.state == "answered" and told.id == question:
                    return
                if told.state == "ended" or (told.state == "error" and told.iteration is None):
                    raise BadInput(told.message or "the models have gone", told.hint)
            yield told

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

    def _send(self, **question: object) -> int:
        number = next(self._numbers)
        line = codec.to_json(msgspec.convert({"id": number, **question}, Question)) + b"\n"
        assert self._process.stdin is not None
        with self._writing, suppress(OSError, ValueError):  # it has ended, which is told
            self._process.stdin.write(line)
            self._process.stdin.flush()
        return number

    def _listen(self) -> None:
        """Hands on what the process tells, to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        decoder = msgspec.json.Decoder(Told)
        with self._process.stdout as lines:
            for line in lines:
                with suppress(BadInput):  # cut off by its end
                    self._told.put(codec.decoded(decoder, line, "answers"))
        code = self._process.wait()
        with self._writing, suppress(OSError):
            self._process.stdin.close()
        self._told.put(self._end(code))
        self._told.put(None)
        self._log.close()

    def _end(self, code: int) -> AskingState:
        if code == 0 or self._is_closed:
            return AskingState("ended")
        said = self._last_words() or f"exit code {code}"
        return AskingState("ended", message=f"the models' process has ended: {said}")

    def _last_words(self) -> str:
        size = self._log.seek(0, 2)
        self._log.seek(max(0, size - LOG_TAIL))
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return one_line(masked(lines[-1]), 300) if lines else ""


def asker_of(loop: LoopFolder, number: int) -> ModelAsker:
    """Asks iteration `number`, its parent and the base side by side."""
    return ModelAsker(loop, side_by_side(loop, number))
