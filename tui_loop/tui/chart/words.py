"""The texts of a chart: title, legend, and the values at the cursor."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len

from tui_loop.core.plot.axis import Axis, place_text, range_text
from tui_loop.core.plot.metrics import figure, is_smoothed, metric_label, metric_text
from tui_loop.core.plot.track import Found
from tui_loop.core.text.figures import brief_number, counted
from tui_loop.tui.chart.canvas import Entry
from tui_loop.tui.chart.curves import Curves, Runs
from tui_loop.tui.chart.plot import ChartSigns
from tui_loop.tui.chart.view import ChartView

_AT_THE_CURSOR = {"loss": "loss", "learning_rate": "lr", "grad_norm": "grad"}
_VALUE_ROOM, _PLACE_ROOM = 8, 8  # cells of `: 1.204`, and of ` at 1500`


def nothing_to_draw(curves: Curves) -> str:
    """Why there is no curve, and how to get one; empty if there is one."""
    run = curves.run
    if run is None:
        return "No iteration is selected. Select one to see its curves."
    if run.is_base:
        return "The base model is not trained, so it has no curves."
    if curves.steps:
        return ""
    if run.is_live:
        return "No loss yet. It appears here as soon as the run logs its first step."
    return "No loss: this run logged no step. Its log shows why."


def title(runs: Runs, metric: str, axis: Axis, view: ChartView) -> list[str]:
    """The metric, the run and the view."""
    return [subject(runs, _capital(metric_label(metric)), view), *how(runs.run, metric, axis, view)]


def joined(parts: Sequence[str], separator: str, width: int) -> str:
    """`parts` with separators, without the last ones if they do not fit into `width` cells."""
    count = len(parts)
    while count > 1 and cell_len(separator.join(parts[:count])) > width:
        count -= 1
    return separator.join(parts[:count])


def subject(runs: Runs, what: str, view: ChartView) -> str:
    """`Loss of 3 over 1, 2`."""
    named = f"{what} of {runs.run.label}" if runs.run.label else what
    over = [each.label for each in runs.over] if view.overlay else []
    if len(over) > 3:
        return f"{named} over {len(over)} others"
    return f"{named} over {', '.join(over)}" if over else named


def how(curves: Curves, metric: str, axis: Axis, view: ChartView) -> list[str]:
    """`x step`, `smooth 0.6`, `log`, and the zoomed ranges."""
    parts = [range_text(axis, *view.zoom) if view.zoom else f"x {axis}"]
    if is_smoothed(metric) and not curves.is_system(metric):
        parts.append(f"smooth {view.weight:g}" if view.weight else "not smoothed")
    if view.log:
        parts.append("log")
    if view.y:
        parts.append(f"y {brief_number(view.y[0])} to {brief_number(view.y[1])}")
    return parts


def legend(
    shown: Sequence[Curves], metric: str, axis: Axis, cursor: int | None, signs: ChartSigns
) -> list[Entry]:
    """The lines and points of every curve, with their values nearest to the place `cursor`."""
    lines = [_line_entry(each, metric, axis, cursor, signs) for each in shown]
    points = [_point_entry(each, metric, axis, cursor, signs) for each in shown]
    is_system = any(each.is_system(metric) for each in shown)
    return [*_of_kind("" if is_system else "train", lines), *_of_kind("eval", points)]


def _line_entry(
    curves: Curves, metric: str, axis: Axis, cursor: int | None, signs: ChartSigns
) -> Entry | None:
    track, text = curves.track_of(metric), f"{signs.keys[curves.style]} {curves.label}"
    if metric not in track.names:
        return None
    if not curves.main.has(axis):
        text = f"{text} has no {axis}"
        return Entry([(text, "muted")], len(text))
    found = None if cursor is None else track.nearest(metric, axis, cursor)
    value = _value(metric, axis, found, cursor)
    return _entry(text, _overlay(curves) or "train", value, _VALUE_ROOM)


def _point_entry(
    curves: Curves, metric: str, axis: Axis, cursor: int | None, signs: ChartSigns
) -> Entry | None:
    name, text = curves.evaluated_name(metric), f"{signs.points[curves.style]} {curves.label}"
    if name is None or not curves.main.has(axis):
        return None
    found = None if cursor is None else curves.evaluated.nearest(name, axis, cursor)
    value = _value(metric, axis, found, cursor)
    return _entry(text, _overlay(curves) or "eval", value, _VALUE_ROOM + _PLACE_ROOM)


def _entry(text: str, role: str, value: str, room: int) -> Entry:
    parts = [(f"{text}:", role), (value, "")] if value else [(text, role)]
    return Entry(parts, len(text) + room)


def _of_kind(kind: str, entries: Sequence[Entry | None]) -> list[Entry]:
    """The entries that exist, the first with `kind` before it."""
    found = [each for each in entries if each is not None]
    if found and kind:
        first = found[0]
        parts = [(f"{kind} ", "muted"), *first.parts]
        found[0] = Entry(parts, first.room + len(kind) + 1)
    return found


def run_keys(shown: Sequence[Curves], signs: ChartSigns) -> list[Entry]:
    """The signs of each run, whatever the metric."""
    entries = []
    for each in shown:
        text = f"{signs.keys[each.style]} {each.label}"
        points = f" {signs.points[each.style]}"
        if each.run:
            roles = _overlay(each) or "train", _overlay(each) or "eval"
            entries.append(Entry([(text, roles[0]), (points, roles[1])], len(text)))
    return entries


def figures(
    curves: Curves, metric: str, axis: Axis, *, step: int | None, not_on_log: int
) -> list[str]:
    """The figures at the cursor, which is at `step`, or the latest ones.

    `not_on_log` values have no place on a log scale.
    """
    parts = _latest(curves, metric) if step is None else _at(curves, metric, axis, step)
    if not_on_log:
        parts.append(f"log scale hides {counted(not_on_log, 'value')} at or below 0")
    return parts


def _overlay(curves: Curves) -> str:
    """The role of a run over another; empty for the run itself."""
    return f"overlay-{curves.style}" if curves.style else ""


def _value(metric: str, axis: Axis, found: Found | None, cursor: int | None) -> str:
    if found is None:
        return ""
    place, value = found
    at = "" if place == cursor else f" at {place_text(axis, place).removeprefix(f'{axis} ')}"
    return f" {metric_text(metric, value)}{at}"


def _at(curves: Curves, metric: str, axis: Axis, step: int) -> list[str]:
    """The values of the run itself at a step: those of the metric and of the usual ones."""
    values = curves.main.at(step)
    names = dict.fromkeys([metric, *_AT_THE_CURSOR])
    # Values that are not finite are shown whatever metric is drawn.
    names |= dict.fromkeys(name for name, value in values.items() if not math.isfinite(value))
    parts = [f"step {step}"]
    if axis != "step":
        parts.append(place_text(axis, curves.main.place(axis, step)))
    for name in names:
        if name in values and curves.main is not curves.system:
            short = _AT_THE_CURSOR.get(name) or metric_label(name)
            worded = figure(values[name]) if name == metric else brief_number(values[name])
            parts.append(f"{short} {worded}")
    evaluated = curves.evaluated_name(metric)
    if evaluated and curves.main is curves.train:
        found = curves.evaluated.latest(evaluated, until=step)
        if found:
            at = "" if found[0] == step else f" at {found[0]}"
            parts.append(f"eval {figure(found[1])}{at}")
    return parts


def _latest(curves: Curves, metric: str) -> list[str]:
    parts = []
    if found := curves.track_of(metric).latest(metric):
        kind = "" if curves.is_system(metric) else "train "
        parts.append(f"{kind}{metric_text(metric, found[1])}")
    name = curves.evaluated_name(metric)
    if name and (found := curves.evaluated.latest(name)):
        parts.append(f"eval {metric_text(metric, found[1])}")
    if curves.nonfinite:
        parts.append(f"{curves.nonfinite} non-finite")
    if curves.run and curves.run.diverged_at is not None:
        parts.append(f"diverged at {curves.run.diverged_at}")
    return parts


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
