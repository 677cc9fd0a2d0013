"""Every error that a user may see, each with its exit code.

TuiLoopError
├── RunFailed (1)     a run ended as failed
├── BadInput (2)      a usage, file, config or model that cannot be used
├── RunStopped (3)    a run ended because somebody asked for it
├── NotFound (4)      no such loop or iteration
└── NeedsExtra (5)    an optional part of the installation is missing
"""

from __future__ import annotations

import shutil


class TuiLoopError(Exception):
    """What happened (`message`) and what to do about it (`hint`), each fit for one line."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RunFailed(TuiLoopError):
    exit_code = 1


class BadInput(TuiLoopError):
    exit_code = 2


class RunStopped(TuiLoopError):
    exit_code = 3


class NotFound(TuiLoopError):
    exit_code = 4


class NeedsExtra(TuiLoopError):
    exit_code = 5

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the '{extra}' extra, which is not installed",
            f'pip install "tui-loop[{extra}]"',
        )


def file_error(error: OSError) -> BadInput:
    """Returns an OSError as the BadInput that it is for the user, who can fix the file."""
    place = f"{error.filename}: " if error.filename else ""
    reason = error.strerror or str(error)
    if isinstance(error, shutil.Error):  # of a copied folder: (source, target, reason) a file
        [(_, target, reason), *_] = error.args[0]
        place = f"{target}: "
    return BadInput(f"{place}{reason}", "check the path, its permissions and the disk space")
