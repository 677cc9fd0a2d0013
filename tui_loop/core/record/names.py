"""Valid names of loops, and how the command line names a loop or an iteration."""

from __future__ import annotations

import re

from tui_loop.core.commands import COMMANDS
from tui_loop.core.errors import BadInput
from tui_loop.core.text.untrusted import one_line

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_loop_name(name: str) -> None:
    """Raises BadInput unless a loop can be opened under `name`.

    Command words pass: a loop may be older than the command that its name has become.
    """
    alone, slash, number = name.partition("/")
    if slash and _NAME.fullmatch(alone) and re.fullmatch(r"\d+", number, re.ASCII):
        raise BadInput(
            f"{name} is an iteration, but a loop is needed here", f"omit /{number}: {alone}"
        )
    if not _NAME.fullmatch(name) or ".." in name:
        raise BadInput(
            f"{one_line(name, 80)!r} cannot be a loop's name",
            "use lower-case letters, digits, '.', '_' and '-', starting with a letter or digit",
        )


def check_new_loop_name(name: str) -> None:
    """Raises BadInput unless a loop may be created under `name`."""
    check_loop_name(name)
    if name in COMMANDS:
        raise BadInput(f"{name!r} is a command, not a loop's name", f"try {name}-loop")


def split_target(target: str) -> tuple[str, int | None]:
    """Splits `loop/3` or `loop/003` to ("loop", 3), `loop` to ("loop", None); raises BadInput."""
    name, slash, number = target.partition("/")
    check_loop_name(name)
    if not slash:
        return name, None
    if not re.fullmatch(r"\d{1,6}", number, re.ASCII):
        raise BadInput(f"{one_line(target, 80)!r}: the iteration must be a number", f"{name}/1")
    return name, int(number)
