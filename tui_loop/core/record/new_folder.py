"""Creates folders completely or not at all, and removes what killed creations left.

A folder is filled under a temporary name beside its place and then renamed. Its maker holds a lock
on it meanwhile, so that a later creation can tell a leftover from one that is being filled.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tui_loop.core.record.files import errors_name, sync_folder

PREFIX = ".new-"
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
"""What a rename onto something else than an empty folder gives, by system."""


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yields an empty folder that becomes `target` at the end, or is removed on an error.

    An empty folder at `target` is replaced. Raises FileExistsError where `target` has content by
    then, OSError where the disk refuses.
    """
    remove_leftovers(target.parent)
    with errors_name(target):
        temporary, lock = _locked_folder(target.parent)
    try:
        yield temporary
        _rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)
    sync_folder(target.parent)


def _rename(temporary: Path, target: Path) -> None:
    try:
        with errors_name(target):
            os.rename(temporary, target)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary folders in `folder` whose makers are gone; never raises."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if is_temporary(name):
                _remove_if_left(folder / name)


def is_temporary(name: str) -> bool:
    """Whether a folder of this name is being created, or was when its maker was killed."""
    return name.startswith(PREFIX)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """Makes a folder with a new name and locks it; returns it with the lock's descriptor."""
    while True:
        path = parent / f"{PREFIX}{secrets.token_hex(4)}"
        os.mkdir(path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:  # another creation took it for a leftover
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another creation is about to remove it
            os.close(descriptor)
            continue
        except OSError:  # a file system without locks, where leftovers stay
            pass
        if path.exists():
            return path, descriptor
        os.close(descriptor)


def _remove_if_left(path: Path) -> None:
    """Removes a temporary folder unless its maker still holds it."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)
