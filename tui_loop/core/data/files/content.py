"""What a file of rows contains, and how it is to be read."""

from __future__ import annotations

from typing import Literal

import msgspec

from tui_loop.core.data.rows import RawRow

AUTO = "auto"


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

    splits: dict[str, list[RawRow]]
    notes: tuple[str, ...] = ()
