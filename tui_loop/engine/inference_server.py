"""A process that generates with the models of a loop: `python -m tui_loop.engine.inference_server`.

It reads one `core.inference_messages.GenerateRequest` a line from stdin and writes one
`GenerateResponse` or `AskingState` a line to stdout. Stdout is protected: whatever libraries print
goes to stderr. Weights are loaded once. The process ends after stdin does, when the requests until
then are answered. It writes no file.
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
from tui_loop.core.inference_messages import AskingState, GenerateRequest, Told
from tui_loop.core.record import codec
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.text.secrets import redacted
from tui_loop.engine.output_capture import set_environment

if TYPE_CHECKING:
    from tui_loop.engine.model_pool import ModelPool


class Dropped(Exception):
    """Raised where an answer is under way that is no longer wanted."""


class _Inbox:
    """Questions as they come, read beside the work so that one can be dropped under way."""

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines
        self._waiting: queue.SimpleQueue[GenerateRequest | str | None] = queue.SimpleQueue()
        self._dropped_to = 0
        threading.Thread(target=self._read, name="questions", daemon=True).start()

    def next(self) -> GenerateRequest | str | None:
        """The next question, or what is wrong with a line; None after the last."""
        return self._waiting.get()

    def is_dropped(self, question: GenerateRequest) -> bool:
        return question.id < self._dropped_to

    def _read(self) -> None:
        decoder = msgspec.json.Decoder(GenerateRequest)
        for line in self._lines:
            if not line.strip():
                continue
            try:
                question = codec.decoded(decoder, line, "a question")
            except BadInput as error:
                self._waiting.put(error.message)
                continue
            if question.drop:
                self._dropped_to = max(self._dropped_to, question.id)
            if question.prompt or question.examples or not question.drop:
                self._waiting.put(question)
        self._waiting.put(None)


class _Server:
    def __init__(self, loop: LoopFolder, numbers: list[int], settings: list[str]) -> None:
        self._loop, self._numbers, self._settings = loop, numbers, settings
        self._out = protected_stdout()

    def serve(self, inbox: _Inbox) -> None:
        """Loads the models, then answers until there are no more questions."""
        speakers = self._load()
        while (question := inbox.next()) is not None:
            if isinstance(question, str):
                self._tell(AskingState("error", message=question))
            else:
                self._answer(speakers, question, inbox)

    def _load(self) -> ModelPool:
        from tui_loop.core.config.settings import with_settings

        self._tell(AskingState("loading", iteration=self._numbers[0]))
        from tui_loop.engine.model_pool import ModelPool, set_threads

        first = self._loop.existing(self._numbers[0])
        set_threads(with_settings(first.read_config(), self._settings))
        speakers = ModelPool(self._loop, self._numbers, self._settings)
        for number in self._numbers:
            self._tell(AskingState("loading", iteration=number))
            try:
                speakers.load(number)
            except Exception as error:  # the edge of a model: what it lacks is told, others answer
                self._tell(explained(AskingState("left_out", iteration=number), error))
        self._tell(AskingState("ready", iterations=speakers.numbers))
        return speakers

    def _answer(self, speakers: ModelPool, question: GenerateRequest, inbox: _Inbox) -> None:
        def poll() -> None:
            if inbox.is_dropped(question):
                raise Dropped

        wanted = question.iterations or speakers.numbers
        try:
            rows = self._rows(speakers, question)
        except TuiLoopError as error:
            self._tell(explained(AskingState("error", id=question.id), error))
            return
        for number in wanted:
            try:
                poll()
                if number not in speakers.numbers:
                    raise BadInput(f"iteration {number} is not among those that answer")
                speakers.answer(
                    number,
                    rows,
                    question.settings,
                    question=question.id,
                    poll=poll,
                    told=self._tell,
                )
            except Dropped:
                self._tell(AskingState("error", id=question.id, message="given up"))
                return
            except Exception as error:  # the edge of a question: the next one may be answered
                state = AskingState("error", id=question.id, iteration=number)
                self._tell(explained(state, error))
        self._tell(AskingState("answered", id=question.id))

    def _rows(self, speakers: ModelPool, question: GenerateRequest) -> list[Row]:
        if not speakers.numbers:
            raise BadInput("no model is here to answer")
        if question.examples:
            return speakers.rows_of(question.examples)
        if not question.prompt.strip():
            raise BadInput("there is no prompt", "write one")
        return [Row("", question.prompt, "", 0)]

    def _tell(self, told: Told) -> None:
        self._out.write(codec.to_json(told) + b"\n")
        self._out.flush()


def explained(state: AskingState, error: Exception) -> AskingState:
    """`state` with what went wrong, a line each for what happened and what to do."""
    if isinstance(error, TuiLoopError):
        message, hint = error.message, error.hint
    else:
        from tui_loop.engine.memory import OutOfMemory, first_line, is_out_of_memory

        traceback.print_exception(error)
        is_memory = isinstance(error, OutOfMemory) or is_out_of_memory(error)
        message = f"{'out of memory' if is_memory else type(error).__name__}: {first_line(error)}"
        hint = "--set run.device=cpu, or end what else uses the device" if is_memory else ""
    return msgspec.structs.replace(state, message=redacted(message), hint=redacted(hint))


def protected_stdout() -> BinaryIO:
    """The real stdout, for what is told alone; descriptor 1 becomes stderr."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "wb")


def main(arguments: list[str] | None = None) -> int:
    """Answers questions about some iterations of a loop until stdin ends."""
    parser = argparse.ArgumentParser(prog="python -m tui_loop.engine.inference_server")
    parser.add_argument("loop", type=Path)
    parser.add_argument("numbers", type=int, nargs="+")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    args = parser.parse_args(arguments)
    set_environment()
    server = _Server(LoopFolder(args.loop), args.numbers, args.settings)
    try:
        server.serve(_Inbox(sys.stdin.buffer))
    except BrokenPipeError:  # nobody listens any more
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
