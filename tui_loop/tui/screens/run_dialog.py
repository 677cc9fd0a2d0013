"""What a run would do, in a few lines, and why: enter starts it."""

from __future__ import annotations

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
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.text_input import TextInput
from tui_loop.tui.widgets.toned import Part

CHANGES_SHOWN = 6
VALUE_LENGTH = 60
REASON = 60
"""Cells of a reason that the field shows whole wherever it is."""

LEAST_LINES, MOST_LINES = 9, 16


class RunDialog(ModalScreen[str | None]):
    """Gives the reason for the run, None where it was not started."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    RunDialog { align: center middle; background: $background 40%; }
    RunDialog:ansi { background: ansi_default; }
    RunDialog > Vertical {
        width: 100; max-width: 100%; height: auto; max-height: 100%;
        border: round $tone-accent; background: $background; padding: 0 1;
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
        self.sheet = Sheet(self._lines("reading the data ..."))
        self.sheet.can_focus = False
        self.field = TextInput(draft.why, placeholder="why this change? (kept with the record)")

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self.sheet
            with Horizontal():
                yield Sheet([[("why", "muted")]], is_note=True)
                yield self.field
        origin = f", from {self._draft.parent}" if self._draft.parent else ""
        entitle(box, f"Run {self._number}{origin}", "enter runs it · esc goes back")

    def on_mount(self) -> None:
        self.field.focus()
        if width_of(self._draft.why) > REASON:
            self.field.cursor_position = 0  # its beginning is read first

    def show(self, preview: Preview | TuiLoopError) -> None:
        """Takes what was found out of the run."""
        if isinstance(preview, TuiLoopError):
            lines = self._lines("")[:-1]
            lines.append([("✗ ", "bad"), (preview.message, "bad")])
            hint = in_keys(preview.hint, services_of(self).keys)
            lines.append([("  hint: ", "muted"), (hint, "")])
            lines.append([("  esc, then C checks all of it at once", "muted")])
            self._fill(lines)
            return
        errors, warnings = errors_of(preview.findings), warnings_of(preview.findings)
        self._preview = None if errors else preview
        rows = f"{preview.train_rows} rows to train on, {preview.eval_rows} held out"
        steps = f", {preview.steps} steps" if preview.steps is not None else ""
        lines = self._lines(f"{self._model}: {rows}{steps}")
        if preview.base_first:
            lines.append(
                [("the base is evaluated first: it has not been, as this one will be", "muted")]
            )
        keys = services_of(self).keys
        lines += [[("! ", "warn"), (in_keys(each, keys), "warn")] for each in preview.notices]
        lines += [[("✗ ", "bad"), (each.message, "bad")] for each in errors]
        if errors or warnings:
            told = " and ".join(
                counted(len(each), word)
                for each, word in ((errors, "error"), (warnings, "warning"))
                if each
            )
            one = f": {warnings[0].message}" if len(warnings) == 1 and not errors else ""
            shown = f"{told}{one}; esc, then C shows {'it' if one else 'them'}"
            lines.append([("! ", "warn"), (shown, "bad" if errors else "warn")])
        self._fill(lines)

    def _fill(self, lines: list[list[Part]]) -> None:
        """Shows the lines; the dialog grows as far as they need it, and there is room."""
        self.sheet.show(lines)
        self.call_after_refresh(self._fit)  # before, it may not know its width

    def _fit(self) -> None:
        height = self.sheet.virtual_size.height
        self.sheet.styles.height = min(MOST_LINES, max(LEAST_LINES, height))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._preview is not None:
            self.dismiss(event.value.strip())

    def action_back(self) -> None:
        self.dismiss(None)

    def _lines(self, told: str) -> list[list[Part]]:
        changed = self._draft.changed
        lines: list[list[Part]] = []
        for name, (old, new) in list(changed.items())[:CHANGES_SHOWN]:
            before, after = (flat(brief(each), VALUE_LENGTH) for each in (old, new))
            lines.append([(f"{name} ", ""), (f"{before} → {after}", "changed")])
        if len(changed) > CHANGES_SHOWN:
            lines.append([(f"and {len(changed) - CHANGES_SHOWN} more changes", "muted")])
        if not changed:
            same = "nothing changes against its parent: change the seed to see the training noise"
            lines.append(
                [(same if self._draft.parent else "the loop's defaults, as they are", "muted")]
            )
        if expects := expected_of(self._draft.predicted):
            lines.append([(expects, "muted")])
        lines.append([(told, "")])
        return lines
