"""Events in order: a key waits for the one before, and every resize is sent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from textual import events
from textual._compositor import Compositor, CompositorMap, ReflowResult
from textual.app import App
from textual.geometry import Size
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widget import Widget

HOPS = 3
"""Rounds through the focused widget's parents: the key, what it causes, and the new focus."""

READY_SECONDS = 0.01
"""Interval of the checks whether a screen takes keys, or whether a widget has closed."""

PATIENCE_SECONDS = 0.5
"""Longest time that a key waits for the handlers of the one before."""


class KeysInOrder(App[None]):
    """An app whose keys wait for each other."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._typed: asyncio.Queue[events.Key] = asyncio.Queue()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            self._typed.put_nowait(event)
        else:
            await super().on_event(event)

    def begin_typing(self) -> None:
        """Starts to deliver keys; called once, when the app is mounted."""
        self.run_worker(self._take_keys(), name="keys", group="keys")

    async def _take_keys(self) -> None:
        settled: asyncio.Task[None] | None = None
        while True:
            event = await self._typed.get()
            if settled is not None:  # it may still close the widget that would get this key
                with suppress(TimeoutError):
                    await asyncio.wait_for(settled, PATIENCE_SECONDS)
            while not getattr(self.screen, "takes_keys", True):
                await asyncio.sleep(READY_SECONDS)
            await super().on_event(event)
            settled = asyncio.create_task(self._settled())

    async def _settled(self) -> None:
        for _ in range(HOPS):
            widget: MessagePump = self.focused or self.screen
            while True:
                done = asyncio.Event()
                widget.call_later(done.set)
                while not done.is_set() and widget.is_running:  # a screen may close meanwhile
                    with suppress(TimeoutError):
                        await asyncio.wait_for(done.wait(), READY_SECONDS)
                if widget is self or widget._parent is None:
                    break
                widget = widget._parent


class EveryResize(App[None]):
    """An app whose screens send every resize event."""

    def _register(self, parent: MessagePump, *widgets: Widget, **place: Any) -> list[Widget]:
        for widget in widgets:
            if isinstance(widget, Screen) and not widget.is_running:
                widget._compositor = _Remembering()
        return super()._register(parent, *widgets, **place)  # type: ignore[arg-type]


class _Remembering(Compositor):
    """Compares a layout with the one whose events were sent."""

    def __init__(self) -> None:
        super().__init__()
        self._last_sent: CompositorMap = {}

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        self._full_map = self._last_sent
        result = super().reflow(parent, size)
        self._last_sent = self._full_map
        return result

    def clear(self) -> None:
        super().clear()
        self._last_sent = {}
