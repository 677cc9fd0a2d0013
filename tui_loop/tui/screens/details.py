"""One iteration in full: decision, changes, every metric, what went wrong, notes."""

from __future__ import annotations

from typing import Any

from tui_loop.core.compare.best import BEST_SIGN, Best
from tui_loop.core.compare.comparison import Comparison
from tui_loop.core.diagnosis.findings import verdict_words
from tui_loop.core.record.codec import number
from tui_loop.core.record.iteration import reached_words, state_words
from tui_loop.core.record.structs import Iteration
from tui_loop.core.record.system_summary import system_words
from tui_loop.core.text.figures import brief, brief_number, duration, percent
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.compare_lines import PERCENT
from tui_loop.tui.iteration_lines import VERDICT_TONES, claim_in_words
from tui_loop.tui.widgets.toned import Part


def detail_lines(
    iteration: Iteration,
    compared: Comparison | None,
    notes: str,
    best: Best | None = None,
) -> list[list[Part]]:
    """The iteration as lines to read; `best`: the best config of its loop."""
    origin = "" if iteration.parent is None else f", from {iteration.parent}"
    state = state_words(iteration.state, iteration.silence)
    lines: list[list[Part]] = [[(flat(iteration.title), "strong"), (f"  {state}{origin}", "muted")]]
    if best is not None and iteration.number in best.runs:
        lines.append([(f"{BEST_SIGN} ", "good"), (best.words, "")])
    if reached := reached_words(iteration):
        lines.append([(reached, "")])
    if iteration.decision:
        lines.append([("because: ", "muted"), (iteration.decision, "")])
    if iteration.error:
        lines.append([("✗ ", "bad"), (str(iteration.error.get("message") or ""), "bad")])
        lines.append([("hint: ", "muted"), (str(iteration.error.get("hint") or ""), "")])
    if compared is not None:
        lines.append([(claim_in_words(compared), "")])
    if iteration.verdict:
        sign, _, words = verdict_words(iteration.verdict)
        lines.append([(f"{sign} ", VERDICT_TONES.get(sign, "")), (words, "")])
    if iteration.changes:
        lines += [[], [("changed", "strong")]]
        lines += [_change(name, pair) for name, pair in iteration.changes.items()]
    figures = {name: value for name, value in iteration.metrics.items() if value is not None}
    if figures:
        lines += [[], [("metrics", "strong")]]
        lines += [[(fit(f"  {n}", 28), ""), (_figure(n, v), "")] for n, v in figures.items()]
    if iteration.duration_s is not None:
        attempts = f"{iteration.attempts} attempt{'s' if iteration.attempts != 1 else ''}"
        lines += [[], [(f"took {duration(iteration.duration_s)}, {attempts}", "muted")]]
        if iteration.system is not None:
            lines.append([(system_words(iteration.system), "muted")])
    lines += [[], [("notes", "strong"), ("  e writes them", "muted")]]
    lines.append([(notes or "(none yet)", "" if notes else "muted")])
    return lines


def _change(name: str, pair: Any) -> list[Part]:
    if isinstance(pair, dict):
        told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in pair.items())
        return [(fit(f"  {name}", 40), ""), (told, "changed")]
    if isinstance(pair, (list, tuple)) and len(pair) == 2:
        before, after = (flat(brief(each), 200) for each in pair)
        return [(fit(f"  {name}", 40), ""), (f"{before} → {after}", "changed")]
    return [(f"  {name}", ""), (flat(str(pair), 200), "changed")]


def _figure(name: str, value: Any) -> str:
    if name in PERCENT:
        return percent(value)
    plain = number(value) if isinstance(value, (float, str)) else None
    return str(value) if plain is None else brief_number(plain)
