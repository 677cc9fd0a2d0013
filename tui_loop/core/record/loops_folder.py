"""The folder of all loops: finds and creates loops, and lists folders that cannot be opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.record import codec
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.names import check_loop_name, check_new_loop_name
from tui_loop.core.record.new_folder import is_temporary, new_folder
from tui_loop.core.text.secrets import without_secrets

GITIGNORE = "adapter/\ncheckpoints/\noutput.log\n*.lock\n"


class RefusedFolder(msgspec.Struct, frozen=True):
    """A folder in `loops/` that cannot be opened under its name, and why."""

    folder: LoopFolder
    problem: str
    hint: str = ""

    @property
    def name(self) -> str:
        return self.folder.name


class Scan(msgspec.Struct, frozen=True):
    """The content of `loops/`, by name: the loops, and the folders that cannot be opened."""

    loops: tuple[LoopFolder, ...] = ()
    refused: tuple[RefusedFolder, ...] = ()


class LoopsFolder:
    """The folder `loops/` with all loops of a project."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def scan(self) -> Scan:
        """Returns every loop in the folder, and every folder that looks like one.

        All iteration over loops uses this, so that one bad folder does not hide the others. Raises
        BadInput where `loops/` itself cannot be read. A missing `loops/` is empty.
        """
        try:
            names = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return Scan()
        except OSError as error:
            raise BadInput(
                f"{self.path}: {error.strerror}", "name another folder with --loops DIR"
            ) from error
        loops, refused = [], []
        for name in names:
            if is_temporary(name):
                continue
            folder = LoopFolder(self.path / name)
            try:
                folder.check_place()
                os.stat(folder.settings_file)
                check_loop_name(name)
            except BadInput as error:
                refused.append(RefusedFolder(folder, error.message, error.hint))
            except PermissionError as error:
                problem = f"{folder.path}: {error.strerror}"
                refused.append(RefusedFolder(folder, problem, "check its permissions"))
            except OSError:  # a file, or a folder without a loop.toml
                continue
            else:
                loops.append(folder)
        return Scan(tuple(loops), tuple(refused))

    def loops(self) -> tuple[LoopFolder, ...]:
        """Returns the loops that can be opened, none where `loops/` cannot be read."""
        try:
            return self.scan().loops
        except BadInput:
            return ()

    def names(self) -> list[str]:
        """Returns the sorted names of the loops that can be opened."""
        return [loop.name for loop in self.loops()]

    def loop(self, name: str) -> LoopFolder:
        """Returns the loop `name`; raises BadInput for an invalid name, NotFound if missing."""
        check_loop_name(name)
        folder = LoopFolder(self.path / name)
        if not folder.settings_file.exists():
            names = ", ".join(self.names()) or "none yet"
            raise NotFound(
                f"no loop {name!r} in {self.path} (there are: {names})",
                f"{command('list')}, or {command('new', 'LOOP', '--data', 'PATH')}",
            )
        folder.check_place()
        return folder

    def check_free(self, name: str) -> None:
        """Raises BadInput unless a loop `name` can be created.

        A folder without a `loop.toml` and without iterations may be taken over.
        """
        check_new_loop_name(name)
        folder = LoopFolder(self.path / name)
        if not os.path.lexists(folder.path):
            return
        is_folder = folder.path.is_dir() and not folder.path.is_symlink()
        if not is_folder or os.path.lexists(folder.settings_file) or folder.numbers():
            raise _taken(folder)

    def create(self, name: str, settings: LoopSettings) -> LoopFolder:
        """Creates a loop, completely or not at all; raises BadInput as `check_free` does."""
        self.check_free(name)
        folder = LoopFolder(self.path / name)
        self.path.mkdir(parents=True, exist_ok=True)
        gitignore = self.path / ".gitignore"
        if not gitignore.exists():
            write_atomically(gitignore, GITIGNORE)
        text = codec.to_toml(without_secrets(_settings_tables(settings)))
        if _has_content(folder.path):
            write_atomically(folder.settings_file, text)
            return folder
        try:
            with new_folder(folder.path) as temporary:
                write_atomically(LoopFolder(temporary).settings_file, text)
        except FileExistsError as error:  # another process was faster
            raise _taken(folder) from error
        return folder


def _taken(folder: LoopFolder) -> BadInput:
    return BadInput(
        f"{folder.path}: already exists", "choose another name, or move that folder away"
    )


def _has_content(path: Path) -> bool:
    return path.is_dir() and any(path.iterdir())


def _settings_tables(settings: LoopSettings) -> dict[str, Any]:
    """Returns settings as TOML tables; a default of None for an optional field becomes `unset`."""
    table: dict[str, Any] = msgspec.to_builtins(settings)
    for fields in table.get("defaults", {}).values():
        for field, value in fields.items():
            if value is None:
                fields[field] = "unset"
    return {"schema": settings.schema, **table, "metric": settings.metric}
