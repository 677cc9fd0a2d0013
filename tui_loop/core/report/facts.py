"""What a report tells, gathered once; limits that keep it small say what they left out."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.record.folders import Closed
from tui_loop.core.record.structs import Iteration
from tui_loop.core.stats import Interval
from tui_loop.core.workflow.holdout import HoldoutEvaluation

TOLD = 40
"""Iterations that are told in full, the newest, beside the first and the best."""

COMPARED = 120
"""Iterations that are held against their parents, the newest."""

ROWS_COMPARED = 3_000_000
"""Examples of all these comparisons together."""

DIAGNOSED = 3
"""Iterations whose diagnosis is told, the newest that ended."""

ROWS_DIAGNOSED = 20_000
"""With more examples than that only the newest one's."""

CHANGED = 3
"""Examples fixed, and examples broken, that are shown of an iteration."""

WORST = 5
"""Failures that are shown in full."""

GROUPS = 15
"""Lines of any list of causes, labels, groups, data files or looks."""

TEXT = 1500
"""Characters of a prompt, an output or a reference that is shown in full."""

CELL = 160
"""Characters of one in a table."""

NOTES = 6000
"""Characters of the notes on an iteration."""

POINTS = 120
"""Columns of a curve; each has its smallest and its largest value."""


class Line(msgspec.Struct, frozen=True):
    """A logged metric over steps, drawn from few points that keep every extreme.

    `logged` counts the values there were, `nonfinite` those that were NaN or infinite.
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
    """An example whose outcome is another one than the parent's."""

    id: str
    prompt: str
    reference: str
    before: str
    after: str


class Against(msgspec.Struct, frozen=True):
    """An iteration against its parent, as far as its runs can carry a claim.

    `brief` is the claim in a table's words, `lines` the whole of it as (of what, what is said).
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
    """What went wrong in a run that went on, and what was changed for it."""

    kind: str
    message: str


class Story(msgspec.Struct, frozen=True):
    """What is told of an iteration beside its row: how it ran, and the user's own words."""

    recoveries: tuple[Recovery, ...] = ()
    warnings: int = 0
    notes: str = ""
    curves: Curves = Curves()


class Told(msgspec.Struct, frozen=True):
    """One iteration of the report; `story` only where it is told in full.

    `suggestion` was taken of a diagnosis, which `predicted` something, as the decision has it.
    """

    iteration: Iteration
    suggestion: str = ""
    predicted: dict[str, Any] | None = None
    against: Against | None = None
    story: Story | None = None
    score_interval: Interval | None = None


class Counted(msgspec.Struct, frozen=True):
    """So many failures for a cause, of a label or a group, in words."""

    name: str
    count: int
    note: str = ""


class Failure(msgspec.Struct, frozen=True):
    """An example that fails, in full."""

    id: str
    prompt: str
    reference: str
    output: str
    loss: float | None
    causes: tuple[str, ...] = ()


class Open(msgspec.Struct, frozen=True):
    """What fails in an iteration; `role` says which one it is: the best, the newest.

    `judged`: the numbers with what people said of examples, in words. `unread`: why nothing else
    is told.
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
    """A data file as iterations saw it; `sha256` in full."""

    split: str
    path: str
    rows: int
    sha256: str
    iterations: tuple[int, ...]


class Environment(msgspec.Struct, frozen=True):
    """What iterations ran on."""

    iterations: tuple[int, ...]
    device: str = ""
    dtype: str = ""
    versions: dict[str, str] = {}


class Report(msgspec.Struct, frozen=True):
    """Everything, in the order of iterations.

    `best`: the first run of the best config, `best_runs` all of them. `ended_at`: when the newest
    run ended, unix seconds. `left_out`: what limits left out, a
    sentence each.
    """

    made_by: str
    name: str
    goal: str
    model: str
    metric: str
    iterations: tuple[Told, ...] = ()
    best: int | None = None
    best_runs: tuple[int, ...] = ()
    ended_at: float | None = None
    closed: Closed | None = None
    diagnoses: tuple[Diagnosis, ...] = ()
    open: tuple[Open, ...] = ()
    holdout_evaluations: tuple[HoldoutEvaluation, ...] = msgspec.field(default=(), name="looks")
    data: tuple[DataFile, ...] = ()
    environments: tuple[Environment, ...] = ()
    left_out: tuple[str, ...] = ()
