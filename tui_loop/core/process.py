"""The operating system's side of a run: what may end it without a terminal, and its signals."""

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
"""Where KillUserProcesses can be set: whether logind kills the processes of an ended session."""

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


def dangers_to_background() -> list[str]:
    """Lists what may end a run without a terminal on this machine, each as a sentence."""
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
    """Lists them from these facts."""
    found = []
    if kills_user_processes and in_session:
        found.append(
            "logind kills all processes when a session ends (KillUserProcesses=yes); "
            "loginctl enable-linger prevents this"
        )
    if job := environment.get("SLURM_JOB_ID"):
        found.append(
            f"this is SLURM job {job}: the run ends with the job step or at its time limit"
        )
    is_near_init = 1 in ancestors[:3] or pid == 1
    if in_container and is_near_init and not environment.get("TMUX"):
        found.append("this shell is the container's first process: the run ends with the shell")
    return found


def _kills_user_processes(paths: Iterable[str]) -> bool:
    """Returns logind's KillUserProcesses; later files override earlier ones."""
    value = False
    for name in paths:
        path = Path(name)
        for file in sorted(path.glob("*.conf")) if path.is_dir() else [path]:
            try:
                text = file.read_text(errors="replace")
            except OSError:
                continue
            settings = re.findall(r"(?mi)^\s*KillUserProcesses\s*=\s*(\w+)", text)
            if settings:
                value = settings[-1].lower() in ("yes", "true", "on", "1")
    return value


def _is_in_session() -> bool:
    """Whether this process belongs to a login session that logind may clean up."""
    try:
        return "session-" in Path("/proc/self/cgroup").read_text()
    except OSError:
        return False


def _lingers() -> bool:
    """Whether logind keeps this user's processes after the last session."""
    user = os.environ.get("USER", "")
    return bool(user) and "/" not in user and Path("/var/lib/systemd/linger", user).exists()


def _ancestors() -> list[int]:
    """Returns process ids from the parent upwards."""
    import psutil

    try:
        return [parent.pid for parent in psutil.Process().parents()]
    except psutil.Error:
        return []


def treat_user_signals_as_termination() -> None:
    """Makes SIGUSR1 and SIGUSR2 act as SIGTERM in this process, with its handler at that time.

    Batch systems send them before a time limit or a preemption (`sbatch --signal=USR1@120`); by
    default they kill the process. It has no effect outside the main thread, which alone can set
    handlers.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, _terminate)


def _terminate(*_: Any) -> None:
    signal.raise_signal(signal.SIGTERM)
