"""What a run's process needs of its system: living on without a terminal, ending on a signal."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LOGIND_FILES = (
    "/etc/systemd/logind.conf",
    "/etc/systemd/logind.conf.d",
    "/run/systemd/logind.conf.d",
    "/usr/lib/systemd/logind.conf.d",
)
"""Where logind is told whether to kill what a session leaves behind."""

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


def dangers_to_background() -> list[str]:
    """What here may end a run whose terminal has gone, each in a sentence; [] where nothing."""
    return dangers(
        os.environ,
        kills_user_processes=_kills_user_processes(LOGIND_FILES) and not _lingers(),
        in_session=_is_in_session(),
        in_container=any(Path(mark).exists() for mark in CONTAINER_MARKS),
        ancestors=_ancestors(),
        pid=os.getpid(),
    )


def dangers(
    environment: Mapping[str, str],
    *,
    kills_user_processes: bool,
    in_session: bool,
    in_container: bool,
    ancestors: list[int],
    pid: int,
) -> list[str]:
    """The same for facts that are given."""
    found = []
    if kills_user_processes and in_session:
        found.append(
            "logind ends what a session leaves behind (KillUserProcesses=yes): "
            "loginctl enable-linger keeps it"
        )
    if job := environment.get("SLURM_JOB_ID"):
        found.append(f"this is SLURM job {job}: the run ends with its step or its time limit")
    holds_container = 1 in ancestors[:3] or pid == 1
    if in_container and holds_container and not environment.get("TMUX"):
        found.append("this shell is the container's first process: when it ends, so does the run")
    return found


def _kills_user_processes(places: Iterable[str]) -> bool:
    """What logind's configuration says; files of a folder come after the main one, by name."""
    answer = False
    for place in places:
        path = Path(place)
        for file in sorted(path.glob("*.conf")) if path.is_dir() else [path]:
            try:
                text = file.read_text(errors="replace")
            except OSError:
                continue
            told = re.findall(r"(?mi)^\s*KillUserProcesses\s*=\s*(\w+)", text)
            if told:
                answer = told[-1].lower() in ("yes", "true", "on", "1")
    return answer


def _is_in_session() -> bool:
    """Whether this process belongs to a login session that logind may clean up."""
    try:
        return "session-" in Path("/proc/self/cgroup").read_text()
    except OSError:
        return False


def _lingers() -> bool:
    user = os.environ.get("USER", "")
    return bool(user) and "/" not in user and Path("/var/lib/systemd/linger", user).exists()


def _ancestors() -> list[int]:
    """Process ids from the parent upwards."""
    import psutil

    try:
        return [parent.pid for parent in psutil.Process().parents()]
    except psutil.Error:
        return []


def treat_user_signals_as_termination() -> None:
    """Makes SIGUSR1 and SIGUSR2 do what SIGTERM does in this process, now and later.

    Job scripts have the batch system send them ahead of a time limit or a preemption
    (`sbatch --signal=USR1@120`); by default they kill at once. Only a main thread can do this.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, _terminate)


def _terminate(*_: Any) -> None:
    signal.raise_signal(signal.SIGTERM)
