"""Reads plain text: a row is a paragraph, or a line where no blank line separates any."""

from __future__ import annotations

from pathlib import Path

from tui_loop.core.data.files.content import FileContent, ReadOptions
from tui_loop.core.data.files.opening import opened
from tui_loop.core.data.rows import RawRow

COLUMN = "text"


def read_text(path: Path, options: ReadOptions) -> FileContent:
    """Reads all rows of a text file; raises BadInput where it cannot be read."""
    with opened(path, options.encoding) as stream:
        lines = stream.read().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    paragraphs: list[RawRow] = []
    part: list[str] = []
    start = 0
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            start = start if part else number
            part.append(line)
        elif part:
            paragraphs.append(RawRow(start, {COLUMN: "\n".join(part)}))
            part = []
    if len(paragraphs) == 1:
        rows = [RawRow(at, {COLUMN: line}) for at, line in enumerate(lines, 1) if line.strip()]
        return FileContent({"": rows}, ("each line is read as a row",))
    return FileContent({"": paragraphs}, ("each paragraph is read as a row",))
