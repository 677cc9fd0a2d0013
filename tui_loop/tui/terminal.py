"""The terminal of the app: its stream, its driver, and an editor that borrows it."""

from __future__ import annotations

import codecs
import io
import locale
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

from tui_loop.core.errors import BadInput
from tui_loop.core.text.plain_ascii import SIGNS
from tui_loop.core.text.secrets import redact_file
from tui_loop.tui.cells import spell_out, width_of

PLAIN = "tui_loop_plain"


def is_ascii_locale() -> bool:
    """Whether the user's locale has no UTF-8; Python's own UTF-8 mode does not count."""
    name = next((os.environ[n] for n in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(n)), "")
    if name:
        return "utf" not in name.lower()
    return "utf" not in (locale.getlocale()[1] or "").lower() and not sys.flags.utf8_mode


def plain(error: UnicodeError) -> tuple[str, int]:
    """Error handler of a codec: replaces other signs by ASCII ones of the same width."""
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return "".join(SIGNS.get(sign, "?" * width_of(sign)) for sign in signs), error.end


codecs.register_error(PLAIN, plain)


def require_terminal() -> None:
    """Raises BadInput where there is no terminal."""
    if not (os.isatty(0) and (os.isatty(1) or os.isatty(2))):
        raise BadInput(
            "the app needs a terminal for its input and output",
            "tui-loop --help lists commands that need no terminal",
        )


class _Screen(io.FileIO):
    """The terminal's descriptor: writes are never partial, and ignored once it is closed."""

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            try:
                rest = rest[os.write(self.fileno(), rest) :]
            except OSError:
                break
        return size


class Terminal:
    """The app's own terminal: `stream` draws on it."""

    def __init__(self, stream: io.TextIOWrapper, kept: tuple[int, int]) -> None:
        self.stream = stream
        self._kept = kept

    def detach(self) -> None:
        """Detaches this process from the terminal; later reads and writes do not reach it."""
        with suppress(OSError):
            self.stream.flush()
        void = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, self.stream.fileno(), *self._kept):
            os.dup2(void, descriptor)
        os.close(void)


@contextmanager
def own_terminal(log: Path, *, ascii_only: bool) -> Iterator[Terminal]:
    """Reserves the terminal for the app; meanwhile descriptors 1 and 2 write to `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    screen = os.dup(1 if os.isatty(1) else 2)
    kept = os.dup(1), os.dup(2)
    target = _open_log(log)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    spell_out(ascii_only)
    encoding, errors = ("ascii", PLAIN) if ascii_only else ("utf-8", "replace")
    stream = io.TextIOWrapper(
        _Screen(screen, "w", closefd=True), encoding=encoding, errors=errors, newline=""
    )
    try:
        yield Terminal(stream, kept)
    finally:
        spell_out(False)
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, old in zip((1, 2), kept, strict=True):
            os.dup2(old, descriptor)
            os.close(old)
        redact_file(log)


def _open_log(path: Path) -> int:
    """Opens the file for stray output, or /dev/null where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def driver_on(
    stream: io.TextIOWrapper, *, can_stop: Callable[[], bool], is_ending: Callable[[], bool]
) -> type[LinuxDriver]:
    """A driver that draws on `stream`.

    `can_stop`: whether a shell is waiting that could continue the app. `is_ending`: whether the
    app is about to exit because of a signal.
    """

    class TerminalDriver(LinuxDriver):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._file = stream

        @property
        def _is_suspended(self) -> bool:
            """Whether the shell has the terminal again."""
            return self._must_signal_resume

        def _sigtstp_application(self, *arguments: Any) -> None:
            """Ignores SIGTSTP where no shell waits, as the system does by default."""
            if can_stop():
                super()._sigtstp_application(*arguments)

        def _sigcont_application(self, *arguments: Any) -> None:
            """Sets the screen up again, unless the app is ending.

            After the shell's `bg` the app suspends itself again, since it may not draw. After
            SIGSTOP the screen is still set up: its threads end first, or two would read the keys.
            """
            if is_ending() or not self._auto_restart:  # or an editor has the screen
                return
            if _is_in_background(self.fileno):
                os.kill(os.getpid(), signal.SIGSTOP)
                return  # the next SIGCONT calls this method again
            if not self._is_suspended:
                self.suspend_application_mode()
                self._must_signal_resume = True
            super()._sigcont_application(*arguments)

        def disable_input(self) -> None:
            if not self._is_suspended:
                super().disable_input()

        def stop_application_mode(self) -> None:
            """Restores the terminal, except where the app ends while it is suspended."""
            if not self._is_suspended:
                super().stop_application_mode()

        def _get_terminal_size(self) -> tuple[int, int]:
            try:
                size = os.get_terminal_size(stream.fileno())
            except OSError:
                return 80, 24
            return (size.columns, size.lines) if size.columns else (80, 24)

    return TerminalDriver


def _is_in_background(terminal: int) -> bool:
    """Whether the terminal belongs to another job."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # it was closed
        return False


# fmt: off
_PLUS = frozenset((
    "vi", "vim", "nvim", "view", "gvim", "mvim", "vimx", "vis", "elvis",
    "nano", "pico", "rnano", "emacs", "emacsclient", "mg", "jed", "zile", "micro",
    "joe", "jmacs", "jstar", "jpico", "kak", "ne", "mcedit", "gedit", "ee",
))
# fmt: on
"""`+LINE path`."""

_GOTO = frozenset(["code", "code-insiders", "code-oss", "codium", "vscodium", "cursor", "windsurf"])
"""`-g path:line`."""

_COLON = frozenset(["subl", "sublime_text", "hx", "helix", "zed", "zeditor"])
"""`path:line`."""

_OPTION = {"kate": "--line", "kwrite": "--line", "idea": "--line", "pycharm": "--line"}
"""`--line LINE path`."""


def opening_words(
    path: Path, line: int | None = None, environ: Mapping[str, str] | None = None
) -> list[str]:
    """The command for $VISUAL, else $EDITOR, else vi; an unknown editor gets the path alone."""
    words = _editor(os.environ if environ is None else environ)
    place = (
        str(path) if not str(path).startswith("-") else f"./{path}"
    )  # or an editor takes it for an option
    if line is None or line < 1:
        return [*words, place]
    name = os.path.basename(words[0]).lower().partition(".")[0]  # vim.basic, code.exe
    if name in _PLUS:
        return [*words, f"+{line}", place]
    if name in _GOTO:
        return [*words, "-g", f"{place}:{line}"]
    if name in _COLON:
        return [*words, f"{place}:{line}"]
    if name in _OPTION:
        return [*words, _OPTION[name], str(line), place]
    return [*words, place]


def _editor(environ: Mapping[str, str]) -> list[str]:
    for name in ("VISUAL", "EDITOR"):
        command = environ.get(name, "")
        try:
            words = shlex.split(command)
        except ValueError:  # an unclosed quote
            words = command.split()
        if words and words[0]:
            return words
    return ["vi"]
