"""Events as lines of a log."""

from __future__ import annotations

import pytest

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
    Skipped,
)
from tui_loop.core.record.log_lines import clock, has_line, log_line

CASES: list[tuple[AnyEvent, str, str]] = [
    (
        RunStarted(loop="x", iteration=1, attempt=2, pid=7, host="box"),
        "info",
        "run started: attempt 2, pid 7 on box",
    ),
    (PhaseStarted(name="training"), "info", "phase training"),
    (
        MetricsLogged(
            step=41,
            epoch=1.0,
            values={"loss": 1.2149, "learning_rate": 7.6e-5, "num_tokens": 31789.0, "x": "NaN"},
        ),
        "step",
        "step 41  loss 1.215  lr 7.6e-5  tokens 31789  x NaN",
    ),
    (
        Evaluated(step=50, epoch=1.0, values={"eval_loss": 0.25}),
        "info",
        "evaluated at step 50  eval loss 0.25",
    ),
    (LineLogged(level="warning", source="trl", text="careful"), "warning", "trl: careful"),
    (LineLogged(level="info", source="tui-loop", text="loading"), "info", "loading"),
    (Recovered(kind="oom", message="smaller"), "warning", "recovered from oom: smaller"),
    (CheckpointSaved(step=5, path="checkpoints/5"), "info", "checkpoint at step 5: checkpoints/5"),
    (RequestSeen(id="a", name="stop"), "info", "request: stop"),
    (RunEnded(state="finished"), "info", "run ended: finished"),
    (
        RunEnded(state="failed", error={"kind": "oom", "message": "no room"}),
        "error",
        "run ended: failed: no room",
    ),
]


@pytest.mark.parametrize(("event", "level", "text"), CASES)
def test_every_kind_of_event_has_its_line(event: AnyEvent, level: str, text: str) -> None:
    line = log_line(event)
    assert has_line(event)
    assert (line.level, line.text) == (level, text)


@pytest.mark.parametrize("event", [Progressed(phase="training", done=1), Skipped()])
def test_what_only_moves_a_figure_has_none(event: AnyEvent) -> None:
    assert not has_line(event)


@pytest.mark.parametrize("t", [1e300, float("nan"), -1e20])
def test_a_journal_may_hold_any_number_as_its_time(t: float) -> None:
    assert clock(t) == "--:--:--"
