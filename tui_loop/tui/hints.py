"""Hints for the app: keys to press in place of commands to type."""

from __future__ import annotations

from collections.abc import Mapping

from tui_loop.core.commands import PROGRAM, rendered
from tui_loop.tui.actions import BY_ID, keys_of

ACTIONS_OF: Mapping[str, tuple[str, ...]] = {
    "run": ("run.start",),
    "check": ("run.check",),
    "check --row": ("run.check", "check.following"),
    "resume": ("run.resume",),
    "stop": ("run.stop",),
    "pause": ("run.pause",),
    "continue": ("run.pause",),
    "evaluate": ("run.evaluate",),
    "checkpoint": ("run.checkpoint",),
    "queue": ("loop.queue",),
    "queue --add": ("loop.enqueue",),
    "auto": ("loop.auto",),
    "list": ("loop.open",),
    "new": ("loop.open", "picker.new"),
    "show": ("pane.iterations",),
    "log": ("pane.log",),
    "failures": ("pane.failures",),
    "failures --summary": ("pane.failures", "failures.breakdown"),
    "compare": ("loop.mark", "loop.compare"),
    "diagnose": ("loop.diagnosis",),
    "patterns": ("loop.patterns",),
    "progress": ("loop.progress",),
    "ready": ("loop.ready",),
    "ready --look": ("loop.ready", "ready.look"),
    "close": ("loop.close",),
    "close --reopen": ("loop.close",),
    "fresh": ("loop.fresh",),
    "ask": ("loop.ask",),
    "retry": ("pane.failures", "failures.again"),
    "suspects": ("loop.training",),
    "report": ("loop.report",),
    "keys": ("app.help",),
}
"""The actions to take, in order, for a command with its first option."""


def in_keys(text: str, keymap: dict[str, str]) -> str:
    """Returns `text` with the keys for each command that it names: `press C, then ]`.

    `keymap` has the keys that the user has changed. A command without a key stays a command, with
    `(in a shell)` after it.
    """
    return rendered(text, lambda name, arguments: _keys(name, arguments, keymap))


def _keys(name: str, arguments: str, keymap: dict[str, str]) -> str:
    option = next((word for word in arguments.split() if word.startswith("--")), "")
    keys = [
        keys_of(BY_ID[action], keymap) for action in ACTIONS_OF.get(f"{name} {option}".strip(), ())
    ]
    if not keys or not all(keys):  # no such action, or the user has removed its key
        return f"{PROGRAM} {name} {arguments}".rstrip() + " (in a shell)"
    return "press " + ", then ".join(each[0] for each in keys)
