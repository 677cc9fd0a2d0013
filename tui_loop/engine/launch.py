"""Starting the engine's processes, each in a session of its own. Imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tui_loop.core.record.loop_folder import LoopFolder
from tui_loop.engine.launcher_variables import original_environment


def start_host(loop: LoopFolder, numbers: list[int]) -> subprocess.Popen[bytes]:
    """A process that runs these iterations in order and outlives this one."""
    command = [sys.executable, "-P", "-m", "tui_loop.engine.host", str(loop.path.resolve())]
    command += [str(number) for number in numbers]
    log: Path = loop.iteration(numbers[0]).output
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=original_environment(),
            start_new_session=True,
        )


def start_answers(
    loop: LoopFolder, numbers: Sequence[int], settings: Sequence[str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """A process that answers questions as the models of these iterations (`engine.asking`).

    It reads questions from its stdin, tells on its stdout, and ends when its stdin does. Whatever
    libraries print goes to `log`.
    """
    command = [sys.executable, "-P", "-m", "tui_loop.engine.asking", str(loop.path.resolve())]
    command += [str(number) for number in numbers]
    for setting in settings:
        command += ["--set", setting]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )


def start_look(
    loop: LoopFolder, number: int, settings: Sequence[str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """A process that looks at the holdout with an iteration's weights (`engine.holdout`).

    It tells on its stdout and ends by itself. Whatever libraries print goes to `log`.
    """
    command = [sys.executable, "-P", "-m", "tui_loop.engine.holdout", str(loop.path.resolve())]
    command.append(str(number))
    for setting in settings:
        command += ["--set", setting]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
