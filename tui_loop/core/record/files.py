"""Writes files that are either old or new, never half: atomic writes, whole lines, digests.

`git stash` or `git checkout` may take an iteration's folder away while its run goes on. A file
that somebody edits stays as it was edited; one that is gone is written again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from platformdirs import user_state_path

from tui_loop.core.errors import BadInput
from tui_loop.core.record.safe_open import SMALL_FILE_BYTES, check_regular, read_bounded


def user_state_folder() -> Path:
    """Where the program remembers things for this user; TUI_LOOP_STATE moves it."""
    chosen = os.environ.get("TUI_LOOP_STATE")
    return Path(chosen) if chosen else user_state_path("tui-loop", appauthor=False)


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _read_umask()  # once: the call changes it for every thread


def write_atomically(path: Path, data: bytes | str, *, is_durable: bool = True) -> None:
    """Replaces `path` by `data` so that a crash leaves the old file or the new one.

    What may be lost with the power need not be durable, and is not waited for.
    Raises OSError, with the old file as it was and nothing beside it, where there is no room.
    """
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_UMASK)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            Path(name).unlink(missing_ok=True)
        raise
    if is_durable:
        sync_folder(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Adds `line` and its newline to a record file, durably; a half line before it is ended first.

    Raises BadInput where no regular file stands at `path`, OSError where there is no room.
    """
    check_regular(path)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        data = b"\n" * torn + line + b"\n"
        if os.write(descriptor, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if size == 0:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` durable, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def read_small(path: Path) -> bytes:
    """The whole of a record file; raises BadInput for one that cannot be a record."""
    return read_bounded(path, SMALL_FILE_BYTES)


def sha256_of(path: Path) -> str:
    """The hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(text: str, length: int = 12) -> str:
    """The first `length` hex digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


class FileGuard:
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
