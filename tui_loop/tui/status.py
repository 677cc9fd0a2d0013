"""The status line: which loop, model and data, and what is running, how far and how fast."""

from __future__ import annotations

from tui_loop.core.record.iteration import state_words
from tui_loop.core.record.reader import RunView
from tui_loop.core.record.state import RunState
from tui_loop.core.snapshot import LoopSnapshot
from tui_loop.core.text.figures import counted, duration
from tui_loop.tui.cells import flat
from tui_loop.tui.widgets.bar import Piece

BAR_CELLS = 10
RATE_POINTS = 20
"""Logs over which the speed is taken."""


def status_line(
    snapshot: LoopSnapshot, now: float, hosted: str = ""
) -> tuple[list[Piece], list[Piece]]:
    """The left and the right of the line; `now` in unix seconds, `hosted` the run begun here."""
    left = [Piece(f" {snapshot.name} ", "strong")]
    if snapshot.model:
        left.append(Piece(f"  {flat(snapshot.model, 60)}", "muted"))
    left += [Piece(f" · {part}", "muted") for part in _rows(snapshot)]
    if snapshot.live is None and not hosted and (closed := snapshot.settings.closed) is not None:
        left.append(Piece(f" · {flat(closed.why, 60)}", "muted"))
        number = f" with {closed.iteration}" if closed.iteration is not None else ""
        return left, [Piece(f"closed{number} ", "warn")]
    if snapshot.live is None and not hosted and snapshot.unattended is not None:
        return left, [Piece(f"{snapshot.unattended} at work ", "accent")]
    if snapshot.live is None:
        return left, [Piece(f"▶ {hosted} starting " if hosted else "nothing runs ", "muted")]
    is_well = snapshot.live.state == "running" and snapshot.live.silent_s is None
    tone = "accent" if is_well else "warn"
    trouble = (
        [Piece(f"{flat(snapshot.live.trouble, 60)}  ", "bad")] if snapshot.live.trouble else []
    )
    unattended = [Piece(snapshot.unattended, "strong")] if snapshot.unattended else []
    return left, [*trouble, *unattended, Piece(f" {run_line(snapshot.live, now)} ", tone)]


def run_line(view: RunView, now: float) -> str:
    """A live run in one line: `▶ 3 training ███░░ 41/76 · eta 1m 12s · 3.1k tok/s`."""
    run = view.run
    doing = run.phase or "starting"
    if view.silent_s is not None:
        return f"▶ {view.number} {state_words(view.state, view.silent_s)} in {doing}"
    parts = [f"▶ {view.number} {doing if view.state == 'running' else f'{view.state} in {doing}'}"]
    if run.total:
        filled = min(BAR_CELLS, run.done * BAR_CELLS // run.total)
        parts[0] += f" {'█' * filled}{'░' * (BAR_CELLS - filled)} {run.done}/{run.total}"
        left = None if run.is_paused else run.seconds_left(now)
        if left is not None:
            parts.append(f"eta {duration(left)}")
        if run.phase == "training" and not run.is_paused and (speed := rate(run)):
            parts.append(speed)
    elif view.log and run.phase:
        parts.append(flat(view.log[-1].text, 40))
    return " · ".join(parts)


def rate(run: RunState) -> str:
    """Tokens a second over the last logs, or steps where tokens are not counted."""
    points = run.metrics[-RATE_POINTS:]
    if len(points) < 2 or points[-1].t <= points[0].t:
        return ""
    seconds = points[-1].t - points[0].t
    first, last = (point.values.get("num_tokens") for point in (points[0], points[-1]))
    if first is not None and last is not None and last > first:
        speed = (last - first) / seconds
        return f"{speed / 1000:.1f}k tok/s" if speed >= 1000 else f"{speed:.0f} tok/s"
    return f"{(points[-1].step - points[0].step) / seconds:.2g} steps/s"


def _rows(snapshot: LoopSnapshot) -> list[str]:
    rows = snapshot.split_rows
    parts = [f"{rows[name]} {name}" for name in ("train", "eval") if rows.get(name)]
    if rows.get("holdout"):
        looks = snapshot.holdout_uses
        parts.append(f"{rows['holdout']} holdout ({counted(looks, 'look') if looks else 'locked'})")
    return parts
