"""Notices that somebody has renamed or moved a folder while a run writes into it.

A folder that was removed instead, as `git stash` may do, has no new place.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path

_PATH_BYTES = 1024
"""PATH_MAX of macOS."""


class FolderPlace:
    """Holds a folder open, and so knows it wherever it is."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where the folder cannot be opened."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):
            os.close(self._descriptor)

    @property
    def moved_to(self) -> Path | None:
        """Returns the folder's new path, None where it is in its place or does not exist."""
        try:
            if self._is_at(self.path):
                return None
            path = self._current_path()
            return path if self._is_at(path) else None
        except OSError:
            return None

    def _is_at(self, path: Path) -> bool:
        mine = os.fstat(self._descriptor)
        try:
            there = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def _current_path(self) -> Path:
        """Returns the path as the system knows it; it may be that of a removed folder."""
        if sys.platform == "darwin":
            found = fcntl.fcntl(self._descriptor, fcntl.F_GETPATH, bytes(_PATH_BYTES))
            return Path(os.fsdecode(found.rstrip(b"\0")))
        return Path(os.readlink(f"/proc/self/fd/{self._descriptor}"))
