"""Whether an iteration is ready: the criteria of `loop.toml`, each met or not, and what to do.

From the record alone; the holdout's part from the holdout evaluations on record.
"""

from __future__ import annotations

import difflib
import math
from typing import Any, Literal

import msgspec

from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.compare.regression import blame_of, numbers_of, regression_of, worse_than_base
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.codec import number
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import LIVE, Iteration
from tui_loop.core.scoring import NO_METRIC
from tui_loop.core.stats import wilson
from tui_loop.core.text.figures import counted, loss, percent
from tui_loop.core.workflow.holdout import (
    FRESH_HOLDOUT,
    MANY_LOOKS,
    Look,
    Looked,
    agreement_of,
    looks_at,
    loops_of,
    read_looks,
)

Standing = Literal["met", "not met", "open"]
"""Open: it cannot be said yet, or was not asked."""

HOLDOUT = "holdout"
UNDER_WAY = ("queued", *LIVE)
"""States of an iteration whose figures are to come."""

LONG_TUNED = 10
"""Trained iterations on one eval set from which on a fresh split is proposed."""


class Item(msgspec.Struct, frozen=True):
    """One criterion. `kind` is stable; `figure` tells the numbers, `todo` what is left to do.

    `numbers`: the figures as such, by name; what there is not is left out.
    """

    kind: str
    title: str
    standing: Standing
    figure: str
    todo: str = ""
    numbers: dict[str, Any] = {}


class Checklist(msgspec.Struct, frozen=True):
    """All criteria of an iteration.

    `look`: the newest look that it took at the holdout, `looks` those of all loops of the folder at
    the same file, oldest first. `notices`: what else is to be known. `is_under_way`: it is run now,
    so that its figures are to come.
    """

    loop: str
    number: int
    items: tuple[Item, ...]
    look: Look | None = None
    looks: tuple[Looked, ...] = ()
    has_holdout: bool = False
    notices: tuple[str, ...] = ()
    is_under_way: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether every criterion is met."""
        return all(each.standing == "met" for each in self.items)

    @property
    def is_ready_but_holdout(self) -> bool:
        """Whether all is met but what only a look at the holdout can tell."""
        return all(each.standing == "met" for each in self.items if each.kind != HOLDOUT)

    @property
    def unmet(self) -> tuple[Item, ...]:
        """What keeps it from being ready."""
        return tuple(each for each in self.items if each.standing != "met")

    @property
    def looks_told(self) -> str:
        """`2 looks at this holdout so far, the first by support/3`; "" where nobody looked."""
        if not self.looks:
            return ""
        count = counted(len(self.looks), "look")
        return f"{count} at this holdout so far, the first by {self.looks[0].name}"

    @property
    def verdict(self) -> str:
        """All of it in one sentence."""
        if self.is_under_way:
            return f"{self.loop}/{self.number} is still running: look when it has ended"
        if self.is_ready:
            return f"{self.loop}/{self.number} is ready: all {len(self.items)} criteria are met"
        met = len(self.items) - len(self.unmet)
        names = ", ".join(each.title for each in self.unmet)
        return f"{self.loop}/{self.number}: {met} of {len(self.items)} criteria met; left: {names}"


def checklist(loop: LoopFolder, iteration: int) -> Checklist:
    """The checklist of an iteration, read once; raises BadInput, NotFound."""
    return checklist_of(LoopReader(loop), loop.existing(iteration).number)


def checklist_of(reader: LoopReader, iteration: int, comparer: Comparer | None = None) -> Checklist:
    """The checklist of an iteration; raises BadInput where the criteria cannot be read."""
    loop = reader.loop
    criteria = criteria_of(loop)
    known, said = reader.iteration(iteration), read_looks(loop)
    split = reader.splits(iteration).get("holdout")
    look = said.last_by(iteration)
    sha256 = look.sha256 if look is not None else split.sha256 if split is not None else None
    looks = looks_at(loops_of(loop), sha256) if sha256 is not None else ()
    comparer = comparer or Comparer(reader)
    tuned = _tuned_alike(reader, known)
    items = [
        _finished(known),
        _iterations(reader, criteria),
        _target(loop, known, criteria),
        *_no_regression(loop, comparer, known, criteria),
    ]
    has_holdout = split is not None or look is not None
    if criteria.holdout and has_holdout:
        all_else = all(each.standing == "met" for each in items)
        items.append(_holdout(loop, iteration, look, all_else_is_met=all_else))
    return Checklist(
        loop.name,
        iteration,
        tuple(items),
        look,
        looks,
        has_holdout,
        tuple(
            _notices(loop, looks, tuned, has_holdout=has_holdout)
            + [f"holdout.jsonl: {counted(said.bad_lines, 'bad line')}"] * bool(said.bad_lines)
            + [said.trouble] * bool(said.trouble)
        ),
        known.state in UNDER_WAY,
    )


def _finished(iteration: Iteration) -> Item:
    title = "finished and evaluated"
    has_figures = number(iteration.metrics.get("eval_loss")) is not None
    if iteration.number == 0:
        text = "this is the untouched base"
        return Item("finished", title, "not met", text, "name a trained iteration")
    if iteration.state == "finished" and has_figures:
        return Item("finished", title, "met", "finished")
    if iteration.state in UNDER_WAY:
        text = "it has not begun" if iteration.state == "queued" else f"it is {iteration.state}"
        return Item("finished", title, "open", text, "look when it has ended")
    error = f" ({iteration.error.get('kind')})" if iteration.error else ""
    text = f"{iteration.state}{error}" if has_figures else f"{iteration.state}{error}, no figures"
    return Item("finished", title, "not met", text, "resume it, or take one that finished")


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
        f"try {counted(least - done, 'more change')}, or set ready.min_iterations in loop.toml",
        numbers,
    )


def _target(loop: LoopFolder, iteration: Iteration, criteria: Criteria) -> Item:
    is_loss = loop.read_settings().metric == NO_METRIC
    name = "eval_loss" if is_loss else "score"
    value = number(iteration.metrics.get(name))
    bounds = None if is_loss else _interval(iteration)
    text = (loss(value) if is_loss else _with_noise(iteration)) if value is not None else "no score"
    target = criteria.target
    numbers = {name: value if value is not None and math.isfinite(value) else None}
    numbers["target"] = target
    if bounds is not None:
        numbers |= {"low": bounds[0], "high": bounds[1]}
    numbers = {key: each for key, each in numbers.items() if each is not None}
    if target is None:
        example = "the highest eval loss, in nats" if is_loss else "0.85"
        todo = f"write into {loop.settings_file}: [ready] target = {example}"
        return Item("target", "target", "open", f"no target set: {text}", todo, numbers)
    title = f"eval loss at most {loss(target)}" if is_loss else f"score at least {percent(target)}"
    if value is None and iteration.state in UNDER_WAY:
        return Item("target", title, "open", f"{text} yet", "look when it has ended", numbers)
    if value is None or not math.isfinite(value):
        todo = "take an iteration that was evaluated"
        return Item("target", title, "not met", text, todo, numbers)
    if bounds is not None and bounds[0] < target <= bounds[1]:
        text += f"; the score decides, though {percent(target)} is within its interval"
    if value <= target if is_loss else value >= target:
        return Item("target", title, "met", text, "", numbers)
    lacks = f"{value - target:.3f} nats" if is_loss else f"{100 * (target - value):.0f} points"
    todo = f"{lacks} short; what to change: tui-loop diagnose {loop.name}/{iteration.number}"
    return Item("target", title, "not met", text, todo, numbers)


def _with_noise(iteration: Iteration) -> str:
    """The score with its 95% interval over examples, where counts give one."""
    metrics, bounds = iteration.metrics, _interval(iteration)
    told = percent(metrics.get("score"))
    if bounds is None:
        return told
    low, high = map(percent, bounds)
    return f"{told} (95%: {low} to {high}), {metrics['passed']:.0f} of {metrics['total']:.0f} pass"


def _interval(iteration: Iteration) -> tuple[float, float] | None:
    passed, total = (number(iteration.metrics.get(name)) for name in ("passed", "total"))
    if not total or passed is None or not 0 <= passed <= total < math.inf:
        return None
    return wilson(int(passed), int(total))


def _no_regression(
    loop: LoopFolder, comparer: Comparer, iteration: Iteration, criteria: Criteria
) -> list[Item]:
    others = {"parent": iteration.parent, "base": 0}
    wanted = [(name, others[name]) for name in criteria.no_regression]
    if ("parent", 0) in wanted and ("base", 0) in wanted:
        wanted.remove(("parent", 0))
    return [
        _regression(loop.name, comparer, iteration, name, other)
        for name, other in wanted
        if other is not None and iteration.number > 0
    ]


def _regression(loop: str, comparer: Comparer, iteration: Iteration, name: str, other: int) -> Item:
    kind = f"no_regression_{name}"
    title = f"no worse than {'the base' if other == 0 else f'its parent, {other}'}"
    unknown = "evaluate both on the same examples"
    if iteration.state in UNDER_WAY:
        return Item(kind, title, "open", "not evaluated yet", "look when it has ended")
    try:
        compared = comparer.compare(other, iteration.number)
        told, is_worse = regression_of(compared)
    except TuiLoopError as error:
        return Item(kind, title, "open", error.message, error.hint or unknown)
    except OSError as error:
        return Item(kind, title, "open", str(error), unknown)
    numbers = numbers_of(compared)
    if is_worse is None:
        return Item(kind, title, "open", told, unknown, numbers)
    if not is_worse:
        return Item(kind, title, "met", told, "", numbers)
    todo = f"see what broke: tui-loop compare {loop}/{other} {loop}/{iteration.number}"
    blame = f"; {blame}" if (blame := blame_of(compared)) else ""
    return Item(kind, title, "not met", f"significantly worse: {told}{blame}", todo, numbers)


def _holdout(loop: LoopFolder, iteration: int, look: Look | None, *, all_else_is_met: bool) -> Item:
    title = "the holdout agrees"
    name = f"{loop.name}/{iteration}"
    if look is None:
        todo = "when all else is met, this looks at it"
        if all_else_is_met:
            todo = "all else is met; this looks at it, and asks before it does"
        text = "not looked at by this iteration"
        return Item(HOLDOUT, title, "open", text, f"{todo}: tui-loop ready {name}")
    found = agreement_of(look)
    numbers: dict[str, Any] = {
        "eval": look.eval.score,
        "holdout": look.score,
        "eval_loss": look.eval.loss,
        "holdout_loss": look.loss,
        "difference": found.difference and msgspec.to_builtins(found.difference),
    }
    numbers = {key: each for key, each in numbers.items() if each is not None}
    against, is_worse = worse_than_base(look.paired)
    text = found.sentence + (f"; {against}" if against else "")
    if is_worse:
        todo = f"the base is better there: tui-loop compare {loop.name}/0 {name}"
        return Item(HOLDOUT, title, "not met", text, todo, numbers)
    if found.agrees is None:
        todo = f"look again: tui-loop ready {name} --look"
        return Item(HOLDOUT, title, "open", text, todo, numbers)
    if found.agrees:
        return Item(HOLDOUT, title, "met", text, "", numbers)
    todo = f"eval was tuned on: tui-loop fresh {loop.name} draws another one; more training data"
    return Item(HOLDOUT, title, "not met", text, todo, numbers)


def _tuned_alike(reader: LoopReader, iteration: Iteration) -> int:
    """How many trained iterations were measured on this one's eval rows."""
    if iteration.fingerprint is None:
        return 0
    others = (reader.iteration(each) for each in reader.numbers() if each > 0)
    return sum(
        each.fingerprint is not None and each.fingerprint.rows == iteration.fingerprint.rows
        for each in others
    )


def _notices(
    loop: LoopFolder, looks: tuple[Looked, ...], tuned: int, *, has_holdout: bool
) -> list[str]:
    notices = []
    if not has_holdout:
        notices.append(
            "there is no holdout: nothing can tell whether the eval set was tuned on "
            "(--set data.holdout=PATH names one)"
        )
    if len(looks) >= MANY_LOOKS:
        notices.append(f"the holdout is becoming an eval set: {FRESH_HOLDOUT}")
    if tuned >= LONG_TUNED:
        notices.append(
            f"{tuned} iterations were tuned on this eval set: tui-loop fresh {loop.name} makes "
            "another split"
        )
    return notices


MIN_ITERATIONS = 3
AGAINST = ("parent", "base")
"""What an iteration can be held against for a regression."""


class Criteria(msgspec.Struct, frozen=True):
    """`target`: the least score in [0, 1], or under metric none the highest eval loss.

    `no_regression`: what it must not be significantly worse than. `holdout`: whether the holdout,
    where the loop has one, must agree.
    """

    target: float | None = None
    min_iterations: int = MIN_ITERATIONS
    no_regression: tuple[str, ...] = AGAINST
    holdout: bool = True


FIELDS = Criteria.__struct_fields__


def criteria_of(loop: LoopFolder) -> Criteria:
    """The loop's criteria; raises BadInput with file and field."""
    settings = loop.read_settings()
    return read_criteria(settings.ready, settings.metric, str(loop.settings_file))


def read_criteria(table: dict[str, Any], metric: str, where: str) -> Criteria:
    """The criteria in a `ready` table; raises BadInput that names `where` and the field."""
    for name in table:
        if name not in FIELDS:
            close = difflib.get_close_matches(name, FIELDS, n=1)
            guess = f", did you mean {close[0]}?" if close else ""
            raise BadInput(
                f"{where}: ready.{name}: no such criterion{guess}", f"one of {', '.join(FIELDS)}"
            )
    read = Criteria()
    if "target" in table:
        target = checked_target(table["target"], metric, f"{where}: ready.target")
        read = msgspec.structs.replace(read, target=target)
    if "min_iterations" in table:
        count = table["min_iterations"]
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise _wrong(where, "min_iterations", "a whole number from 0 on", count)
        read = msgspec.structs.replace(read, min_iterations=count)
    if "no_regression" in table:
        names = table["no_regression"]
        if not isinstance(names, list) or not all(each in AGAINST for each in names):
            raise _wrong(where, "no_regression", 'a list of "parent" and "base"', names)
        kept = tuple(each for each in AGAINST if each in names)
        read = msgspec.structs.replace(read, no_regression=kept)
    if "holdout" in table:
        if not isinstance(table["holdout"], bool):
            raise _wrong(where, "holdout", "true or false", table["holdout"])
        read = msgspec.structs.replace(read, holdout=table["holdout"])
    return read


def checked_target(value: Any, metric: str, field: str) -> float:
    """A target that can be reached; raises BadInput that names `field`."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if metric == NO_METRIC:
        if not is_number or not 0 < value < math.inf:
            raise BadInput(
                f"{field}: must be an eval loss above 0, not {value!r}",
                "under metric none the target is the highest eval loss, in nats a token",
            )
    elif not is_number or not 0 <= value <= 1:
        raise BadInput(
            f"{field}: must be a score from 0 to 1, not {value!r}", "0.85 stands for 85%"
        )
    return float(value)


def _wrong(where: str, field: str, wanted: str, value: Any) -> BadInput:
    return BadInput(
        f"{where}: ready.{field}: must be {wanted}, not {value!r}", "correct that line in an editor"
    )
