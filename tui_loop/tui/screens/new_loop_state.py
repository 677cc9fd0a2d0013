"""What a new loop's form knows: what was typed, what may be chosen, and what was found out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.names import check_new_loop_name
from tui_loop.tui.backend import DatasetPreview, NewLoop
from tui_loop.tui.cells import flat
from tui_loop.tui.data_files import Offers
from tui_loop.tui.screens.understood import (
    METRICS,
    MODELS,
    NOTHING_YET,
    error_lines,
    understood_lines,
)
from tui_loop.tui.widgets.choices import Choice
from tui_loop.tui.widgets.toned import Part

FIELDS = {
    "data": "type a path, or choose with ↑↓ and enter; join several with " + "",
    "eval": "optional: type to list files; empty: rows are held out",
    "name": "suggested from the file's name",
    "model": "tiny, smollm2, a folder, a .gguf file or a hub id",
    "metric": "as the data suggests",
    "goal": "optional: what the loop is for, in your words",
}
"""The fields in order, with what stands in an empty one."""

OPTIONAL = ("eval", "goal")
PATHS = ("data", "eval")
SUGGESTED = ("name", "metric")
"""Fields that the data fills until a person does."""

CREATE = "create"
"""Stands for the row below the fields."""


class Seen(msgspec.Struct, frozen=True):
    """What was found out: names that are taken, and the data or what is wrong with it."""

    taken: frozenset[str] = frozenset()
    result: DatasetPreview | TuiLoopError | None = None
    of: tuple[str, str, bool] = ("", "", False)
    """What was read (`FormState.files`)."""


class FormState:
    """The form at one moment; `current` is the field with the focus, or CREATE."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.values: Mapping[str, str] = dict.fromkeys(FIELDS, "")
        self.current = "data"
        self.touched: set[str] = set()
        self.options: dict[str, list[str]] = {"model": [], "metric": []}
        self.offers = dict.fromkeys(PATHS, Offers())
        self.is_choosing = True
        self.is_creating = False
        self.answer = Seen()
        self.skips_rows = False
        self.skip_key = ""
        """The key that leaves unusable rows out, "" where the user has taken it away."""
        self.progress = ("", 0)
        """The file that is read, and its rows so far; written by the thread that reads."""
        self.fault: TuiLoopError | None = None

    @property
    def wanted(self) -> NewLoop:
        """The loop as the form has it; a metric that nobody chose is left to the data."""
        values = {name: value.strip() for name, value in self.values.items()}
        if "metric" not in self.touched:
            values["metric"] = ""
        return NewLoop(**values, skips_rows=self.skips_rows)

    @property
    def question(self) -> NewLoop | None:
        """What is to be found out of the data; None while something is still being chosen."""
        if not self.wanted.data or self.is_choosing:
            return None
        return msgspec.structs.replace(self.wanted, name="", goal="")

    @property
    def may_stay_empty(self) -> bool:
        """Whether the current field is optional and empty."""
        return self.current in OPTIONAL and not self.values[self.current].strip()

    @property
    def has_choices(self) -> bool:
        """Whether enter lists choices for the current field; a file that is there needs none."""
        name = self.current
        return name in self.options or (name in PATHS and not self.offers[name].is_file)

    def choices(self) -> tuple[list[Choice], str]:
        """What may be taken for the current field, and what to say where that is nothing."""
        if self.current in PATHS:
            return self._files()
        if self.current not in self.options:
            return [], ""
        words, nothing = MODELS, "taken as it is typed"
        if self.current == "metric":
            words, nothing = METRICS, "no such metric"
        typed, options = self.values[self.current].strip(), self.options[self.current]
        if self.is_choosing and typed not in options:
            options = [each for each in options if typed.lower() in each]
        return [Choice(each, words.get(each, "")) for each in options], nothing

    def _files(self) -> tuple[list[Choice], str]:
        found = self.offers[self.current]
        other = self.values["data"] if self.current == "eval" else None
        rows = [
            Choice(each.path, refusal="" if each.is_plain else "rename it to use it")
            for each in found.rows
            if each.path != other
        ]
        if found.is_file:
            return rows, ""
        return rows, found.problem or "no such data file: JSONL, JSON, CSV, text, Parquet or Arrow"

    def lines(self) -> list[list[Part]]:
        """What is wrong, then what the data was read as."""
        wanted, result = self.wanted, self._result
        found = result if isinstance(result, TuiLoopError) else None
        problems = {each.message: each for each in (self.fault, self.name_problem, found) if each}
        lines = [
            line
            for each in problems.values()
            for line in error_lines(each, wanted, self.root, self.skip_key)
        ]
        if isinstance(result, DatasetPreview):
            return lines + understood_lines(result)
        if result is None and self.question is not None:
            return [*lines, [(self._reading, "muted")]]
        return lines if found is not None else lines + NOTHING_YET

    @property
    def _reading(self) -> str:
        entry, rows = self.progress
        return (
            f"reading {flat(entry, 60)}: {rows:,} rows so far" if rows else "reading the data ..."
        )

    @property
    def wrong(self) -> frozenset[str]:
        """The fields that something is wrong with."""
        names = {"name"} if self.name_problem else set()
        if isinstance(self._result, TuiLoopError):
            message, held = self._result.message, self.wanted.eval
            if message.startswith("model"):
                names.add("model")
            elif message.startswith(("metric", "evaluation.metric")):
                names.add("metric")
            else:
                is_eval = bool(held) and f"{held}:" in message
                names.add("eval" if is_eval else "data")
        return frozenset(names)

    @property
    def name_problem(self) -> TuiLoopError | None:
        """What is wrong with the name, None while there is none to judge."""
        name = self.wanted.name
        try:
            if name:
                check_new_loop_name(name)
        except BadInput as error:
            return error
        if name in self.answer.taken and not self.is_creating:
            return BadInput(f"there is a loop {name} already", "choose another name")
        return None

    @property
    def _result(self) -> DatasetPreview | TuiLoopError | None:
        return self.answer.result if self.is_answered else None

    @property
    def is_answered(self) -> bool:
        """Whether the answer is of the files that the form names now."""
        return self.answer.of == self.files

    @property
    def files(self) -> tuple[str, str, bool]:
        """What decides which rows are read: the files, and whether unusable rows are left out."""
        return self.wanted.data, self.wanted.eval, self.skips_rows
