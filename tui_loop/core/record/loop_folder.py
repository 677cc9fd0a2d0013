"""Where a loop's files lie, and reading and writing each of them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import Tables
from tui_loop.core.config.validation import read_config
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.record import codec
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.iteration_folder import IterationFolder
from tui_loop.core.record.names import check_loop_name, check_new_loop_name
from tui_loop.core.record.safe_open import check_within, converted, read_raw, read_text
from tui_loop.core.record.structs import SCHEMA
from tui_loop.core.text.secrets import without_secrets

GITIGNORE = "adapter/\ncheckpoints/\noutput.log\n*.lock\n"
_NUMBER = re.compile(r"\d{3}|[1-9]\d{3,5}", re.ASCII)


class Closed(msgspec.Struct, frozen=True):
    """The end of a loop: why, when (unix seconds), and the iteration that it ended with."""

    why: str
    t: float
    iteration: int | None = None


class LoopSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """`loop.toml`. `ready`: see `core.workflow.readiness`."""

    schema: int = SCHEMA
    goal: str = ""
    metric: str = "exact_match"
    ready: dict[str, Any] = {}
    defaults: dict[str, dict[str, Any]] = {}
    closed: Closed | None = None


class LoopFolder:
    """A loop: its settings and its iterations."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.settings_file = path / "loop.toml"
        self.draft = path / "draft.toml"
        self.queue = path / "queue.toml"
        self.unattended = path / "unattended.lock"
        self.output = path / "output.log"
        self.ledger = path / "ledger.csv"
        self.labels = path / "labels.jsonl"
        self.holdout = path / "holdout.jsonl"
        self.data = path / "data"

    @property
    def root(self) -> Path:
        """The folder that relative data paths start from: the one above `loops/`."""
        return Path(os.path.abspath(self.path)).parent.parent

    def read_settings(self) -> LoopSettings:
        """`loop.toml`; raises BadInput where it cannot be read."""
        self.check_place()
        table = codec.from_toml(read_text(self.settings_file), str(self.settings_file))
        return converted(table, LoopSettings, str(self.settings_file))

    def check_place(self) -> None:
        """Raises BadInput where the loop's folder is a link out of the folder of loops.

        What the user names with `--loops` may be a link; what lies in it was perhaps not put there
        by the user.
        """
        check_within(self.path, self.path.parent)

    def default_config(self) -> Config:
        """The config of an iteration that has no parent."""
        settings = self.read_settings()
        tables: Tables = {name: dict(table) for name, table in settings.defaults.items()}
        tables.setdefault("evaluation", {})["metric"] = settings.metric
        return read_config(tables, str(self.settings_file))

    def numbers(self) -> list[int]:
        """The numbers of the iterations on disk, ascending."""
        return sorted(int(name) for name in _folders(self.path) if _NUMBER.fullmatch(name))

    def iteration(self, number: int) -> IterationFolder:
        """The folder of iteration `number`, there or not."""
        return IterationFolder(self.path / f"{number:03d}", self, number)

    def existing(self, number: int) -> IterationFolder:
        """The folder of an iteration that is there; raises NotFound."""
        folder = self.iteration(number)
        check_within(folder.path, self.path.parent)
        if not folder.path.is_dir():
            numbers = ", ".join(str(each) for each in self.numbers()) or "none yet"
            raise NotFound(
                f"{self.name} has no iteration {number} (there are: {numbers})",
                f"tui-loop show {self.name}",
            )
        return folder

    def ignore(self, pattern: str) -> None:
        """Adds a line to the loop's .gitignore."""
        path = self.path / ".gitignore"
        lines = read_raw(path).splitlines() if os.path.lexists(path) else []
        if pattern.encode() not in lines:
            write_atomically(path, b"".join(line + b"\n" for line in [*lines, pattern.encode()]))


class RefusedFolder(msgspec.Struct, frozen=True):
    """A folder in `loops/` that cannot be opened under its name, and why."""

    folder: LoopFolder
    problem: str
    hint: str = ""

    @property
    def name(self) -> str:
        return self.folder.name


class Scan(msgspec.Struct, frozen=True):
    """What lies in `loops/`, by name: the loops, and the folders that cannot be opened."""

    loops: tuple[LoopFolder, ...] = ()
    refused: tuple[RefusedFolder, ...] = ()


class LoopsFolder:
    """`loops/`: all loops of a project."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def scan(self) -> Scan:
        """Everything in the folder that is a loop or was meant as one.

        Whatever goes over all loops goes through here, so that one odd folder hides no other.
        Raises BadInput where `loops/` itself cannot be read; one that does not exist is empty.
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
        """The loops that can be opened; none where `loops/` itself cannot be read."""
        try:
            return self.scan().loops
        except BadInput:
            return ()

    def names(self) -> list[str]:
        """The names of the loops that can be opened, sorted."""
        return [loop.name for loop in self.loops()]

    def loop(self, name: str) -> LoopFolder:
        """The loop `name`; raises BadInput for an impossible name, NotFound if there is none."""
        check_loop_name(name)
        folder = LoopFolder(self.path / name)
        if not folder.settings_file.exists():
            names = ", ".join(self.names()) or "none yet"
            raise NotFound(
                f"no loop {name!r} in {self.path} (there are: {names})",
                "tui-loop list, or tui-loop new LOOP --data PATH",
            )
        folder.check_place()
        return folder

    def create(self, name: str, settings: LoopSettings) -> LoopFolder:
        """A new loop's folder; raises BadInput if the name is taken or impossible."""
        check_new_loop_name(name)
        folder = LoopFolder(self.path / name)
        if folder.path.exists():
            raise BadInput(
                f"{folder.path}: is there already", "choose another name, or move that folder away"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        folder.path.mkdir()
        gitignore = self.path / ".gitignore"
        if not gitignore.exists():
            write_atomically(gitignore, GITIGNORE)
        table = without_secrets(_spelled_unset(settings))
        write_atomically(folder.settings_file, codec.to_toml(table))
        return folder


def _folders(path: Path) -> list[str]:
    """Names of the folders in `path`, links to folders included; [] where it cannot be read."""
    try:
        names = os.listdir(path)
    except OSError:
        return []
    return [name for name in names if os.path.isdir(path / name)]


def _spelled_unset(settings: LoopSettings) -> dict[str, Any]:
    """Settings as TOML tables; a default that unsets an optional field is spelled `unset`."""
    table: dict[str, Any] = msgspec.to_builtins(settings)
    for fields in table.get("defaults", {}).values():
        for field, value in fields.items():
            if value is None:
                fields[field] = "unset"
    return {"schema": settings.schema, **table, "metric": settings.metric}
