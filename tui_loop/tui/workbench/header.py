"""The header: loop, model and data, and the live run with progress, speed and machine."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_loop.core.record.events import UsedGpu
from tui_loop.core.record.iteration import state_words
from tui_loop.core.record.reader import RunView
from tui_loop.core.record.state import RunState
from tui_loop.core.record.system_metrics import GIB, GpuSample, SystemSample, sample_of
from tui_loop.core.snapshot import LoopSnapshot
from tui_loop.core.text.figures import brief_number, counted, duration
from tui_loop.tui.cells import flat, width_of
from tui_loop.tui.widgets.bar import Piece

RATE_POINTS = 20
"""Number of logs that the speed is averaged over."""

GAP = "  "

NAME_LENGTH, MODEL_LENGTH, LINE_LENGTH = 40, 60, 40

LOW_DISK_GIB = 5.0


class HeaderPart(msgspec.Struct, frozen=True):
    """A part of the header; where there is no room, the highest `rank` is left out first."""

    text: str
    style: str
    rank: int


def status_line(
    snapshot: LoopSnapshot, now: float, hosted: str = "", *, width: int = 200
) -> tuple[list[Piece], list[Piece]]:
    """Returns the left and the right of the header in `width` cells.

    `now` in unix seconds; `hosted`: the run that this process hosts, "" for none.
    """
    name = [HeaderPart(f" {flat(snapshot.name, NAME_LENGTH)}", "strong", 0)]
    if snapshot.live is not None:
        left, right = (
            [*name, HeaderPart(_short_model(snapshot.model), "muted", 8)],
            run_parts(snapshot, now),
        )
    else:
        left, right = [*name, *_data_parts(snapshot)], [_idle_part(snapshot, hosted)]
    kept = _fitting([*left, *right], width)
    return _pieces(left, kept), _pieces(right, kept)


def _idle_part(snapshot: LoopSnapshot, hosted: str) -> HeaderPart:
    if hosted:
        return HeaderPart(f"▶ {hosted} starting", "muted", 1)
    if snapshot.unattended is not None:
        return HeaderPart(f"{snapshot.unattended} running", "accent", 1)
    if (closed := snapshot.settings.closed) is not None:
        last = f" with {closed.iteration}" if closed.iteration is not None else ""
        return HeaderPart(f"closed{last}", "warn", 1)
    if waiting := sum(job.is_waiting for job in snapshot.jobs.values()):
        return HeaderPart(f"{counted(waiting, 'job')} waiting", "accent", 1)
    if snapshot.auto_end is not None:
        return HeaderPart(flat(snapshot.auto_end.words, MODEL_LENGTH), "muted", 1)
    return HeaderPart("idle", "muted", 1)


def _data_parts(snapshot: LoopSnapshot) -> list[HeaderPart]:
    rows, uses = snapshot.split_rows, snapshot.holdout_uses
    parts = [HeaderPart(flat(snapshot.model, MODEL_LENGTH), "muted", 3)] if snapshot.model else []
    counts = [f"{rows[name]} {name}" for name in ("train", "eval") if rows.get(name)]
    if counts:
        parts.append(HeaderPart(" · ".join(counts), "muted", 4))
    if rows.get("holdout"):
        used = f"used {counted(uses, 'time')}" if uses else "locked"
        parts.append(HeaderPart(f"{rows['holdout']} holdout ({used})", "muted", 5))
    if (closed := snapshot.settings.closed) is not None:
        parts.append(HeaderPart(flat(closed.why, MODEL_LENGTH), "muted", 6))
    return parts


def run_parts(snapshot: LoopSnapshot, now: float) -> list[HeaderPart]:
    """Returns the parts of the header on the live run."""
    view = snapshot.live
    assert view is not None
    run = view.run
    state = run_state(view)
    style = "accent" if view.state == "running" and view.silent_s is None else "warn"
    parts = [HeaderPart(f"▶ {view.number} {state}{_progress(run)}", style, 0)]
    if job := snapshot.jobs.get(view.number):
        parts.append(HeaderPart(flat(job.words, MODEL_LENGTH), "muted", 7))
    if others := len(snapshot.live_numbers) - 1:
        parts.append(HeaderPart(f"+{others} live", "accent", 2))
    if snapshot.unattended:
        parts.insert(0, HeaderPart(snapshot.unattended, "strong", 2))
    if view.trouble:
        parts.insert(0, HeaderPart(flat(view.trouble, 60), "bad", 1))
    if not run.total and run.phase not in (None, "training") and view.log:
        parts.append(HeaderPart(flat(view.log[-1].text, LINE_LENGTH), "muted", 7))
    elapsed = duration(now - run.phase_started_at) if run.phase_started_at else ""
    remaining = None if run.is_paused else run.seconds_left(now)
    if elapsed:
        left = f", {duration(remaining)} left" if remaining is not None else ""
        parts.append(HeaderPart(f"{elapsed}{left}", "", 3))
    if run.phase == "training" and run.metrics:
        parts += _metric_parts(run)
    gpus = run.started.gpus if run.started is not None else ()
    sample = sample_of(run.system[-1].values) if run.system else SystemSample()
    return [*parts, *_gpu_parts(sample, gpus), *_machine_parts(sample)]


def run_state(view: RunView) -> str:
    """Returns the state of a live run in one word, with its phase where that differs."""
    phase = view.run.phase or "starting"
    if view.silent_s is not None:
        return f"{phase}, {state_words(view.state, view.silent_s).removeprefix('running, ')}"
    return phase if view.state == "running" else view.state


def _progress(run: RunState) -> str:
    return f" {run.done}/{run.total}" if run.total else ""


def _metric_parts(run: RunState) -> list[HeaderPart]:
    last = run.metrics[-1]
    found = []
    if last.epoch is not None:
        found.append(HeaderPart(f"epoch {last.epoch:.2f}", "muted", 10))
    for name, label, rank in (("loss", "loss", 4), ("learning_rate", "lr", 9)):
        if (value := last.values.get(name)) is not None:
            shown = f"{value:.3f}" if name == "loss" else brief_number(value)
            found.append(HeaderPart(f"{label} {shown}", "", rank))
    if not run.is_paused and (speed := rate(run)):
        found.append(HeaderPart(speed, "", 5))
    return found


def _machine_parts(sample: SystemSample) -> list[HeaderPart]:
    parts = []
    if sample.cpu_percent is not None:
        parts.append(HeaderPart(f"cpu {sample.cpu_percent:.0f}%", "muted", 11))
    if sample.memory_used_bytes is not None and sample.memory_total_bytes:
        share = f"{sample.memory_used_bytes / GIB:.0f}/{sample.memory_total_bytes / GIB:.0f}"
        parts.append(HeaderPart(f"ram {share} GiB", "muted", 12))
    if sample.disk_free_bytes is not None:
        free = sample.disk_free_bytes / GIB
        parts.append(
            HeaderPart(f"disk {free:.0f} GiB", "warn" if free < LOW_DISK_GIB else "muted", 13)
        )
    return parts


def _gpu_parts(sample: SystemSample, gpus: Sequence[UsedGpu]) -> list[HeaderPart]:
    """Returns a part for each GPU of the run, under its number on the machine.

    A sample has the run's own numbers, in the order of `gpus`.
    """
    numbers = {place: gpu.index for place, gpu in enumerate(gpus)}
    if not sample.gpus and gpus:
        return [HeaderPart(f"gpu{', '.join(map(str, numbers.values()))}", "", 6)]
    return [_gpu_part(each, numbers.get(each.index, each.index)) for each in sample.gpus]


def _gpu_part(gpu: GpuSample, number: int) -> HeaderPart:
    words = [f"gpu{number}"]
    if gpu.util_percent is not None:
        words.append(f"{gpu.util_percent:.0f}%")
    if gpu.memory_used_bytes is not None and gpu.memory_total_bytes:
        words.append(f"{gpu.memory_used_bytes / GIB:.0f}/{gpu.memory_total_bytes / GIB:.0f} GiB")
    if gpu.temperature_c is not None:
        words.append(f"{gpu.temperature_c:.0f}C")
    if gpu.is_throttled:
        words.append("throttled")
    return HeaderPart(" ".join(words), "warn" if gpu.is_throttled else "", 6)


def rate(run: RunState) -> str:
    """Returns tokens a second over the last logs, or steps where tokens are not counted."""
    points = run.metrics[-RATE_POINTS:]
    if len(points) < 2 or points[-1].t <= points[0].t:
        return ""
    seconds = points[-1].t - points[0].t
    first, last = (point.values.get("num_tokens") for point in (points[0], points[-1]))
    if first is not None and last is not None and last > first:
        speed = (last - first) / seconds
        return f"{speed / 1000:.1f}k tok/s" if speed >= 1000 else f"{speed:.0f} tok/s"
    return f"{(points[-1].step - points[0].step) / seconds:.2g} steps/s"


def _short_model(model: str) -> str:
    return flat(model.rpartition("/")[2], MODEL_LENGTH)


def _fitting(parts: Sequence[HeaderPart], width: int) -> set[int]:
    """The ranks that have room; parts of one rank are kept or left out together."""
    kept: set[int] = set()
    room = width - 2
    for rank in sorted({part.rank for part in parts}):
        room -= sum(width_of(part.text) + len(GAP) for part in parts if part.rank == rank)
        if room < 0 and rank:
            break
        kept.add(rank)
    return kept


def _pieces(parts: Sequence[HeaderPart], kept: set[int]) -> list[Piece]:
    return [Piece(part.text + GAP, part.style) for part in parts if part.rank in kept and part.text]
