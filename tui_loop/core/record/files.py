"""Atomic writes, durable appends, digests, and the guard that restores removed files.

`git stash` or `git checkout` may remove an iteration's folder while its run continues.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from platformdirs import user_config_path, user_state_path

from tui_loop.core.errors import BadInput
from tui_loop.core.record.folder_place import FolderPlace
from tui_loop.core.record.safe_open import SMALL_FILE_BYTES, check_regular, read_bounded


def user_state_folder() -> Path:
    """Returns the folder for per-user state; TUI_LOOP_STATE overrides it."""
    chosen = os.environ.get("TUI_LOOP_STATE")
    return Path(chosen) if chosen else user_state_path("tui-loop", appauthor=False)


def user_settings_file() -> Path:
    """Returns the path of the user's settings; TUI_LOOP_CONFIG overrides it. It may not exist."""
    chosen = os.environ.get("TUI_LOOP_CONFIG")
    return Path(chosen) if chosen else user_config_path("tui-loop", appauthor=False) / "config.toml"


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _read_umask()  # read once at import: reading it sets it for all threads for a moment


def write_atomically(path: Path, data: bytes | str, *, is_durable: bool = True) -> None:
    """Replaces the file at `path` so that a crash leaves either the old content or the new one.

    `is_durable=False` skips the sync, for files that may be lost in a power failure. Raises OSError
    without disk space, with the old file unchanged and no temporary file left.
    """
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    with errors_name(path):
        _write_atomically(path, raw, is_durable=is_durable)


def _write_atomically(path: Path, raw: bytes, *, is_durable: bool) -> None:
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
        with suppress(OSError):  # the first error is the one to report
            Path(name).unlink(missing_ok=True)
        raise
    if is_durable:
        sync_folder(path.parent)


@contextmanager
def errors_name(path: Path) -> Iterator[None]:
    """Makes every OSError name `path`: a full disk names no file, a temporary file its own."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def append_line(path: Path, line: bytes) -> None:
    """Appends `line` and a newline to a record file, durably; ends a torn line before it.

    Raises BadInput where `path` is not a regular file, OSError without disk space.
    """
    check_regular(path)
    with errors_name(path):
        _append(path, line)


def _append(path: Path, line: bytes) -> None:
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
    """Makes a rename in `folder` durable, where the system supports it."""
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
    """Reads a whole record file; raises BadInput for one that is too large or not regular."""
    return read_bounded(path, SMALL_FILE_BYTES)


def sha256_of(path: Path) -> str:
    """Returns the hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(text: str, length: int = 12) -> str:
    """Returns the first `length` hex digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


class FileGuard:
    """Remembers the content of files and restores those that are removed.

    A file that somebody edits keeps the edit. Files whose folder was moved have moved along.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._known: dict[Path, tuple[int, bytes]] = {}
        self._paths = list(paths)
        self._places: dict[Path, FolderPlace] = {}
        for folder in {path.parent for path in self._paths}:
            with suppress(OSError):
                self._places[folder] = FolderPlace(folder)
        self.check()

    def check(self) -> list[Path]:
        """Reads changed files and restores missing ones; returns the restored paths."""
        restored = []
        for path in self._paths:
            with suppress(OSError, BadInput):  # the journal reports a failing disk
                if self._read(path):
                    continue
                place = self._places.get(path.parent)
                if path in self._known and (place is None or place.moved_to is None):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(path, self._known[path][1])
                    restored.append(path)
        return restored

    def _read(self, path: Path) -> bool:
        """Reads the file if it has changed; returns whether it exists."""
        try:
            stamp = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        if self._known.get(path, (0, b""))[0] != stamp:
            self._known[path] = stamp, read_small(path)
        return True
