"""Questions answered off the screen's thread, one at a time; only the newest one counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Latest(Generic[Question, Answer]):
    """Answers the newest question; `tell` gets it unless a newer one was asked meanwhile.

    A question equal to the one before is asked again only when told so.
    """

    def __init__(
        self, answer: Callable[[Question], Answer], tell: Callable[[Question, Answer], None]
    ) -> None:
        self._answer, self._tell = answer, tell
        self._asked: Question | None = None
        self._wake = asyncio.Event()

    def ask(self, question: Question, *, again: bool = False) -> bool:
        """Asks, and returns at once; gives whether it was not the last question already."""
        if not again and question == self._asked:
            return False
        self._asked = question
        self._wake.set()
        return True

    def is_newest(self, question: Question) -> bool:
        """Returns whether no other question has been asked; may be called from any thread."""
        return question == self._asked

    def end(self) -> None:
        """Discards the question; its answer is no longer needed."""
        self._asked = None

    async def run(self) -> None:
        """Answers for as long as it is let."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            question = self._asked
            if question is None:
                continue
            answer = await asyncio.to_thread(self._answer, question)
            if question == self._asked:
                self._tell(question, answer)
