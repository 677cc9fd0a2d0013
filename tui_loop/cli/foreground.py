"""A parent process in the foreground, so that the app can leave the terminal without ending.

The shell waits for the parent; the app is its child. When the app releases the terminal, the parent
ends and the shell shows its prompt again, while the child finishes the run that it hosts.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from contextlib import suppress
from typing import Any

RELEASED = signal.SIGURG
"""The child sends it when it has left the terminal. Its default action is to do nothing, and no one
sends it to end a process, unlike SIGUSR1, which batch systems use for that."""

RESET = b"\x1b[<u" + b"".join(
    b"\x1b[?%s" % mode
    for mode in (b"2004l", b"1000l", b"1003l", b"1006l", b"1004l", b"7h", b"1049l", b"25h")
)
"""Resets the modes that a killed app leaves: keyboard, paste, mouse, focus, wrap, alternate
screen."""


class Foreground:
    """The child's view of the parent process that holds the foreground for it."""

    def __init__(self, parent: int) -> None:
        self._parent = parent

    def is_alive(self) -> bool:
        """Whether the parent runs and its terminal has not hung up."""
        if os.getppid() != self._parent:
            return False
        watch = select.poll()
        watch.register(0, 0)  # no event is needed: poll() always reports a hang-up and an error
        return not any(event & (select.POLLHUP | select.POLLERR) for _, event in watch.poll(0))

    def release(self) -> None:
        """Leaves the terminal's session and makes the parent end."""
        with suppress(OSError):  # already a session leader
            os.setsid()
        if os.getppid() == self._parent:
            with suppress(ProcessLookupError):  # the parent may have ended since the check
                os.kill(self._parent, RELEASED)


def can_stop() -> bool:
    """Whether a shell would notice that this process stopped, and could continue it.

    There is no such shell where the program leads its session (`ssh -t HOST tui-loop`, `xterm -e`,
    a container), or where its process group is orphaned (no parent is in the same session).
    """
    import psutil

    group, session, pid = os.getpgrp(), os.getsid(0), os.getpid()
    try:
        while pid > 0 and os.getpgid(pid) == group:
            pid = psutil.Process(pid).ppid()
        return pid > 0 and os.getsid(pid) == session
    except (OSError, psutil.Error):
        return False


def enter_child() -> Foreground:
    """Forks before anything heavy is imported; returns in the child only.

    The parent passes signals on, stops together with the child where a shell waits, and ends with
    the child's exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = 0
    handled = (signal.SIGTERM, signal.SIGHUP, RELEASED)
    signal.pthread_sigmask(signal.SIG_BLOCK, handled)  # until both sides can handle them
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
        return Foreground(parent)

    import psutil  # noqa: F401  (imported here: a signal handler must not interrupt its import)

    def pass_on(number: int, _: Any) -> None:
        with suppress(ProcessLookupError):
            if number != signal.SIGCONT:
                os.kill(child, number)
            if _is_stopped(child):  # else it could not act on the signal
                os.kill(child, signal.SIGCONT)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
        signal.signal(number, pass_on)
    for number in (signal.SIGINT, signal.SIGTSTP):  # the terminal sends them to the child as well
        signal.signal(number, signal.SIG_IGN)
    signal.signal(RELEASED, lambda *_: os._exit(0))
    modes, screen = _terminal_modes(), _redirect_output()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
    os._exit(_wait_for(child, modes, screen))


def _wait_for(child: int, modes: list[Any] | None, screen: int) -> int:
    """Waits for the child and returns its exit code; restores the terminal of a killed child."""
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            if can_stop():  # the shell notices once the whole job has stopped; `fg` continues it
                os.killpg(0, signal.SIGTSTP)
                os.kill(os.getpid(), signal.SIGSTOP)  # this process ignores SIGTSTP
            continue
        if os.WIFEXITED(status):
            return os.WEXITSTATUS(status)
        break
    killed_by = os.WTERMSIG(status)
    with suppress(OSError, termios.error):
        os.write(screen, RESET)
        if modes is not None:
            termios.tcsetattr(0, termios.TCSANOW, modes)
        os.write(
            screen,
            f"error: the app was killed by signal {killed_by}\nhint: a run inside the app was "
            "interrupted; resume it with tui-loop resume LOOP/N\n".encode(),
        )
    return 128 + killed_by  # as a shell reports it


def _is_stopped(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _redirect_output() -> int:
    """Points stdout and stderr at /dev/null and returns a descriptor of the terminal.

    The child owns the screen now, so nothing that the parent prints may reach it.
    """
    screen = os.dup(2 if os.isatty(2) else 1)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    os.close(devnull)
    return screen


def _terminal_modes() -> list[Any] | None:
    try:
        return termios.tcgetattr(0)
    except termios.error:
        return None
