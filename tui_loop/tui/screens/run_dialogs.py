"""The dialogs that start a run of the draft, or auto."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui_loop.core.diagnosis.findings import expected_of
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.preflight.check_result import errors_of, warnings_of
from tui_loop.core.text.figures import brief, counted
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.actions import bindings_of
from tui_loop.tui.backend import Preview
from tui_loop.tui.cells import flat, width_of
from tui_loop.tui.hints import in_keys
from tui_loop.tui.screens.rows import fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.field import TextInput
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

CHANGES_SHOWN = 6
VALUE_LENGTH = 60
REASON = 60
"""The longest reason, in cells, that the field shows in full."""

UNCHANGED = "This run repeats its parent. Press enter again to run it."

LEAST_LINES, MOST_LINES = 9, 16


class RunDialog(ModalScreen[str | None]):
    """Returns the reason for the run, None for esc; a run without a change takes enter twice."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    RunDialog { align: center middle; background: $background 40%; }
    RunDialog:ansi { background: ansi_default; }
    RunDialog > Vertical {
        width: 100; max-width: 100%; height: auto; max-height: 100%;
        border: round $style-accent; background: $background; padding: 0 1;
        & > Sheet { height: 9; padding: 0; }
        & > Horizontal { height: 1; margin-top: 1; }
        & > Horizontal > Sheet { width: 5; height: 1; padding: 0; }
        & > Horizontal > TextInput { width: 1fr; }
    }
    """

    def __init__(self, draft: Draft, number: int, model: str) -> None:
        super().__init__()
        self._draft, self._number, self._model = draft, number, model
        self._preview: Preview | None = None
        self._shown: list[list[Span]] = []
        self._is_confirmed = bool(draft.changed) or not draft.parent
        self.sheet = Sheet(self._lines("reading the data ..."))
        self.sheet.can_focus = False
        self.field = TextInput(draft.why, placeholder="why this change? (stored in the record)")

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self.sheet
            with Horizontal():
                yield Sheet([[("why", "muted")]], is_note=True)
                yield self.field
        origin = f", from {self._draft.parent}" if self._draft.parent else ""
        entitle(box, f"Run {self._number}{origin}", "enter runs the draft · esc goes back")

    def on_mount(self) -> None:
        self.field.focus()
        if width_of(self._draft.why) > REASON:
            self.field.cursor_position = 0  # show its start

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why the draft cannot run."""
        lines = self._lines("")[:-1]
        lines.append([("✗ ", "bad"), (fault.message, "bad")])
        hint = in_keys(fault.hint, services_of(self).keys)
        lines.append([("  hint: ", "muted"), (hint, "")])
        lines.append([("  After esc, g c shows all checks.", "muted")])
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
                        "The base model has no scores for this set-up yet; it is evaluated first.",
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
            shown = f"{counts}{one}. After esc, g c shows all checks."
            lines.append([("! ", "warn"), (shown, "bad" if errors else "warn")])
        self._fill(lines)

    def _fill(self, lines: list[list[Span]]) -> None:
        """Shows the lines; the dialog grows with them up to MOST_LINES."""
        self._shown = lines
        self.sheet.show(lines)
        self.call_after_refresh(self._fit)  # its width is unknown before

    def _fit(self) -> None:
        height = self.sheet.virtual_size.height
        self.sheet.styles.height = min(MOST_LINES, max(LEAST_LINES, height))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._preview is None:
            return
        if self._is_confirmed:
            self.dismiss(event.value.strip())
        else:
            self._is_confirmed = True
            self._fill([*self._shown, [("! ", "warn"), (UNCHANGED, "warn")]])

    def action_back(self) -> None:
        self.dismiss(None)

    def _lines(self, status: str) -> list[list[Span]]:
        changed = self._draft.changed
        lines: list[list[Span]] = []
        for name, (old, new) in list(changed.items())[:CHANGES_SHOWN]:
            before, after = (flat(brief(each), VALUE_LENGTH) for each in (old, new))
            lines.append([(f"{name} ", ""), (f"{before} → {after}", "changed")])
        if len(changed) > CHANGES_SHOWN:
            lines.append([(f"and {len(changed) - CHANGES_SHOWN} more changes", "muted")])
        if not changed:
            same = "No change from its parent. Change the seed to measure the training noise."
            lines.append(
                [(same if self._draft.parent else "The loop's defaults, unchanged.", "muted")]
            )
        if expects := expected_of(self._draft.predicted):
            lines.append([(expects, "muted")])
        lines.append([(status, "")])
        return lines


ITERATIONS = 4
AUTO_LEAST_LINES, AUTO_MOST_LINES = 6, 12

Lines = list[list[Span]]


class Budget(msgspec.Struct, frozen=True):
    """What auto may spend; `hours` None for no limit."""

    iterations: int
    hours: float | None = None


class AutoDialog(ModalScreen[Budget | None]):
    """Returns the budget, None for esc."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    AutoDialog { align: center middle; background: $background 40%; }
    AutoDialog:ansi { background: ansi_default; }
    AutoDialog > Vertical {
        width: 100; max-width: 100%; height: auto; max-height: 100%;
        border: round $style-accent; background: $background; padding: 0 1;
        & > Sheet { height: 6; padding: 0; }
        & > Horizontal { height: 1; }
        & > Horizontal > Sheet { width: 16; height: 1; padding: 0; }
        & > Horizontal > TextInput { width: 1fr; }
    }
    """

    def __init__(self, loop: str, start: int | None) -> None:
        """`start`: the iteration to continue from, None for the best so far."""
        super().__init__()
        self._heading = f"Auto in {loop}, from {start if start is not None else 'the best'}"
        self._preview: Lines = [[("reading the diagnosis ...", "muted")]]
        self._is_possible = False
        self.sheet = Sheet(self._lines())
        self.sheet.can_focus = False
        self.iterations = TextInput(str(ITERATIONS), id="auto-iterations")
        self.hours = TextInput("", placeholder="no limit", id="auto-hours")

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self.sheet
            for name, field in (("iterations", self.iterations), ("hours at most", self.hours)):
                with Horizontal():
                    yield Sheet([[(name, "muted")]], is_note=True)
                    yield field
        entitle(box, self._heading, "enter starts · tab next field · esc goes back")

    def on_mount(self) -> None:
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
        budget, problem = _budget(self.iterations.value.strip(), self.hours.value.strip())
        if problem:
            self._fill(problem)
        elif budget is not None and self._is_possible:
            self.dismiss(budget)

    def action_back(self) -> None:
        self.dismiss(None)

    def _fill(self, problem: str = "") -> None:
        self.sheet.show(self._lines(problem))
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        height = self.sheet.virtual_size.height
        self.sheet.styles.height = min(AUTO_MOST_LINES, max(AUTO_LEAST_LINES, height))

    def _lines(self, problem: str = "") -> Lines:
        if not self._is_possible:
            return self._preview
        lines = [
            *self._preview,
            [
                (
                    "After each run it judges the result and continues from the best one, until it "
                    "is ready, on a plateau, or out of budget. s stops it.",
                    "muted",
                )
            ],
        ]
        return [*lines, [("✗ ", "bad"), (problem, "bad")]] if problem else lines


def _budget(iterations: str, hours: str) -> tuple[Budget | None, str]:
    """Returns the budget that was typed, or None and the problem with it."""
    if not re.fullmatch(r"0*[1-9]\d{0,5}", iterations, re.ASCII):
        return None, "iterations: enter a whole number of at least 1"
    if not hours:
        return Budget(int(iterations)), ""
    try:
        limit = float(hours) if hours.isascii() else math.nan
    except ValueError:
        limit = math.nan
    if not (math.isfinite(limit) and limit > 0):
        return None, "hours: enter a number above 0, or nothing for no limit"
    return Budget(int(iterations), limit), ""
