"""Where the files of a loop and of its iterations lie, and reading and writing each of them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import Tables, to_tables
from tui_loop.core.config.validation import read_config, read_effective
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.record import codec
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.row_places import Named, read_lines, read_row, read_rows
from tui_loop.core.record.safe_open import (
    check_regular,
    check_within,
    convert,
    read_raw,
    read_text,
)
from tui_loop.core.record.structs import (
    SCHEMA,
    Decision,
    Example,
    Iteration,
    Split,
    StepLoss,
    TokenLosses,
    TrainingRow,
)
from tui_loop.core.text.secrets import redacted, without_secrets

T = TypeVar("T")

TOKENS_FILE_LIMIT = 5_000_000
NOTES_BYTES = 4 * 1024 * 1024
"""Notes are shown whole."""

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
        return convert(table, LoopSettings, str(self.settings_file))

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
        return sorted(int(name) for name in folder_names(self.path) if _NUMBER.fullmatch(name))

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
                command("show", self.name),
            )
        return folder

    def ignore(self, pattern: str) -> None:
        """Adds a line to the loop's .gitignore."""
        path = self.path / ".gitignore"
        lines = read_raw(path).splitlines() if os.path.lexists(path) else []
        if pattern.encode() not in lines:
            write_atomically(path, b"".join(line + b"\n" for line in [*lines, pattern.encode()]))


class IterationFolder:
    """The files of one iteration."""

    def __init__(self, path: Path, loop: LoopFolder, number: int) -> None:
        self.path, self.loop, self.number = path, loop, number
        self.config = path / "config.toml"
        self.decision = path / "decision.toml"
        self.journal = path / "journal.jsonl"
        self.examples = path / "examples.jsonl"
        self.tokens = path / "tokens.jsonl"
        self.training_rows = path / "training.jsonl"
        self.evals = path / "evals"
        self.diagnosis = path / "diagnosis.json"
        self.summary = path / "summary.json"
        self.notes = path / "notes.md"
        self.requests = path / "requests.jsonl"
        self.lock = path / "run.lock"
        self.output = path / "output.log"
        self.adapter = path / "adapter"
        self.checkpoints = path / "checkpoints"

    def __str__(self) -> str:
        return f"{self.loop.name}/{self.number}"

    def read_config(self) -> Config:
        """The effective config; raises BadInput where it cannot be read."""
        return read_effective(_groups(self._config_tables()), str(self.config))

    def read_splits(self) -> dict[str, Split]:
        """What was recorded of each data file."""
        table = self._config_tables().get("splits", {})
        return convert(table, dict[str, Split], str(self.config))

    def read_effective(self) -> dict[str, Any]:
        """What the run derived and passed on: every argument, versions, device."""
        table = self._config_tables().get("effective", {})
        return table if isinstance(table, dict) else {}

    def write_config(
        self, config: Config, splits: dict[str, Split], effective: dict[str, Any] | None = None
    ) -> None:
        """Replaces `config.toml`: the groups, the data files, and what the run derived."""
        tables: dict[str, Any] = {"schema": SCHEMA, **to_tables(config)}
        tables["splits"] = {name: msgspec.to_builtins(split) for name, split in splits.items()}
        if effective is not None:
            tables["effective"] = effective
        write_atomically(self.config, codec.to_toml(codec.spell(without_secrets(tables))))

    def read_decision(self) -> Decision:
        """Why the iteration is what it is; an empty decision where none was written."""
        if not os.path.lexists(self.decision):
            return Decision()
        table = codec.from_toml(self._text(self.decision), str(self.decision))
        return convert(table, Decision, str(self.decision))

    def write_decision(self, decision: Decision) -> None:
        table = without_secrets(msgspec.to_builtins(decision))
        write_atomically(self.decision, codec.to_toml(table))

    def read_summary(self) -> Iteration | None:
        """The end of the run; None where it has not ended or was not written."""
        if not os.path.lexists(self.summary):
            return None
        self.check_place()
        read = codec.from_json(read_raw(self.summary), Iteration, str(self.summary))
        pairs = {name: _pair(change) for name, change in read.changes.items()}
        return msgspec.structs.replace(read, changes=pairs)

    def remove_summary(self) -> None:
        """Removes an earlier attempt's end; what it measured stays."""
        self.summary.unlink(missing_ok=True)
        for path in self.path.glob(".*.tmp"):  # of a write that was killed
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def remove_results(self, from_step: int = 0) -> None:
        """Removes an earlier attempt's figures beyond `from_step`, and checkpoints beyond it, so
        that old and new never mix."""
        for path in (self.examples, self.tokens, self.training_rows, self.diagnosis):
            path.unlink(missing_ok=True)
        if from_step == 0:
            shutil.rmtree(self.evals, ignore_errors=True)
        for path in _beyond(self.evals, "*.jsonl", from_step):
            path.unlink(missing_ok=True)
        for path in _beyond(self.checkpoints, "checkpoint-*", from_step):
            shutil.rmtree(path, ignore_errors=True)

    def write_summary(self, iteration: Iteration) -> None:
        write_atomically(self.summary, codec.to_pretty_json(iteration))

    def read_examples(self) -> list[Example]:
        """The rows of the final evaluation; [] where there was none.

        Lines that cannot be read are left out; where none can, the first is told by BadInput.
        """
        decoder, rows, problem = msgspec.json.Decoder(Example), [], None
        for number, line in self._lines(self.examples):
            try:
                if line.strip():
                    rows.append(codec.decoded(decoder, line, f"{self.examples}:{number}"))
            except BadInput as error:
                problem = problem or error
        if problem is not None and not rows:
            raise problem
        return rows

    def write_examples(self, examples: Iterable[Example], tokens: Iterable[TokenLosses]) -> None:
        """Both files of an evaluation; large token files are kept out of git."""
        write_atomically(self.examples, codec.to_json_lines(examples))
        raw = codec.to_json_lines(tokens)
        write_atomically(self.tokens, raw)
        if len(raw) > TOKENS_FILE_LIMIT:
            self.loop.ignore(f"{self.path.name}/tokens.jsonl")

    def read_training_rows(self) -> list[TrainingRow]:
        """The training rows whose loss was measured at the end; [] where none was."""
        return [row for _, row in self._rows(self.training_rows, TrainingRow)]

    def write_training_rows(self, rows: Iterable[TrainingRow]) -> None:
        write_atomically(self.training_rows, codec.to_json_lines(rows))

    def read_tokens(self) -> dict[str, TokenLosses]:
        """Token losses by example id."""
        return {row.id: row for _, row in self._rows(self.tokens, TokenLosses)}

    def read_example(self, index: int, example: str) -> Example | None:
        """An example of the final evaluation, about in row `index`; None where it is not there."""
        return self._row_of(self.examples, Example, index, example)

    def read_example_tokens(self, index: int, example: str) -> TokenLosses | None:
        """Token losses of the example in row `index`; None where they were not kept."""
        return self._row_of(self.tokens, TokenLosses, index, example)

    def eval_steps(self) -> list[int]:
        """The steps of the evaluations within the run, ascending."""
        if self.evals.is_symlink():
            return []
        try:
            names = os.listdir(self.evals)
        except OSError:
            return []
        found = (re.fullmatch(r"(\d{1,12})\.jsonl", name, re.ASCII) for name in names)
        return sorted(int(match[1]) for match in found if match)

    def read_step_losses(self, step: int) -> list[StepLoss]:
        """Per-example losses of the evaluation at `step`; [] where there was none."""
        return [row for _, row in self._rows(self.evals / f"{step}.jsonl", StepLoss)]

    def read_notes(self) -> str:
        """The user's own words, "" where there are none; where they cannot be read, why."""
        if not os.path.lexists(self.notes):
            return ""
        try:
            return self._read_notes().decode("utf-8", "replace").strip()
        except BadInput as error:
            return f"({error.message})"

    def add_note(self, text: str) -> None:
        """Adds a paragraph to the user's notes; raises BadInput where these cannot be read."""
        before = self._read_notes().strip() if os.path.lexists(self.notes) else b""
        write_atomically(self.notes, b"\n\n".join(filter(None, (before, _encoded(text)))) + b"\n")

    def check_place(self) -> None:
        """Raises BadInput where the iteration lies outside the loops, or its journal is no file."""
        self.loop.check_place()
        check_within(self.path, self.loop.path.parent)
        check_regular(self.journal)

    def check_no_links(self) -> None:
        """Raises BadInput where anything in the folder is a link: a run would write through it."""
        self.check_place()
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.is_symlink():
                    check_regular(Path(entry.path))

    def _config_tables(self) -> dict[str, Any]:
        return codec.from_toml(self._text(self.config), str(self.config))

    def _read_notes(self) -> bytes:
        self.check_place()
        return read_raw(self.notes, NOTES_BYTES)

    def _text(self, path: Path) -> str:
        self.check_place()
        return read_text(path)

    def _lines(self, path: Path) -> Iterator[tuple[int, bytes]]:
        """The lines of a file of rows; none where there is no file."""
        if os.path.lexists(path):
            self.check_place()
            yield from read_lines(path)

    def _rows(self, path: Path, kind: type[T]) -> Iterator[tuple[int, T]]:
        """(line, row); a line that cannot be read is an error with its number."""
        if os.path.lexists(path):
            self.check_place()
            yield from read_rows(path, kind)

    def _row_of(self, path: Path, kind: type[Named], index: int, name: str) -> Named | None:
        """The row with an id: the one at `index` if it has it, else wherever it stands."""
        if not os.path.lexists(path):
            return None
        self.check_place()
        return read_row(path, kind, index, name)


def folder_names(path: Path) -> list[str]:
    """Names of the folders in `path`, links to folders included; [] where it cannot be read."""
    try:
        names = os.listdir(path)
    except OSError:
        return []
    return [name for name in names if os.path.isdir(path / name)]


def _beyond(folder: Path, pattern: str, step: int) -> list[Path]:
    """What is named by a step above `step`; all of it for step 0."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    named = [(path, re.search(r"\d+", path.name)) for path in folder.glob(pattern)]
    return [path for path, number in named if number and (int(number[0]) > step or step == 0)]


def _groups(tables: dict[str, Any]) -> dict[str, Any]:
    own = ("schema", "splits", "effective")
    return {name: table for name, table in tables.items() if name not in own}


def _pair(change: Any) -> Any:
    """A change as others count on it: [old, new], or a table of what changed in the data."""
    if isinstance(change, dict) or (isinstance(change, list) and len(change) == 2):
        return change
    return [None, change]


def _encoded(text: str) -> bytes:
    return redacted(text).encode("utf-8", "replace").strip()
