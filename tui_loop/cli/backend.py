"""What the app gets from the rest of the program: runs, new loops, the demo."""

from __future__ import annotations

from tui_loop.cli.hosting import AppRuns
from tui_loop.core.store import LoopFolder, LoopsFolder
from tui_loop.tui.backend import NewLoop, Understood


class AppBackend(AppRuns):
    """Stands behind the app (`tui.backend.Backend`)."""

    def models(self) -> list[str]:
        """Names of models that are at hand."""
        return ["tiny"]

    def metrics(self) -> list[str]:
        """Names of the metrics that outputs can be scored by."""
        raise NotImplementedError

    def understand(self, loops: LoopsFolder, wanted: NewLoop) -> Understood:
        """Reads a new loop's data; raises TuiLoopError."""
        raise NotImplementedError

    def create(self, loops: LoopsFolder, wanted: NewLoop) -> LoopFolder:
        """Creates a loop; raises TuiLoopError."""
        raise NotImplementedError

    def demo(self, loops: LoopsFolder) -> LoopFolder:
        """A recorded loop to look around in, laid out beside the others."""
        raise NotImplementedError
