"""The user's own settings: keys, theme and signs from a file, and what the app remembers.

Settings are in `config.toml` of the user's config folder (TUI_LOOP_CONFIG names another file);
what the app remembers is in the user's state folder, never in a loop's record.
"""

from __future__ import annotations

import difflib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import from_toml
from tui_loop.core.record.files import read_small, user_state_folder, write_atomically
from tui_loop.tui.actions import BY_ID

THEMES = ("dark", "light", "terminal")

RENAMED = {"config.find": "app.search", "log.search": "app.search"}
"""Ids of earlier versions that a settings file may still have, and their new ids."""


class Settings(msgspec.Struct, frozen=True):
    """`theme` None: the one used last; `ascii` None: as the locale requires.

    `warnings`: faults of the file that do not keep the app from starting. `slurm`: read where a job
    is submitted, by `core.slurm.settings`.
    """

    keys: dict[str, str] = {}
    theme: str | None = None
    ascii: bool | None = None
    warnings: list[str] = []
    slurm: dict[str, Any] = {}


NAMES = ("keys", "theme", "ascii", "slurm")


def read_settings(path: Path) -> Settings:
    """The settings in `path`, defaults where there is none; raises BadInput, naming the key."""
    try:
        text = read_small(path.resolve()).decode("utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path}: cannot be read", "correct the file in an editor, or move it away"
        ) from error
    table = from_toml(text, str(path))
    for name in table:
        if name not in NAMES:
            known = ", ".join(NAMES)
            raise BadInput(f"{path}: {name}: no such setting", f"the settings are {known}")
    try:
        settings = msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}: {error}", "correct that line in an editor") from error
    if settings.theme is not None and settings.theme not in THEMES:
        raise BadInput(
            f"{path}: theme: no theme {settings.theme!r}", f"use one of {', '.join(THEMES)}"
        )
    keys, warnings = _checked_keys(settings.keys, path)
    return msgspec.structs.replace(settings, keys=keys, warnings=warnings)


def _checked_keys(keys: dict[str, str], path: Path) -> tuple[dict[str, str], list[str]]:
    """Returns the keys by current ids, and a warning for each id that no action has.

    Raises BadInput for an empty key, and for one that two actions of one place would share.
    """
    known: dict[str, str] = {}
    warnings: list[str] = []
    for written, key in keys.items():
        name = RENAMED.get(written, written)
        if name in BY_ID:
            known[name] = key
        else:
            close = difflib.get_close_matches(name, list(BY_ID), n=1)
            hint = f"did you mean {close[0]}?" if close else "to list the ids, run tui-loop keys"
            warnings.append(f"{path}: keys.{written!r}: no such action; {hint}")
        if not all(part.strip() for part in key.split(",")):
            raise BadInput(
                f"{path}: keys.{written!r}: has no key",
                'give the action a key, for example "ctrl+r"',
            )
    taken: dict[tuple[str, str], str] = {}
    for action in BY_ID.values():
        for key in known.get(action.id, action.keys).split(","):
            other = taken.setdefault((action.scope, key.strip()), action.id)
            if other != action.id:
                raise BadInput(
                    f"{path}: keys: {key.strip()} is the key of both {other} and {action.id}",
                    "give one of the two actions a different key",
                )
    return known, warnings


class Memory:
    """What the app remembers between two sessions; an unusable file is ignored."""

    def __init__(self, path: Path | None = None) -> None:
        self.folder = user_state_folder()
        self._path = path or self.folder / "app.json"
        self._values = self._read()

    def get(self, name: str) -> Any:
        """What was remembered under `name`, None if nothing was."""
        return self._values.get(name)

    def put(self, name: str, value: Any) -> None:
        """Remembers a JSON value; what another app has remembered meanwhile is kept."""
        if self._values.get(name) == value:
            return
        self._values = {**self._values, **self._read(), name: value}
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self._values, indent=1) + "\n"
            write_atomically(self._path, text, is_durable=False)  # a key must not wait for a disk

    def _read(self) -> dict[str, Any]:
        if not self._path.is_file():  # reading a pipe would never end
            return {}
        try:
            values = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return values if isinstance(values, dict) else {}
