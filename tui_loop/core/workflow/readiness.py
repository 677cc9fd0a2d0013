"""The readiness checklist: whether an iteration meets the criteria of `loop.toml`, and what to do.

It reads the record alone, for the holdout the recorded holdout evaluations.
"""

from __future__ import annotations

import difflib
import math
from typing import Any, Literal

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.compare.claims import blame_of, numbers_of, regression_of, worse_than_base
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.compare.uncertainty import passed_bounds
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.codec import number
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import LIVE, Iteration
from tui_loop.core.scoring import NO_METRIC
from tui_loop.core.text.figures import counted, loss, percent
from tui_loop.core.workflow.holdout import (
    FRESH_HOLDOUT,
    MANY_USES,
    HoldoutEvaluation,
    HoldoutUse,
    agreement_of,
    holdout_uses,
    loops_of,
    read_holdout_evaluations,
)

ItemStatus = Literal["met", "not met", "open"]
"""Open: the answer is not known yet."""

HOLDOUT = "holdout"
IN_PROGRESS = ("queued", *LIVE)
"""States of an iteration that has no final figures yet."""

CHECK_LATER = "check again when the run has ended"

LONG_TUNED = 10
"""From this many trained iterations on one evaluation set on, a fresh split is suggested."""


class Item(msgspec.Struct, frozen=True):
    """One criterion. `kind` is stable; `figure` has the numbers as text, `todo` the next step.

    `numbers`: the known figures by name. The JSON key of `status` is `standing`.
    """

    kind: str
    title: str
    status: ItemStatus = msgspec.field(name="standing")
    figure: str
    todo: str = ""
    numbers: dict[str, Any] = {}


class Checklist(msgspec.Struct, frozen=True):
    """All criteria of an iteration.

    `evaluation`: its newest evaluation on the holdout. `uses`: the uses of the same holdout file by
    all loops of the folder, oldest first. `notices`: further remarks. `is_in_progress`: the
    iteration is queued or running, so it has no final figures yet.
    """

    loop: str
    number: int
    items: tuple[Item, ...]
    evaluation: HoldoutEvaluation | None = None
    uses: tuple[HoldoutUse, ...] = ()
    has_holdout: bool = False
    notices: tuple[str, ...] = ()
    is_in_progress: bool = False

    @property
    def is_ready(self) -> bool:
        """Returns whether every criterion is met."""
        return all(each.status == "met" for each in self.items)

    @property
    def is_ready_except_holdout(self) -> bool:
        """Returns whether every criterion except the holdout is met."""
        return all(each.status == "met" for each in self.items if each.kind != HOLDOUT)

    @property
    def unmet(self) -> tuple[Item, ...]:
        """Returns the criteria that are not met or still open."""
        return tuple(each for each in self.items if each.status != "met")

    @property
    def holdout_use_summary(self) -> str:
        """Returns `2 uses of this holdout so far, the first by support/3`; "" where unused."""
        if not self.uses:
            return ""
        count = counted(len(self.uses), "use")
        return f"{count} of this holdout so far, the first by {self.uses[0].name}"

    @property
    def verdict(self) -> str:
        """Returns the result in one sentence."""
        if self.is_in_progress:
            return (
                f"{self.loop}/{self.number} has not ended yet: check again when the run has ended"
            )
        if self.is_ready:
            return f"{self.loop}/{self.number} is ready: all {len(self.items)} criteria are met"
        met = len(self.items) - len(self.unmet)
        names = ", ".join(each.title for each in self.unmet)
        counts = f"{met} of {len(self.items)} criteria met"
        return f"{self.loop}/{self.number}: {counts}; still missing: {names}"


def checklist(loop: LoopFolder, iteration: int) -> Checklist:
    """Reads a loop and returns the checklist of an iteration; raises BadInput, NotFound."""
    return checklist_of(LoopReader(loop), loop.existing(iteration).number)


def missing_for_ready(loop: LoopFolder, iteration: int | None) -> list[str]:
    """Returns what an iteration lacks to be ready, a line each; [] where it is ready.

    `iteration`: None where none was evaluated. Raises BadInput where the criteria cannot be read.
    """
    if iteration is None:
        return ["no iteration was evaluated"]
    unmet = checklist(loop, iteration).unmet
    return [f"{each.title}: {each.figure or each.status}" for each in unmet]


def checklist_of(reader: LoopReader, number: int, comparer: Comparer | None = None) -> Checklist:
    """Returns the checklist of an iteration; raises BadInput where the criteria cannot be read."""
    loop = reader.loop
    criteria = criteria_of(loop)
    iteration, log = reader.iteration(number), read_holdout_evaluations(loop)
    split = reader.splits(number).get("holdout")
    evaluation = log.last_by(number)
    recorded = evaluation or split  # the data file may have changed since the iteration began
    sha256 = recorded.sha256 if recorded is not None else None
    uses = holdout_uses(loops_of(loop), sha256) if sha256 is not None else ()
    comparer = comparer or Comparer(reader)
    tuned = _tuned_on_same_rows(reader, iteration)
    items = [
        _finished(iteration),
        _iterations(reader, criteria),
        _target(reader, iteration, criteria),
        *_no_regression(loop, comparer, iteration, criteria),
    ]
    has_holdout = recorded is not None
    if criteria.holdout and has_holdout:
        others_met = all(each.status == "met" for each in items)
        items.append(_holdout(loop, number, evaluation, others_met=others_met))
    return Checklist(
        loop.name,
        number,
        tuple(items),
        evaluation,
        uses,
        has_holdout,
        tuple(
            _notices(loop, uses, tuned, has_holdout=has_holdout)
            + [f"holdout.jsonl: {counted(log.bad_lines, 'bad line')}"] * bool(log.bad_lines)
            + [log.problem] * bool(log.problem)
        ),
        iteration.state in IN_PROGRESS,
    )


def _finished(iteration: Iteration) -> Item:
    title = "finished and evaluated"
    has_figures = number(iteration.metrics.get("eval_loss")) is not None
    if iteration.number == 0:
        text = "this is the untouched base"
        return Item("finished", title, "not met", text, "name a trained iteration")
    if iteration.state == "finished" and has_figures:
        return Item("finished", title, "met", "finished")
    if iteration.state in IN_PROGRESS:
        return Item("finished", title, "open", iteration.state, CHECK_LATER)
    error = f" ({iteration.error.get('kind')})" if iteration.error else ""
    text = f"{iteration.state}{error}" if has_figures else f"{iteration.state}{error}, no figures"
    return Item(
        "finished", title, "not met", text, "resume the run, or choose a finished iteration"
    )


def _iterations(reader: LoopReader, criteria: Criteria) -> Item:
    trained = [each for each in reader.numbers() if each > 0]
    done = sum(reader.iteration(each).state == "finished" for each in trained)
    least = criteria.min_iterations
    title = f"at least {counted(least, 'iteration')}"
    text = f"{done} trained and finished"
    numbers = {"finished": done, "least": least}
    if done >= least:
        return Item("iterations", title, "met", text, "", numbers)
    return Item(
        "iterations",
        title,
        "not met",
        text,
        f"run {counted(least - done, 'more iteration')}, or lower ready.min_iterations",
        numbers,
    )


def _target(reader: LoopReader, iteration: Iteration, criteria: Criteria) -> Item:
    loop = reader.loop
    is_loss = loop.read_settings().metric == NO_METRIC
    name = "eval_loss" if is_loss else "score"
    value = number(iteration.metrics.get(name))
    bounds = None if is_loss else _interval(reader, iteration)
    text = "no score"
    if value is not None:
        text = loss(value) if is_loss else _score_text(iteration, bounds)
    target = criteria.target
    numbers = {name: value if value is not None and math.isfinite(value) else None}
    numbers["target"] = target
    if bounds is not None:
        numbers |= {"low": bounds[0], "high": bounds[1]}
    numbers = {key: each for key, each in numbers.items() if each is not None}
    if target is None:
        example = "the highest acceptable eval loss" if is_loss else "0.85"
        todo = f"write into {loop.settings_file}: [ready] target = {example}"
        return Item("target", "target", "open", f"no target set: {text}", todo, numbers)
    title = f"eval loss at most {loss(target)}" if is_loss else f"score at least {percent(target)}"
    if value is None and iteration.state in IN_PROGRESS:
        return Item("target", title, "open", f"{text} yet", CHECK_LATER, numbers)
    if value is None or not math.isfinite(value):
        todo = "choose an iteration that was evaluated"
        return Item("target", title, "not met", text, todo, numbers)
    if bounds is not None and bounds[0] < target <= bounds[1]:
        text += (
            f"; the interval includes the target of {percent(target)}, so the score itself decides"
        )
    if value <= target if is_loss else value >= target:
        return Item("target", title, "met", text, "", numbers)
    points = f"{100 * (target - value):.0f} points short"
    missing = f"{value - target:.3f} nats too high" if is_loss else points
    name = f"{loop.name}/{iteration.number}"
    todo = f"{missing}; see what to change: {command('diagnose', name)}"
    return Item("target", title, "not met", text, todo, numbers)


def _score_text(iteration: Iteration, bounds: tuple[float, float] | None) -> str:
    """Returns the score with its 95% interval, where counts are recorded."""
    metrics = iteration.metrics
    score = percent(metrics.get("score"))
    if bounds is None:
        return score
    low, high = map(percent, bounds)
    counts = f"{metrics['passed']:.0f} of {metrics['total']:.0f} pass"
    return f"{score} (95% interval {low} to {high}), {counts}"


def _interval(reader: LoopReader, iteration: Iteration) -> tuple[float, float] | None:
    passed, total = (number(iteration.metrics.get(name)) for name in ("passed", "total"))
    if not total or passed is None or not 0 <= passed <= total < math.inf:
        return None
    return passed_bounds(int(passed), int(total), reader.grouped_outcomes(iteration))


def _no_regression(
    loop: LoopFolder, comparer: Comparer, iteration: Iteration, criteria: Criteria
) -> list[Item]:
    numbers = {"parent": iteration.parent, "base": 0}
    references = [(name, numbers[name]) for name in criteria.no_regression]
    if ("parent", 0) in references and ("base", 0) in references:
        references.remove(("parent", 0))
    return [
        _regression(loop.name, comparer, iteration, name, other)
        for name, other in references
        if other is not None and iteration.number > 0
    ]


def _regression(loop: str, comparer: Comparer, iteration: Iteration, name: str, other: int) -> Item:
    kind = f"no_regression_{name}"
    title = f"no worse than {'the base' if other == 0 else f'its parent ({other})'}"
    unknown = "evaluate both iterations on the same examples"
    if iteration.state in IN_PROGRESS:
        return Item(kind, title, "open", "not evaluated yet", CHECK_LATER)
    try:
        comparison = comparer.compare(other, iteration.number)
        text, is_worse = regression_of(comparison)
    except TuiLoopError as error:
        return Item(kind, title, "open", error.message, error.hint or unknown)
    except OSError as error:
        return Item(kind, title, "open", str(error), unknown)
    numbers = numbers_of(comparison)
    if is_worse is None:
        return Item(kind, title, "open", text, unknown, numbers)
    if not is_worse:
        return Item(kind, title, "met", text, "", numbers)
    todo = "see what broke: " + command("compare", f"{loop}/{other}", f"{loop}/{iteration.number}")
    blame = f"; {blame}" if (blame := blame_of(comparison)) else ""
    return Item(kind, title, "not met", f"significantly worse: {text}{blame}", todo, numbers)


def _holdout(
    loop: LoopFolder, iteration: int, evaluation: HoldoutEvaluation | None, *, others_met: bool
) -> Item:
    title = "the holdout agrees"
    name = f"{loop.name}/{iteration}"
    if evaluation is None:
        todo = "once all other criteria are met, evaluate the holdout"
        if others_met:
            todo = "all other criteria are met; evaluate the holdout (asks for confirmation)"
        text = "not evaluated for this iteration"
        return Item(HOLDOUT, title, "open", text, f"{todo}: {command('ready', name)}")
    agreement = agreement_of(evaluation)
    numbers: dict[str, Any] = {
        "eval": evaluation.eval.score,
        "holdout": evaluation.score,
        "eval_loss": evaluation.eval.loss,
        "holdout_loss": evaluation.loss,
        "difference": agreement.difference and msgspec.to_builtins(agreement.difference),
    }
    numbers = {key: each for key, each in numbers.items() if each is not None}
    against_base, is_worse = worse_than_base(evaluation.paired)
    text = agreement.sentence + (f"; {against_base}" if against_base else "")
    if is_worse:
        todo = "the base is better on the holdout; compare both on the eval set: "
        todo += command("compare", f"{loop.name}/0", name)
        return Item(HOLDOUT, title, "not met", text, todo, numbers)
    if agreement.agrees is None:
        todo = f"evaluate the holdout again: {command('ready', name, '--look')}"
        return Item(HOLDOUT, title, "open", text, todo, numbers)
    if agreement.agrees:
        return Item(HOLDOUT, title, "met", text, "", numbers)
    todo = "tuning may have overfitted the eval set: add training data, or draw a new eval set: "
    todo += command("fresh", loop.name)
    return Item(HOLDOUT, title, "not met", text, todo, numbers)


def _tuned_on_same_rows(reader: LoopReader, iteration: Iteration) -> int:
    """Returns how many trained iterations were evaluated on the same rows as this one."""
    if iteration.fingerprint is None:
        return 0
    others = (reader.iteration(each) for each in reader.numbers() if each > 0)
    return sum(
        each.fingerprint is not None and each.fingerprint.rows == iteration.fingerprint.rows
        for each in others
    )


def _notices(
    loop: LoopFolder, uses: tuple[HoldoutUse, ...], tuned: int, *, has_holdout: bool
) -> list[str]:
    notices = []
    if not has_holdout:
        notices.append(
            "there is no holdout, so nothing can show whether tuning has overfitted the eval set "
            "(add one with --set data.holdout=PATH)"
        )
    if len(uses) >= MANY_USES:
        notices.append(f"the holdout is becoming a second eval set: {FRESH_HOLDOUT}")
    if tuned >= LONG_TUNED:
        notices.append(
            f"{tuned} iterations were tuned on this eval set; draw a new one: "
            + command("fresh", loop.name)
        )
    return notices


MIN_ITERATIONS = 3
AGAINST = ("parent", "base")
"""What an iteration can be compared with for a regression."""


class Criteria(msgspec.Struct, frozen=True):
    """The `[ready]` table of `loop.toml`.

    `target`: the least score in [0, 1], or under metric none the highest eval loss.
    `no_regression`: what an iteration must not be significantly worse than. `holdout`: whether the
    holdout, where the loop has one, must agree.
    """

    target: float | None = None
    min_iterations: int = MIN_ITERATIONS
    no_regression: tuple[str, ...] = AGAINST
    holdout: bool = True


FIELDS = Criteria.__struct_fields__


def criteria_of(loop: LoopFolder) -> Criteria:
    """Reads the loop's criteria; raises BadInput with file and field."""
    settings = loop.read_settings()
    return read_criteria(settings.ready, settings.metric, str(loop.settings_file))


def read_criteria(table: dict[str, Any], metric: str, where: str) -> Criteria:
    """Reads the criteria in a `ready` table; raises BadInput that names `where` and the field."""
    for name in table:
        if name not in FIELDS:
            close = difflib.get_close_matches(name, FIELDS, n=1)
            guess = f", did you mean {close[0]}?" if close else ""
            raise BadInput(
                f"{where}: ready.{name}: no such criterion{guess}",
                f"choose one of {', '.join(FIELDS)}",
            )
    criteria = Criteria()
    if "target" in table:
        target = checked_target(table["target"], metric, f"{where}: ready.target")
        criteria = msgspec.structs.replace(criteria, target=target)
    if "min_iterations" in table:
        count = table["min_iterations"]
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise _wrong(where, "min_iterations", "a whole number of at least 0", count)
        criteria = msgspec.structs.replace(criteria, min_iterations=count)
    if "no_regression" in table:
        names = table["no_regression"]
        if not isinstance(names, list) or not all(each in AGAINST for each in names):
            raise _wrong(where, "no_regression", 'a list with "parent", "base" or both', names)
        references = tuple(each for each in AGAINST if each in names)
        criteria = msgspec.structs.replace(criteria, no_regression=references)
    if "holdout" in table:
        if not isinstance(table["holdout"], bool):
            raise _wrong(where, "holdout", "true or false", table["holdout"])
        criteria = msgspec.structs.replace(criteria, holdout=table["holdout"])
    return criteria


def checked_target(value: Any, metric: str, field: str) -> float:
    """Returns a target that can be reached; raises BadInput that names `field`."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if metric == NO_METRIC:
        if not is_number or not 0 < value < math.inf:
            raise BadInput(
                f"{field}: must be an eval loss above 0, not {value!r}",
                "with metric none the target is the highest acceptable eval loss (nats per token)",
            )
    elif not is_number or not 0 <= value <= 1:
        raise BadInput(f"{field}: must be a score from 0 to 1, not {value!r}", "0.85 means 85%")
    return float(value)


def _wrong(where: str, field: str, expected: str, value: Any) -> BadInput:
    return BadInput(
        f"{where}: ready.{field}: must be {expected}, not {value!r}",
        "correct that line in an editor",
    )
