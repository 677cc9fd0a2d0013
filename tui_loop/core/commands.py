"""The program's commands, and texts that name one.

A hint says what to do next. On the command line that is a command to type, in the app a key to
press. So core and engine put a command into a text as data, by `command("resume", "chat/3")`, and
each front end spells it out by `rendered`. A text that nobody renders, in a journal for example,
still reads well: the command is between backticks, as in Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Callable

PROGRAM = "tui-loop"

COMMANDS = (
    "open",
    "demo",
    "new",
    "check",
    "run",
    "resume",
    "queue",
    "auto",
    "stop",
    "pause",
    "continue",
    "evaluate",
    "checkpoint",
    "list",
    "status",
    "show",
    "progress",
    "log",
    "failures",
    "compare",
    "diagnose",
    "audit",
    "patterns",
    "ready",
    "close",
    "fresh",
    "rescore",
    "ask",
    "retry",
    "suspects",
    "nearest",
    "label",
    "note",
    "reason",
    "report",
    "keys",
    "fetch",
    "doctor",
)
"""Every command, in the order of `--help`."""

_IN_TEXT = re.compile(rf"`{PROGRAM} ([a-z0-9][^\s`]*)((?: [^`\n]*)?)`")


def command(name: str, *arguments: object) -> str:
    """Returns a command with its arguments, as a text has it: `command("show", "chat", "--json")`.

    Raises ValueError where there is no such command.
    """
    if name not in COMMANDS:
        raise ValueError(f"no command {name!r}")
    return f"`{' '.join([PROGRAM, name, *map(str, arguments)])}`"


def open_command(loop: str) -> str:
    """Returns the command that opens the app on a loop."""
    return command("open", loop) if loop in COMMANDS else f"`{PROGRAM} {loop}`"


def rendered(text: str, spell: Callable[[str, str], str]) -> str:
    """Returns `text` with `spell(name, arguments)` in place of each command.

    `name` is a command, or a loop that the app opens.
    """
    return _IN_TEXT.sub(lambda found: spell(found[1], found[2].strip()), text)


def shell_text(text: str) -> str:
    """Returns `text` with each command as it is typed in a shell."""
    return rendered(text, lambda name, arguments: f"{PROGRAM} {name} {arguments}".rstrip())
