"""The events of a journal, one JSON object per line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tui_loop.core.record.structs import EndState, Whole

Number = float | str
"""A number, or "NaN", "Infinity", "-Infinity"."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", gc=False):
    """Base of all events; the journal sets `seq` (without gaps) and `t` (unix seconds).

    The garbage collector leaves events alone: it would stop every thread for a second to go through
    a million of them, and they have no cycles.
    """

    seq: int = -1
    t: float = 0.0


class UsedGpu(msgspec.Struct, frozen=True):
    """A GPU that a run has claimed. `index`: NVML's number, as in nvidia-smi."""

    index: Whole
    uuid: str
    name: str


def gpu_names(indexes: Sequence[int]) -> str:
    """Returns `GPU 3`, or `GPUs 0, 3`."""
    return f"GPU{'s' if len(indexes) > 1 else ''} {', '.join(map(str, indexes))}"


WAITING_FOR_GPU = "waiting for a GPU"
"""The phase before a run in which its GPUs are in use; the log lines say by whom."""


class RunStarted(Event, frozen=True, kw_only=True, gc=False, tag="run_started"):
    loop: str
    iteration: Whole
    attempt: Whole
    pid: int
    host: str
    from_step: Whole = 0
    versions: dict[str, str] = {}
    device: str | None = None
    runner: str = "process"
    gpus: tuple[UsedGpu, ...] = ()
    job: str | None = None
    schema: int = 1


class PhaseStarted(Event, frozen=True, kw_only=True, gc=False, tag="phase"):
    name: str


class Progressed(Event, frozen=True, kw_only=True, gc=False, tag="progress"):
    phase: str
    done: Whole
    total: Whole | None = None


class MetricsLogged(Event, frozen=True, kw_only=True, gc=False, tag="metrics"):
    step: Whole
    epoch: Number | None
    values: Mapping[str, Number | None]


class Evaluated(Event, frozen=True, kw_only=True, gc=False, tag="evaluation"):
    step: Whole
    epoch: Number | None
    values: Mapping[str, Number | None]


class SystemSampled(Event, frozen=True, kw_only=True, gc=False, tag="system"):
    """The machine at one moment; `core.record.system_metrics` has the names and units."""

    values: Mapping[str, Number]


class LineLogged(Event, frozen=True, kw_only=True, gc=False, tag="line"):
    level: str
    source: str
    text: str


class Recovered(Event, frozen=True, kw_only=True, gc=False, tag="recovery"):
    kind: str
    message: str
    changes: dict[str, Any] = {}


class CheckpointSaved(Event, frozen=True, kw_only=True, gc=False, tag="checkpoint"):
    step: Whole
    path: str
    files: dict[str, dict[str, Any]] = {}


class RequestSeen(Event, frozen=True, kw_only=True, gc=False, tag="request"):
    id: str
    name: str


class RunEnded(Event, frozen=True, kw_only=True, gc=False, tag="run_ended"):
    """`metrics` and `fingerprint` are those of the summary, which is written after this event."""

    state: EndState
    error: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    fingerprint: dict[str, Any] | None = None


class Skipped(Event, frozen=True, kw_only=True, gc=False, tag="skipped"):
    """Placeholder for an event of a kind that this version does not know."""


AnyEvent = (
    RunStarted
    | PhaseStarted
    | Progressed
    | MetricsLogged
    | Evaluated
    | SystemSampled
    | LineLogged
    | Recovered
    | CheckpointSaved
    | RequestSeen
    | RunEnded
    | Skipped
)
SYNCED_AT_ONCE = (RunStarted, PhaseStarted, Evaluated, CheckpointSaved, RunEnded)
"""Events after which the journal is synced to disk at once."""
