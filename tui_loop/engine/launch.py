"""Starting a run host as a process in a session of its own. Imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tui_loop.core.store import LoopFolder


def start_host(
    loop: LoopFolder, numbers: list[int], *, allow_code: bool
) -> subprocess.Popen[bytes]:
    """A process that runs these iterations in order and outlives this one."""
    command = [sys.executable, "-P", "-m", "tui_loop.engine.host", str(loop.path.resolve())]
    command += [str(number) for number in numbers]
    if allow_code:
        command.append("--allow-code")
    log: Path = loop.iteration(numbers[0]).output
    with log.open("ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
