"""Locks GPUs among all runs and users of a machine: one file for each GPU, locked by `flock`.

The folder is writable for everyone, like /tmp. So links are not followed, and a file that is not a
plain one is not used. The kernel releases the lock of a process that is killed. The content of a
file only says who holds it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from tui_loop.core.record.codec import to_json
from tui_loop.core.text.untrusted import one_line

FOLDER = Path("/tmp/tui-loop-gpus")
FOLDER_VARIABLE = "TUI_LOOP_GPU_LOCKS"
"""Names another folder, for a cluster whose jobs each have a /tmp of their own."""

TOUCH_SECONDS = 3600.0
"""Systems remove files of /tmp that are some days old."""

TRIES, TRY_SECONDS = 20, 0.005
RUN_CELLS = 60
_READ_BYTES = 4096
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NoLock(Exception):
    """The lock file of a GPU cannot be used; the message says why."""


class GpuOwner(msgspec.Struct, frozen=True):
    """The process that holds the lock of a GPU. `run`: its `LOOP/N`; `since` in unix seconds."""

    pid: int
    uid: int
    run: str
    since: float


class GpuLock:
    """The lock of one GPU, held from its creation to `release`."""

    def __init__(self, descriptor: int, run: str) -> None:
        self._descriptor = descriptor
        self._released = threading.Event()
        owner = GpuOwner(os.getpid(), os.getuid(), run, round(time.time(), 3))
        with suppress(OSError):  # the lock holds without a name, too
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, to_json(owner) + b"\n", 0)
        threading.Thread(target=self._keep_fresh, name="gpu-lock", daemon=True).start()

    def release(self) -> None:
        """Gives the GPU back; a second call does nothing."""
        if self._released.is_set():
            return
        self._released.set()
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
        # A child that still lives would keep the lock through its copy of the descriptor.
        with suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)

    def _keep_fresh(self) -> None:
        while not self._released.wait(TOUCH_SECONDS):
            with suppress(OSError):
                os.utime(self._descriptor)


def lock_folder() -> Path:
    """Returns the folder of the lock files."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else FOLDER


def acquire(uuid: str, run: str) -> GpuLock | None:
    """Returns the lock of a GPU, None where another process holds it; raises NoLock."""
    for _ in range(TRIES):
        descriptor = _opened(uuid, create=True)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # held, or being checked, which takes microseconds
            os.close(descriptor)
            time.sleep(TRY_SECONDS)
            continue
        except OSError as error:
            os.close(descriptor)
            raise NoLock(f"{lock_folder()}: {error.strerror}") from error
        if _is_in_place(uuid, descriptor):
            return GpuLock(descriptor, run)
        os.close(descriptor)
    return None


def is_locked(uuid: str) -> bool:
    """Whether a process holds the lock of a GPU; False where its file cannot be read."""
    try:
        descriptor = _opened(uuid, create=False)
    except (NoLock, FileNotFoundError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def owner_of(uuid: str) -> GpuOwner | None:
    """Returns who holds the lock of a GPU, None where nobody does or the file does not say it."""
    if not is_locked(uuid):
        return None
    with suppress(NoLock, OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        descriptor = _opened(uuid, create=False)
        try:
            content = os.pread(descriptor, _READ_BYTES, 0)
        finally:
            os.close(descriptor)
        owner = msgspec.json.decode(content, type=GpuOwner)
        return msgspec.structs.replace(owner, run=one_line(owner.run, RUN_CELLS))
    return None


def _opened(uuid: str, *, create: bool) -> int:
    """Opens the lock file; raises NoLock, or FileNotFoundError without `create`."""
    path = lock_folder()
    try:
        folder = _open_folder(path, create=create)
    except FileNotFoundError as error:
        if create:
            raise NoLock(f"{path}: {error.strerror}") from error
        raise
    except OSError as error:
        raise NoLock(f"{path}: {error.strerror}") from error
    try:
        descriptor = _open_file(folder, _file_name(uuid), create=create)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NoLock(f"{path / _file_name(uuid)}: {error.strerror}") from error
    finally:
        os.close(folder)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise NoLock(f"{path / _file_name(uuid)}: not a plain file")
    return descriptor


def _open_folder(path: Path, *, create: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another run was first
        path.mkdir(mode=0o1777)
        path.chmod(0o1777)  # the mask of the process took some of it
    return os.open(path, flags)


def _open_file(folder: int, name: str, *, create: bool) -> int:
    """Opens or creates a file in an open folder; raises OSError.

    Another run may have just created the folder or the file and not yet opened it to all users:
    then it is tried again.
    """
    refused: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    for _ in range(TRIES):
        # First without O_CREAT: in a sticky folder, Linux refuses it for the file of another user.
        for access in (os.O_RDWR, os.O_RDONLY):  # to lock a file, reading it is enough
            try:
                return os.open(name, access | _FLAGS, dir_fd=folder)
            except PermissionError as error:
                refused = error
            except FileNotFoundError:
                break
        else:
            time.sleep(TRY_SECONDS)
            continue
        if not create:
            break
        try:
            new = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666, dir_fd=folder)
        except FileExistsError:
            continue
        except PermissionError as error:
            refused = error
            time.sleep(TRY_SECONDS)
            continue
        os.fchmod(new, 0o666)  # the mask of the process took some of it
        return new
    raise refused


def _is_in_place(uuid: str, descriptor: int) -> bool:
    """Whether the locked file is still the one that others would open."""
    try:
        now = os.lstat(lock_folder() / _file_name(uuid))
    except OSError:
        return False
    mine = os.fstat(descriptor)
    return (now.st_dev, now.st_ino) == (mine.st_dev, mine.st_ino)


def _file_name(uuid: str) -> str:
    return re.sub(r"[^\w-]", "_", uuid, flags=re.ASCII)[:100] + ".lock"
