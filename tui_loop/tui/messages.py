"""Messages to the user: one line above the footer, merged when equal, kept for the session."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Literal

import msgspec
from textual.app import App
from textual.notifications import Notification
from textual.screen import Screen

from tui_loop.tui.keys import with_keys

Severity = Literal["information", "warning", "error"]

MAX_MESSAGES = 200
PLACE_SECONDS = 2.0
SIGNS: dict[Severity, str] = {"information": "", "warning": "! ", "error": "✗ "}


class Message(msgspec.Struct):
    """A message of this session; `count`: how often it was shown in a row."""

    text: str
    severity: Severity
    t: float
    count: int = 1


class MessageLine(App[None]):
    """An app that shows the newest message in one line, over the frame above the footer.

    A message disappears with its screen, after some seconds, or with esc. It names a key by the
    id of its action: `{run.start} runs the draft`.
    """

    CSS = """
    ToastRack {
        height: 1; margin-bottom: 1; align: left bottom; overflow: hidden hidden;
    }
    ToastHolder { width: 1fr; height: 1; display: none; }
    ToastHolder:last-child { display: block; }
    Toast {
        width: 1fr; max-width: 100%; height: 1; margin: 0; padding: 0 1; border: none;
        background: $row-cursor; text-wrap: nowrap; text-overflow: ellipsis;
        &.-information { border: none; }
        &.-warning { border: none; color: $style-warn; }
        &.-error { border: none; color: $style-bad; }
    }
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.keys: dict[str, str] = {}
        """The keys that the user has changed, by the id of the action."""
        self.message_history: deque[Message] = deque(maxlen=MAX_MESSAGES)
        self._shown_on: dict[str, Screen[Any]] = {}
        self._place = ""

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: Severity = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        message = with_keys(message, self.keys)
        last = self.message_history[-1] if self.message_history else None
        if last is not None and (last.text, last.severity) == (message, severity):
            last.count, last.t = last.count + 1, time.time()
        else:
            self.message_history.append(Message(message, severity, time.time()))
        line = SIGNS[severity] + "  ".join(message.split("\n"))
        for each in list(self._notifications):
            if each.message == line:
                self._unnotify(each, refresh=False)
        self._show(line, severity, self.NOTIFICATION_TIMEOUT if timeout is None else timeout)

    def notify_place(self, text: str) -> None:
        """Shows a place in a list, which changes with each key: not kept with the messages."""
        for each in list(self._notifications):
            if each.identity == self._place:
                self._unnotify(each, refresh=False)
        self._place = self._show(text, "information", PLACE_SECONDS)

    def _show(self, line: str, severity: Severity, seconds: float) -> str:
        notification = Notification(line, "", severity, seconds, markup=False)
        self._shown_on[notification.identity] = self.screen
        self._notifications.add(notification)
        self._refresh_notifications()
        return notification.identity

    def clear_messages_of(self, screen: Screen[Any]) -> None:
        """Removes the messages that were shown on a screen."""
        for each in list(self._notifications):
            if self._shown_on.get(each.identity) is screen:
                self._unnotify(each, refresh=False)
        known = {each.identity for each in self._notifications}
        self._shown_on = {name: each for name, each in self._shown_on.items() if name in known}
        self._refresh_notifications()
