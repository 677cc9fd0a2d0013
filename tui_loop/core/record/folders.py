"""The folders of a loop and of its iterations: paths, reading and writing of their files."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.earlier_versions import upgraded
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

if TYPE_CHECKING:
    from tui_loop.core.audit.structs import Audit

T = TypeVar("T")

TOKENS_FILE_LIMIT = 5_000_000
NOTES_BYTES = 4 * 1024 * 1024
"""The limit for notes, which are shown as a whole."""

AUDIT_VERSION = 1
_audit_lock = threading.Lock()
"""Parts of `audit.json` come from several threads of a run."""

_NUMBER = re.compile(r"\d{3}|[1-9]\d{3,5}", re.ASCII)


class Closed(msgspec.Struct, frozen=True):
    """The `[closed]` table: why and when (unix seconds) a loop was closed, and its iteration."""

    why: str
    t: float
    iteration: int | None = None


class LoopSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The content of `loop.toml`. `ready`: see `core.workflow.readiness`; `slurm`: see
    `core.slurm.settings`."""

    schema: int = SCHEMA
    goal: str = ""
    metric: str = "exact_match"
    ready: dict[str, Any] = {}
    defaults: dict[str, dict[str, Any]] = {}
    closed: Closed | None = None
    slurm: dict[str, Any] = {}


class LoopFolder:
    """The folder of a loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.settings_file = path / "loop.toml"
        self.draft = path / "draft.toml"
        self.queue = path / "queue.toml"
        self.unattended = path / "unattended.lock"
        self.auto = path / "auto.json"
        self.output = path / "output.log"
        self.ledger = path / "ledger.csv"
        self.labels = path / "labels.jsonl"
        self.holdout = path / "holdout.jsonl"
        self.data = path / "data"

    @property
    def root(self) -> Path:
        """Returns the base of relative data paths: the folder above `loops/`."""
        return Path(os.path.abspath(self.path)).parent.parent

    def read_settings(self) -> LoopSettings:
        """Reads `loop.toml`; raises BadInput."""
        self.check_place()
        table = codec.from_toml(read_text(self.settings_file), str(self.settings_file))
        return convert(table, LoopSettings, str(self.settings_file))

    def check_place(self) -> None:
        """Raises BadInput where the loop's folder is a link that leads out of `loops/`.

        The folder named with `--loops` may be a link itself, since the user chose it. Its content
        may come from a stranger.
        """
        check_within(self.path, self.path.parent)

    def default_config(self) -> Config:
        """Returns the config of an iteration without a parent."""
        settings = self.read_settings()
        tables: Tables = {name: dict(table) for name, table in settings.defaults.items()}
        tables.setdefault("evaluation", {})["metric"] = settings.metric
        return read_config(tables, str(self.settings_file))

    def numbers(self) -> list[int]:
        """The numbers of the iterations on disk, ascending."""
        return sorted(int(name) for name in folder_names(self.path) if _NUMBER.fullmatch(name))

    def iteration(self, number: int) -> IterationFolder:
        """Returns the folder of iteration `number`, which need not exist."""
        return IterationFolder(self.path / f"{number:03d}", self, number)

    def existing(self, number: int) -> IterationFolder:
        """Returns the folder of an existing iteration; raises NotFound."""
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
        self.audit = path / "audit.json"
        self.evals = path / "evals"
        self.diagnosis = path / "diagnosis.json"
        self.summary = path / "summary.json"
        self.notes = path / "notes.md"
        self.requests = path / "requests.jsonl"
        self.lock = path / "run.lock"
        self.output = path / "output.log"
        self.job = path / "job.json"
        self.adapter = path / "adapter"
        self.checkpoints = path / "checkpoints"

    def __str__(self) -> str:
        return f"{self.loop.name}/{self.number}"

    def follow(self, path: Path) -> None:
        """Makes this the folder at `path`, to which somebody has moved it."""
        vars(self).update(vars(IterationFolder(path, LoopFolder(path.parent), self.number)))

    def read_config(self) -> Config:
        """Reads the effective config; raises BadInput."""
        return read_effective(_groups(self._config_tables()), str(self.config))

    def read_starting_config(self) -> Config:
        """Returns the config that a child of this iteration starts from; raises BadInput.

        It differs from the iteration's own where an earlier version had another default.
        """
        tables = upgraded(_groups(self._config_tables()), as_run=False)
        return read_effective(tables, str(self.config))

    def read_splits(self) -> dict[str, Split]:
        """Reads the recorded rows of each data file."""
        table = self._config_tables().get("splits", {})
        return convert(table, dict[str, Split], str(self.config))

    def read_effective(self) -> dict[str, Any]:
        """Reads what the run derived and passed to libraries: every argument, versions, device."""
        table = self._config_tables().get("effective", {})
        return table if isinstance(table, dict) else {}

    def write_config(
        self, config: Config, splits: dict[str, Split], effective: dict[str, Any] | None = None
    ) -> None:
        """Replaces `config.toml`: the config, the splits, and what the run derived."""
        tables: dict[str, Any] = {"schema": SCHEMA, **to_tables(config)}
        tables["splits"] = {name: msgspec.to_builtins(split) for name, split in splits.items()}
        if effective is not None:
            tables["effective"] = effective
        write_atomically(self.config, codec.to_toml(codec.spell(without_secrets(tables))))

    def read_decision(self) -> Decision:
        """Reads the decision, an empty one where none was written."""
        if not os.path.lexists(self.decision):
            return Decision()
        table = codec.from_toml(self._text(self.decision), str(self.decision))
        return convert(table, Decision, str(self.decision))

    def write_decision(self, decision: Decision) -> None:
        table = without_secrets(msgspec.to_builtins(decision))
        write_atomically(self.decision, codec.to_toml(table))

    def read_summary(self) -> Iteration | None:
        """Reads `summary.json`, None where it does not exist."""
        if not os.path.lexists(self.summary):
            return None
        self.check_place()
        summary = codec.from_json(read_raw(self.summary), Iteration, str(self.summary))
        pairs = {name: _pair(change) for name, change in summary.changes.items()}
        return msgspec.structs.replace(summary, changes=pairs)

    def remove_summary(self) -> None:
        """Removes the summary of an earlier attempt; its results stay."""
        self.summary.unlink(missing_ok=True)
        for path in self.path.glob(".*.tmp"):  # left by a killed write
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def remove_results(self, from_step: int = 0) -> None:
        """Removes results and checkpoints of earlier attempts beyond `from_step`.

        Results of two attempts must never mix.
        """
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
        """Reads the rows of the final evaluation, [] where there was none.

        Skips unreadable lines; where all are unreadable, raises BadInput for the first.
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
        """Writes both files of an evaluation; adds a large token file to .gitignore."""
        write_atomically(self.examples, codec.to_json_lines(examples))
        raw = codec.to_json_lines(tokens)
        write_atomically(self.tokens, raw)
        if len(raw) > TOKENS_FILE_LIMIT:
            self.loop.ignore(f"{self.path.name}/tokens.jsonl")

    def read_training_rows(self) -> list[TrainingRow]:
        """Reads the training rows whose loss was measured at the end, [] without any."""
        return [row for _, row in self._rows(self.training_rows, TrainingRow)]

    def write_training_rows(self, rows: Iterable[TrainingRow]) -> None:
        write_atomically(self.training_rows, codec.to_json_lines(rows))

    def read_audit(self) -> Audit | None:
        """Reads the facts that the run recorded about its data, None where it recorded none."""
        # Imported late: defining its many structs takes some ms, which the app's start has not.
        from tui_loop.core.audit.structs import Audit

        if not os.path.lexists(self.audit):
            return None
        self.check_place()
        return codec.from_json(read_raw(self.audit), Audit, str(self.audit))

    def write_audit_part(self, name: str, part: msgspec.Struct | None) -> None:
        """Replaces one part of `audit.json`, such as `data`, and keeps the others."""
        with _audit_lock:
            parts = {"version": AUDIT_VERSION, **self._audit_parts(), name: part}
            write_atomically(self.audit, codec.to_pretty_json(parts))

    def read_tokens(self) -> dict[str, TokenLosses]:
        """Reads token losses by example id."""
        return {row.id: row for _, row in self._rows(self.tokens, TokenLosses)}

    def read_example(self, index: int, example: str) -> Example | None:
        """Reads an example of the final evaluation, expected in row `index`; None where missing."""
        return self._row_of(self.examples, Example, index, example)

    def read_example_tokens(self, index: int, example: str) -> TokenLosses | None:
        """Reads the token losses of an example, expected in row `index`; None where missing."""
        return self._row_of(self.tokens, TokenLosses, index, example)

    def eval_steps(self) -> list[int]:
        """Returns the steps of the evaluations during training, ascending."""
        if self.evals.is_symlink():
            return []
        try:
            names = os.listdir(self.evals)
        except OSError:
            return []
        found = (re.fullmatch(r"(\d{1,12})\.jsonl", name, re.ASCII) for name in names)
        return sorted(int(match[1]) for match in found if match)

    def read_step_losses(self, step: int) -> list[StepLoss]:
        """Reads the losses per example of the evaluation at `step`, [] where there was none."""
        return [row for _, row in self._rows(self.evals / f"{step}.jsonl", StepLoss)]

    def read_notes(self) -> str:
        """Reads the user's notes, "" without any; where they cannot be read, returns why."""
        if not os.path.lexists(self.notes):
            return ""
        try:
            return self._read_notes().decode("utf-8", "replace").strip()
        except BadInput as error:
            return f"({error.message})"

    def add_note(self, text: str) -> None:
        """Appends a paragraph to the user's notes; raises BadInput where these cannot be read."""
        before = self._read_notes().strip() if os.path.lexists(self.notes) else b""
        write_atomically(self.notes, b"\n\n".join(filter(None, (before, _encoded(text)))) + b"\n")

    def check_place(self) -> None:
        """Raises BadInput where the iteration is outside `loops/` or its journal is not a file."""
        self.loop.check_place()
        check_within(self.path, self.loop.path.parent)
        check_regular(self.journal)

    def check_no_links(self) -> None:
        """Raises BadInput where the folder contains a link, through which a run would write."""
        self.check_place()
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.is_symlink():
                    check_regular(Path(entry.path))

    def _audit_parts(self) -> dict[str, Any]:
        """Returns what `audit.json` has, also of other versions; {} where it cannot be read."""
        try:
            return codec.from_json(read_raw(self.audit), dict[str, Any], str(self.audit))
        except BadInput:
            return {}

    def _config_tables(self) -> dict[str, Any]:
        return codec.from_toml(self._text(self.config), str(self.config))

    def _read_notes(self) -> bytes:
        self.check_place()
        return read_raw(self.notes, NOTES_BYTES)

    def _text(self, path: Path) -> str:
        self.check_place()
        return read_text(path)

    def _lines(self, path: Path) -> Iterator[tuple[int, bytes]]:
        """Yields the lines of a file of rows, none without a file."""
        if os.path.lexists(path):
            self.check_place()
            yield from read_lines(path)

    def _rows(self, path: Path, kind: type[T]) -> Iterator[tuple[int, T]]:
        """Yields (line number, row); raises BadInput with the number of an unreadable line."""
        if os.path.lexists(path):
            self.check_place()
            yield from read_rows(path, kind)

    def _row_of(self, path: Path, kind: type[Named], index: int, name: str) -> Named | None:
        """Returns the row with an id: the one at `index` if it matches, else searches for it."""
        if not os.path.lexists(path):
            return None
        self.check_place()
        return read_row(path, kind, index, name)


def folder_names(path: Path) -> list[str]:
    """Returns the names of folders in `path`, links included; [] where it cannot be read."""
    try:
        names = os.listdir(path)
    except OSError:
        return []
    return [name for name in names if os.path.isdir(path / name)]


def _beyond(folder: Path, pattern: str, step: int) -> list[Path]:
    """Returns the paths whose names contain a step above `step`, for step 0 all."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    named = [(path, re.search(r"\d+", path.name, re.ASCII)) for path in folder.glob(pattern)]
    return [path for path, number in named if number and (int(number[0]) > step or step == 0)]


def _groups(tables: dict[str, Any]) -> dict[str, Any]:
    own = ("schema", "splits", "effective")
    return {name: table for name, table in tables.items() if name not in own}


def _pair(change: Any) -> Any:
    """Normalizes a change to [old, new], or a table of changed rows."""
    if isinstance(change, dict) or (isinstance(change, list) and len(change) == 2):
        return change
    return [None, change]


def _encoded(text: str) -> bytes:
    return redacted(text).encode("utf-8", "replace").strip()
