"""The shapes of what lies on disk for an iteration, and of what `--json` prints."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

SCHEMA = 1

Whole = Annotated[int, msgspec.Meta(ge=-(1 << 53), le=1 << 53)]
"""A step or a count: what a float holds exactly, so that it can be computed with."""

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
"""The metrics that every iteration has, before any was measured."""


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
    """Why an iteration is what it is."""

    parent: int | None = None
    why: str = ""
    changes: tuple[Change, ...] = ()
    suggestion: str | None = None
    predicted: dict[str, Any] | None = None


class Split(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rows that a run saw of one data file.

    `digest` names their version (`core.data.row_versions`); `ids` are kept only where a part of a
    file was held out. `unused`: columns, and keys of turns as `messages[].weight`, that hold
    something and are not used.
    """

    path: str
    sha256: str | None = None
    rows: Whole = 0
    digest: str | None = None
    held_out: bool = False
    ids: tuple[str, ...] | None = None
    unused: tuple[str, ...] = ()


class Fingerprint(msgspec.Struct, frozen=True):
    """How an iteration was measured; equal parts make scores comparable. Short hashes.

    `weights` names the base's weights; empty where they were not known.
    """

    rows: str
    references: str
    template: str
    lengths: str
    generation: str
    metric: str
    weights: str = ""

    def differs_from(self, other: Fingerprint) -> list[str]:
        """The names of the parts that are known of both and not equal."""
        own, theirs = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        return [name for name in own if own[name] and theirs[name] and own[name] != theirs[name]]


class Example(msgspec.Struct, frozen=True):
    """One held-out row of the final evaluation; `loss` in nats a supervised token.

    `prompt_cut`: tokens of the prompt's start that the model was not shown. `columns`: the row's
    other columns, those whose few values can group rows.
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


class TokenLosses(msgspec.Struct, frozen=True):
    """The supervised tokens of one example as (text, loss in nats)."""

    id: str
    tokens: list[tuple[str, float | str]]


class TrainingRow(msgspec.Struct, frozen=True):
    """One training row as the trained weights see it; `loss` in nats a supervised token.

    `sampled_of`: of how many training rows those measured are a sample.
    """

    id: str
    prompt: str
    reference: str
    loss: float | str | None
    supervised_tokens: Whole
    source_line: Whole
    sampled_of: Whole


class StepLoss(msgspec.Struct, frozen=True):
    """One row of `evals/STEP.jsonl`."""

    id: str
    loss: float | str | None
    supervised_tokens: Whole


class Iteration(msgspec.Struct, frozen=True, kw_only=True):
    """An iteration as `summary.json` and every `--json` have it; None = there is none."""

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
    verdict: str | None = None
