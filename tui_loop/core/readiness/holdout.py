"""Looks at the locked holdout: `holdout.jsonl`, one line a look, figures only.

No row, id or text of the holdout is ever kept. A line is written before a figure is shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.files import append_line
from tui_loop.core.record.loop_folder import LoopFolder, LoopsFolder, Scan
from tui_loop.core.record.safe_open import lines_of

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
    told = f"the {times(number)} look at this holdout: each makes it a little more of an eval set"
    return f"{told}; it is becoming one: {FRESH_HOLDOUT}" if number >= MANY_LOOKS else told
