"""The archive of the planted records (`tests/planted.tar.xz`): packing, unpacking."""

from __future__ import annotations

import lzma
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.reliability import CHECKOUT

ARCHIVE = CHECKOUT / "tests" / "planted.tar.xz"
"""The records that the tests read: `loops/` of 70 loops, 1,310 files."""


def pack(folder: Path, archive: Path) -> None:
    """Writes `folder/loops` to `archive`; equal files give equal bytes.

    Owner, mode and time of the files are left out, and the order is that of the paths.
    """
    files = sorted(path for path in (folder / "loops").rglob("*") if path.is_file())
    partial = archive.with_name(f".{archive.name}")
    with tarfile.open(partial, "w:xz", preset=9 | lzma.PRESET_EXTREME) as tar:
        for path in files:
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(member, file)
    partial.replace(archive)


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks `archive` into `folder`; raises tarfile.FilterError for a member outside it."""
    with tarfile.open(archive, "r:xz") as tar:
        tar.extractall(folder, filter="data")


@contextmanager
def unpacked() -> Iterator[Path]:
    """Gives a temporary folder with the records of the tests (`loops/`), and removes it."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        if ARCHIVE.exists():
            unpack(ARCHIVE, Path(folder))
        yield Path(folder)
