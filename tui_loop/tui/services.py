"""What screens use of the app. Screens import this and not the app, which imports the screens."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from textual.widget import Widget

from tui_loop.core.record.folders import LoopFolder
from tui_loop.tui.settings import Memory


class AppServices(Protocol):
    """Protocol of the app for its screens, in addition to Textual's App."""

    @property
    def keys(self) -> dict[str, str]:
        """The keys that the user has changed, by the id of the action."""

    @property
    def is_ascii(self) -> bool:
        """Whether the terminal shows ASCII only."""

    @property
    def memory(self) -> Memory:
        """What the app remembers from one session to the next."""

    @property
    def crash_report(self) -> Path | None:
        """The file with the traceback of the first error."""

    def open_loop(self, loop: LoopFolder, number: int | None = None) -> None:
        """Shows the workbench on a loop, in place of whatever was open."""

    def pick_loop(self) -> None:
        """Shows the loops to choose from."""

    def edit(self, path: Path, line: int | None = None) -> str:
        """Opens a file in $EDITOR and waits; returns what went wrong, "" if nothing did."""

    def report(self, error: Exception) -> None:
        """Writes the traceback of the first error to a file."""


def services_of(widget: Widget) -> AppServices:
    """Returns the app of a widget, which is always a LoopApp."""
    return cast(AppServices, widget.app)
