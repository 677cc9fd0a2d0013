"""An iteration as lines: a few below the list, and all on a screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui_loop.core.compare.best import BEST_SIGN, Best
from tui_loop.core.compare.claims import changes_of, examples_of, runs_words
from tui_loop.core.compare.comparison import SEED_NOISE, Comparison
from tui_loop.core.diagnosis.findings import verdict_words
from tui_loop.core.record.codec import number
from tui_loop.core.record.iteration import reached_words, share_words, state_words
from tui_loop.core.record.structs import RESUMABLE, Iteration
from tui_loop.core.record.system_summary import system_words
from tui_loop.core.snapshot import LoopSnapshot
from tui_loop.core.text.figures import brief, brief_number, duration, percent, silence
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.keys import with_keys
from tui_loop.tui.widgets.styled_lines import Span

PERCENT = ("score", "macro_f1")

VERDICT_STYLES = {"✓": "good", "✗": "bad", "≈": "warn"}

ERROR_SIGNS = 100
"""Characters of an error in the note, so that its hint has room; enter shows all of it."""

REASON_LINES, REASON_INDENT = 2, 10
"""A longer reason is cut, so that the next lines have room; enter shows all of it."""

SIGNS = {
    "queued": ("○ queued", "muted"),
    "running": ("▶ running", "accent"),
    "paused": ("▶ paused", "warn"),
    "stopping": ("▶ stopping", "warn"),
    "stopped": ("■ stopped", "warn"),
    "failed": ("✗ failed", "bad"),
    "interrupted": ("✗ interrupted", "bad"),
    "unreadable": ("✗ unreadable", "bad"),
}

NO_REASON = "no reason yet; {iterations.why} adds one"
ON_THE_DRAFT = " {run.start} runs the draft. {pane.config} edits it."


def state_part(iteration: Iteration, snapshot: LoopSnapshot) -> Span:
    """Returns the state of an unfinished iteration in short, with the share of its steps."""
    text, style = SIGNS.get(iteration.state, (iteration.state, ""))
    if iteration.state == "failed" and iteration.error:
        text = f"✗ {iteration.error.get('kind')}"
    if iteration.silence is not None:
        return f"▶ silent {silence(iteration.silence)}", "warn"
    if share := share_words(iteration):
        return f"{text} {share}", style
    live = snapshot.live
    if live is not None and live.number == iteration.number and live.run.total:
        done, total = live.run.done, live.run.total
        if iteration.state == "running":
            return f"▶ {done}/{total}", style
        return f"▶ {iteration.state} {100 * done // total}%", style
    return text, style


def note_on(
    snapshot: LoopSnapshot, iteration: Iteration | None, width: int, keymap: Mapping[str, str]
) -> list[list[Span]]:
    """The reason of an iteration, its error or result and its verdict; None is the draft.

    `width`: cells of a line; 0 while it is not known, when nothing is cut. `keymap`: the keys that
    the user has changed.
    """
    reason = REASON_LINES * (width - REASON_INDENT - 4)  # words do not fill a line
    longest = reason if width > REASON_INDENT + 4 else 2_000
    if iteration is None:
        if snapshot.draft is None:
            return [[(" ✗ ", "bad"), (snapshot.draft_problem or snapshot.problem, "bad")]]
        why = snapshot.draft.why or with_keys(NO_REASON, keymap)
        because = [(" because: ", "muted"), (flat(why, longest), "")]
        return [because, [(with_keys(ON_THE_DRAFT, keymap), "muted")]]
    because = [(" because: ", "muted"), (flat(iteration.decision, longest), "")]
    lines = _state_lines(snapshot, iteration, keymap)  # the next action comes before the reason
    if iteration.decision:
        lines.append(because)
    if compared := snapshot.comparisons.get(iteration.number):
        lines.append([(" ", ""), (claim_in_words(compared), "muted")])
    if iteration.verdict:
        lines.append(verdict_line(iteration.verdict))
    best = snapshot.best
    if best is not None and iteration.number in best.runs:
        lines.append([(f" {BEST_SIGN} ", "good"), (best.words, "muted")])
    return lines


def _state_lines(
    snapshot: LoopSnapshot, iteration: Iteration, keymap: Mapping[str, str]
) -> list[list[Span]]:
    """Returns why an iteration is not finished, and what to do about it."""
    resume: Span = (with_keys("{run.resume}", keymap), "accent")
    lines: list[list[Span]] = []
    job = snapshot.jobs.get(iteration.number)
    if job is not None and not job.has_ended:
        lines.append([(f" {flat(job.words, 200)}", "accent" if job.is_waiting else "muted")])
    elif iteration.error:
        message = str(iteration.error.get("message") or "")
        if iteration.state == "unreadable" and len(message) > ERROR_SIGNS:
            message = _with_short_path(message)
        message = flat(message, ERROR_SIGNS + 1)
        lines.append([(" ✗ ", "bad"), (message, "bad")])
        if hint := iteration.error.get("hint"):
            lines.append([("   hint: ", "muted"), (str(hint), "")])
        if reached := reached_words(iteration):
            lines.append([(f" {reached}", "muted")])
    elif iteration.state in RESUMABLE:
        reached = reached_words(iteration)
        state = reached or f"{iteration.state} before its first step"
        resumes = " resumes from the newest checkpoint." if reached else " starts it again."
        lines.append([(f" {state}. ", "muted"), resume, (resumes, "muted")])
    elif iteration.state == "queued" and snapshot.live is None:
        lines.append([(" It has not started. ", "muted"), resume, (" starts it.", "muted")])
    return lines


def _with_short_path(message: str) -> str:
    """Shortens the path in a file's error message, `PATH: what`, to folder and name."""
    path, _, what = message.partition(": ")
    name = "/".join(path.rsplit("/", 2)[-2:])
    return f"…/{name}: {what}" if "/" in path else message


def verdict_line(verdict: str) -> list[Span]:
    """Returns the line on whether the prediction for the iteration was right."""
    sign, _, words = verdict_words(verdict)
    return [(f" {sign} ", VERDICT_STYLES.get(sign, "")), (flat(words, 200), "muted")]


def claim_in_words(compared: Comparison) -> str:
    """Returns the claim about a change, and the runs and examples behind it."""
    if compared.change is None:
        return f"against iteration {compared.a}: nothing to compare"
    if compared.is_identical:
        return f"against iteration {compared.a}: the same config, rows, seed and results"
    runs = compared.replicates
    counted = runs_words(runs)
    if compared.claim == SEED_NOISE:
        counted = f"{runs[0]} runs of this config"
    if compared.is_by_loss:
        over = examples_of(compared, by_loss=True)
    else:
        over = f"{examples_of(compared)}, {changes_of(compared)}"
    figures = f"{compared.change_words} over {over}"
    return f"against iteration {compared.a}: {compared.claim}, {figures} ({counted})"


def claim_style(compared: Comparison | None) -> str:
    """Returns `good` or `bad` for an established change, "" for one that may be noise."""
    if compared is None:
        return ""
    return {"better": "good", "worse": "bad"}.get(compared.claim, "")


def detail_lines(
    iteration: Iteration,
    compared: Comparison | None,
    notes: str,
    best: Best | None,
    keymap: Mapping[str, str],
) -> list[list[Span]]:
    """The iteration as lines to read; `best`: the best config of its loop."""
    origin = "" if iteration.parent is None else f", from {iteration.parent}"
    state = state_words(iteration.state, iteration.silence)
    lines: list[list[Span]] = [[(flat(iteration.title), "strong"), (f"  {state}{origin}", "muted")]]
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
        lines.append([(f"{sign} ", VERDICT_STYLES.get(sign, "")), (words, "")])
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
    lines += [
        [],
        [
            ("notes", "strong"),
            (with_keys("  in the workbench, {loop.edit} edits them", keymap), "muted"),
        ],
    ]
    lines.append([(notes or "(none yet)", "" if notes else "muted")])
    return lines


def _change(name: str, pair: Any) -> list[Span]:
    if isinstance(pair, dict):
        text = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in pair.items())
        return [(fit(f"  {name}", 40), ""), (text, "changed")]
    if isinstance(pair, (list, tuple)) and len(pair) == 2:
        before, after = (flat(brief(each), 200) for each in pair)
        return [(fit(f"  {name}", 40), ""), (f"{before} → {after}", "changed")]
    return [(f"  {name}", ""), (flat(str(pair), 200), "changed")]


def _figure(name: str, value: Any) -> str:
    if name in PERCENT:
        return percent(value)
    plain = number(value) if isinstance(value, (float, str)) else None
    return str(value) if plain is None else brief_number(plain)
