"""The keys of actions: as bindings, as people write them, and in place of commands in a text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

from textual.binding import Binding, BindingType

from tui_loop.core.commands import PROGRAM, rendered
from tui_loop.tui.actions import ACTIONS, BY_ID, Action

NO_KEYMAP: Mapping[str, str] = MappingProxyType({})

_SIGNS = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}


def bindings(*scopes: str) -> list[BindingType]:
    """The key bindings of a widget or screen that is at home in `scopes`."""
    return [
        Binding(action.keys, action.call, action.description, id=action.id, show=False)
        for action in ACTIONS
        if action.scope in scopes
    ]


def bindings_of(*ids: str) -> list[BindingType]:
    """The key bindings of single actions, for a dialog."""
    return [
        Binding(BY_ID[each].keys, BY_ID[each].call, BY_ID[each].description, id=each, show=False)
        for each in ids
    ]


def leader_actions(
    prefix: str, scopes: Collection[str], keymap: Mapping[str, str] = NO_KEYMAP
) -> list[tuple[str, Action]]:
    """Returns the actions behind a leader in `scopes`, each with the sign that calls it.

    Where two scopes have a sign, it is the first scope's: an example's `g m` asks its prompt.
    `keymap`: the keys that the user has changed.
    """
    found: dict[str, Action] = {}
    for scope in scopes:
        for action in ACTIONS:
            for keys in keymap.get(action.id, action.keys).split(","):
                if action.scope == scope and keys.strip().startswith(f"{prefix} "):
                    found.setdefault(_shown(keys.split()[1]), action)
    return list(found.items())


def keys_of(action: Action, keymap: Mapping[str, str]) -> list[str]:
    """The keys that an action has, as people write them: `?`, `ctrl+p`, `N`."""
    names = keymap.get(action.id, action.keys).split(",")
    return [" ".join(map(_shown, name.split())) for name in names if name.strip()]


def _shown(name: str) -> str:
    head, plus, last = name.rpartition("+")
    return f"{head}{plus}{_SIGNS.get(last, last)}"


PALETTE = "the command palette"
"""What a text names in place of a key that the user has removed."""

_ID = re.compile(r"\{([a-z]+\.[a-z_]+)\}")


def with_keys(text: str, keymap: Mapping[str, str]) -> str:
    """Returns `text` with the first key of each action that it names: `{run.start} runs it`.

    `keymap` has the keys that the user has changed. Other braces stay as they are.
    """
    return _ID.sub(lambda found: _key_named(found, keymap), text)


def _key_named(found: re.Match[str], keymap: Mapping[str, str]) -> str:
    action = BY_ID.get(found[1])
    return found[0] if action is None else next(iter(keys_of(action, keymap)), PALETTE)


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


def in_keys(text: str, keymap: Mapping[str, str]) -> str:
    """Returns `text` with the keys for each command that it names: `press C, then ]`.

    `keymap` has the keys that the user has changed. A command without a key stays a command, with
    `(in a shell)` after it.
    """
    return rendered(text, lambda name, arguments: _keys(name, arguments, keymap))


def _keys(name: str, arguments: str, keymap: Mapping[str, str]) -> str:
    option = next((word for word in arguments.split() if word.startswith("--")), "")
    keys = [
        keys_of(BY_ID[action], keymap) for action in ACTIONS_OF.get(f"{name} {option}".strip(), ())
    ]
    if not keys or not all(keys):  # no such action, or the user has removed its key
        return f"{PROGRAM} {name} {arguments}".rstrip() + " (in a shell)"
    return "press " + ", then ".join(each[0] for each in keys)
