"""Structs of an iteration's files, and of `--json` output."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

SCHEMA = 1

Whole = Annotated[int, msgspec.Meta(ge=-(1 << 53), le=1 << 53)]
"""A step or a count; the limits are those of integers that a float represents exactly."""

State = Literal[
    "draft",
    "queued",
    "running",
    "paused",
    "stopping",
    "finished",
    "stopped",
    "failed",
    "interrupted",
    "unreadable",
]
EndState = Literal["finished", "stopped", "failed"]
ErrorKind = Literal["diverged", "oom", "data", "config", "disk", "crashed"]

LIVE: tuple[State, ...] = ("running", "stopping", "paused")
RESUMABLE: tuple[State, ...] = ("stopped", "failed", "interrupted")


NO_METRICS: dict[str, Any] = dict.fromkeys(
    ("train_loss", "eval_loss", "score", "passed", "total", "weights_step")
)
"""The metrics that every iteration has, before any is measured."""


class RunError(msgspec.Struct, frozen=True):
    """Why a run failed, and what to do next."""

    kind: ErrorKind
    message: str
    hint: str
    step: int | None = None


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field that differs from the parent's config; absent = unset."""

    field: str
    old: Any = None
    new: Any = None


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """The decision for an iteration: its parent, changes, reason and applied suggestion.

    `first_why`: the reason that the run started with, where it was edited since.
    """

    parent: int | None = None
    why: str = ""
    changes: tuple[Change, ...] = ()
    suggestion: str | None = None
    predicted: dict[str, Any] | None = None
    first_why: str = ""


class SplitSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of several sources of a split: its file, and how many of its rows are used."""

    path: str
    sha256: str | None = None
    rows: Whole = 0


class Split(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rows that a run used from one data file, or from several `sources` by name.

    `digest`: their version (`core.data.row_versions`). `held_out`, `ids`: whether this is the part
    split off the training file, and its row ids. `unused`: columns with values that nothing uses,
    and keys of turns as `messages[].weight`. `left_out`: the number of rows that were skipped by
    kind of fault, of `repeats` that were dropped, and of `cut` conversations.
    """

    path: str
    sha256: str | None = None
    rows: Whole = 0
    digest: str | None = None
    held_out: bool = False
    ids: tuple[str, ...] | None = None
    unused: tuple[str, ...] = ()
    left_out: dict[str, Whole] = {}
    sources: dict[str, SplitSource] = {}


class Fingerprint(msgspec.Struct, frozen=True):
    """How an iteration was evaluated, as short hashes; scores with equal parts are comparable.

    `weights`: the hash of the base's weights, "" where unknown. `loss`: which tokens the eval loss
    counts, "" for the completions of rows without turns.
    """

    rows: str
    references: str
    template: str
    lengths: str
    generation: str
    metric: str
    weights: str = ""
    loss: str = ""

    def differs_from(self, other: Fingerprint) -> list[str]:
        """Returns the names of the parts that differ; an unknown part of one differs from none."""
        own, theirs = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        return [
            name
            for name in own
            if own[name] != theirs[name] and (name == "loss" or (own[name] and theirs[name]))
        ]


class Example(msgspec.Struct, frozen=True):
    """One row of the final evaluation; `loss` in nats per supervised token.

    `prompt_cut`: the number of tokens cut off the start of the prompt. `columns`: other columns of
    the row that have few distinct values, for slices. `conversation`: the id of the row that
    this is one of several answers of, "" for a row that is evaluated as a whole.
    `other_references`: further answers that count as right.
    """

    id: str
    prompt: str
    reference: str
    output: str | None
    score: float | None
    passed: bool | None
    causes: tuple[str, ...]
    loss: float | str | None
    supervised_tokens: Whole
    output_tokens: Whole | None
    truncated: bool
    source_line: Whole
    prompt_cut: Whole = 0
    columns: dict[str, str] = {}
    conversation: str = ""
    other_references: tuple[str, ...] = ()


class TokenLosses(msgspec.Struct, frozen=True):
    """The supervised tokens of one example as (text, loss in nats)."""

    id: str
    tokens: list[tuple[str, float | str]]


class TrainingRow(msgspec.Struct, frozen=True):
    """One training row with its loss under the trained weights, in nats per supervised token.

    `sampled_of`: the number of training rows that the measured rows are a sample of. `source`: the
    name of the row's source, "" where there is only one.
    """

    id: str
    prompt: str
    reference: str
    loss: float | str | None
    supervised_tokens: Whole
    source_line: Whole
    sampled_of: Whole
    source: str = ""

    @property
    def short_place(self) -> str:
        """Returns the row's line, with its source where there are several: `orders:5`."""
        return f"{self.source}:{self.source_line}" if self.source else str(self.source_line)


class StepLoss(msgspec.Struct, frozen=True):
    """One row of `evals/STEP.jsonl`."""

    id: str
    loss: float | str | None
    supervised_tokens: Whole


class SystemSummary(msgspec.Struct, frozen=True):
    """The machine over a run; None for what was not sampled.

    Means are of the time in which the run trained, peaks and durations (in seconds) of the whole
    run. `gpu_memory_bytes`: the memory of the GPU that was fullest. `mean_cpu_percent` is 100 where
    all CPUs are busy, `mean_process_cpu_percent` where one is.
    """

    mean_gpu_percent: float | None = None
    peak_gpu_memory_bytes: float | None = None
    gpu_memory_bytes: float | None = None
    thermal_slowdown_s: float | None = None
    power_slowdown_s: float | None = None
    power_capped_s: float | None = None
    mean_cpu_percent: float | None = None
    mean_process_cpu_percent: float | None = None
    peak_rss_bytes: float | None = None
    swap_grown_bytes: float | None = None


class Reached(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far an unfinished run came: `steps` of `total`, and the eval loss it measured last."""

    steps: Whole
    total: Whole | None = None
    eval_loss: float | str | None = None
    eval_step: Whole | None = None


class Iteration(msgspec.Struct, frozen=True, kw_only=True):
    """An iteration as in `summary.json` and in `--json` output; None for a missing value.

    `system`: the machine over a run that has ended. `silent_s`: for how long the process of a live
    run has not touched its lock; no key unless it is long. `reached`: of a stopped, failed or
    interrupted run that took a step, else no key.
    """

    number: Whole
    parent: int | None = None
    state: State
    title: str = ""
    changes: dict[str, Any] = {}
    decision: str = ""
    config: dict[str, dict[str, Any]] | None = None
    metrics: dict[str, Any] = {}
    error: dict[str, Any] | None = None
    attempts: Whole = 0
    fingerprint: Fingerprint | None = None
    duration_s: float | None = None
    system: SystemSummary | None = None
    verdict: str | None = None
    silent_s: Whole | msgspec.UnsetType = msgspec.UNSET
    reached: Reached | msgspec.UnsetType = msgspec.UNSET

    @property
    def silence(self) -> int | None:
        """Returns `silent_s`, None where the run is not silent."""
        return None if self.silent_s is msgspec.UNSET else self.silent_s

    @property
    def reach(self) -> Reached | None:
        """Returns `reached`, None where the run finished, is live, or took no step."""
        return None if self.reached is msgspec.UNSET else self.reached
