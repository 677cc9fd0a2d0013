"""The draft: the next iteration's config while it is edited, stored in `draft.toml`.

The file is a recorded config with `parent` and `why` above its tables; an absent key is an unset
field. Values may be invalid for a while: they are stored as typed, and `problems` lists them.
"""

from __future__ import annotations

import shutil
from functools import cached_property
from typing import Any

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.earlier_versions import upgraded
from tui_loop.core.config.schema import GROUPS, Config
from tui_loop.core.config.tables import Tables, to_tables, with_unset
from tui_loop.core.config.validation import ConfigError, read_config
from tui_loop.core.data.row_versions import drop_index
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record import codec
from tui_loop.core.record.exclusive import exclusive
from tui_loop.core.record.files import read_small, write_atomically
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.structs import SCHEMA
from tui_loop.core.text.secrets import fields_with_secrets, without_secrets
from tui_loop.core.workflow.plan import Plan, config_before, plan_with, starting_config


class Draft(msgspec.Struct, frozen=True, dict=True):
    """The config of the next iteration while it is edited.

    `parent`: the iteration that it derives from, 0 or None for the loop's defaults. `suggestion`
    and `predicted`: from an applied suggestion, as in a `Decision`.
    """

    parent: int | None
    why: str
    tables: Tables
    before: Tables
    """The parent's config, whose values `was` returns."""
    saved: bool = False
    suggestion: str | None = None
    predicted: dict[str, Any] | None = None

    @cached_property
    def problems(self) -> list[str]:
        """Returns every problem as `group.field: problem`, [] if the draft can run."""
        secrets = [
            f"{name}: looks like a token or a password, which must not be recorded"
            for name in fields_with_secrets(self.tables)
        ]
        try:
            read_config(self.tables)
        except ConfigError as error:
            return secrets + error.problems
        return secrets

    @property
    def config(self) -> Config:
        """Returns the config; raises ConfigError with every problem."""
        return read_config(self.tables, "draft.toml")

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """Returns {"group.field": (was, is)} for every field that differs from the parent."""
        return {
            name: (self.was(name), self.value(name))
            for name in names_of(self.before, self.tables)
            if self.was(name) != self.value(name)
        }

    def value(self, name: str) -> Any:
        group, _, label = name.partition(".")
        return _table(self.tables, group).get(label)

    def was(self, name: str) -> Any:
        group, _, label = name.partition(".")
        return _table(self.before, group).get(label)

    def with_value(self, name: str, value: Any) -> Draft:
        """Returns the draft with one field set; None unsets it."""
        group, _, label = name.partition(".")
        tables = {**self.tables, group: {**_table(self.tables, group), label: value}}
        return msgspec.structs.replace(self, tables=tables)

    def with_why(self, why: str) -> Draft:
        return msgspec.structs.replace(self, why=why)

    def reset(self) -> Draft:
        """Returns a draft without changes against the parent."""
        return msgspec.structs.replace(self, tables=self.before, suggestion=None, predicted=None)


def names_of(*tables: Tables) -> list[str]:
    """Returns every `group.field` in the tables, declared ones first and in schema order."""
    found = {f"{group}.{label}": None for each in tables for group in each for label in each[group]}
    declared = [f"{g}.{label}" for g, kind in GROUPS.items() for label in kind.__struct_fields__]
    return [name for name in declared if name in found] + sorted(set(found) - set(declared))


def new_draft(loop: LoopFolder, parent: int | None) -> Draft:
    """Returns a draft that starts from `parent`; raises BadInput, NotFound."""
    before = to_tables(config_before(loop, parent))
    return Draft(parent, "", to_tables(starting_config(loop, parent)), before)


def read_draft(loop: LoopFolder) -> Draft | None:
    """Reads the draft on disk, None if there is none; raises BadInput where it cannot be read."""
    try:
        text = read_small(loop.draft).decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{loop.draft}: cannot be read", "correct the file in an editor, or move it away"
        ) from error
    return draft_from(loop, text)


def draft_from(loop: LoopFolder, text: str) -> Draft:
    """Parses a draft from TOML `text`; raises BadInput that names the line of a fault."""
    where = str(loop.draft)
    table = codec.from_toml(text, where)
    parent, why = table.pop("parent", None), table.pop("why", "")
    suggestion, predicted = table.pop("suggestion", None), table.pop("predicted", None)
    table.pop("schema", None)
    if not isinstance(suggestion, str | None) or not isinstance(predicted, dict | None):
        raise BadInput(
            f"{where}: suggestion must be a string, and predicted must be a table",
            "correct or remove these fields in an editor",
        )
    is_number = isinstance(parent, int) and not isinstance(parent, bool)
    if not (is_number or parent is None) or not isinstance(why, str):
        raise BadInput(
            f"{where}: parent must be the number of an iteration, and why must be a string",
            "correct the file in an editor, or delete it: it is only a draft",
        )
    not_tables = [name for name, group in table.items() if not isinstance(group, dict)]
    if not_tables:
        raise BadInput(
            f"{where}: {not_tables[0]}: is not a table of fields", "put the field into its [group]"
        )
    before = to_tables(config_before(loop, parent))
    tables = with_unset(upgraded(table, as_run=False))
    return Draft(parent, why, tables, before, True, suggestion, predicted)


def draft_text(draft: Draft) -> str:
    """Returns the draft as TOML, with fields in schema order and secrets redacted."""
    text: dict[str, Any] = {"schema": SCHEMA, "parent": draft.parent, "why": draft.why}
    if draft.suggestion is not None:
        text["suggestion"] = draft.suggestion
    if draft.predicted is not None:
        text["predicted"] = draft.predicted
    for name in names_of(draft.tables):
        group, _, label = name.partition(".")
        text.setdefault(group, {})[label] = draft.value(name)
    return codec.to_toml(without_secrets(text))


def write_draft(loop: LoopFolder, draft: Draft) -> Draft:
    """Saves the draft and returns it marked as saved."""
    write_atomically(loop.draft, draft_text(draft))
    return msgspec.structs.replace(draft, saved=True)


def drop_draft(loop: LoopFolder) -> None:
    """Deletes the saved draft."""
    loop.draft.unlink(missing_ok=True)


def plan_of(loop: LoopFolder, draft: Draft) -> Plan:
    """Returns the plan of a draft; raises ConfigError with every problem."""
    plan = plan_with(loop, draft.parent, draft.config, draft.why)
    return msgspec.structs.replace(plan, suggestion=draft.suggestion, predicted=draft.predicted)


def _table(tables: Tables, group: str) -> dict[str, Any]:
    table = tables.get(group, {})
    return table if isinstance(table, dict) else {}


def return_unstarted(folders: list[IterationFolder]) -> list[str]:
    """Removes those of `folders` that never started; they were to run in this order.

    The config and the reason of the first become the loop's draft. Where there is another draft by
    now, that folder stays queued. Replicates of a started iteration are removed without a trace,
    since its config is recorded. Returns a message for each, also where the process that ran them
    has already removed them.
    """
    planned = [folder for folder in folders if folder.number > 0]
    for folder in folders:
        if folder.path.exists() and not _has_started(folder):
            is_first = planned[:1] == [folder]
            if not is_first or _restore_draft(folder):
                shutil.rmtree(folder.path)
    return [_message(each, each is planned[0]) for each in planned if not _has_started(each)]


def return_refused(
    folders: list[IterationFolder], started: IterationFolder | None, *, as_draft: bool
) -> None:
    """Removes refused iterations and what was created for them, so that no number is used.

    `started`: one of them that had started when it was refused. With `as_draft` the first becomes
    the loop's draft; where there is another draft by now, it stays queued.
    """
    refused = [each for each in folders if each.path.exists() and not _has_started(each)]
    if started is not None:
        refused.insert(0, started)
    digests = [split.digest for each in refused for split in each.read_splits().values()]
    for place, folder in enumerate(refused):
        is_new = folder.number > 0 and place == 0
        if as_draft and is_new and not _restore_draft(folder):
            folder.journal.unlink(missing_ok=True)
        else:
            shutil.rmtree(folder.path)
    _drop_unused_indexes(folders[0].loop, digests)


def _drop_unused_indexes(loop: LoopFolder, digests: list[str | None]) -> None:
    """Removes those of the indexes of rows that no iteration names."""
    used = set[str | None]()
    with exclusive(loop):
        for number in loop.numbers():
            try:
                used |= {split.digest for split in loop.iteration(number).read_splits().values()}
            except BadInput:
                return  # an iteration that cannot be read may name any of them
        for digest in digests:
            if digest is not None and digest not in used:
                drop_index(loop.path, digest)


def _message(folder: IterationFolder, is_first: bool) -> str:
    if folder.path.exists():
        return f"{folder} did not start and is still queued: {command('resume', folder)}"
    if is_first and folder.loop.draft.exists():
        name = folder.loop.name
        return f"{folder} did not start and is a draft again: {command('run', name, '--draft')}"
    return f"{folder} did not start and has been removed"


def _has_started(folder: IterationFolder) -> bool:
    return folder.path.exists() and iteration_of(folder).state != "queued"


def _restore_draft(folder: IterationFolder) -> bool:
    """Writes the planned config back as the draft; returns False where there is another draft."""
    loop = folder.loop
    if loop.draft.exists():
        return False
    try:
        decision, tables = folder.read_decision(), to_tables(folder.read_config())
        before = to_tables(config_before(loop, decision.parent))
        draft = Draft(decision.parent, decision.why, tables, before)
        write_draft(
            loop,
            msgspec.structs.replace(
                draft, suggestion=decision.suggestion, predicted=decision.predicted
            ),
        )
    except (TuiLoopError, OSError):
        return False
    return True
