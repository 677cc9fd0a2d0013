"""Small files of a record that a live run keeps in mind, and puts back where they vanish.

`git stash` or `git checkout` may take an iteration's folder away while its run goes on. A file
that somebody edits stays as it was edited; one that is gone is written again.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tui_loop.core.errors import BadInput
from tui_loop.core.files import read_small, write_atomically


class KeptFiles:
    """Knows the content of some files as it was when they were last seen."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._known: dict[Path, tuple[int, bytes]] = {}
        self._paths = list(paths)
        self.look()

    def look(self) -> list[Path]:
        """Takes in what changed and puts back what is gone; gives what was put back."""
        back = []
        for path in self._paths:
            with suppress(OSError, BadInput):  # a disk that fails is the journal's to tell
                if self._takes_in(path):
                    continue
                if path in self._known:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(path, self._known[path][1])
                    back.append(path)
        return back

    def _takes_in(self, path: Path) -> bool:
        """Whether the file is there; its content is known then."""
        try:
            stamp = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        if self._known.get(path, (0, b""))[0] != stamp:
            self._known[path] = stamp, read_small(path)
        return True
