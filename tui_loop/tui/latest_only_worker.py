"""Handles requests in a thread, one at a time; only the newest one counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Request = TypeVar("Request")
Response = TypeVar("Response")


class LatestOnlyWorker(Generic[Request, Response]):
    """Works on the newest request; `deliver` gets its response unless a newer one was made.

    A request that equals the one before is ignored, except with `again`.
    """

    def __init__(
        self, work: Callable[[Request], Response], deliver: Callable[[Request, Response], None]
    ) -> None:
        self._work, self._deliver = work, deliver
        self._requested: Request | None = None
        self._wake = asyncio.Event()

    def request(self, request: Request, *, again: bool = False) -> bool:
        """Makes a request without waiting; returns whether it differs from the last one."""
        if not again and request == self._requested:
            return False
        self._requested = request
        self._wake.set()
        return True

    def is_newest(self, request: Request) -> bool:
        """Returns whether no other request was made since; may be called from any thread."""
        return request == self._requested

    def cancel(self) -> None:
        """Discards the request; its response is not delivered."""
        self._requested = None

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            request = self._requested
            if request is None:
                continue
            response = await asyncio.to_thread(self._work, request)
            if request == self._requested:
                self._deliver(request, response)
