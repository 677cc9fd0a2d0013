"""The dialogs that start a run of the draft, or auto."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import msgspec
from textual.app import ComposeResult
from textual.widgets import Input

from tui_loop.core.diagnosis.findings import expected_of
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.preflight.check_result import errors_of, warnings_of
from tui_loop.core.text.figures import brief, counted
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.backend import Preview
from tui_loop.tui.cells import flat, width_of
from tui_loop.tui.keys import in_keys, with_keys
from tui_loop.tui.screens.dialogs import Dialog, labelled
from tui_loop.tui.screens.rows import fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.field import TextInput
from tui_loop.tui.widgets.styled_lines import Span

CHANGES_SHOWN = 6
VALUE_LENGTH = 60
REASON = 60
"""The longest reason, in cells, that the field shows in full."""

UNCHANGED = "This run repeats its parent. Press enter again to run it."

ALL_CHECKS = "After {app.back}, {run.check} shows all checks."


HOMES = {"app": "thread", "process": "process", "job": "job"}
"""Where a run may execute: the word in the dialog, and the value of `run.runner`."""

HOME_WORDS = "app, process (its own), or job (SLURM)"

RUN_LABEL = 7
"""Cells of the labels in the dialog of a run."""


class RunChoice(msgspec.Struct, frozen=True):
    """How the draft should run. `sbatch`: options for a job."""

    why: str
    runner: str = "thread"
    sbatch: str = ""


class RunDialog(Dialog[RunChoice | None]):
    """Returns how to run the draft, None for esc; a run without a change takes enter twice."""

    LEAST_LINES, MOST_LINES = 9, 16
    DEFAULT_CSS = "RunDialog > Vertical > Horizontal:first-of-type { margin-top: 1; }"

    def __init__(self, draft: Draft, number: int, model: str) -> None:
        self._draft, self._model = draft, model
        self._preview: Preview | None = None
        self._is_confirmed = bool(draft.changed) or not draft.parent
        self._shown = self._lines("reading the data ...")
        origin = f", from {draft.parent}" if draft.parent else ""
        keys = "enter runs the draft · tab next field · {app.back} goes back"
        super().__init__(f"Run {number}{origin}", keys, self._shown, is_wide=True)
        self.field = TextInput(draft.why, placeholder="why this change? (stored in the record)")
        home = next((word for word, value in HOMES.items() if value == runner_of(draft)), "app")
        self.home = TextInput(home, id="home")
        self.sbatch = TextInput(
            placeholder="more options, e.g. --gres=gpu:1 --time=4:00:00", id="sbatch"
        )
        self._options = labelled("sbatch", self.sbatch, width=RUN_LABEL)

    def compose_below(self) -> ComposeResult:
        yield labelled("why", self.field, width=RUN_LABEL)
        yield labelled("runs in", self.home, width=RUN_LABEL, note=HOME_WORDS)
        yield self._options

    def on_mount(self) -> None:
        super().on_mount()
        self.field.focus()
        self._show_options()
        if width_of(self._draft.why) > REASON:
            self.field.cursor_position = 0  # show its start

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why the draft cannot run."""
        lines = self._lines("")[:-1]
        lines.append([("✗ ", "bad"), (fault.message, "bad")])
        keys = services_of(self).keys
        lines.append([("  hint: ", "muted"), (in_keys(fault.hint, keys), "")])
        lines.append([(f"  {with_keys(ALL_CHECKS, keys)}", "muted")])
        self._fill(lines)

    def show(self, preview: Preview) -> None:
        """Shows what the run would do."""
        errors, warnings = errors_of(preview.findings), warnings_of(preview.findings)
        self._preview = None if errors else preview
        rows = f"{preview.train_rows} training rows, {preview.eval_rows} evaluation rows"
        steps = f", {preview.steps} steps" if preview.steps is not None else ""
        lines = self._lines(f"{self._model}: {rows}{steps}")
        if preview.base_first:
            lines.append(
                [
                    (
                        "The base model has no scores for this setup yet; it is evaluated first.",
                        "muted",
                    )
                ]
            )
        keys = services_of(self).keys
        lines += [[("! ", "warn"), (in_keys(each, keys), "warn")] for each in preview.notices]
        lines += [[("✗ ", "bad"), (each.message, "bad")] for each in errors]
        if errors or warnings:
            counts = " and ".join(
                counted(len(each), word)
                for each, word in ((errors, "error"), (warnings, "warning"))
                if each
            )
            one = f": {warnings[0].message}" if len(warnings) == 1 and not errors else ""
            shown = f"{counts}{one}. {with_keys(ALL_CHECKS, keys)}"
            lines.append([("! ", "warn"), (shown, "bad" if errors else "warn")])
        self._fill(lines)

    def _fill(self, lines: list[list[Span]]) -> None:
        self._shown = lines
        self.show_lines(lines)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        home = self.home.value.strip()
        if home not in HOMES:
            self._fill([*self._shown, [("✗ ", "bad"), (f"runs in: enter {HOME_WORDS}", "bad")]])
            return
        if self._preview is None:
            return
        if self._is_confirmed:
            options = self.sbatch.value.strip() if home == "job" else ""
            self.dismiss(RunChoice(self.field.value.strip(), HOMES[home], options))
        else:
            self._is_confirmed = True
            self._fill([*self._shown, [("! ", "warn"), (UNCHANGED, "warn")]])

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input is self.home:
            self._show_options()

    def _show_options(self) -> None:
        self._options.display = self.home.value.strip() == "job"

    def _lines(self, status: str) -> list[list[Span]]:
        changed = self._draft.changed
        lines: list[list[Span]] = []
        for name, (old, new) in list(changed.items())[:CHANGES_SHOWN]:
            before, after = (flat(brief(each), VALUE_LENGTH) for each in (old, new))
            lines.append([(f"{name} ", ""), (f"{before} → {after}", "changed")])
        if len(changed) > CHANGES_SHOWN:
            lines.append([(f"and {len(changed) - CHANGES_SHOWN} more changes", "muted")])
        if not changed:
            same = "No change from the parent. Change the seed to measure the training noise."
            lines.append(
                [(same if self._draft.parent else "The loop's defaults, unchanged.", "muted")]
            )
        if expects := expected_of(self._draft.predicted):
            lines.append([(expects, "muted")])
        lines.append([(status, "")])
        return lines


def runner_of(draft: Draft) -> str:
    """Returns `run.runner` of a draft, whose other fields may be invalid."""
    return str(draft.value("run.runner") or "thread")


ITERATIONS = 4
"""How many runs auto is offered."""

AHEAD = (
    "After each run auto judges the result and continues from the best iteration, until that "
    "iteration is ready, the results reach a plateau, or the budget is spent. {run.stop} stops "
    "auto."
)

LABEL = 14
"""Cells of the labels."""

ONE = "1"
AT_ONCE = "a number, or gpus for one run per GPU"


def _at_once_input() -> TextInput:
    return TextInput(ONE, id="at-once")


class QueueDialog(Dialog[str | None]):
    """Returns how many runs of the queue may train at once, None for esc."""

    LEAST_LINES = 3

    def __init__(self, lines: list[list[Span]], count: int) -> None:
        keys = "enter runs them · {app.back} goes back"
        super().__init__(f"Run {counted(count, 'draft')}?", keys, lines, is_wide=True)
        self._ahead = lines
        self.at_once = _at_once_input()

    def compose_below(self) -> ComposeResult:
        yield labelled("runs at once", self.at_once, width=LABEL, note=AT_ONCE)

    def on_mount(self) -> None:
        super().on_mount()
        self.at_once.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = self.at_once.value.strip()
        if problem := _at_once_problem(text):
            self.show_lines([*self._ahead, [("✗ ", "bad"), (problem, "bad")]])
        else:
            self.dismiss(text)


class Budget(msgspec.Struct, frozen=True):
    """What auto may spend; `hours` None for no limit. `at_once`: how many runs train at once."""

    iterations: int
    hours: float | None = None
    at_once: str = ONE


class AutoDialog(Dialog[Budget | None]):
    """Returns the budget, None for esc."""

    LEAST_LINES = 6

    def __init__(self, loop: str, start: int | None) -> None:
        """`start`: the iteration to continue from, None for the best so far."""
        self._preview: list[list[Span]] = [[("reading the diagnosis ...", "muted")]]
        self._is_possible = False
        origin = f"{loop}/{start}" if start is not None else f"the best iteration of {loop}"
        title = f"Auto from {origin}"
        keys = "enter starts · tab next field · {app.back} goes back"
        super().__init__(title, keys, self._preview, is_wide=True)
        self.iterations = TextInput(str(ITERATIONS), id="auto-iterations")
        self.hours = TextInput("", placeholder="no limit", id="auto-hours")
        self.at_once = _at_once_input()

    def compose_below(self) -> ComposeResult:
        yield labelled("iterations", self.iterations, width=LABEL)
        yield labelled("hours at most", self.hours, width=LABEL)
        yield labelled("runs at once", self.at_once, width=LABEL, note=AT_ONCE)

    def on_mount(self) -> None:
        super().on_mount()
        self.iterations.focus()

    def show(self, ahead: Sequence[str]) -> None:
        """Shows what auto would do first."""
        self._preview = [[(flat(each), "")] for each in ahead]
        self._is_possible = True
        self._fill()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why auto cannot start."""
        self._preview = fault_lines(fault, services_of(self).keys)
        self._fill()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        fields = (self.iterations, self.hours, self.at_once)
        budget, problem = _budget(*(field.value.strip() for field in fields))
        if problem:
            self._fill(problem)
        elif budget is not None and self._is_possible:
            self.dismiss(budget)

    def _fill(self, problem: str = "") -> None:
        self.show_lines(self._lines(problem))

    def _lines(self, problem: str = "") -> list[list[Span]]:
        if not self._is_possible:
            return self._preview
        lines = [*self._preview, [(with_keys(AHEAD, services_of(self).keys), "muted")]]
        return [*lines, [("✗ ", "bad"), (problem, "bad")]] if problem else lines


def _at_once_problem(text: str) -> str:
    """Returns what is wrong with a typed number of runs at once, "" for nothing."""
    if text == "gpus" or re.fullmatch(r"0*[1-9]\d{0,2}", text, re.ASCII):
        return ""
    return f"runs at once: enter {AT_ONCE}"


def _budget(iterations: str, hours: str, at_once: str) -> tuple[Budget | None, str]:
    """Returns the budget that was typed, or None and the problem with it."""
    if problem := _at_once_problem(at_once):
        return None, problem
    if not re.fullmatch(r"0*[1-9]\d{0,5}", iterations, re.ASCII):
        return None, "iterations: enter a whole number of at least 1"
    if not hours:
        return Budget(int(iterations), at_once=at_once), ""
    try:
        limit = float(hours) if hours.isascii() else math.nan
    except ValueError:
        limit = math.nan
    if not (math.isfinite(limit) and limit > 0):
        return None, "hours: enter a number above 0, or nothing for no limit"
    return Budget(int(iterations), limit, at_once), ""
