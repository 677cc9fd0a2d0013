"""Prints a command's output: safe text; with --json, records on stdout and the rest on stderr."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from tui_loop.core.commands import command, open_command, shell_text
from tui_loop.core.record.codec import to_pretty_json
from tui_loop.core.text import plain_ascii
from tui_loop.core.text.secrets import redacted
from tui_loop.core.text.untrusted import escaped, one_line, visible
from tui_loop.tui.cells import fit, width_of

DEFAULT_LOOPS = Path("loops")

_COMMAND = re.compile(
    r"\btui-loop (?=[a-z0-9])(?!(?:demo|doctor|fetch|keys)(?![a-z0-9._/-]*[a-z0-9]))"
)
"""The beginning of a command that reads a folder of loops; a loop may be called `demo-2`."""

_FIRST_NOTE_SECONDS, _NOTE_INTERVAL_SECONDS = 3, 5
"""Seconds before the first note on reading, and between two."""

PIPE_WIDTH = 400
"""Width of output that goes to no terminal: wide enough that tables are not cut."""

MIN_FLEXIBLE_WIDTH = 16
"""A flexible column does not get narrower than this."""


class Output:
    """The output of one command; with `--json` only records go to stdout."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.loops = DEFAULT_LOOPS

    @property
    def is_terminal(self) -> bool:
        return sys.stdout.isatty()

    @property
    def width(self) -> int:
        if not self.is_terminal:
            return PIPE_WIDTH
        return shutil.get_terminal_size((80, 24)).columns

    def record(self, value: Any) -> None:
        """Prints a record as JSON."""
        self.record_line(to_pretty_json(value).decode().rstrip("\n"))

    def record_line(self, text: str) -> None:
        """Prints JSON text, with control characters escaped."""
        line = escaped(text)
        print(line if _can_encode(sys.stdout) else plain_ascii.json_in_ascii(line), flush=True)

    def line(self, text: str = "") -> None:
        """Prints a line for people: on stdout, or on stderr where stdout carries records.

        The text may be data, so nothing in it is spelled out; see `advice`.
        """
        self._print(sys.stderr if self.as_json else sys.stdout, visible(text))

    def paragraph(self, text: str, indent: str = "") -> None:
        """Prints a line that may be long: wrapped between words, continued with an indent."""
        self.line(
            textwrap.fill(
                self._printable(one_line(shell_text(text))),
                self.width,
                initial_indent=indent,
                subsequent_indent=indent + "  ",
            )
        )

    def note(self, text: str) -> None:
        """Prints a notice on stderr."""
        self._print(sys.stderr, visible(redacted(shell_text(text))))

    def advice(self, text: str) -> None:
        """Prints a line with a command that can be copied into the shell."""
        self.line(self.spelled_out(text))

    def spelled_out(self, text: str) -> str:
        """Returns `text` with each command as it has to be typed for the folder of loops in use."""
        text = shell_text(text)
        if self.loops == DEFAULT_LOOPS:
            return text
        return _COMMAND.sub(f"tui-loop --loops {shlex.quote(str(self.loops))} ", text)

    def error(self, message: str, hint: str) -> None:
        """Prints one line that says what happened, one that says what to do; redacts secrets."""
        hint = self.spelled_out(hint)
        self._print(sys.stderr, f"error: {one_line(redacted(message), 2000)}")
        if hint:
            self._print(sys.stderr, f"hint: {one_line(redacted(hint), 500)}")

    def table(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        right: Sequence[int] = (),
        flexible: Sequence[int] = (),
    ) -> None:
        """Prints a table without its empty columns.

        Columns in `right` are right-aligned. Those in `flexible` are narrowed in this order where
        the table is too wide.
        """
        texts = [
            [self._printable(one_line(cell)) for cell in row]
            for row in [list(head), *map(list, rows)]
        ]
        columns = [column for column in range(len(head)) if any(row[column] for row in texts[1:])]
        widths = {column: max(width_of(row[column]) for row in texts) for column in columns}
        excess = sum(widths.values()) + 2 * (len(columns) - 1) - self.width
        for column in flexible:
            if column in widths and excess > 0:
                narrow = max(min(widths[column], MIN_FLEXIBLE_WIDTH), widths[column] - excess)
                excess -= widths[column] - narrow
                widths[column] = narrow
        for row in texts:
            cells = [fit(row[column], widths[column], right=column in right) for column in columns]
            self.line("  ".join(cells).rstrip())

    def _printable(self, text: str) -> str:
        """Returns `text` as it will be printed, so that its width can be measured."""
        stream = sys.stderr if self.as_json else sys.stdout
        return text if _can_encode(stream) else plain_ascii.words(text)

    def _print(self, stream: TextIO, text: str) -> None:
        print(text if _can_encode(stream) else plain_ascii.words(text), file=stream, flush=True)


def shell_hints(record: Any, *fields: str) -> Any:
    """Returns a JSON value with the commands in `fields`, at any depth, as shell commands."""
    if isinstance(record, dict):
        return {
            key: _shell_texts(value) if key in fields else shell_hints(value, *fields)
            for key, value in record.items()
        }
    if isinstance(record, list | tuple):
        return [shell_hints(each, *fields) for each in record]
    return record


def _shell_texts(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_shell_texts(each) for each in value]
    return shell_text(value) if isinstance(value, str) else value


def background_hints(loop: str) -> tuple[str, ...]:
    """Returns how to watch and how to stop what runs in the background."""
    return f"watch: {open_command(loop)}", f"stop:  {command('stop', loop)}"


def _can_encode(stream: TextIO) -> bool:
    """Whether a stream's encoding has the non-ASCII characters that this program uses."""
    return plain_ascii.can_encode(stream.encoding)


def uses_colour(stream: TextIO) -> bool:
    """Whether colour may be used on `stream`."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


class ReadingNotes:
    """Prints how many rows have been read, for those who wait for a large file."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._next = time.monotonic() + _FIRST_NOTE_SECONDS

    def __call__(self, entry: str, rows: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _NOTE_INTERVAL_SECONDS
            self._out.note(f"reading {entry}: {rows:,} rows so far")
