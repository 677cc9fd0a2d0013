"""The words that open a file in the user's editor, at a line where that editor can."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

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
    place = str(path) if not str(path).startswith("-") else f"./{path}"  # no option of the editor
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
        except ValueError:  # a quote without its other half
            words = command.split()
        if words and words[0]:
            return words
    return ["vi"]
