"""The facts of a report, gathered once, and the limits that keep it small."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.record.folders import Closed
from tui_loop.core.record.structs import Iteration
from tui_loop.core.stats import Interval
from tui_loop.core.workflow.holdout import HoldoutEvaluation

DETAILED = 40
"""The newest so many iterations get a section of their own, as do the first and the best."""

COMPARED = 120
"""The newest so many iterations are compared with their parents."""

ROWS_COMPARED = 3_000_000
"""The most examples of all these comparisons together, which bounds the time."""

DIAGNOSED = 3
"""The newest so many ended iterations are diagnosed."""

ROWS_DIAGNOSED = 20_000
"""With more examples than this, only the newest iteration is diagnosed."""

CHANGED = 3
"""Fixed examples, and broken examples, shown per iteration."""

WORST = 5
"""Failures shown in full."""

GROUPS = 15
"""Lines of any list of causes, labels, groups, data files or holdout evaluations."""

TEXT = 1500
"""Characters of a prompt, an output or a reference outside tables."""

CELL = 160
"""Characters of a text in a table cell."""

NOTES = 6000
"""Characters of the notes on an iteration."""

POINTS = 120
"""Columns of a curve; each shows its smallest and its largest value."""


class Line(msgspec.Struct, frozen=True):
    """A logged metric over steps, drawn from few points that keep every extreme.

    `logged`: the number of logged values. `nonfinite`: how many of them were NaN or infinite.
    """

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    logged: int = 0
    nonfinite: int = 0


class Curves(msgspec.Struct, frozen=True):
    """Train and eval loss of a run, in nats a token; `smooth` is a moving mean of `train`."""

    train: Line = Line()
    smooth: Line = Line()
    eval: Line = Line()
    diverged_at: int | None = None


class Changed(msgspec.Struct, frozen=True):
    """An example whose outcome differs from the parent's."""

    id: str
    prompt: str
    reference: str
    before: str
    after: str


class ParentComparison(msgspec.Struct, frozen=True):
    """The comparison of an iteration with its parent.

    `brief`: the claim for a table cell. `lines`: all claims as (subject, claim).
    """

    parent: int
    brief: str
    claim: str
    lines: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()
    score: Interval | None = None
    loss: Interval | None = None
    compared: int = 0
    fixed: int = 0
    broken: int = 0
    fixed_examples: tuple[Changed, ...] = ()
    broken_examples: tuple[Changed, ...] = ()


class Recovery(msgspec.Struct, frozen=True):
    """A fault that a run recovered from, and what was changed for that."""

    kind: str
    message: str


class RunDetails(msgspec.Struct, frozen=True):
    """What the section of an iteration adds to its table row: how it ran, and the user's notes."""

    recoveries: tuple[Recovery, ...] = ()
    warnings: int = 0
    notes: str = ""
    curves: Curves = Curves()


class IterationEntry(msgspec.Struct, frozen=True):
    """One iteration of the report; `story` only where it has a section of its own.

    `suggestion` and `predicted`: from an applied suggestion, as in the decision.
    """

    iteration: Iteration
    suggestion: str = ""
    predicted: dict[str, Any] | None = None
    against: ParentComparison | None = None
    story: RunDetails | None = None
    score_interval: Interval | None = None


class Counted(msgspec.Struct, frozen=True):
    """The number of failures of a cause, a label or a group, with a note."""

    name: str
    count: int
    note: str = ""


class Failure(msgspec.Struct, frozen=True):
    """A failed example in full."""

    id: str
    prompt: str
    reference: str
    output: str
    loss: float | None
    causes: tuple[str, ...] = ()


class FailureSummary(msgspec.Struct, frozen=True):
    """What fails in an iteration; `role`: the best or the newest.

    `judged`: the numbers with annotations applied, in words. `unread`: why the examples could not
    be read.
    """

    number: int
    role: str
    failed: int = 0
    total: int = 0
    causes: tuple[Counted, ...] = ()
    labels: tuple[Counted, ...] = ()
    confusions: tuple[Counted, ...] = ()
    weak: tuple[Counted, ...] = ()
    worst: tuple[Failure, ...] = ()
    judged: str = ""
    unread: str = ""


class DataFile(msgspec.Struct, frozen=True):
    """A data file as iterations used it; `sha256` in full."""

    split: str
    path: str
    rows: int
    sha256: str
    iterations: tuple[int, ...]


class Environment(msgspec.Struct, frozen=True):
    """The device and the library versions of iterations."""

    iterations: tuple[int, ...]
    device: str = ""
    dtype: str = ""
    versions: dict[str, str] = {}


class Report(msgspec.Struct, frozen=True):
    """All facts of a report, in the order of iterations.

    `best`: the first run of the best config; `best_runs`: all of them. `ended_at`: when the newest
    run ended, unix seconds. `left_out`: what the limits left out.
    """

    made_by: str
    name: str
    goal: str
    model: str
    metric: str
    iterations: tuple[IterationEntry, ...] = ()
    best: int | None = None
    best_runs: tuple[int, ...] = ()
    ended_at: float | None = None
    closed: Closed | None = None
    diagnoses: tuple[Diagnosis, ...] = ()
    open: tuple[FailureSummary, ...] = ()
    holdout_evaluations: tuple[HoldoutEvaluation, ...] = msgspec.field(default=(), name="looks")
    data: tuple[DataFile, ...] = ()
    environments: tuple[Environment, ...] = ()
    left_out: tuple[str, ...] = ()
