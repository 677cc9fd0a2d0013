"""A thin parent in the foreground, so that the app can leave its terminal and live on.

The shell waits for the parent; the app is its child. When the app lets go of the terminal, the
parent ends and the shell gets its prompt back, while the child finishes the run that it hosts.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from contextlib import suppress
from typing import Any

LETS_GO = signal.SIGURG
"""What the child sends when it has left the terminal. It does nothing by default, and nobody sends
it to end a process, as batch systems do with SIGUSR1."""

RESET = b"\x1b[<u" + b"".join(
    b"\x1b[?%s" % mode
    for mode in (b"2004l", b"1000l", b"1003l", b"1006l", b"1004l", b"7h", b"1049l", b"25h")
)
"""Leaves the modes of a screen that was killed: keyboard, paste, mouse, focus, wrap, alternate."""


class Foreground:
    """The child's side: the parent that stands in the foreground for it."""

    def __init__(self, parent: int) -> None:
        self._parent = parent

    def is_there(self) -> bool:
        """Whether the parent lives and its terminal has not hung up."""
        if os.getppid() != self._parent:
            return False
        watch = select.poll()
        watch.register(0, 0)
        return not any(event & (select.POLLHUP | select.POLLERR) for _, event in watch.poll(0))

    def let_go(self) -> None:
        """Leaves the terminal's session and lets the parent end."""
        with suppress(OSError):  # a session of its own already
            os.setsid()
        if os.getppid() == self._parent:
            with suppress(ProcessLookupError):  # it may end just now
                os.kill(self._parent, LETS_GO)


def can_stop() -> bool:
    """Whether a shell waits that would notice if this process stopped, and could continue it.

    None does where the program leads its session (`ssh -t HOST tui-loop`, `xterm -e`, a
    container), or where its process group is orphaned: nobody of the same session waits for it.
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
    """Forks before anything heavy is imported; only the child comes back from here.

    The parent passes signals on, stops with the child where a shell waits, and ends with its exit
    code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = 0
    watched = (signal.SIGTERM, signal.SIGHUP, LETS_GO)
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)  # until either side can deal with them
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)
        return Foreground(parent)

    import psutil  # noqa: F401  (now: a handler must not interrupt an import of it)

    def pass_on(number: int, _: Any) -> None:
        with suppress(ProcessLookupError):
            if number != signal.SIGCONT:
                os.kill(child, number)
            if _is_stopped(child):  # else it could not act on the signal
                os.kill(child, signal.SIGCONT)

    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
        signal.signal(each, pass_on)
    for each in (signal.SIGINT, signal.SIGTSTP):  # the child gets them too, and is followed
        signal.signal(each, signal.SIG_IGN)
    signal.signal(LETS_GO, lambda *_: os._exit(0))
    modes, screen = _modes(), _screen_alone()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)
    os._exit(_wait_for(child, modes, screen))


def _wait_for(child: int, modes: list[Any] | None, screen: int) -> int:
    """The child's exit code; a killed child's terminal is put in order."""
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            if can_stop():  # the shell notices once the whole job has stopped; `fg` wakes all
                os.killpg(0, signal.SIGTSTP)
                os.kill(os.getpid(), signal.SIGSTOP)
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
            f"error: the app was killed by signal {killed_by}\nhint: a run that lived in it is "
            "interrupted: tui-loop resume LOOP/N\n".encode(),
        )
    return 128 + killed_by


def _is_stopped(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _screen_alone() -> int:
    """A descriptor of the terminal; 1 and 2 lead nowhere: the screen is the child's now."""
    screen = os.dup(2 if os.isatty(2) else 1)
    void = os.open(os.devnull, os.O_WRONLY)
    os.dup2(void, 1)
    os.dup2(void, 2)
    os.close(void)
    return screen


def _modes() -> list[Any] | None:
    try:
        return termios.tcgetattr(0)
    except termios.error:
        return None
