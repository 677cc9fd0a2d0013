"""Holdout evaluations (`holdout.jsonl`, one line each, figures only), and whether the holdout
agrees with the evaluation set within the noise of both.

No row, id or text of the holdout is ever stored. A line is written before any figure is shown.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Literal

import msgspec

from tui_loop.core.clusters import (
    CONVERSATION,
    Clusters,
    Unit,
    clusters_at,
    clusters_of,
    group_of,
    sums_by_cluster,
)
from tui_loop.core.commands import command
from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.codec import number
from tui_loop.core.record.files import append_line
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder, Scan
from tui_loop.core.record.safe_open import lines_of
from tui_loop.core.record.structs import Example
from tui_loop.core.stats import (
    Z95,
    Interval,
    effective_total,
    mean_error,
    newcombe,
    sample_variance,
)
from tui_loop.core.text.figures import loss, loss_change, percent

MOST_ROWS = 1_000_000_000
MAX_CHANGED = 100_000
"""Lines with larger counts are rejected: an exact test of that many changes takes two seconds."""

_LAST_TIME = 250_000_000_000
"""Unix seconds, about the year 9900. `time.localtime` and `datetime` reject much later times."""

_LEAST_TOTAL = 1e-6
"""No evaluation has a smaller effective number of examples."""

MANY_USES = 3
"""From this many uses on, the holdout works like a second evaluation set, and a notice says so."""


FRESH_HOLDOUT = "use a file of rows that no run has used: " + command(
    "run", "--set", "data.holdout=PATH"
)
"""The hint for that case. `fresh` draws another evaluation set and does not touch the holdout."""


class Figures(msgspec.Struct, frozen=True):
    """The result of an evaluation. Scores are in [0, 1], losses in nats a token.

    `score_error` and `loss_error`: their standard errors over examples, or over groups of examples
    that are not independent (`core.clusters`). `effective_total`: how many independent examples
    would determine the score as well; None without such groups.
    """

    score: float | None = None
    passed: int | None = None
    total: int | None = None
    loss: float | str | None = None
    score_error: float | None = None
    loss_error: float | None = None
    effective_total: float | None = None


class PairedTable(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many rows the base and the iteration passed: both, one of them, or neither.

    Where examples are not independent, `p_value` is that of the sign-flip test over their groups,
    and `changed_groups` counts those with fixed or broken examples; the key on disk is
    `changed_conversations`. `unit`: what the examples of a group have in common.
    """

    both: int
    fixed: int
    broken: int
    neither: int
    p_value: float | None = None
    changed_groups: int = msgspec.field(default=0, name="changed_conversations")
    unit: Unit = CONVERSATION


class HoldoutEvaluation(msgspec.Struct, frozen=True):
    """One evaluation of an iteration of this loop on a holdout file with hash `sha256`.

    `base`: the figures of the untouched base on the same rows. `paired`: the paired table of base
    and iteration, None without a metric. `eval`: the iteration's figures on the evaluation set at
    that time. `use`: how often this file had been used by then, over all loops of the folder and
    including this time; the key on disk is `look`.
    """

    t: float
    iteration: int
    sha256: str
    rows: int
    metric: str
    score: float | None
    passed: int | None
    total: int
    loss: float | str | None
    score_error: float | None = None
    loss_error: float | None = None
    base: Figures = Figures()
    paired: PairedTable | None = None
    eval: Figures = Figures()
    use: int = msgspec.field(default=1, name="look")
    effective_total: float | None = None

    @property
    def figures(self) -> Figures:
        """Returns the iteration's own figures on the holdout."""
        return Figures(
            self.score,
            self.passed,
            self.total,
            self.loss,
            self.score_error,
            self.loss_error,
            self.effective_total,
        )


class HoldoutUse(msgspec.Struct, frozen=True):
    """A holdout evaluation with the name of its loop."""

    loop: str
    evaluation: HoldoutEvaluation

    @property
    def name(self) -> str:
        """Returns the name of the iteration that was evaluated: `support-intents/4`."""
        return f"{self.loop}/{self.evaluation.iteration}"


class HoldoutLog(msgspec.Struct, frozen=True):
    """The holdout evaluations of one loop, oldest first.

    `bad_lines`: the number of lines that could not be read. `problem`: why the file could not be
    read.
    """

    evaluations: tuple[HoldoutEvaluation, ...] = ()
    bad_lines: int = 0
    problem: str = ""

    def last_by(self, iteration: int) -> HoldoutEvaluation | None:
        """Returns the newest evaluation of an iteration."""
        return next(
            (each for each in reversed(self.evaluations) if each.iteration == iteration), None
        )


def read_holdout_evaluations(loop: LoopFolder) -> HoldoutLog:
    """Reads the holdout evaluations of a loop. Counts unreadable lines instead of raising."""
    if not os.path.lexists(loop.holdout):
        return HoldoutLog()
    decoder, evaluations, bad = msgspec.json.Decoder(HoldoutEvaluation), [], 0
    try:
        loop.check_place()
        for _, line in lines_of(loop.holdout):
            if not line.strip():
                continue
            try:
                evaluation = codec.decoded(decoder, line, "a holdout evaluation")
            except BadInput:
                bad += 1
                continue
            if _is_plausible(evaluation):
                evaluations.append(evaluation)
            else:
                bad += 1
    except BadInput as error:
        return HoldoutLog(tuple(evaluations), bad, error.message)
    except OSError as error:
        return HoldoutLog(tuple(evaluations), bad, f"{loop.holdout}: {error.strerror}")
    return HoldoutLog(tuple(evaluations), bad)


def _is_plausible(evaluation: HoldoutEvaluation) -> bool:
    """Returns whether an evaluation can have these counts; the file may come from a stranger."""
    sides = (evaluation.figures, evaluation.base, evaluation.eval)
    counts = all(0 <= (side.passed or 0) <= (side.total or 0) <= MOST_ROWS for side in sides)
    scores = all(side.score is None or 0 <= side.score <= 1 for side in sides)
    table = evaluation.paired or PairedTable(0, 0, 0, 0)
    cells = (table.both, table.fixed, table.broken, table.neither)
    paired = min(cells) >= 0 and sum(cells) <= evaluation.rows <= MOST_ROWS
    paired = paired and table.fixed + table.broken <= MAX_CHANGED
    paired = paired and 0 <= table.changed_groups <= table.fixed + table.broken
    paired = paired and (table.p_value is None or 0 <= table.p_value <= 1)
    effective = all(
        side.effective_total is None or _LEAST_TOTAL <= side.effective_total <= (side.total or 0)
        for side in sides
    )
    return counts and scores and paired and effective and 0 <= evaluation.t < _LAST_TIME


def holdout_uses(loops: LoopsFolder, sha256: str) -> tuple[HoldoutUse, ...]:
    """Returns the uses of one holdout by all loops of a folder, oldest first."""
    try:
        scan = loops.scan()
    except BadInput:
        scan = Scan()
    # a folder that was renamed to an invalid loop name has used the holdout as well
    folders = [*scan.loops, *(each.folder for each in scan.refused)]
    found: Iterable[HoldoutUse] = (
        HoldoutUse(folder.name, each)
        for folder in folders
        for each in read_holdout_evaluations(folder).evaluations
        if each.sha256 == sha256
    )
    return tuple(sorted(found, key=lambda each: each.evaluation.t))


def loops_of(loop: LoopFolder) -> LoopsFolder:
    """Returns the folder that contains a loop and its neighbours."""
    return LoopsFolder(loop.path.parent)


def record_holdout_evaluation(loop: LoopFolder, evaluation: HoldoutEvaluation) -> HoldoutEvaluation:
    """Numbers an evaluation, appends it durably, and returns it; raises BadInput, OSError."""
    earlier = holdout_uses(loops_of(loop), evaluation.sha256)
    numbered = msgspec.structs.replace(evaluation, use=len(earlier) + 1)
    append_line(loop.holdout, codec.to_json(numbered))
    return numbered


class HoldoutWatch:
    """Watches whether an evaluation of an iteration is recorded from now on, and so counts."""

    def __init__(self, loop: LoopFolder, iteration: int) -> None:
        self._loop, self._iteration = loop, iteration
        self._known = frozenset(self._times())

    @property
    def is_recorded(self) -> bool:
        """Whether a new evaluation is in the file, whatever became of its process since."""
        return not self._known.issuperset(self._times())

    def _times(self) -> list[float]:
        log = read_holdout_evaluations(self._loop)
        return [each.t for each in log.evaluations if each.iteration == self._iteration]


def counting_words(*, is_recorded: bool) -> str:
    """Returns whether an evaluation that ended without a result counts."""
    if is_recorded:
        return "the evaluation was already recorded and counts as a use of the holdout"
    return "no use of the holdout was counted"


def ordinal(number: int) -> str:
    """Returns 1st, 2nd, 3rd, 4th, 11th."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def cost_of(number: int) -> str:
    """Returns a sentence on what the `number`-th use of a holdout costs."""
    if number == 1:
        return (
            "This is the first use of this holdout and the most informative one: with each use the "
            "holdout becomes more like a second evaluation set."
        )
    text = (
        f"This is the {ordinal(number)} use of this holdout. With each use it becomes more like a "
        "second evaluation set."
    )
    return f"{text} To get unbiased results again, {FRESH_HOLDOUT}" if number >= MANY_USES else text


HoldoutStep = Literal["loading", "base", "iteration"]


class HoldoutProgress(msgspec.Struct, frozen=True, tag_field="kind", tag="progress"):
    """Progress of a holdout evaluation: `done` of `total` steps of loading or of evaluating."""

    doing: HoldoutStep
    done: int = 0
    total: int = 0

    @property
    def words(self) -> str:
        """Returns `evaluating the base 12/120`."""
        labels = {"base": "evaluating the base", "iteration": "evaluating the iteration"}
        label = labels.get(self.doing, "loading the model")
        return f"{label} {self.done}/{self.total}" if self.total else f"{label} ..."


class HoldoutDone(msgspec.Struct, frozen=True, tag_field="kind", tag="look"):
    """The evaluation has finished and is recorded."""

    evaluation: HoldoutEvaluation = msgspec.field(name="look")


class HoldoutFault(msgspec.Struct, frozen=True, tag_field="kind", tag="fault"):
    """The evaluation failed; `is_input`: the input was at fault.

    It does not count unless it was recorded before: see HoldoutWatch.
    """

    message: str
    hint: str = ""
    is_input: bool = False


HoldoutMessage = HoldoutProgress | HoldoutDone | HoldoutFault


class Agreement(msgspec.Struct, frozen=True):
    """The comparison of holdout and evaluation set.

    `difference`: holdout minus evaluation set, in scores, or in losses under metric none. It and
    `agrees` are None where the noise is unknown.
    """

    difference: Interval | None
    agrees: bool | None
    sentence: str


def agreement_of(evaluation: HoldoutEvaluation) -> Agreement:
    """Returns whether holdout and evaluation set agree.

    They do where the result on the holdout is no worse than noise can explain.
    """
    holdout, eval_set = evaluation.figures, evaluation.eval
    if holdout.score is not None and eval_set.score is not None:
        text = f"{percent(eval_set.score)} on the eval set, {percent(holdout.score)} on the holdout"
        difference = score_difference(eval_set, holdout)
        change = ""
        if difference is not None:  # of the rounded figures, since a reader subtracts those
            between = round(100 * holdout.score) - round(100 * eval_set.score)
            change = f"{between:+d} ±{100 * difference.half_width:.0f}"
        return _judged(difference, text, change, higher_is_better=True)
    before, after = number(eval_set.loss), number(holdout.loss)
    text = f"loss {loss(before) or 'unknown'} on the eval set, "
    text += f"{loss(after) or 'unknown'} on the holdout"
    difference = loss_difference(eval_set, holdout)
    return _judged(difference, text, loss_change(difference), higher_is_better=False)


def score_difference(one: Figures, other: Figures) -> Interval | None:
    """Returns the score of `other` minus that of `one`, of different examples, with a 95% interval.

    Newcombe's interval for scores of 0 or 1, with effective numbers of examples where these are not
    independent, else the normal one. None where scores or their errors are unknown.
    """
    if one.score is None or other.score is None:
        return None
    if _counts(one) and _counts(other):
        return newcombe(*_effective_counts(one), *_effective_counts(other))
    return _normal(other.score - one.score, one.score_error, other.score_error)


def loss_difference(one: Figures, other: Figures) -> Interval | None:
    """Returns the loss of `other` minus that of `one`, of different examples; None if unknown."""
    before, after = number(one.loss), number(other.loss)
    if before is None or after is None or not math.isfinite(after - before):
        return None
    return _normal(after - before, one.loss_error, other.loss_error)


def figures_of(
    examples: Sequence[Example], score: float | None, passed: int | None, eval_loss: object
) -> Figures:
    """Returns the figures of an evaluation with standard errors over its examples.

    Where examples are not independent, the errors are over their groups.
    """
    clusters = clusters_of(map(group_of, examples))
    scored = [row for row, each in enumerate(examples) if each.score is not None]
    scores = [examples[row].score or 0.0 for row in scored]
    score_clusters = clusters_at(clusters, scored)
    marks = [float(bool(examples[row].passed)) for row in scored]
    return Figures(
        score,
        passed,
        len(examples),
        eval_loss if isinstance(eval_loss, (int, float, str)) else None,
        mean_error(scores, score_clusters),
        ratio_error(((number(each.loss), each.supervised_tokens) for each in examples), clusters),
        effective_total(marks, score_clusters) if score_clusters is not None else None,
    )


def ratio_error(
    rows: Iterable[tuple[float | None, int]], clusters: Clusters | None = None
) -> float | None:
    """Returns the standard error of a loss per token (ratio estimator); `rows`: (loss, tokens).

    Rows are the sampled units, since the tokens of one row are not independent, or with `clusters`
    their groups. None for fewer than two of them or a loss that is not finite.
    """
    found = list(rows)
    at = [row for row, (value, count) in enumerate(found) if value is not None and count > 0]
    known = [(found[row][0] or 0.0, float(found[row][1])) for row in at]
    if len(known) < 2 or not all(math.isfinite(value) for value, _ in known):
        return None
    if clusters is not None:
        clusters = [clusters[row] for row in at]
        sums, sizes = sums_by_cluster(
            (value for value, _ in known), clusters, (count for _, count in known)
        )
        known = [(total / size, size) for total, size in zip(sums, sizes, strict=True)]
        if len(known) < 2:
            return None
    tokens = fmean(count for _, count in known)
    mean = math.fsum(value * count for value, count in known) / (tokens * len(known))
    spread = sample_variance([(value - mean) * count for value, count in known])
    return math.sqrt(spread / len(known)) / tokens


def _judged(
    difference: Interval | None, text: str, change: str, *, higher_is_better: bool
) -> Agreement:
    if difference is None:
        return Agreement(None, None, f"{text}: the uncertainty is unknown")
    worse = difference.high < 0 if higher_is_better else difference.low > 0
    if worse:
        return Agreement(difference, False, f"the eval set is too optimistic: {text} ({change})")
    return Agreement(difference, True, f"{text} ({change}): within the noise")


def _counts(figures: Figures) -> bool:
    """Returns whether the score is the share of examples passed, so that counts are enough."""
    if figures.passed is None or not figures.total or figures.score is None:
        return False
    return math.isclose(figures.score, figures.passed / figures.total, abs_tol=1e-9)


def _effective_counts(figures: Figures) -> tuple[float, float]:
    """Returns (passed, total), scaled to the effective number of examples where it is known."""
    passed, total = figures.passed or 0, figures.total or 0
    if figures.effective_total is None:
        return passed, total
    return passed / total * figures.effective_total, figures.effective_total


def _normal(delta: float, one: float | None, other: float | None) -> Interval | None:
    if one is None or other is None:
        return None
    half = Z95 * math.hypot(one, other)
    return Interval(delta, delta - half, delta + half)
