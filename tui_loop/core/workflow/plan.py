"""Plans the next iteration (parent, config, changes, reason) and creates its folder."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.core.config.schema import EOS, SEED, Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.config.tables import changed_fields, flatten
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.data.row_versions import rows_changed, write_index
from tui_loop.core.errors import BadInput
from tui_loop.core.record.exclusive import exclusive
from tui_loop.core.record.fingerprint import fingerprint_of
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.new_folder import new_folder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.structs import Change, Decision, Split

Changes = dict[str, Any]
"""{"group.field": (old, new)}; for changed data, {"data.train": {"rows_added": n, ...}}."""


class Plan(msgspec.Struct, frozen=True):
    """An iteration to be created.

    `suggestion` and `predicted`: from an applied suggestion, as in a `Decision`.
    """

    config: Config
    parent: int | None
    why: str
    changes: Changes
    replicate_of: int | None = None
    suggestion: str | None = None
    predicted: dict[str, Any] | None = None


def plan_next(loop: LoopFolder, *, parent: int | None, settings: list[str], why: str) -> Plan:
    """Plans the next iteration from `parent` (default: the newest) with `settings` applied.

    A child of the base starts from the loop's current defaults, any other from its parent's config.
    """
    numbers = loop.numbers()
    if parent is None and numbers:
        parent = numbers[-1]
    return plan_with(loop, parent, with_settings(starting_config(loop, parent), settings), why)


def plan_with(loop: LoopFolder, parent: int | None, config: Config, why: str) -> Plan:
    """Plans the next iteration from `parent` with a complete config."""
    before = config_before(loop, parent)
    if parent is None or parent == 0:
        if parent == 0 and not config.evaluation.base:
            loop.existing(0)  # the base will not be evaluated now, so it must exist
        measured = parent == 0 or config.evaluation.base
        parent = 0 if measured else None
    return Plan(config, parent, why, changes_between(before, config))


def config_before(loop: LoopFolder, parent: int | None) -> Config:
    """Returns the config that a child of `parent` is compared with: its own, or the defaults."""
    return loop.existing(parent).read_config() if parent else loop.default_config()


def starting_config(loop: LoopFolder, parent: int | None) -> Config:
    """Returns the config that a child of `parent` starts from, for the base the loop's defaults."""
    return loop.existing(parent).read_starting_config() if parent else loop.default_config()


def base_config(loop: LoopFolder, plan: Plan) -> Config:
    """Returns the base's config: the loop's defaults with the plan's evaluation."""
    defaults = loop.default_config()
    other = {name: value for name, value in defaults.other.items() if name != EOS}
    if EOS in plan.config.other:  # it ends the answers of an evaluation, too
        other[EOS] = plan.config.other[EOS]
    return msgspec.structs.replace(
        defaults,
        other=other,
        model=msgspec.structs.replace(plan.config.model, init_adapter=None),
        data=plan.config.data,
        evaluation=plan.config.evaluation,
        run=plan.config.run,
    )


def with_data_changes(loop: LoopFolder, plan: Plan, data: LoadedData) -> Plan:
    """Returns the plan with the changes of its data files, row by row.

    `changes` has a changed file as {rows_added, rows_removed, rows_changed}.
    """
    changes = dict(plan.changes)
    recorded: dict[str, Split] = {}
    if plan.parent is not None and loop.iteration(plan.parent).config.exists():
        recorded = loop.iteration(plan.parent).read_splits()
    for name, rows in (("train", data.train), ("eval", data.eval)):
        before = recorded.get(name)
        if before is not None and before.digest is not None:
            difference = rows_changed(loop.path, before.digest, rows)
            if difference is not None:
                changes[f"data.{name}"] = difference
    return msgspec.structs.replace(plan, changes=changes)


def replicates(loop: LoopFolder, plan: Plan, count: int) -> list[Plan]:
    """Returns `count` plans of one config that differ only in the seed.

    A plan without changes repeats its parent's config with unused seeds. Otherwise the first
    replicate has the plan's own seed.
    """
    repeats_parent = not plan.changes and plan.parent not in (None, 0)
    seed = plan.config.training.seed
    used = _used_seeds(loop, plan.config) - (set[int]() if repeats_parent else {seed})
    plans: list[Plan] = []
    while len(plans) < count:
        if seed not in used:
            config = with_settings(plan.config, [f"{SEED}={seed}"])
            changes = dict(plan.changes)
            if seed != plan.config.training.seed:
                changes[SEED] = (plan.config.training.seed, seed)
            same_as = plan.parent if repeats_parent else None
            plans.append(
                msgspec.structs.replace(plan, config=config, changes=changes, replicate_of=same_as)
            )
        seed += 1
    return plans


def create_iterations(
    loop: LoopFolder, plans: list[Plan], data: LoadedData
) -> list[IterationFolder]:
    """Creates the folders of the next iterations, and the indexes of their rows."""
    with exclusive(loop):  # a run that is refused meanwhile removes unused indexes
        for rows in (data.train, data.eval):
            write_index(loop.path, rows)
        return [create_iteration(loop, plan, data.splits) for plan in plans]


def create_iteration(loop: LoopFolder, plan: Plan, splits: dict[str, Split]) -> IterationFolder:
    """Creates the folder of the next iteration, complete or not at all."""
    numbers = loop.numbers()
    number = max(numbers, default=0) + 1
    return _create(loop, number, plan, splits)


def create_base_for(iteration: IterationFolder) -> IterationFolder:
    """Creates iteration 0 to be evaluated as `iteration` will be."""
    plan = Plan(iteration.read_config(), None, "", {})
    config = base_config(iteration.loop, plan)
    return create_base(iteration.loop, config, iteration.read_splits())


def create_base(loop: LoopFolder, config: Config, splits: dict[str, Split]) -> IterationFolder:
    """Creates iteration 0, the base to be evaluated; an existing one gets the new config."""
    folder = loop.iteration(0)
    if folder.path.exists():
        folder.write_config(config, splits)
        return folder
    return _create(loop, 0, Plan(config, None, "the untouched base, measured", {}), splits)


def base_is_needed(loop: LoopFolder, config: Config, data: LoadedData, weights: str = "") -> bool:
    """Returns whether the base must be evaluated for a comparison with an iteration of `config`."""
    if not config.evaluation.base:
        return False
    folder = loop.iteration(0)
    if not folder.path.exists():
        return True
    base = iteration_of(folder)
    if base.state == "unreadable":
        return False  # shown as unreadable; a run would overwrite it
    if base.state != "finished" or base.fingerprint is None:
        return True
    return bool(
        base.fingerprint.differs_from(fingerprint_of(config, data.eval, data.labels, weights))
    )


def _create(loop: LoopFolder, number: int, plan: Plan, splits: dict[str, Split]) -> IterationFolder:
    target = loop.iteration(number)
    try:
        with new_folder(target.path) as temporary:
            draft = IterationFolder(temporary, loop, number)
            draft.write_config(plan.config, splits)
            draft.write_decision(
                Decision(
                    plan.parent,
                    plan.why,
                    tuple(_change(field, value) for field, value in plan.changes.items()),
                    plan.suggestion,
                    plan.predicted,
                )
            )
    except FileExistsError as error:
        raise BadInput(
            f"{loop.name}: another process just created iteration {number}", "try again"
        ) from error
    return target


def _change(field: str, value: Any) -> Change:
    if isinstance(value, dict):
        return Change(field, new=value)
    old, new = value
    return Change(field, old, new)


def recorded_plan(folder: IterationFolder) -> Plan:
    """Returns the plan that an iteration was created from; raises BadInput."""
    decision = folder.read_decision()
    changes: Changes = {
        each.field: each.new if isinstance(each.new, dict) else (each.old, each.new)
        for each in decision.changes
    }
    return Plan(
        folder.read_config(),
        decision.parent,
        decision.why,
        changes,
        suggestion=decision.suggestion,
        predicted=decision.predicted,
    )


def changes_between(before: Config, after: Config) -> Changes:
    """Returns the fields that differ between two configs."""
    changes: Changes = dict(changed_fields(before, after))
    changes.pop(
        "evaluation.base", None
    )  # decides whether the base is evaluated, and does not affect the run
    return changes


def _used_seeds(loop: LoopFolder, config: Config) -> set[int]:
    used = set()
    for number in loop.numbers():
        if number == 0:
            continue
        try:
            other = loop.iteration(number).read_config()
        except BadInput:
            continue
        if set(changed_fields(other, config)) <= {SEED}:
            used.add(int(flatten(other)[SEED]))
    return used
