"""An app that sends a resize event for every change of a widget's size.

Textual 8.2.8 sends one where two successive layouts differ. Reading a size between them computes
the new layout early and drops the old one, so the difference is lost: a list that was just shown
never scrolls to its cursor.
"""

from __future__ import annotations

from typing import Any

from textual._compositor import Compositor, CompositorMap, ReflowResult
from textual.app import App
from textual.geometry import Size
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widget import Widget


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
