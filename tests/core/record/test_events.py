"""The events of a journal have the keys that DESIGN gives them."""

from __future__ import annotations

import json

import pytest

from tui_loop.core.record import codec
from tui_loop.core.record.events import (
    AnyEvent,
    CheckpointSaved,
    Evaluated,
    LineLogged,
    MetricsLogged,
    PhaseStarted,
    Progressed,
    Recovered,
    RequestSeen,
    RunEnded,
    RunStarted,
    SystemSampled,
)

STARTED = RunStarted(loop="a", iteration=1, attempt=1, pid=1, host="h")


@pytest.mark.parametrize(
    ("event", "kind", "keys"),
    [
        (STARTED, "run_started", "schema loop iteration attempt from_step pid host versions "
                                 "device runner gpus job"),
        (PhaseStarted(name="training"), "phase", "name"),
        (Progressed(phase="training", done=1), "progress", "phase done total"),
        (MetricsLogged(step=1, epoch=0.1, values={}), "metrics", "step epoch values"),
        (Evaluated(step=1, epoch=0.1, values={}), "evaluation", "step epoch values"),
        (SystemSampled(values={"cpu_percent": 1.0}), "system", "values"),
        (LineLogged(level="info", source="s", text="t"), "line", "level source text"),
        (Recovered(kind="disk", message="m"), "recovery", "kind message changes"),
        (CheckpointSaved(step=1, path="p"), "checkpoint", "step path files"),
        (RequestSeen(id="a", name="stop"), "request", "id name"),
        (RunEnded(state="finished"), "run_ended", "state error metrics fingerprint"),
    ],
)  # fmt: skip
def test_an_event_has_its_kind_seq_time_and_keys(event: AnyEvent, kind: str, keys: str) -> None:
    plain = json.loads(codec.to_json(event))
    assert list(plain)[:3] == ["event", "seq", "t"]
    assert plain["event"] == kind
    assert set(plain) == {"event", "seq", "t", *keys.split()}
