"""Holdout evaluations (`holdout.jsonl`, one line each, figures only), and whether the holdout
agrees with the evaluation set within the noise of both.

No row, id or text of the holdout is ever kept. A line is written before a figure is shown.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Literal

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.codec import number
from tui_loop.core.record.files import append_line
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder, Scan
from tui_loop.core.record.safe_open import lines_of
from tui_loop.core.record.structs import Example
from tui_loop.core.stats import Z95, Interval, newcombe, sample_variance
from tui_loop.core.text.figures import loss, loss_change, percent

MOST_ROWS = 1_000_000_000
MOST_CHANGED = 100_000
"""Counts beyond these are of no look: an exact test of as many takes two seconds."""

_LAST_TIME = 250_000_000_000
"""Unix seconds, about the year 9900: later times are no dates."""

MANY_LOOKS = 3
"""From here on the holdout is on its way to be one more eval set."""


FRESH_HOLDOUT = "name a file of rows that nothing has seen (tui-loop run --set data.holdout=PATH)"
"""What to do then; `fresh` draws another eval set and leaves the holdout alone."""


class Figures(msgspec.Struct, frozen=True):
    """What an evaluation came to. Scores in [0, 1], losses in nats a token.

    `score_error` and `loss_error`: their standard errors over examples.
    """

    score: float | None = None
    passed: int | None = None
    total: int | None = None
    loss: float | str | None = None
    score_error: float | None = None
    loss_error: float | None = None


class PairedTable(msgspec.Struct, frozen=True):
    """Rows that the base and the iteration passed: both, one of them, neither."""

    both: int
    fixed: int
    broken: int
    neither: int


class Look(msgspec.Struct, frozen=True):
    """One look at a holdout, of which `sha256` is the file's, by an iteration of this loop.

    `base`: the untouched base on the same rows, `paired` the two together (None without a metric).
    `eval`: the iteration's figures on the eval set at that time. `look`: how many looks at this
    file there were by then, over all loops of the folder, this one among them.
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
    look: int = 1

    @property
    def figures(self) -> Figures:
        """The iteration's own figures on the holdout."""
        return Figures(
            self.score, self.passed, self.total, self.loss, self.score_error, self.loss_error
        )


class Looked(msgspec.Struct, frozen=True):
    """A look, and the loop that took it."""

    loop: str
    look: Look

    @property
    def name(self) -> str:
        """Who looked: `support-intents/4`."""
        return f"{self.loop}/{self.look.iteration}"


class Looks(msgspec.Struct, frozen=True):
    """The looks of one loop, oldest first; `bad_lines` could not be read, `trouble`: why none."""

    looks: tuple[Look, ...] = ()
    bad_lines: int = 0
    trouble: str = ""

    def last_by(self, iteration: int) -> Look | None:
        """The newest look of an iteration."""
        return next((each for each in reversed(self.looks) if each.iteration == iteration), None)


def read_looks(loop: LoopFolder) -> Looks:
    """The looks of a loop; what cannot be read is counted, never raised."""
    if not os.path.lexists(loop.holdout):
        return Looks()
    decoder, looks, bad = msgspec.json.Decoder(Look), [], 0
    try:
        loop.check_place()
        for _, line in lines_of(loop.holdout):
            if not line.strip():
                continue
            try:
                look = codec.decoded(decoder, line, "a look")
            except BadInput:
                bad += 1
                continue
            if _can_be(look):
                looks.append(look)
            else:
                bad += 1
    except BadInput as error:
        return Looks(tuple(looks), bad, error.message)
    except OSError as error:
        return Looks(tuple(looks), bad, f"{loop.holdout}: {error.strerror}")
    return Looks(tuple(looks), bad)


def _can_be(look: Look) -> bool:
    """Whether a line has counts that an evaluation can have; anybody may have written it."""
    sides = (look.figures, look.base, look.eval)
    counts = all(0 <= (side.passed or 0) <= (side.total or 0) <= MOST_ROWS for side in sides)
    scores = all(side.score is None or 0 <= side.score <= 1 for side in sides)
    table = look.paired or PairedTable(0, 0, 0, 0)
    cells = (table.both, table.fixed, table.broken, table.neither)
    paired = min(cells) >= 0 and sum(cells) <= look.rows <= MOST_ROWS
    paired = paired and table.fixed + table.broken <= MOST_CHANGED
    return counts and scores and paired and 0 <= look.t < _LAST_TIME


def looks_at(loops: LoopsFolder, sha256: str) -> tuple[Looked, ...]:
    """The looks of all loops of a folder at one holdout, oldest first."""
    try:
        scan = loops.scan()
    except BadInput:
        scan = Scan()
    # a folder that was renamed to something odd has used the holdout all the same
    folders = [*scan.loops, *(each.folder for each in scan.refused)]
    found: Iterable[Looked] = (
        Looked(folder.name, each)
        for folder in folders
        for each in read_looks(folder).looks
        if each.sha256 == sha256
    )
    return tuple(sorted(found, key=lambda each: each.look.t))


def loops_of(loop: LoopFolder) -> LoopsFolder:
    """The folder that a loop lies in, with its neighbours."""
    return LoopsFolder(loop.path.parent)


def record_look(loop: LoopFolder, look: Look) -> Look:
    """Appends a look with its count, durably, and gives it back; raises BadInput, OSError."""
    counted = msgspec.structs.replace(look, look=len(looks_at(loops_of(loop), look.sha256)) + 1)
    append_line(loop.holdout, codec.to_json(counted))
    return counted


def times(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def cost_of(number: int) -> str:
    """What the `number`-th look at a holdout costs, in words."""
    if number == 1:
        return (
            "the first look at this holdout: it counts most; each look makes the holdout a little "
            "more of an eval set"
        )
    text = f"the {times(number)} look at this holdout: each makes it a little more of an eval set"
    return f"{text}; it is becoming one: {FRESH_HOLDOUT}" if number >= MANY_LOOKS else text


Doing = Literal["loading", "base", "iteration"]


class LookProgress(msgspec.Struct, frozen=True, tag_field="kind", tag="progress"):
    """How far it is: `done` of `total` steps of loading, or of measuring the base or the tuned."""

    doing: Doing
    done: int = 0
    total: int = 0

    @property
    def words(self) -> str:
        """`measuring the base 12/120`."""
        what = {"base": "measuring the base", "iteration": "measuring the iteration"}
        told = what.get(self.doing, "loading the model")
        return f"{told} {self.done}/{self.total}" if self.total else f"{told} ..."


class LookDone(msgspec.Struct, frozen=True, tag_field="kind", tag="look"):
    """It is over, and recorded."""

    look: Look


class LookFault(msgspec.Struct, frozen=True, tag_field="kind", tag="fault"):
    """It came to nothing, and does not count; `is_input`: because of what was given."""

    message: str
    hint: str = ""
    is_input: bool = False


LookTold = LookProgress | LookDone | LookFault


class Agreement(msgspec.Struct, frozen=True):
    """Holdout minus eval, in scores, or in losses under metric none; None where not known."""

    difference: Interval | None
    agrees: bool | None
    sentence: str


def agreement_of(look: Look) -> Agreement:
    """Whether a look agrees with the eval set: no worse on the holdout than noise can explain."""
    ours, theirs = look.figures, look.eval
    if ours.score is not None and theirs.score is not None:
        text = f"{percent(theirs.score)} on eval, {percent(ours.score)} on the holdout"
        difference = score_difference(theirs, ours)
        change = ""
        if difference is not None:  # of the figures as they are shown: a reader subtracts them
            between = round(100 * ours.score) - round(100 * theirs.score)
            change = f"{between:+d} ±{100 * difference.half_width:.0f}"
        return _judged(difference, text, change, wants_more=True)
    before, after = number(theirs.loss), number(ours.loss)
    text = f"loss {loss(before) or 'unknown'} on eval, {loss(after) or 'unknown'} on the holdout"
    difference = loss_difference(theirs, ours)
    return _judged(difference, text, loss_change(difference), wants_more=False)


def score_difference(one: Figures, other: Figures) -> Interval | None:
    """Score of `other` minus that of `one`, of different examples, with its 95% interval.

    Newcombe's for scores that are 0 or 1, else the normal one; None where it cannot be told.
    """
    if one.score is None or other.score is None:
        return None
    if _counts(one) and _counts(other):
        return newcombe(one.passed or 0, one.total or 0, other.passed or 0, other.total or 0)
    return _normal(other.score - one.score, one.score_error, other.score_error)


def loss_difference(one: Figures, other: Figures) -> Interval | None:
    """Loss of `other` minus that of `one`, of different examples; None where it is not known."""
    before, after = number(one.loss), number(other.loss)
    if before is None or after is None or not math.isfinite(after - before):
        return None
    return _normal(after - before, one.loss_error, other.loss_error)


def figures_of(
    examples: Sequence[Example], score: float | None, passed: int | None, eval_loss: object
) -> Figures:
    """What an evaluation came to, with the standard errors that its examples give."""
    scores = [each.score for each in examples if each.score is not None]
    return Figures(
        score,
        passed,
        len(examples),
        eval_loss if isinstance(eval_loss, (int, float, str)) else None,
        mean_error(scores),
        ratio_error((number(each.loss), each.supervised_tokens) for each in examples),
    )


def mean_error(values: Sequence[float]) -> float | None:
    """The standard error of a mean; None of fewer than two values."""
    return math.sqrt(sample_variance(values) / len(values)) if len(values) > 1 else None


def ratio_error(rows: Iterable[tuple[float | None, int]]) -> float | None:
    """The standard error of a loss a token, from (loss, tokens) a row (ratio estimator).

    Rows are the sampled units, not tokens: those of one row go together. None where it cannot be.
    """
    known = [(value, count) for value, count in rows if value is not None and count > 0]
    if len(known) < 2 or not all(math.isfinite(value) for value, _ in known):
        return None
    tokens = fmean(count for _, count in known)
    mean = math.fsum(value * count for value, count in known) / (tokens * len(known))
    spread = sample_variance([(value - mean) * count for value, count in known])
    return math.sqrt(spread / len(known)) / tokens


def _judged(difference: Interval | None, told: str, change: str, *, wants_more: bool) -> Agreement:
    if difference is None:
        return Agreement(None, None, f"{told}: their noise is not known")
    worse = difference.high < 0 if wants_more else difference.low > 0
    if worse:
        return Agreement(difference, False, f"the eval set flatters: {told} ({change})")
    return Agreement(difference, True, f"{told} ({change}): within the noise")


def _counts(figures: Figures) -> bool:
    """Whether the score is the share of examples passed, so that counts say it all."""
    if figures.passed is None or not figures.total or figures.score is None:
        return False
    return math.isclose(figures.score, figures.passed / figures.total, abs_tol=1e-9)


def _normal(delta: float, one: float | None, other: float | None) -> Interval | None:
    if one is None or other is None:
        return None
    half = Z95 * math.hypot(one, other)
    return Interval(delta, delta - half, delta + half)
