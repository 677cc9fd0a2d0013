"""Questions answered off the screen's thread, one at a time; only the newest one counts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Generic, TypeVar

BRIEFLY = 0.001
"""Seconds that an answer's thread runs before a key's turn comes. A key has some ten turns: with
the usual 5 ms, what is typed during a search of 100,000 examples shows after 60 ms, so after 20."""

_USUAL = sys.getswitchinterval()

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

    async def run(self) -> None:
        """Answers for as long as it is let."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            question = self._asked
            if question is None:
                continue
            sys.setswitchinterval(BRIEFLY)
            try:
                answer = await asyncio.to_thread(self._answer, question)
            finally:
                sys.setswitchinterval(_USUAL)
            if question == self._asked:
                self._tell(question, answer)
