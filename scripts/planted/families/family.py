"""A family of planted problems: one fault, how strong it is, and what repairs it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from scripts.planted.families.tasks import BY_NAME, RATE, TINY, Base, Rows, Task

Settings = Mapping[str, Any]
"""Config fields by `group.field`; None unsets a field."""

Change = Callable[[Rows, float, random.Random], Rows]
"""Returns changed rows, from (rows, strength, random)."""

Edit = Callable[[Rows, Rows, random.Random], tuple[Rows, Rows]]
"""Returns repaired (training rows, evaluation rows), from (training rows, evaluation rows, random).
"""

Range = tuple[Any, ...]
"""The values of a field that repair a fault.

Two numbers are the lowest and the highest; every other value is one value, None that of a field
that is unset.
"""


class DataEdit(StrEnum):
    """What an engineer can be advised to do with the rows."""

    REMOVE_DUPLICATES = "remove_duplicates"
    REMOVE_CONFLICTS = "remove_conflicts"
    REMOVE_OUTLIERS = "remove_outliers"
    REMOVE_OTHER_TASKS = "remove_other_tasks"
    REMOVE_LEAKED_ROWS = "remove_leaked_rows"
    REMOVE_HINTS = "remove_hints"
    FIX_LABELS = "fix_labels"
    FIX_EVAL_REFERENCES = "fix_eval_references"
    FIX_ENCODING = "fix_encoding"
    ADD_MISSING_LABEL = "add_missing_label"
    ADD_VARIETY = "add_variety"
    ADD_ROWS = "add_rows"
    BALANCE_LABELS = "balance_labels"
    ONE_FORMAT = "one_format"
    SAME_FORMAT_AS_EVAL = "same_format_as_eval"
    SAME_PROMPTS_AS_EVAL = "same_prompts_as_eval"
    TRAIN_ALL_ANSWERS = "train_all_answers"
    SHUFFLE = "shuffle"
    SHORTEN_PROMPTS = "shorten_prompts"
    SHORTEN_ANSWERS = "shorten_answers"
    MARK_THE_END = "mark_the_end"
    MAP_COLUMNS = "map_columns"


class Later(msgspec.Struct, frozen=True, kw_only=True):
    """A further iteration of a family: the settings that it changes, and its training rows."""

    settings: Settings = {}
    train: Change | None = None
    """Changes the sound training rows; None keeps those of the iteration before."""


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """A fault planted in a sound task.

    The last iteration is the faulty one. `fault` states the root cause as an expert would, and
    what `strength` measures. `remedies` has what a right first suggestion changes: the values of a
    config field that repair the fault, or True for a data edit that does. `edits` has what these
    data edits do.
    """

    name: str
    fault: str
    cause: str
    task: str
    strength: float
    seed: int = 0
    settings: Settings = {}
    train: Change | None = None
    eval: Change | None = None
    later: tuple[Later, ...] = ()
    remedies: Mapping[str, Range | bool] = {}
    edits: Mapping[DataEdit, Edit] = {}
    base: Base = TINY

    def on(self, base: Base) -> Family:
        """Returns the family on another base, every learning rate scaled."""
        return msgspec.structs.replace(
            self,
            base=base,
            settings=base.scaled(self.settings),
            later=tuple(
                msgspec.structs.replace(each, settings=base.scaled(each.settings))
                for each in self.later
            ),
            remedies={
                name: tuple(value * base.rate for value in values)
                if name == RATE and not isinstance(values, bool)
                else values
                for name, values in self.remedies.items()
            },
        )

    def base_task(self) -> Task:
        """Returns the task that the fault is planted in."""
        return BY_NAME[self.task].on(self.base)

    def rows(self) -> tuple[list[Rows], Rows]:
        """Returns the training rows of every iteration, and the evaluation rows."""
        sound, held_out = self.base_task().rows(self.seed)
        trained = [self._changed(self.train, sound, "train 1")]
        for number, later in enumerate(self.later, start=2):
            before = trained[-1] if later.train is None else sound
            trained.append(self._changed(later.train, before, f"train {number}"))
        return trained, self._changed(self.eval, held_out, "eval")

    def edited(self, edit: str) -> tuple[Rows, Rows]:
        """Returns the last rows after a data edit; an edit without effect changes nothing."""
        trained, held_out = self.rows()
        apply = self.edits.get(DataEdit(edit))
        if apply is None:
            return trained[-1], held_out
        return self.base.drawn(*apply(trained[-1], held_out, self._random(edit)))

    def _changed(self, change: Change | None, rows: Rows, purpose: str) -> Rows:
        if change is None:
            return rows
        return change(rows, self.strength, self._random(purpose))

    def _random(self, purpose: str) -> random.Random:
        return random.Random(f"{self.name} {self.seed} {purpose}")


def sound_train(task: str, seed: int) -> Edit:
    """Returns the edit that replaces the training rows by sound ones."""

    def edit(train: Rows, held_out: Rows, random_: random.Random) -> tuple[Rows, Rows]:
        return BY_NAME[task].rows(seed)[0], held_out

    return edit


def sound_eval(task: str, seed: int) -> Edit:
    """Returns the edit that replaces the evaluation rows by sound ones."""

    def edit(train: Rows, held_out: Rows, random_: random.Random) -> tuple[Rows, Rows]:
        return train, BY_NAME[task].rows(seed)[1]

    return edit
