"""Where a report is written: never over a file that is none."""

from __future__ import annotations

import os
from pathlib import Path

from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.loop_folder import LoopFolder
from tui_loop.core.report.facts import Report
from tui_loop.core.report.formats import Format, is_report, written
from tui_loop.core.report.gathering import report_of


def write_report(loop: LoopFolder, path: Path, kind: Format, *, is_forced: bool = False) -> Report:
    """Writes a loop's report and gives it; raises BadInput where it would cost somebody a file."""
    check_place(path, is_forced=is_forced)
    report = report_of(loop)
    write_atomically(path, written(report, kind))
    return report


def check_place(path: Path, *, is_forced: bool) -> None:
    """Raises BadInput where a report cannot be written, or would cost somebody a file."""
    if not path.parent.is_dir():
        raise BadInput(f"{path}: there is no folder {path.parent}", "make it, or name another one")
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file():
        raise BadInput(f"{path}: is no regular file", "name another one, or print it with -o -")
    if not is_forced and not is_report(path):
        raise BadInput(f"{path}: is there already, and is no report", "--force replaces it")
