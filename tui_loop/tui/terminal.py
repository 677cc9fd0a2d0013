"""The terminal that the app draws on, and nothing else may write to.

The app draws on a descriptor of its own; 1 and 2 point at a file, so that neither Python code
nor C code of any library reaches the screen. In a locale without UTF-8 arrows and the like are
spelled out where text is laid out (`cells`), and every sign outside ASCII leaves as a plain one.
"""

from __future__ import annotations

import codecs
import io
import locale
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tui_loop.core.errors import BadInput
from tui_loop.core.text.plain_ascii import SIGNS
from tui_loop.core.text.secrets import redact_file
from tui_loop.tui.cells import spell_out, width_of

PLAIN = "tui_loop_plain"


def is_ascii_locale() -> bool:
    """Whether the user's locale has no UTF-8; Python's own UTF-8 mode does not count."""
    told = next((os.environ[n] for n in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(n)), "")
    if told:
        return "utf" not in told.lower()
    return "utf" not in (locale.getlocale()[1] or "").lower() and not sys.flags.utf8_mode


def plain(error: UnicodeError) -> tuple[str, int]:
    """An ASCII sign of the same width for what ASCII lacks; a codec's error handler."""
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return "".join(SIGNS.get(sign, "?" * width_of(sign)) for sign in signs), error.end


codecs.register_error(PLAIN, plain)


def require_terminal() -> None:
    """Raises BadInput where there is no terminal."""
    if not (os.isatty(0) and (os.isatty(1) or os.isatty(2))):
        raise BadInput(
            "the app needs a terminal for its input and output",
            "tui-loop --help lists commands that need none",
        )


class _Screen(io.FileIO):
    """The terminal's descriptor: writes go out whole, and a terminal that has gone takes all."""

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

    def let_go(self) -> None:
        """Nothing of this process reads or writes the terminal from here on."""
        with suppress(OSError):
            self.stream.flush()
        void = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, self.stream.fileno(), *self._kept):
            os.dup2(void, descriptor)
        os.close(void)


@contextmanager
def own_terminal(log: Path, *, ascii_only: bool) -> Iterator[Terminal]:
    """The terminal for the app alone; meanwhile 1 and 2 end in `log`."""
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
    """The file that stray output goes to; the void where there is no room for one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
