"""The loops of a folder to choose from; a welcome where there is none."""

from __future__ import annotations

from textual.screen import Screen

from tui_loop.core.store import LoopsFolder
from tui_loop.tui.backend import Backend


class PickerScreen(Screen[None]):
    """Lists the loops."""

    def __init__(self, loops: LoopsFolder, backend: Backend) -> None:
        super().__init__()
        self.loops, self.backend = loops, backend
