"""Formats journal events as log lines, for the `log` command and the log pane."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

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
    SystemSampled,
    gpu_names,
)
from tui_loop.core.text.figures import brief_number

SHORT_NAMES = {
    "learning_rate": "lr",
    "grad_norm": "grad",
    "mean_token_accuracy": "acc",
    "num_tokens": "tokens",
    "eval_loss": "eval loss",
    "trainer_eval_loss": "trainer's",
}
WHOLE_UP_TO = 1e12


class LogLine(msgspec.Struct, frozen=True):
    """A line of a run's log: unix seconds, level (debug, info, warning, error, step) and text."""

    t: float
    level: str
    text: str


def has_line(event: AnyEvent) -> bool:
    """Returns whether an event has a log line; progress and samples of the machine have none."""
    return not isinstance(event, (Progressed, SystemSampled, Skipped))


def log_line(event: AnyEvent) -> LogLine:
    """Returns the log line of an event."""
    level, text = "info", ""
    match event:
        case RunStarted():
            text = f"run started: attempt {event.attempt}, pid {event.pid} on {event.host}"
            if event.gpus:
                text += f", {gpu_names([gpu.index for gpu in event.gpus])}"
        case PhaseStarted():
            text = f"phase {event.name}"
        case MetricsLogged():
            level, text = "step", f"step {event.step}  {_values(event.values)}"
        case Evaluated():
            text = f"evaluated at step {event.step}  {_values(event.values)}"
        case LineLogged():
            level = event.level
            text = event.text if event.source == "tui-loop" else f"{event.source}: {event.text}"
        case Recovered():
            level, text = "warning", f"recovered from {event.kind}: {event.message}"
        case CheckpointSaved():
            text = f"checkpoint at step {event.step}: {event.path}"
        case RequestSeen():
            text = f"request: {event.name}"
        case RunEnded():
            reason = f": {event.error.get('message')}" if event.error else ""
            level = "error" if event.state == "failed" else "info"
            text = f"run ended: {event.state}{reason}"
    return LogLine(event.t, level, text)


def clock(t: float) -> str:
    """Returns the local time of day as `20:14:03`."""
    try:
        return f"{datetime.fromtimestamp(t):%H:%M:%S}"
    except (ValueError, OverflowError, OSError):  # a journal may hold any number
        return "--:--:--"


def _values(values: Mapping[str, float | str | None]) -> str:
    return "  ".join(f"{SHORT_NAMES.get(name, name)} {_number(v)}" for name, v in values.items())


def _number(value: float | str | None) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < WHOLE_UP_TO:
        return f"{value:.0f}"
    if isinstance(value, float):
        return brief_number(value) if abs(value) < 0.001 else f"{value:.4g}"
    return str(value)
