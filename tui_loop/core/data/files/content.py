"""What a file of rows contains, and how it is to be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from tui_loop.core.data.files.streamed_rows import RawRows
from tui_loop.core.text.untrusted import one_line

AUTO = "auto"

FIX_LINE = "fix the line or remove it, then try again"
"""The hint on a line that cannot be read."""

_LISTED = 6
"""Names that a message lists."""


class ReadOptions(msgspec.Struct, frozen=True):
    """How files are read, from the config's `data` group.

    `encoding`: of text; auto is UTF-8, or UTF-16 where a byte-order mark says so. `header`: whether
    the first line of a CSV file names its columns; auto: its values decide.
    """

    encoding: str = AUTO
    header: Literal["auto", "yes", "no"] = "auto"


class FileContent(msgspec.Struct, frozen=True):
    """The rows of a file by split; `""` where it has no splits.

    `notes`: what was detected and may surprise, each a clause about the file.
    """

    splits: Mapping[str, RawRows]
    notes: tuple[str, ...] = ()


def listed(names: Iterable[str]) -> str:
    """Returns names of columns or of members as a message has them: `'train', 'test'`."""
    found = [repr(one_line(name, 40)) for name in names]
    more = [f"{len(found) - _LISTED} more"] if len(found) > _LISTED else []
    return ", ".join([*found[:_LISTED], *more])
